package chart

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"
)

// Manifest is one object that a chart makes.
type Manifest struct {
	// Template is the file that it comes from.
	Template string
	// Text is its YAML, comments included, without a separator.
	Text string
	// Object is what Text says.
	Object map[string]any
}

// Render makes the chart's objects, in the order in which they should be applied: what
// others need goes first. values must come from [Chart.Values].
func (c *Chart) Render(r Release, values map[string]any) ([]Manifest, error) {
	data := map[string]any{
		"Values":  values,
		"Chart":   c.Metadata,
		"Release": r,
	}
	set, err := c.parse()
	if err != nil {
		return nil, err
	}
	var list []Manifest
	for _, name := range slices.Sorted(maps.Keys(c.templates)) {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		var out strings.Builder
		if err := set.ExecuteTemplate(&out, name, data); err != nil {
			return nil, fmt.Errorf("template %w", err)
		}
		made, err := decode(name, out.String())
		if err != nil {
			return nil, err
		}
		list = append(list, made...)
	}
	slices.SortStableFunc(list, func(a, b Manifest) int { return rank(a) - rank(b) })
	return list, nil
}

// parse reads the templates. They can include each other.
func (c *Chart) parse() (*template.Template, error) {
	set := template.New(c.Metadata.Name).Option("missingkey=zero").Funcs(functions)
	set.Funcs(template.FuncMap{"include": func(name string, data any) (string, error) {
		var out strings.Builder
		err := set.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}})
	for _, name := range slices.Sorted(maps.Keys(c.templates)) {
		if _, err := set.New(name).Parse(c.templates[name]); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// decode reads what a template has written.
func decode(name, text string) (list []Manifest, err error) {
	for document := range strings.SplitSeq("\n"+text, "\n---") {
		m := Manifest{Template: name, Text: strings.TrimSpace(document) + "\n"}
		if err := yaml.UnmarshalStrict([]byte(document), &m.Object); err != nil {
			return nil, fmt.Errorf("template %s writes what is no YAML: %w\n%s", name, err, document)
		}
		if len(m.Object) > 0 {
			list = append(list, m)
		}
	}
	return list, nil
}

// first are the kinds that others need, in their order.
var first = []string{"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service"}

func rank(m Manifest) int {
	if i := slices.Index(first, m.Object["kind"].(string)); i >= 0 {
		return i
	}
	return len(first)
}
