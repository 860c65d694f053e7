package deploy

import (
	"fmt"
	"os"

	"github.com/sluicegate/sluice/deploy/chart"
)

// Choice says how the gateway is to be installed: a profile, over it files of values, over
// those single values. Later ones win.
type Choice struct {
	// Profile is a name; empty means DefaultProfile.
	Profile string
	// Files are paths.
	Files []string
	// Sets are as chart.ParseSet reads them. Unlike with Helm an index of a list, such as
	// service.ports[0].nodePort=31380, changes one item of the list that there is.
	Sets []string
}

// Values returns the chart and the values that are chosen for it.
func Values(o Choice) (*chart.Chart, map[string]any, error) {
	c, err := Gateway()
	if err != nil {
		return nil, nil, err
	}
	if o.Profile == "" {
		o.Profile = DefaultProfile
	}
	profile, err := Profile(o.Profile)
	if err != nil {
		return nil, nil, err
	}
	layer, err := chart.ParseValues([]byte(profile))
	if err != nil {
		return nil, nil, fmt.Errorf("profile %s: %w", o.Profile, err)
	}
	layers := []map[string]any{layer}
	for _, file := range o.Files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		if layer, err = chart.ParseValues(text); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		layers = append(layers, layer)
	}
	for _, set := range o.Sets {
		if layer, err = chart.ParseSet(set, c.Merge(layers...)); err != nil {
			return nil, nil, fmt.Errorf("--set %w", err)
		}
		layers = append(layers, layer)
	}
	values, err := c.Values(layers...)
	return c, values, err
}

// Service is what says of an object that it was installed from here, not by Helm.
const Service = "sluice"

// ReleaseName returns what the objects of a gateway are labelled with.
func ReleaseName(namespace, name string) string { return namespace + "." + name }

// Render returns what a choice installs into a namespace, in the order in which it should be
// applied.
func Render(namespace string, o Choice) ([]chart.Manifest, error) {
	c, values, err := Values(o)
	if err != nil {
		return nil, err
	}
	return c.Render(chart.Release{Name: ReleaseName(namespace, values["name"].(string)), Namespace: namespace, Service: Service}, values)
}
