package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
)

// told returns what an inbox gets up to the making of a folder: events come in order.
func told(t *testing.T, in *inbox, last string) map[string]event {
	t.Helper()
	must(t, os.Mkdir(last, 0o755))
	all := make(map[string]event)
	for timeout := time.After(30 * time.Second); ; {
		select {
		case <-in.arrived:
		case <-timeout:
			t.Fatalf("%s has been made, and there is only %v", last, all)
		}
		events, lost := in.take()
		if lost {
			t.Fatal("events were lost")
		}
		for path, ev := range events {
			ev.replaced = ev.replaced || all[path].replaced
			all[path] = ev
		}
		if all[last].replaced {
			return all
		}
	}
}

// watching returns a watcher that has looked, and whose inbox fills.
func watching(t *testing.T, roots ...string) *watcher {
	t.Helper()
	w := newWatcher(Options{Dirs: roots, Rescan: -1}.withDefaults(), func(config.Delta) {})
	w.notify = notified(t, w.inbox)
	w.first()
	return w
}

// A log beside the configuration wakes nobody; a folder that is exchanged does.
func TestBusyNeighbour(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, log := filepath.Join(top, "conf"), filepath.Join(top, "access.log")
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
	write(t, log, "")
	w := watching(t, dir)
	for range 100 {
		write(t, log, "GET / 200\n")
	}
	must(t, os.Rename(dir, filepath.Join(top, "old")))
	must(t, os.Mkdir(dir, 0o755))
	events := told(t, w.inbox, filepath.Join(top, "last"))
	if ev, is := events[log]; is {
		t.Errorf("writes beside the folder were told: %v", ev)
	}
	if !events[dir].replaced || w.classify(dir, true) != everything {
		t.Errorf("the folder was exchanged, and there is %v", events)
	}
}

// A write between the moment at which a file is found and the one from which its folder's
// writes are told is seen in the file.
func TestFileIsWatchedBeforeItIsLookedAt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, objects("a=1"))
	text := objects("a=1 b=1")
	found := look([]string{path}, func(_ string, need bool) {
		if need {
			write(t, path, text)
		}
	})
	for _, e := range found.files {
		if e.info.Size() != int64(len(text)) {
			t.Errorf("a file of %d bytes was found, it has %d", e.info.Size(), len(text))
		}
	}
	if len(found.files) != 1 {
		t.Errorf("found %v", found.files)
	}
}

// Writes in a folder on the way count for as long as a file in it is read.
func TestFileIsReadOnTheWay(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, text, link := filepath.Join(top, "conf"), filepath.Join(top, "text"), filepath.Join(top, "conf/b.yaml")
	write(t, filepath.Join(dir, "a.yaml"), objects("a=1"))
	write(t, text, objects("b=1"))
	w := watching(t, dir)
	for i, linked := range []bool{false, true, true, false, true} {
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if linked {
			must(t, os.Symlink("../text", link))
		}
		w.look()
		before := told(t, w.inbox, filepath.Join(top, string(rune('a'+i))))
		write(t, text, objects("b=2"))
		after := told(t, w.inbox, filepath.Join(top, string(rune('m'+i))))
		if _, is := after[text]; is != linked {
			t.Errorf("step %d: the file is linked: %v; before a write there was %v, after it %v", i, linked, before, after)
		}
		if wanted := w.watched[top]; wanted.writes != linked {
			t.Errorf("step %d: the file is linked: %v; writes are watched: %v", i, linked, wanted.writes)
		}
	}
}
