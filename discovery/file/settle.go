package file

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/sluicegate/sluice/config"
)

// finding is a file that may have changed.
type finding struct {
	place
	// entry is nil if the file has gone.
	entry *entry
	// at is the time of its last event.
	at time.Time
}

// evaluate reads what the pending events are about, and stages it.
func (w *watcher) evaluate() {
	p := w.pending
	w.pending = pending{files: make(map[string]time.Time)}
	// Whether ghosts may go depends on all files of their root.
	p.all = p.all || len(w.ghosts) > 0
	var found []finding
	if !p.all {
		var ok bool
		found, ok = w.refresh(p.files)
		p.all = !ok
	}
	if p.all {
		w.look()
		found = w.compare(p.files)
	}
	var entries []*entry
	at := make(map[string]time.Time)
	for _, f := range found {
		at[f.path] = f.at
		if f.entry == nil {
			w.stage(f.path, nil, f.at)
		} else {
			entries = append(entries, f.entry)
		}
	}
	contents, blocks := readAll(entries, w.opt.MaxFileSize, w.inForce)
	w.loose = append(w.loose, blocks...)
	for _, c := range contents {
		w.stage(c.path, c, at[c.path])
	}
}

// refresh looks at single files. It is not ok if that is not enough.
func (w *watcher) refresh(files map[string]time.Time) (found []finding, ok bool) {
	for real, at := range files {
		known := w.tree.files[real]
		e := w.tree.entry(real)
		info, err := os.Lstat(real)
		switch {
		case err == nil && !info.Mode().IsRegular():
			return nil, false
		case err == nil:
			e.info = info
			w.tree.files[real] = &e
			found = append(found, finding{e.place, &e, at})
		case known == nil:
			// It came and went.
		case errors.Is(err, fs.ErrNotExist):
			delete(w.tree.files, real)
			found = append(found, finding{e.place, nil, at})
		default:
			found = append(found, finding{e.place, &e, at})
		}
	}
	return found, true
}

// unsettle notes that a file is still being written, so that what is staged of it
// may be half of it.
func (w *watcher) unsettle(real string, at time.Time) {
	if s := w.staged[w.tree.entry(real).path]; s != nil {
		s.last = at
	}
}

// compare finds what differs between the tree and what was read. touched are the
// files that had events, which are read whatever their time says.
func (w *watcher) compare(touched map[string]time.Time) (found []finding) {
	now := time.Now()
	there := make(map[string]bool, len(w.tree.files))
	for real, e := range w.tree.files {
		there[e.path] = true
		delete(w.ghosts, e.path)
		at, was := touched[real]
		if !was {
			at = now
		}
		if c := w.latest(e.path); was || c == nil || !c.current(e.info) {
			found = append(found, finding{e.place, e, at})
		}
	}
	for path, s := range w.staged {
		if !there[path] && (w.inForce(path) == nil || s.next == nil && w.tree.hides(w.inForce(path).place)) {
			delete(w.staged, path)
		}
	}
	for path, c := range w.set.files {
		if there[path] || w.tree.hides(c.place) {
			continue
		}
		if s := w.staged[path]; s == nil || s.next != nil {
			found = append(found, finding{c.place, nil, now})
		}
	}
	return found
}

// latest returns the last version of a file that was read, nil if it has gone.
func (w *watcher) latest(path string) *content {
	if s := w.staged[path]; s != nil {
		return s.next
	}
	return w.inForce(path)
}

// stage keeps a version of a file, nil for none, until it may come into force.
func (w *watcher) stage(path string, next *content, at time.Time) {
	had := w.inForce(path)
	if had == nil && next == nil {
		delete(w.staged, path)
		return
	}
	s := w.staged[path]
	if s == nil {
		s = &stage{first: at}
		w.staged[path] = s
	}
	s.next, s.last = next, at
	s.worse = had.loses(next) || next != nil && next.faulty && (had == nil || !had.faulty)
}

// commit brings into force what has waited long enough.
func (w *watcher) commit(now time.Time) {
	ready := w.ready(now)
	newFaults := w.faultsWait() && !now.Before(w.faultsAt.Add(lossQuiet))
	if len(ready) == 0 && !newFaults && slices.Equal(w.wrong(), w.told) {
		return
	}
	if newFaults {
		w.faults = w.newFaults
	}
	var gone []string
	var seen time.Time
	for _, path := range ready {
		if at := w.staged[path].seen(); seen.IsZero() || at.Before(seen) {
			seen = at
		}
		if next := w.staged[path].next; next != nil {
			w.set.replace(path, next)
		} else {
			gone = append(gone, path)
		}
		delete(w.staged, path)
	}
	w.bury(gone)
	w.told = w.wrong()
	if delta, changed := w.set.delta(w.told); changed {
		delta.Seen = seen
		w.publish(delta)
	}
	pack(w.loose)
	w.loose = nil
}

// ready returns the paths of the stages that may come into force: all together, or
// without those that take too long.
func (w *watcher) ready(now time.Time) (paths []string) {
	all := true
	for _, s := range w.staged {
		all = all && !now.Before(s.due())
	}
	for path, s := range w.staged {
		if all || !now.Before(s.due()) && !now.Before(s.first.Add(others)) {
			paths = append(paths, path)
		}
	}
	return paths
}

// nextCommit is when something staged may come into force.
func (w *watcher) nextCommit() (at time.Time, waiting bool) {
	var all time.Time
	for _, s := range w.staged {
		due := s.due()
		if due.After(all) {
			all = due
		}
		if alone := s.first.Add(others); alone.After(due) {
			due = alone
		}
		if !waiting || due.Before(at) {
			at, waiting = due, true
		}
	}
	if waiting {
		at = earlier(at, all)
	}
	if w.faultsWait() {
		if due := w.faultsAt.Add(lossQuiet); !waiting || due.Before(at) {
			at, waiting = due, true
		}
	}
	return at, waiting
}

// faultsWait says whether the tree's faults are others than those published.
func (w *watcher) faultsWait() bool { return !slices.Equal(w.faults, w.newFaults) }

// bury removes files that have gone, but for those of a root of which nothing that
// is left parses: somebody has broken the whole of it, and will mend it.
func (w *watcher) bury(gone []string) {
	broken := make(map[int]bool)
	for _, path := range gone {
		root := w.inForce(path).root
		if _, known := broken[root]; !known {
			broken[root] = w.broken(root)
		}
		if broken[root] && len(w.inForce(path).objects) > 0 {
			w.ghosts[path] = true
			continue
		}
		delete(w.ghosts, path)
		w.set.replace(path, nil)
	}
}

// broken says whether a root has files, but none that is in order.
func (w *watcher) broken(root int) bool {
	any := false
	for _, e := range w.tree.files {
		if e.root != root {
			continue
		}
		any = true
		if c := w.latest(e.path); c != nil && !c.faulty {
			return false
		}
	}
	return any
}

// wrong returns the conditions that no file has.
func (w *watcher) wrong() []config.Condition {
	all := slices.Clone(w.faults)
	if w.unwatched > 0 {
		all = append(all, config.Condition{
			Severity: config.Warning, Reason: ReasonUnwatched, Object: folderKey(w.opt.Dirs[0]),
			Message: fmt.Sprintf("%d folders cannot be watched (%v), so that changes there are seen late; on Linux, raise fs.inotify.max_user_watches or max_user_instances", w.unwatched, w.refusal),
		})
	}
	objects := make(map[int]int)
	for path := range w.ghosts {
		c := w.inForce(path)
		objects[c.root] += len(c.objects)
	}
	for _, root := range slices.Sorted(maps.Keys(objects)) {
		n := objects[root]
		all = append(all, config.Condition{
			Severity: config.Error, Reason: ReasonKept, Object: folderKey(w.opt.Dirs[root]),
			Message: fmt.Sprintf("not one of its files parses, so that %d objects of files that have gone stay in force; mend one file", n),
		})
	}
	return all
}
