package istio_test

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

// routingCase is one configuration of the case files, with the outcome of calls that
// Istio's own engine gives.
type routingCase struct {
	Name   string `yaml:"name"`
	Config string `yaml:"config"`
	Calls  []struct {
		Request callRequest `yaml:"request"`
		Expect  outcome     `yaml:"expect"`
	} `yaml:"calls"`
}

type callRequest struct {
	Host    string            `yaml:"host"`
	Method  string            `yaml:"method"`
	Path    string            `yaml:"path"`
	Port    uint16            `yaml:"port"`
	Headers map[string]string `yaml:"headers,omitempty"`
}

// outcome is what comes of a request, in the words of the case files.
type outcome struct {
	Error     string            `yaml:"error,omitempty"`
	Status    int               `yaml:"status,omitempty"`
	Location  string            `yaml:"location,omitempty"`
	Body      string            `yaml:"body,omitempty"`
	Route     string            `yaml:"route,omitempty"`
	Clusters  map[string]uint64 `yaml:"clusters,omitempty"`
	Path      string            `yaml:"path,omitempty"`
	Authority string            `yaml:"authority,omitempty"`
	Timeout   string            `yaml:"timeout,omitempty"`
}

// TestGatewayRouting compares a gateway with labels istio: ingressgateway in
// istio-system with what Istio 1.31 makes of 396 configurations.
func TestGatewayRouting(t *testing.T) {
	t.Parallel()
	runCases(t, "testdata/istio-routing.yaml", istio.Options{Role: istio.Gateway, Labels: map[string]string{"istio": "ingressgateway"}})
}

// TestMeshRouting does the same for the sidecar of a workload with labels
// app: client, version: v1 in default, with 285 configurations.
func TestMeshRouting(t *testing.T) {
	t.Parallel()
	runCases(t, "testdata/istio-mesh-routing.yaml", istio.Options{Role: istio.Sidecar, Labels: map[string]string{"app": "client", "version": "v1"}})
}

func runCases(t *testing.T, file string, options istio.Options) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []routingCase
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 200 {
		t.Fatalf("%s has only %d cases", file, len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			table := buildTable(t, options, parse(t, c.Config))
			for i, call := range c.Calls {
				got := route(table, call.Request)
				if want := call.Expect; !reflect.DeepEqual(got, want) {
					t.Errorf("call %d %+v:\n got %+v\nwant %+v", i, call.Request, got, want)
				}
			}
		})
	}
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

func buildTable(t testing.TB, options istio.Options, objects []*config.Object) *router.Table {
	t.Helper()
	result := istio.NewCompiler(options).Apply(config.Delta{Set: objects})
	table, problems := router.Build(result.Spec, nil)
	for _, p := range problems {
		t.Errorf("router: %+v", p)
	}
	return table
}

// route sends a request through a table.
func route(table *router.Table, in callRequest) outcome {
	r := &router.Request{Method: in.Method, Scheme: "http", Authority: in.Host, Path: in.Path, Port: in.Port}
	for _, name := range slices.Sorted(maps.Keys(in.Headers)) {
		r.Headers = append(r.Headers, router.Header{Name: strings.ToLower(name), Value: in.Headers[name]})
	}
	for _, l := range table.Listeners() {
		if l.Name == "outbound" || l.Address == "" && slices.ContainsFunc(l.Tables, func(t *router.RouteTable) bool { return t.Port == in.Port }) {
			r.Listener = l.Name
		}
	}
	return explain(table, r)
}

func explain(table *router.Table, r *router.Request) outcome {
	d := table.Route(r)
	var out outcome
	if d.Route != nil {
		out.Route = d.Route.Name
	}
	switch d.Outcome {
	case router.NoListener:
		out.Error = "refused"
	case router.NotFound:
		out.Error = "not-found"
	case router.TLSRedirect:
		out.Error = "https-redirect"
	case router.Redirected:
		out.Status = d.Route.Redirect.Status
		out.Location = string(d.AppendLocation(nil, r))
	case router.Responded:
		out.Status, out.Body = d.Route.Direct.Status, string(d.Route.Direct.Body)
	case router.Forward:
		forwarded(table, &d, r, &out)
	}
	return out
}

// forwarded fills in what becomes of a request that goes to a destination.
func forwarded(table *router.Table, d *router.Decision, r *router.Request, out *outcome) {
	defined := map[string]bool{}
	for _, c := range table.Spec().Clusters {
		defined[c.Name] = true
	}
	clusters, missing := map[string]uint64{}, 0
	for _, dest := range d.Route.Route.Destinations {
		if defined[dest.Cluster] {
			clusters[dest.Cluster] += uint64(dest.Weight)
		} else {
			missing++
		}
	}
	if len(clusters) == 0 {
		out.Status = 503
		return
	}
	out.Clusters = clusters
	picked := d.Pick(0)
	out.Path = string(d.AppendPath(nil, r))
	out.Authority = d.Authority(picked, r)
	if d.Route.Timeout > 0 {
		out.Timeout = shortDuration(d.Route.Timeout)
	}
}

func shortDuration(d time.Duration) string { return fmt.Sprint(d) }
