package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/sluicegate/sluice/deploy"
	"github.com/sluicegate/sluice/deploy/chart"
)

var update = flag.Bool("update", false, "rewrite the flags in the chart's values and their schema")

// chartSets are the flags that the chart gives by values of its own, and how they are set
// there to be given.
var chartSets = map[string]string{
	"kube":             "",
	"namespace":        "",
	"labels":           "labels.a=b",
	"status":           "statusPort=1",
	"metrics":          "metrics.port=1",
	"lame-duck":        "shutdown.lameDuckSeconds=1",
	"drain":            "shutdown.drainSeconds=1",
	"snapshot":         "snapshot.enabled=true",
	"watch-namespaces": "watchNamespaces={a}",
	"ingress-class":    "ingressClass.name=a",
	"status-writing":   "rbac.status=false",
}

// chartFlags returns the flags that the chart's value flags should have.
func chartFlags() (list []*pflag.Flag) {
	newCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if _, other := chartSets[f.Name]; !other && f.Name != "help" && f.Name != "version" {
			list = append(list, f)
		}
	})
	return list
}

// schemaType returns what JSON Schema calls a flag's type.
func schemaType(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return "boolean"
	case "int", "uint16", "float64":
		return "integer"
	case "stringArray", "stringSlice", "float64Slice":
		return "array"
	case "stringToString":
		return "object"
	}
	return "string" // duration among them
}

const chartDir = "../../deploy/charts/sluice-gateway/"

// TestChartFlags: every flag can be set by the chart's values, with its type and its usage
// in the schema, and nothing else can. With -update the files are rewritten.
func TestChartFlags(t *testing.T) {
	t.Parallel()
	compare := func(name, want string, got []byte) {
		t.Helper()
		if string(got) == want {
			return
		}
		if *update {
			if err := os.WriteFile(chartDir+name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("%s%s does not have the flags that there are: go test ./cmd/gateway -run TestChartFlags -update", chartDir, name)
	}
	read := func(name string) []byte {
		t.Helper()
		text, err := os.ReadFile(chartDir + name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}

	values := read("values.yaml")
	const begin, end = "# begin flags\n", "# end flags\n"
	before, rest, ok := strings.Cut(string(values), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("values.yaml has no lines %q and %q", begin, end)
	}
	compare("values.yaml", before+begin+flagValues()+end+after, values)

	text := read("values.schema.json")
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	properties := make(map[string]any)
	for _, f := range chartFlags() {
		properties[f.Name] = map[string]any{"type": []string{schemaType(f), "null"}, "description": f.Usage}
	}
	schema["properties"].(map[string]any)["flags"].(map[string]any)["properties"] = properties
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(schema); err != nil {
		t.Fatal(err)
	}
	compare("values.schema.json", out.String(), text)
}

// flagValues is what values.yaml has of flags.
func flagValues() string {
	var b strings.Builder
	b.WriteString("# Flags of sluice-gateway, by their names; null leaves what it does by itself, which stands\n" +
		"# behind. docs/gateway.md tells what each of them does.\nflags:\n")
	for _, f := range chartFlags() {
		value := strings.Trim(f.DefValue, "[]")
		if value == "" {
			value = "empty"
		}
		fmt.Fprintf(&b, "  %s: null # %s\n", f.Name, value)
	}
	return b.String()
}

// TestChartArguments: sluice-gateway takes the arguments that the chart gives, and each flag
// is among them when its value is set.
func TestChartArguments(t *testing.T) {
	t.Parallel()
	samples := map[string]any{"bool": true, "int": 7, "duration": "7s", "string": "x", "stringArray": []any{"x", "y"}, "stringSlice": []any{"x", "y"}, "float64Slice": []any{1, 2.5}, "stringToString": map[string]any{"x": "y"}}
	values := map[string]any{}
	for _, f := range chartFlags() {
		sample, ok := samples[f.Value.Type()]
		if !ok {
			t.Fatalf("--%s: no sample of a %s", f.Name, f.Value.Type())
		}
		values[f.Name] = sample
	}
	layers := []map[string]any{{"flags": values}}
	for _, set := range chartSets {
		if set == "" {
			continue
		}
		layer, err := chart.ParseSet(set, nil)
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, layer)
	}
	args := chartArguments(t, layers...)
	cmd := newCommand()
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Changed && f.Name != "help" && f.Name != "version" {
			t.Errorf("--%s is not set by any value: %q", f.Name, args)
		}
	})
}

// chartArguments returns the arguments of the gateway's container.
func chartArguments(t *testing.T, layers ...map[string]any) []string {
	t.Helper()
	c, err := deploy.Gateway()
	if err != nil {
		t.Fatal(err)
	}
	values, err := c.Values(layers...)
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Render(chart.Release{Name: "x", Namespace: "y", Service: "z"}, values)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(m chart.Manifest) bool { return m.Object["kind"] == "Deployment" })
	if i < 0 {
		t.Fatal("there is no Deployment")
	}
	var workload struct {
		Spec struct {
			Template struct {
				Spec struct{ Containers []struct{ Args []string } }
			}
		}
	}
	text, err := json.Marshal(list[i].Object)
	if err == nil {
		err = json.Unmarshal(text, &workload)
	}
	if err != nil {
		t.Fatal(err)
	}
	return workload.Spec.Template.Spec.Containers[0].Args
}
