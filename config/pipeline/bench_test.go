package pipeline_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/discovery/file"
	"github.com/sluicegate/sluice/router"
)

const edge = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*']
`

// service is a service with two subsets.
func service(i int) string {
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: service-%02[1]d, namespace: default}
spec:
  hosts: [service-%02[1]d.internal]
  ports: [{number: 9080, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.%[1]d, labels: {version: v1}}
  - {address: 10.0.1.%[1]d, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: service-%02[1]d, namespace: default}
spec:
  host: service-%02[1]d.internal
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
`, i)
}

// route is a VirtualService of an ordinary size.
func route(i, version int) string {
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: route-%05[1]d
  namespace: default
spec:
  hosts: [host-%05[1]d.example.com]
  gateways: [istio-system/edge]
  http:
  - name: jason
    match:
    - uri: {prefix: /v%[2]d}
      headers: {end-user: {exact: jason}}
    route:
    - destination: {host: service-%02[3]d.internal, subset: v2, port: {number: 9080}}
  - name: main
    route:
    - destination: {host: service-%02[3]d.internal, subset: v2, port: {number: 9080}}
      weight: 90
    - destination: {host: service-%02[3]d.internal, subset: v1, port: {number: 9080}}
      weight: 10
`, i, version, i%50)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// folder writes n routes with what they need, as one file each or all in one, and
// returns what writes one of them anew.
func folder(b testing.TB, dir string, n int, one bool) (edit func(i, version int)) {
	write(b, filepath.Join(dir, "gateway.yaml"), edge)
	for i := range 50 {
		write(b, filepath.Join(dir, fmt.Sprintf("services/%02d.yaml", i)), service(i))
	}
	if !one {
		edit = func(i, version int) {
			write(b, filepath.Join(dir, fmt.Sprintf("routes/%05d.yaml", i)), route(i, version))
		}
		for i := range n {
			edit(i, 0)
		}
		return edit
	}
	docs := make([]string, n)
	for i := range docs {
		docs[i] = route(i, 0)
	}
	all := func() { write(b, filepath.Join(dir, "routes.yaml"), strings.Join(docs, "---\n")) }
	all()
	return func(i, version int) {
		docs[i] = route(i, version)
		all()
	}
}

func compiler() pipeline.Compile {
	c := istio.NewCompiler(istio.Options{Labels: map[string]string{"istio": "ingressgateway"}})
	return func(d config.Delta) (*router.Spec, []config.Condition) {
		r := c.Apply(d)
		return r.Spec, r.Conditions
	}
}

// BenchmarkWriteToTable measures the time from the end of a write of one
// VirtualService among many to the published table that has it: through the folder's
// watch, Istio's front end and the router.
func BenchmarkWriteToTable(b *testing.B) {
	for _, n := range []int{100, 10000} {
		for _, one := range []bool{false, true} {
			b.Run(fmt.Sprintf("objects=%d/files=%s", n, map[bool]string{false: "many", true: "one"}[one]), func(b *testing.B) {
				dir := b.TempDir()
				edit := folder(b, dir, n, one)
				tables := make(chan *router.Table, 1)
				p := pipeline.New(pipeline.Options{NewCompiler: compiler, Publish: func(t *router.Table) { tables <- t }})
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error)
				started := time.Now()
				go func() { ended <- file.Watch(ctx, file.Options{Dirs: []string{dir}}, p.Apply) }()
				<-tables
				first := time.Since(started)
				var wait, work, worst time.Duration
				version := 0
				b.ResetTimer()
				for b.Loop() {
					version++
					i := version * 7919 % n
					edit(i, version)
					start := time.Now()
					if got := routed(<-tables, i, version); got != "jason" {
						b.Fatalf("the table has no version %d of route %d: %s", version, i, got)
					}
					took := time.Since(start)
					wait, work, worst = wait+took, work+p.Status().LastDuration, max(worst, took)
				}
				b.StopTimer()
				if c := p.Conditions(); len(c) > 0 {
					b.Fatalf("%d conditions, the first %v", len(c), c[0])
				}
				each := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(version) }
				b.ReportMetric(each(wait), "ms/edit")
				b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst")
				b.ReportMetric(each(work), "ms-compile")
				b.ReportMetric(float64(first.Milliseconds()), "ms-first")
				cancel()
				<-ended
			})
		}
	}
}

// routed returns the name of the route that a version of a VirtualService is for, or
// "Not Found".
func routed(t *router.Table, i, version int) string {
	l := t.Listeners()[0]
	d := t.Route(&router.Request{
		Listener: l.Name, Method: "GET", Scheme: "http", Authority: fmt.Sprintf("host-%05d.example.com", i),
		Path: fmt.Sprintf("/v%d", version), Headers: []router.Header{{Name: "end-user", Value: "jason"}},
	})
	if d.Route == nil {
		return http.StatusText(http.StatusNotFound)
	}
	return d.Route.Name
}
