// Package chart renders a Helm chart to Kubernetes objects.
//
// It knows as much of Helm's charts as those in this repository use: templates with some
// of Helm's functions, values that are merged, a schema for them. What it renders is what
// Helm renders: the tests in test/helm compare the two. Hooks, dependencies and functions
// that look into a cluster are not there. It must not know what a chart installs.
package chart

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/yaml"
)

// Metadata is what templates see of Chart.yaml.
type Metadata struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	AppVersion string `json:"appVersion"`
}

// Chart is a chart that has been read. It is not changed by rendering.
type Chart struct {
	Metadata Metadata
	// ValuesText is values.yaml as it was written.
	ValuesText string
	defaults   map[string]any
	schema     *schema
	templates  map[string]string
}

// Load reads a chart from its folder.
func Load(dir fs.FS) (*Chart, error) {
	c := &Chart{templates: make(map[string]string), schema: new(schema)}
	for name, into := range map[string]any{"Chart.yaml": &c.Metadata, "values.yaml": &c.defaults, "values.schema.json": c.schema} {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if name == "values.yaml" {
			c.ValuesText = string(text)
		}
	}
	names, err := fs.Glob(dir, "templates/*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		c.templates[path.Join(c.Metadata.Name, name)] = string(text)
	}
	return c, nil
}

// Release is what a chart is installed as.
type Release struct {
	Name, Namespace string
	// Service is who installs it.
	Service string
}

// Merge returns the chart's own values with those of layers laid over them, later ones over
// earlier ones.
func (c *Chart) Merge(layers ...map[string]any) map[string]any {
	values := merge(nil, c.defaults)
	for _, layer := range layers {
		values = merge(values, layer)
	}
	return values
}

// Values is Merge, or an error that says what is wrong with the outcome.
func (c *Chart) Values(layers ...map[string]any) (map[string]any, error) {
	values := c.Merge(layers...)
	if problems := c.schema.check("", values); len(problems) > 0 {
		return nil, fmt.Errorf("the values make no sense:\n  %s", strings.Join(problems, "\n  "))
	}
	return values, nil
}
