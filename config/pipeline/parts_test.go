package pipeline

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/config"
)

// The tests of this package give the compiler a few VirtualServices at a time.
func init() { leastInPart = 2 }

// TestParts: the parts of a change hold all of it, the VirtualServices last.
func TestParts(t *testing.T) {
	for n := range 100 {
		d := config.Delta{Removed: []config.Key{{Name: "gone"}}, Moved: []config.Place{{Line: 3}}, Conditions: make([]config.Condition, 1)}
		for i := range n {
			o := &config.Object{Key: config.Key{Kind: []string{"VirtualService", "Gateway", "VirtualService"}[i%3], Name: fmt.Sprint(i)}}
			if i%9 == 0 {
				o.Derived = &config.Derived{}
			}
			d.Set = append(d.Set, o)
		}
		var got config.Delta
		count := 0
		for part := range parts(d) {
			if count++; count > 1 && slices.ContainsFunc(part.Set, func(o *config.Object) bool { return !inParts(o) }) {
				t.Errorf("of %d objects, part %d has others than VirtualServices", n, count)
			}
			if len(got.Moved) > 0 {
				t.Errorf("of %d objects, something is set behind what moved", n)
			}
			got.Set = append(got.Set, part.Set...)
			got.Removed = append(got.Removed, part.Removed...)
			got.Moved = append(got.Moved, part.Moved...)
		}
		if len(got.Set) != n || len(got.Removed) != 1 || len(got.Moved) != 1 {
			t.Errorf("of %d objects the parts set %d, remove %d and move %d", n, len(got.Set), len(got.Removed), len(got.Moved))
		}
		for _, o := range d.Set {
			if !slices.Contains(got.Set, o) {
				t.Errorf("of %d objects %s is missing", n, o.Name)
			}
		}
		if count > mostParts+1 {
			t.Errorf("%d objects in %d parts", n, count)
		}
	}
}
