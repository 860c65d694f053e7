package file

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNotifier(t *testing.T) {
	t.Parallel()
	const unknown, changed, replaced = "", "changed", "replaced"
	for _, c := range []struct {
		name string
		do   func(dir string) error
		// about is the path in the folder, way what is told of it on the way to files, and
		// texts where files are read.
		about, way, texts string
	}{
		{"a file is written", func(dir string) error { return os.WriteFile(dir+"/old", []byte("more"), 0) }, "old", unknown, changed},
		{"a file is made", func(dir string) error { return os.Mkdir(dir+"/new", 0o755) }, "new", replaced, replaced},
		{"a link is made", func(dir string) error { return os.Symlink("old", dir+"/new") }, "new", replaced, replaced},
		{"a file goes", func(dir string) error { return os.Remove(dir + "/old") }, "old", replaced, replaced},
		{"a file comes", func(dir string) error { return os.Rename(dir+".out", dir+"/new") }, "new", replaced, replaced},
		{"a file moves away", func(dir string) error { return os.Rename(dir+"/old", dir+".old") }, "old", replaced, replaced},
		{"a way is opened", func(dir string) error { return os.Chmod(dir+"/old", 0o400) }, "old", changed, changed},
		{"the folder moves", func(dir string) error { return os.Rename(dir, dir+".new") }, "", replaced, replaced},
		{"the folder goes", os.RemoveAll, "", replaced, replaced},
		{"the folder is opened", func(dir string) error { return os.Chmod(dir, 0o700) }, "", changed, changed},
	} {
		for _, writes := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", c.name, writes), func(t *testing.T) {
				t.Parallel()
				top := t.TempDir()
				dir, marks := filepath.Join(top, "dir"), filepath.Join(top, "marks")
				write(t, filepath.Join(dir, "old"), "text")
				write(t, dir+".out", "text")
				must(t, os.Mkdir(marks, 0o755))
				in := newInbox()
				n := notified(t, in)
				must(t, n.add(dir, writes))
				must(t, n.add(marks, false))
				must(t, c.do(dir))
				want, got := c.way, unknown
				if writes {
					want = c.texts
				}
				if ev, is := told(t, in, marks+"/last")[filepath.Join(dir, c.about)]; is {
					got = changed
					if ev.replaced {
						got = replaced
					}
				}
				if got != want {
					t.Errorf("told: %q, want %q", got, want)
				}
			})
		}
	}
}

// Each folder has one name, and each name one folder.
func TestFolderIsWatchedUnderAnotherName(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	a, b := filepath.Join(top, "a"), filepath.Join(top, "b")
	must(t, os.Mkdir(a, 0o755))
	in := newInbox()
	n := notified(t, in)
	must(t, n.add(a, true))
	must(t, os.Rename(a, b))
	must(t, n.add(b, true))
	if got := n.list(); !slices.Equal(got, []string{b}) {
		t.Errorf("after a move %v are watched", got)
	}
	must(t, os.Rename(b, a))
	must(t, os.Mkdir(b, 0o755))
	must(t, n.add(b, true))
	told(t, in, filepath.Join(b, "before"))
	write(t, filepath.Join(a, "x"), "nobody watches here")
	if events := told(t, in, filepath.Join(b, "last")); len(events) != 1 {
		t.Errorf("the folder's former place is still watched: %v", events)
	}
	if got := n.list(); !slices.Equal(got, []string{b}) || len(n.folders) != 1 {
		t.Errorf("after an exchange %v are watched, by %d numbers", got, len(n.folders))
	}
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	gone, left, stays := filepath.Join(top, "gone"), filepath.Join(top, "left"), filepath.Join(top, "stays")
	in := newInbox()
	n := notified(t, in)
	for _, dir := range []string{gone, left, stays} {
		must(t, os.Mkdir(dir, 0o755))
		must(t, n.add(dir, true))
	}
	left1 := n.watches[left]
	n.remove(left)
	n.remove(left)
	must(t, os.Remove(gone))
	write(t, filepath.Join(left, "a"), "nobody watches here")
	told(t, in, filepath.Join(stays, "last"))
	if got := n.list(); !slices.Equal(got, []string{stays}) {
		t.Errorf("%v are watched", got)
	}
	n.remove(gone)
	// What comes late of a watch that has ended is about nothing, under a new number too.
	must(t, n.add(left, true))
	n.take(kernelRecord(t, left1, unix.IN_CREATE, "late"))
	n.take(kernelRecord(t, left1, unix.IN_IGNORED, ""))
	if events, lost := in.take(); len(events) > 0 || lost {
		t.Errorf("a watch that has ended tells %v, lost is %v", events, lost)
	}
	if got := n.list(); len(got) != 2 {
		t.Errorf("%v are watched", got)
	}
}

func TestOnlyFoldersAreWatched(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, "")
	n := notified(t, newInbox())
	for _, name := range []string{path, path + "/b", path + "b"} {
		if err := n.add(name, true); err == nil {
			t.Errorf("%s is watched", name)
		}
	}
}

func TestKernelLosesEvents(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	must(t, err)
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	if limit > 1<<16 {
		t.Skip("the kernel's queue is long")
	}
	dir := t.TempDir()
	in := newInbox()
	n := notified(t, in)
	must(t, n.add(dir, false))
	// While nobody can look up a watch, no more than a buffer is read.
	n.mu.Lock()
	for range limit/2 + 1000 {
		must(t, os.Symlink("nowhere", filepath.Join(dir, "a")))
		must(t, os.Remove(filepath.Join(dir, "a")))
	}
	n.mu.Unlock()
	for timeout := time.After(30 * time.Second); ; {
		select {
		case <-in.arrived:
		case <-timeout:
			t.Fatal("more happened than the kernel keeps, and nothing is said to be lost")
		}
		if _, lost := in.take(); lost {
			return
		}
	}
}

// If events end by themselves folders count as unwatched: they are looked at, and people
// are told.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	write(t, path, objects("a=1"))
	f := newFollower(t)
	w := newWatcher(Options{Dirs: []string{dir}, Rescan: -1}.withDefaults(), f.apply)
	n := notified(t, w.inbox)
	w.notify = n
	w.first()
	run(t, w)
	f.wantsReasons()
	must(t, n.file.SetReadDeadline(time.Now()))
	f.wantsReasons(ReasonUnwatched)
	write(t, path, objects("a=2"))
	f.wants("a=2")
}
