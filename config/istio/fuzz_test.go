package istio_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

// FuzzApply compiles whatever parses as objects, next to a small mesh, for both
// roles, then takes it away again. Nothing may panic, and the mesh must come out of it
// as it went in.
func FuzzApply(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		sections, _ := readSections(data)
		f.Add([]byte(sections["objects.yaml"]))
	}
	bases := [][]*config.Object{folder(f, 3), tlsFolder(f, 2)}
	kept := map[config.Key]bool{}
	for _, o := range slices.Concat(bases...) {
		kept[o.Key] = true
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d config.Delta
		gone := config.Delta{}
		for _, doc := range config.SplitDocuments(data) {
			objects, _ := config.ParseObjects(doc, "fuzz.yaml")
			for _, o := range objects {
				if !kept[o.Key] {
					d.Set = append(d.Set, o)
					gone.Removed = append(gone.Removed, o.Key)
				}
			}
		}
		for role, options := range benchRoles {
			base := bases[len(data)%2]
			if role == "sidecar" {
				base = bases[0]
			}
			compiler := istio.NewCompiler(options)
			before := compiler.Apply(config.Delta{Set: base})
			table, _ := router.Build(before.Spec, nil)
			table, _ = router.Build(compiler.Apply(d).Spec, table)
			after := compiler.Apply(gone)
			router.Build(after.Spec, table)
			if diff := difference(after, before); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
