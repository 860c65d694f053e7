package file

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// TestSizes: what is kept of each object beside itself is small, as there may be a hundred
// thousand.
func TestSizes(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(document{}); size > 24 {
		t.Errorf("a document takes %d bytes, want at most 24", size)
	}
	if size := unsafe.Sizeof(kept{}); size > 16 {
		t.Errorf("a kept text takes %d bytes, want at most 16", size)
	}
}

// TestListsAmongDocuments: objects of a List stand where they are written in it, those of the
// documents around it at their first lines; and of all of them the text is known, so that one
// which did not change stays the object that it was.
func TestListsAmongDocuments(t *testing.T) {
	t.Parallel()
	item := func(name string) string {
		return "- " + strings.ReplaceAll(strings.TrimSuffix(object(name, "1"), "\n"), "\n", "\n  ") + "\n"
	}
	list := func(names ...string) string {
		text := "apiVersion: v1\nkind: List\nitems:\n"
		for _, name := range names {
			text += item(name)
		}
		return text
	}
	var many []string
	for i := range 3 * few {
		many = append(many, fmt.Sprintf("m%d", i))
	}
	first := strings.Join([]string{object("a", "1"), list("b", "c"), object("d", "1"), list(many...)}, "---\n")
	second := strings.Join([]string{"# moved\n", list("c", "x", "b"), object("d", "1"), object("a", "2"), list(append(many, "y")...)}, "---\n")
	before := readVersion("p.yaml", first, nil)
	after := readVersion("p.yaml", second, before)
	for c, alone := range map[*content]*content{before: before, after: readVersion("p.yaml", second, nil)} {
		if len(c.details) != len(c.objects) || c.distinct != len(c.objects) {
			t.Fatalf("%d objects, %d of them distinct, with %d details", len(c.objects), c.distinct, len(c.details))
		}
		for i, o := range c.objects {
			if j, ok := c.find(o.Key); !ok || j != i {
				t.Errorf("%v is found at %d, not %d", o.Key, j, i)
			}
			if c.textDigest(i) != digestOf(o.Text()) {
				t.Errorf("%v has another digest than its text", o.Key)
			}
			if got, want := c.item(i).line, alone.objects[i].Line; got != want {
				t.Errorf("%v is at line %d, want %d", o.Key, got, want)
			}
		}
	}
	for _, name := range append(many, "b", "c", "d") {
		if before.get(key(name)) != after.get(key(name)) {
			t.Errorf("%s did not change, and is another object", name)
		}
	}
	if before.get(key("a")) == after.get(key("a")) {
		t.Error("a changed, and is the same object")
	}
}
