package router

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// pure are the packages that the engine may import: none of them does I/O. Of time it
// may use durations only.
var pure = []string{
	"errors", "fmt", "hash/maphash", "iter", "maps", "math/bits", "net/netip", "regexp", "regexp/syntax", "slices", "strconv", "strings", "sync", "sync/atomic", "time", "unsafe",
}

func TestIsPure(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range tree.Imports {
			if path, _ := strconv.Unquote(imported.Path.Value); !slices.Contains(pure, path) {
				t.Errorf("%s imports %s", f.Name(), path)
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", f.Name())
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && n.Sel.Name != "Duration" {
					t.Errorf("%s uses time.%s", f.Name(), n.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestTablesDoNotChange routes by old tables while new ones are built from them; the
// race detector watches.
func TestTablesDoNotChange(t *testing.T) {
	t.Parallel()
	w := newWorld(1, 5)
	spec := w.spec()
	table, _ := Build(spec, nil)
	var readers sync.WaitGroup
	for step := range 20 {
		old, oldSpec, seed := table, spec, step
		readers.Go(func() {
			w := newWorld(seed, 6)
			for range 100 {
				r := w.request()
				agree(t, oldSpec, old, r)
				d := old.Route(r)
				if dest := d.Pick(w.Uint64()); dest != nil && dest.Cluster.ID >= len(old.Clusters()) {
					t.Errorf("cluster ID %d of %d", dest.Cluster.ID, len(old.Clusters()))
				}
				d.AppendPath(nil, r)
				d.AppendLocation(nil, r)
				old.Explain(r)
			}
		})
		spec = w.edited(spec)
		table, _ = Build(spec, table)
	}
	readers.Wait()
}
