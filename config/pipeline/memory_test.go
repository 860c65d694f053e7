package pipeline_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/discovery/file"
	"github.com/sluicegate/sluice/router"
)

// ordinary is a VirtualService of one host with three rules.
func ordinary(i, services int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: host-%06[1]d, namespace: default}\nspec:\n  hosts: [host-%06[1]d.example]\n  gateways: [istio-system/edge]\n  http:\n", i)
	for rule := range 3 {
		fmt.Fprintf(&b, "  - match: [{uri: {prefix: /p%[1]d/}}]\n    rewrite: {uri: /q%[1]d/}\n    route: [{destination: {host: service-%02[2]d.internal, subset: v1}}]\n", rule, i%services)
	}
	return b.String()
}

// TestMemoryPerRoute holds what a route costs, from its file to the table that has it, to a
// budget: what is kept of thousands of hosts is what keeps a gateway from being small.
func TestMemoryPerRoute(t *testing.T) {
	const hosts, perFile = 3000, 100
	for _, test := range []struct {
		services int
		// budget is in bytes for each route, with a fifth to spare.
		budget int
	}{{1, 510}, {50, 640}} {
		t.Run(fmt.Sprintf("%d services", test.services), func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "gateway.yaml"), edge)
			for i := range test.services {
				write(t, filepath.Join(dir, fmt.Sprintf("services/%02d.yaml", i)), service(i))
			}
			empty := held(t, dir)
			for first := 0; first < hosts; first += perFile {
				var docs []string
				for i := range perFile {
					docs = append(docs, ordinary(first+i, test.services))
				}
				write(t, filepath.Join(dir, fmt.Sprintf("routes/%06d.yaml", first)), strings.Join(docs, "---\n"))
			}
			each := (held(t, dir) - empty) / (3 * hosts)
			t.Logf("%d bytes for each route", each)
			if each > test.budget {
				t.Errorf("%d bytes for each route, want at most %d", each, test.budget)
			}
		})
	}
}

// held returns the bytes that the configuration of a folder takes while it is in force.
func held(t *testing.T, dir string) int {
	t.Helper()
	before := live()
	tables := make(chan *router.Table, 1)
	p := pipeline.New(pipeline.Options{NewCompiler: compiler, Publish: func(t *router.Table) { tables <- t }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	// No look at everything comes in between.
	go func() { ended <- file.Watch(ctx, file.Options{Dirs: []string{dir}, Rescan: -1}, p.Apply) }()
	table := <-tables
	p.Conditions() // once the first Apply has ended
	var after int
	// What the reader does behind the first Apply, it has done when its memory does not change.
	for last := -1; after != last; last, after = after, live() {
	}
	if c := p.Conditions(); len(c) > 0 {
		t.Fatalf("%d conditions, the first %v", len(c), c[0])
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(p)
	cancel()
	<-ended
	return after - before
}

// live returns the bytes of all objects that are not garbage.
func live() int {
	var m runtime.MemStats
	for range 2 {
		// The second finds what finalizers and pools held in the first.
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
