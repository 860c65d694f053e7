package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sluicegate/sluice/deploy"
)

// TestDocumentedValues: docs/install.md has a row for each value of the chart at the top,
// with its default where that is no map. With -update the table is rewritten from the schema.
func TestDocumentedValues(t *testing.T) {
	t.Parallel()
	const page, schemaFile, head = "../../docs/install.md", "../../deploy/charts/sluice-gateway/values.schema.json", "| value | default | |\n|---|---|---|\n"
	c, err := deploy.Gateway()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema property
	if err := yaml.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema.Properties, "global")
	var table strings.Builder
	schema.rows(&table, "", c.Merge())
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(old), head)
	if !ok {
		t.Fatalf("%s has no table of values", page)
	}
	if want := before + head + table.String(); *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(old) {
		t.Errorf("%s: the table of values is not that of the chart (go test ./cmd/sluice -run TestDocumentedValues -update rewrites it)", page)
	}
	for _, m := range regexp.MustCompile("`([a-z][A-Za-z.-]+)(?:\\[\\d\\]\\.[A-Za-z]+)?=[^`]*`").FindAllStringSubmatch(before, -1) {
		if !schema.has(strings.Split(m[1], ".")) {
			t.Errorf("%s tells of %s, which is no value", page, m[1])
		}
	}
}

// property is a value in the schema.
type property struct {
	Description string
	Properties  map[string]*property
}

// rows writes a line for each value below p.
func (p *property) rows(b *strings.Builder, path string, defaults map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		below, at := p.Properties[name], path+name
		if inner, ok := defaults[name].(map[string]any); ok && at != "flags" && len(below.Properties) > 0 {
			below.rows(b, at+".", inner)
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", at, shown(defaults[name]), strings.ReplaceAll(below.Description, "|", "\\|"))
	}
}

func (p *property) has(path []string) bool {
	for _, name := range path {
		if len(p.Properties) == 0 {
			return true
		}
		if p = p.Properties[name]; p == nil {
			return false
		}
	}
	return true
}

// shown is a default in a table: maps and lists of maps stand in values.yaml.
func shown(value any) string {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			return ""
		}
		return "see values.yaml"
	case []any:
		if len(v) == 0 {
			return ""
		}
		return "see values.yaml"
	case nil:
		return ""
	}
	if s := fmt.Sprint(value); s != "" {
		return "`" + s + "`"
	}
	return ""
}
