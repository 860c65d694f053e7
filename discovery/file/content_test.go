package file

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
)

// version is a content of a text, after another.
func version(text []byte, had *content) *content {
	d := &draft{content: content{place: place{path: "x.yaml"}}, had: had}
	d.take(text)
	parse([]*draft{d})
	return d.finish()
}

// plainly writes what a content gives.
func plainly(c *content) string {
	var b strings.Builder
	for i := range c.objects {
		it := c.item(i)
		fmt.Fprintf(&b, "%d %v %s %q\n", it.line, it.Key, it.Version, it.Text())
	}
	for _, x := range c.conditions {
		fmt.Fprintf(&b, "%v\n", x)
	}
	return b.String()
}

// FuzzVersions wants the second version of a file to be the same whether or not there
// was a first, if it has no fault; and to take nothing away if it has one.
func FuzzVersions(f *testing.F) {
	for _, names := range [][2]string{
		{"", "a=1"}, {"a=1", ""}, {"a=1 b=1 c=1", "a=1 b=2 c=1"}, {"a=1 b=1", "b=1 a=1"},
		{"a=1 b=1 c=1", "c=1"}, {"a=1 b=1", "a=1 b=2 b=' x: 1 y: '"}, {"a=1 a=1 a=2", "a=2 a=1"}, {"a=1 b=1", "x=1 a=1 y=1 b=1 z=1"},
	} {
		f.Add([]byte(objects(names[0])), []byte(objects(names[1])))
	}
	f.Add([]byte(objects("a=1")), []byte(objects("a=2")+"---\n"+broken))
	f.Add([]byte(objects("a=1 b=1")), []byte("\n\n# moved\n---\n"+objects("a=1 b=1")+"...\n"))
	f.Add([]byte("kind: List\napiVersion: v1\nitems:\n- {kind: Service, apiVersion: v1, metadata: {name: a}}\n"),
		[]byte("kind: List\napiVersion: v1\nitems:\n- {kind: Service, apiVersion: v1, metadata: {name: b}}\n- {kind: Service, apiVersion: v1, metadata: {name: a}}\n"))
	f.Add([]byte(`{"kind":"Service","apiVersion":"v1","metadata":{"name":"a"}}`), []byte(`{"kind":"Service","apiVersion":"v1","metadata":{"name":"a"}} {}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		one := version(first, nil)
		alone := version(second, nil)
		after := version(second, one)
		if after.faulty && len(one.objects) > 0 {
			if one.loses(after) || !slices.Equal(after.docs, one.docs) {
				t.Errorf("a version with a fault changes what is in force:\n%s\nbefore:\n%s", plainly(after), plainly(one))
			}
			return
		}
		carried := slices.ContainsFunc(after.docs, func(d document) bool { return d.digest == digest{} })
		if got, want := plainly(after), plainly(alone); got != want && !carried {
			t.Errorf("after another version:\n%s\nalone:\n%s", got, want)
		}
		for _, key := range keysOf(one) {
			if old := one.get(key); after.get(key) != nil && after.get(key) != old && one.distinct == len(one.objects) &&
				bytes.Equal(old.Text(), after.get(key).Text()) && old.Version == after.get(key).Version && after.distinct == len(after.objects) {
				t.Errorf("%v did not change, and yet it is another object", key)
			}
		}
		// The set sees the same difference as a look at every object.
		s := newSet()
		s.replace("x.yaml", one)
		s.delta(nil)
		s.replace("x.yaml", after)
		d, _ := s.delta(nil)
		var set, removed int
		for _, key := range keysOf(after) {
			if one.get(key) != after.get(key) {
				set++
			}
		}
		for _, key := range keysOf(one) {
			if after.get(key) == nil {
				removed++
			}
		}
		if len(d.Set) != set || len(d.Removed) != removed {
			t.Errorf("the delta sets %d and removes %d, want %d and %d", len(d.Set), len(d.Removed), set, removed)
		}
		for _, p := range d.Moved {
			if at := s.inForce(p.Key); at.line != p.Line {
				t.Errorf("%v stands at line %d, said to be %d", p.Key, at.line, p.Line)
			}
		}
		for _, key := range keysOf(after) {
			i, _ := after.find(key)
			it := after.item(i)
			was := it.Line
			if j, ok := one.find(key); ok && one.objects[j] == it.Object {
				was = one.item(j).line
			}
			told := slices.ContainsFunc(d.Moved, func(p config.Place) bool { return p.Key == key })
			if it.line != was && !told {
				t.Errorf("%v moved from line %d to %d, and nobody was told", key, was, it.line)
			}
		}
	})
}

// keysOf are the keys of a version's objects, each once.
func keysOf(c *content) []config.Key {
	var keys []config.Key
	for i, o := range c.objects {
		if first, _ := c.find(o.Key); first == i {
			keys = append(keys, o.Key)
		}
	}
	return keys
}
