package tls

import (
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watched is what is known of the folders of the files. The Store's mutex guards it.
type watched struct {
	// notify is nil where the system gives no watches: files are then polled only.
	notify *fsnotify.Watcher
	// dirs are the folders that are watched, as they were; nil for one that is not there.
	dirs map[string]os.FileInfo
}

// follow watches the folders of the files that are wanted, and no others. A folder that is
// another one now, or is there again, is watched anew. It tells whether any is new: what
// changed in it before went unnoticed.
func (w *watched) follow(files map[string]*file) (fresh bool) {
	if w.notify == nil {
		return false
	}
	wanted := map[string]bool{}
	for path := range files {
		wanted[filepath.Dir(path)] = true
	}
	for dir := range w.dirs {
		if !wanted[dir] {
			_ = w.notify.Remove(dir)
			delete(w.dirs, dir)
		}
	}
	for dir := range wanted {
		info, err := os.Stat(dir)
		was := w.dirs[dir]
		if err == nil && was != nil && os.SameFile(info, was) {
			continue
		}
		if was != nil {
			_ = w.notify.Remove(dir)
		}
		w.dirs[dir] = nil
		// The poll tries again what cannot be watched now.
		if err == nil && w.notify.Add(dir) == nil {
			w.dirs[dir] = info
			fresh = true
		}
	}
	return fresh
}

// run follows the files until the Store is closed.
func (s *Store) run() {
	defer close(s.done)
	poll := time.NewTicker(s.options.Poll)
	defer poll.Stop()
	var events chan fsnotify.Event
	if s.watched.notify != nil {
		events = s.watched.notify.Events
		go discard(s.watched.notify.Errors)
	}
	var ripe <-chan time.Time
	retry := false
	dirty := map[string]bool{}
	suspect := func(f *file) bool { return dirty[filepath.Dir(f.path)] || retry && f.moved() }
	for {
		select {
		case <-s.stop:
			return
		case event, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			if !s.concerns(event) {
				continue
			}
			dirty[filepath.Dir(event.Name)] = true
			if ripe == nil {
				ripe = time.After(settle)
			}
		case <-s.doubt:
			if ripe == nil {
				ripe, retry = time.After(settle), true
			}
		case <-ripe:
			ripe = s.reload(suspect)
			if retry = ripe != nil; !retry {
				clear(dirty)
			}
		case <-poll.C:
			if again := s.reload((*file).moved); again != nil && ripe == nil {
				ripe, retry = again, true
			}
		}
	}
}

// discard takes what goes wrong with the watches: the poll makes up for it.
func discard(errors <-chan error) {
	for range errors {
	}
}

// concerns tells whether an event may be about one of the files: any name that comes or goes
// can be a symbolic link on the way to them.
func (s *Store) concerns(event fsnotify.Event) bool {
	if event.Has(fsnotify.Create | fsnotify.Remove | fsnotify.Rename) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files.byPath[filepath.Clean(event.Name)] != nil
}

// reload reads files again and takes what has changed. It returns when to look again, where
// one may be half written.
func (s *Store) reload(suspect func(*file) bool) <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files.reread(suspect)
	s.follow()
	tries := s.evaluate()
	if tries == 0 {
		return nil
	}
	return time.After(settle << tries)
}

// follow watches the folders of the files that are wanted now.
func (s *Store) follow() {
	if s.watched.follow(s.files.byPath) {
		s.files.reread((*file).moved)
	}
}
