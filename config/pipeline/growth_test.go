package pipeline_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
)

// TestNothingGrows adds objects of all kinds, which have new names each time, and removes them
// again: no map of the compiler's, or of the table, has anything of them after that.
func TestNothingGrows(t *testing.T) {
	t.Parallel()
	rounds := int(number("SLUICE_CHANGES", 10))
	for _, name := range slices.Sorted(maps.Keys(views)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(views[name])
			c := newChanger(3)
			p.apply(config.Delta{})
			before := entries(p)
			for round := range rounds {
				var d config.Delta
				for range 40 {
					text, _ := c.manifest()
					parsed, _ := config.ParseObjects(config.SplitDocuments([]byte(renamed(text, round)))[0], "a.yaml")
					for _, o := range parsed {
						if !slices.ContainsFunc(d.Set, func(other *config.Object) bool { return other.Key == o.Key }) {
							d.Set = append(d.Set, o)
						}
					}
				}
				p.apply(d)
				var gone []config.Key
				for _, i := range c.Perm(len(d.Set)) {
					gone = append(gone, d.Set[i].Key)
				}
				p.apply(config.Delta{Removed: gone[:len(gone)/2]})
				p.apply(config.Delta{Removed: gone[len(gone)/2:]})
			}
			if conditions := p.pipeline.Conditions(); len(conditions) > 0 {
				t.Errorf("conditions of nothing: %v", conditions)
			}
			for path, n := range entries(p) {
				if n > before[path] {
					t.Errorf("%s has %d entries after %d rounds, and had %d at first", path, n, rounds, before[path])
				}
			}
		})
	}
}

// renamed has the names in a text stand for others: those of no round before.
func renamed(text string, round int) string {
	n := strconv.Itoa(round)
	return strings.NewReplacer(
		"name: a", "name: a"+n, "name: b", "name: b"+n, "name: c", "name: c"+n, "name: d-", "name: d"+n+"-", "name: one", "name: one"+n, "name: two", "name: two"+n,
		"namespace: shop", "namespace: shop"+n, "host: a", "host: a"+n, "host: b", "host: b"+n, "host: c", "host: c"+n, ".shop.", ".shop"+n+".",
		"x.org", "x"+n+".org", "y.org", "y"+n+".org", "example.com", "example"+n+".com", "[a", "[a"+n, "[b", "[b"+n, "default/a", "default/a"+n,
		"redentialName: ", "redentialName: n"+n, "secretName: ", "secretName: n"+n,
	).Replace(text)
}

// entries counts the entries of all maps that something leads to, by the fields that lead there.
func entries(of any) map[string]int {
	counts, seen := map[string]int{}, map[uintptr]bool{}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() || seen[v.Pointer()] {
				return
			}
			seen[v.Pointer()] = true
			walk(path, v.Elem())
		case reflect.Interface:
			walk(path, v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(path, v.Index(i))
			}
		case reflect.Map:
			counts[path] += v.Len()
			for i := v.MapRange(); i.Next(); {
				walk(path+"[]", i.Value())
			}
		}
	}
	walk(fmt.Sprintf("%T", of), reflect.ValueOf(of))
	return counts
}
