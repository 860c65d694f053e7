package file

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSeen: a change says when its file was written; the first load says nothing, and a file's
// time of long ago is not when the change came about.
func TestSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	write(t, path, objects("a=1"))
	f := follow(t, Options{Dirs: []string{dir}})
	f.wants("a=1")
	began := time.Now().Add(-10 * time.Millisecond) // times of files are those of the last tick
	replace(t, path, objects("a=2"))
	f.wants("a=2")
	long := time.Now().Add(-time.Hour)
	old := filepath.Join(t.TempDir(), "old.yaml")
	write(t, old, objects("a=3"))
	must(t, os.Chtimes(old, long, long))
	must(t, os.Rename(old, path))
	f.wants("a=3")
	deltas := f.seen(0)
	if !deltas[0].Seen.IsZero() {
		t.Errorf("the first load was seen at %v", deltas[0].Seen)
	}
	for _, d := range deltas[1:] {
		if d.Seen.Before(began) || d.Seen.After(time.Now()) {
			t.Errorf("a change was seen at %v, not since %v", d.Seen, began)
		}
	}
}
