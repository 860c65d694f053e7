package pipeline_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/discovery/file"
	"github.com/sluicegate/sluice/router"
)

// TestFromFolderToTable runs all that stands between a folder and a table: edits take
// effect, mistakes change nothing but themselves.
func TestFromFolderToTable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	edit := folder(t, dir, 20, false)
	var table atomic.Pointer[router.Table]
	p := pipeline.New(pipeline.Options{NewCompiler: compiler, Publish: table.Store})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- file.Watch(ctx, file.Options{Dirs: []string{dir}}, p.Apply) }()
	defer func() {
		cancel()
		<-ended
	}()
	eventually := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain for %s; conditions %v", what, p.Conditions())
			}
		}
	}
	route := func(i, version int) string {
		if table.Load() == nil {
			return ""
		}
		return routed(table.Load(), i, version)
	}
	path := filepath.Join(dir, "routes/00007.yaml")

	eventually("the first load", func() bool { return route(7, 0) == "jason" })
	if c := p.Conditions(); len(c) > 0 {
		t.Errorf("conditions %v", c)
	}
	edit(7, 1)
	eventually("an edit", func() bool { return route(7, 1) == "jason" && route(7, 0) == "main" })

	write(t, path, "apiVersion: networking.istio.io/v1\nkind: [")
	eventually("a broken file's condition", func() bool { return len(p.Conditions()) == 2 })
	for _, c := range p.Conditions() {
		if c.File != path || c.Severity != config.Error {
			t.Errorf("a broken file gave %v", c)
		}
	}
	edit(8, 1)
	eventually("an edit beside a broken file", func() bool { return route(8, 1) == "jason" })
	if route(7, 1) != "jason" {
		t.Error("a broken file lost its route")
	}

	// An expression that is none: the object keeps its last version, and says where.
	write(t, path, "# one more line\n"+expression("(["))
	eventually("a bad expression's condition", func() bool {
		c := p.Conditions()
		return len(c) == 1 && c[0].Object.Name == "route-00007" && c[0].File == path && c[0].Line > 1
	})
	line, status := p.Conditions()[0].Line, p.Status()
	write(t, path, "# one more line\n# and another\n"+expression("(["))
	eventually("the condition to move along", func() bool { return p.Conditions()[0].Line == line+1 })
	if now := p.Status(); now.Generation != status.Generation || len(p.Conditions()) != 1 {
		t.Errorf("moving an object: status %+v, conditions %v", now, p.Conditions())
	}
	must(t, os.Remove(path))
	eventually("a deletion", func() bool { return route(7, 1) == http.StatusText(http.StatusNotFound) && len(p.Conditions()) == 0 })
	if got := p.Status(); got.Generation != table.Load().Generation() || got.Failures != 0 {
		t.Errorf("status %+v, the table has generation %d", got, table.Load().Generation())
	}
}

// expression is route 7 with another expression as its match.
func expression(e string) string {
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: route-00007, namespace: default}
spec:
  hosts: [host-00007.example.com]
  gateways: [istio-system/edge]
  http:
  - match:
    - uri: {regex: %q}
    route:
    - destination: {host: service-07.internal, port: {number: 9080}}
`, e)
}
