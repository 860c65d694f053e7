package ingress_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	kubeyaml "sigs.k8s.io/yaml"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

var update = flag.Bool("update", false, "rewrite the last section of the files under testdata")

var proxy = istio.Options{Labels: map[string]string{"istio": "ingressgateway"}}

// TestGolden compares what comes of the objects of each testdata/*.txtar with the file's last
// section: what they are in Istio's API, what becomes of the requests, and the conditions.
// The sections are options (a map), objects.yaml, then.yaml (a further version of some),
// requests (one a line: METHOD URL, and headers as name=value) and want.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d case files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sections, head := readSections(data)
			got := runCase(t, sections)
			if *update {
				if err := os.WriteFile(file, []byte(head+"-- want --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := sections["want"]; got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// readSections parses a txtar file. head is all before the section want.
func readSections(data []byte) (sections map[string]string, head string) {
	sections = map[string]string{}
	name, start := "", 0
	head = string(data)
	for at := 0; at < len(data); {
		end := at + bytes.IndexByte(data[at:], '\n') + 1
		line := strings.TrimSpace(string(data[at:end]))
		if strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --") {
			sections[name] = string(data[start:at])
			name, start = strings.TrimSpace(line[3:len(line)-3]), end
			if name == "want" {
				head = string(data[:at])
			}
		}
		at = end
	}
	sections[name] = string(data[start:])
	return sections, head
}

func runCase(t *testing.T, sections map[string]string) string {
	var given struct {
		Classes            []string `yaml:"classes"`
		WithoutClass       bool     `yaml:"withoutClass"`
		DefaultCertificate string   `yaml:"defaultCertificate"`
		ACMEForAll         bool     `yaml:"acmeForAll"`
	}
	if err := yaml.Unmarshal([]byte(sections["options"]), &given); err != nil {
		t.Fatal(err)
	}
	options := ingress.Options{Classes: given.Classes, WithoutClass: given.WithoutClass, DefaultCertificate: given.DefaultCertificate}
	proxy := proxy
	proxy.ACMEForAll = given.ACMEForAll
	var served []config.Key
	options.Served = func(keys []config.Key) { served = slices.Clone(keys) }

	compiler := ingress.NewCompiler(options, proxy)
	objects := parse(t, sections["objects.yaml"])
	result := compiler.Apply(config.Delta{Set: objects})
	if then := sections["then.yaml"]; then != "" {
		result = compiler.Apply(config.Delta{Set: parse(t, then)})
	}
	var b strings.Builder
	if _, ok := sections["then.yaml"]; !ok && len(served) > 0 {
		options.Classes = nil
		converted, _ := ingress.Convert(objects, options, proxy)
		for _, c := range converted {
			printObject(t, &b, c.Object)
		}
	}
	table, problems := router.Build(result.Spec, nil)
	for _, p := range problems {
		t.Errorf("router: %v", p)
	}
	for line := range strings.Lines(sections["requests"]) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(&b, "%s -> %s\n", line, outcome(table, parseRequest(t, table, line)))
		}
	}
	fmt.Fprintf(&b, "served %v\n", served)
	for _, c := range result.Conditions {
		fmt.Fprintf(&b, "%s %s %s\n", c.Severity, c.Reason, c)
	}
	return b.String()
}

// parse returns the objects of a text of YAML documents.
func parse(t testing.TB, text string) []*config.Object {
	t.Helper()
	var objects []*config.Object
	for _, doc := range config.SplitDocuments([]byte(text)) {
		parsed, conditions := config.ParseObjects(doc, "input.yaml")
		for _, c := range conditions {
			t.Fatal(c)
		}
		objects = append(objects, parsed...)
	}
	return objects
}

// printObject prints an object without what an API server fills in.
func printObject(t testing.TB, b *strings.Builder, object any) {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var fields struct {
		Kind     string
		Metadata struct{ Name, Namespace string }
		Spec     json.RawMessage
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	spec, err := kubeyaml.JSONToYAML(fields.Spec)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(b, "%s %s/%s\n", fields.Kind, fields.Metadata.Namespace, fields.Metadata.Name)
	for line := range strings.Lines(string(spec)) {
		b.WriteString("  " + line)
	}
}

// parseRequest reads "GET https://host/path name=value", sni=name for the TLS server name.
func parseRequest(t testing.TB, table *router.Table, line string) *router.Request {
	t.Helper()
	fields := strings.Fields(line)
	if len(fields) < 2 {
		t.Fatalf("request %q", line)
	}
	scheme, rest, _ := strings.Cut(fields[1], "://")
	host, path, _ := strings.Cut(rest, "/")
	r := &router.Request{Method: fields[0], Scheme: scheme, Authority: host, Path: "/" + path, Port: 80, Listener: "0.0.0.0_80"}
	serverName := host
	for _, f := range fields[2:] {
		name, value, _ := strings.Cut(f, "=")
		if name == "sni" {
			serverName = value
			continue
		}
		r.Headers = append(r.Headers, router.Header{Name: name, Value: value})
	}
	if scheme == "https" {
		r.Port, r.Listener = 443, "0.0.0.0_443"
		if chain := table.Chain(r.Listener, serverName, true, nil); chain != nil {
			r.Chain = chain.Name
		}
	}
	return r
}

// outcome says what becomes of a request.
func outcome(table *router.Table, r *router.Request) string {
	d := table.Route(r)
	policies := ""
	if d.Route != nil {
		for _, p := range d.Route.Route.Policies() {
			switch p.Name {
			case "sources", "request body":
				policies += ", " + p.Text
			case "limit", "idle timeout":
				policies += ", " + p.Name + " " + p.Text
			}
		}
	}
	return action(&d, r) + policies
}

// action says what a decision does with a request.
func action(d *router.Decision, r *router.Request) string {
	switch d.Outcome {
	case router.Redirected:
		return fmt.Sprintf("%d %s (%s)", d.Route.Redirect.Status, d.AppendLocation(nil, r), d.Route.Name)
	case router.Responded:
		return fmt.Sprintf("%d (%s)", d.Route.Direct.Status, d.Route.Name)
	case router.Forward:
		var to []string
		for _, dest := range d.Route.Route.Destinations {
			to = append(to, fmt.Sprintf("%s*%d", dest.Cluster, dest.Weight))
		}
		return fmt.Sprintf("%s %s%s (%s, %s)", strings.Join(to, " "), d.Authority(d.Pick(0), r), d.AppendPath(nil, r), d.Route.Name, d.Route.Origin())
	}
	return fmt.Sprint(d.Outcome)
}
