package istio

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/config"
)

// TestTableIsTidied: after a first load, the table of the objects whose types are at hand has no
// room for those that are not; and all are still found.
func TestTableIsTidied(t *testing.T) {
	t.Parallel()
	const many = 1000
	c := NewCompiler(Options{Role: Gateway, AllGateways: true})
	var all []*config.Object
	for i := range many {
		text := fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v%d, namespace: default}\nspec: {hosts: [h%d.example.com], gateways: [g], http: [{directResponse: {status: 200}}]}\n", i, i)
		objects, _ := config.ParseObjects(config.Document{Line: 1, Text: []byte(text)}, "x.yaml")
		all = append(all, objects...)
	}
	c.Apply(config.Delta{Set: all})
	table := &c.objects.byKey
	if table.most > 64 {
		t.Errorf("there is room for %d objects with types, and %d are there", table.most, table.others.Len())
	}
	for _, o := range all {
		if table.written(o.Key) != o {
			t.Fatalf("%s is not found", o.Key)
		}
	}
}
