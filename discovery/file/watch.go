package file

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sluicegate/sluice/config"
)

const (
	// quiet is how long nothing must have happened before a change is taken up, and
	// patience how long that is waited for.
	quiet    = 15 * time.Millisecond
	patience = 50 * time.Millisecond
	// lossQuiet is how long a file that has become worse (it takes objects away, or
	// does not parse) must have been quiet, and lossPatience how long that is waited for.
	lossQuiet    = 40 * time.Millisecond
	lossPatience = 5 * time.Second
	// others is how long other changes wait for those that make something worse: an
	// object that moves between files should move in one step.
	others = 60 * time.Millisecond
	// poll is the interval of looking where folders cannot be watched.
	poll = time.Second
)

// Options say what to read.
type Options struct {
	// Dirs are the folders, or single files, to read. They need not exist yet.
	Dirs []string
	// Rescan is how often everything is looked at, whether or not there was an
	// event: network and container file systems lose some. Only files whose time,
	// size or identity changed are read. 0 means 10 s; negative never.
	Rescan time.Duration
	// MaxFileSize bounds a file, in bytes. 0 means 64 MiB.
	MaxFileSize int64
}

func (o Options) withDefaults() Options {
	if o.Rescan == 0 {
		o.Rescan = 10 * time.Second
	}
	if o.MaxFileSize == 0 {
		o.MaxFileSize = 64 << 20
	}
	o.Dirs = slices.Clone(o.Dirs)
	for i, dir := range o.Dirs {
		o.Dirs[i] = filepath.Clean(dir)
	}
	return o
}

// Watch reads the folders and keeps watching them until ctx ends, when it returns
// ctx's error. It calls publish from its own goroutine, one call at a time: first,
// in any case, with everything that is there, then with each change. What happens
// during a call is taken up after it.
//
// Nothing that is wrong with the folders ends it; it is in the Delta's Conditions.
func Watch(ctx context.Context, opt Options, publish func(config.Delta)) error {
	w := newWatcher(opt.withDefaults(), publish)
	if notify, err := fsnotify.NewWatcher(); err != nil {
		w.refusal = err
	} else {
		w.notify = notify
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.inbox.collect(notify)
		}()
		defer func() {
			notify.Close()
			<-done
		}()
	}
	w.first()
	return w.run(ctx)
}

// watcher is the state of one Watch. Only its own goroutine touches it, but for the inbox.
type watcher struct {
	opt     Options
	publish func(config.Delta)
	notify  *fsnotify.Watcher
	inbox   inbox
	tree    *tree
	set     *set
	// watched are the folders that the kernel watches, as they were when asked.
	watched map[string]fs.FileInfo
	// unwatched counts the folders that should be watched and are not; refusal is
	// why the first of them, or all, are not.
	unwatched int
	refusal   error
	// looked is how long the last look at everything took.
	looked time.Duration

	pending pending
	staged  map[string]*stage
	// ghosts are files that have gone and stay in force, because none of those that
	// are left in their root parse.
	ghosts map[string]bool
	// faults are the tree's that were published; faultsAt is when they last changed.
	faults, newFaults []config.Condition
	faultsAt          time.Time
}

// pending are events that wait for quiet.
type pending struct {
	files       map[string]time.Time // real paths, with the time of the last event
	all         bool                 // look at everything
	first, last time.Time
}

func (p *pending) empty() bool { return len(p.files) == 0 && !p.all }

// due is when the events are to be taken up.
func (p *pending) due() time.Time {
	return earlier(p.last.Add(quiet), p.first.Add(patience))
}

// note notes the time of an event, before the event itself is kept.
func (p *pending) note(at time.Time) {
	if p.empty() || at.Before(p.first) {
		p.first = at
	}
	if p.empty() || at.After(p.last) {
		p.last = at
	}
}

// stage is a version of a file that has been read and waits to come into force.
type stage struct {
	next *content // nil: the file has gone
	// worse: it takes objects away or has a fault that the last version did not have,
	// as half of a file would.
	worse       bool
	first, last time.Time
}

// due is when the stage may come into force.
func (s *stage) due() time.Time {
	if !s.worse {
		return s.first
	}
	return earlier(s.last.Add(lossQuiet), s.first.Add(lossPatience))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func newWatcher(opt Options, publish func(config.Delta)) *watcher {
	return &watcher{
		opt:     opt,
		publish: publish,
		inbox:   inbox{arrived: make(chan struct{}, 1), events: make(map[string]event)},
		set:     newSet(),
		watched: make(map[string]fs.FileInfo),
		staged:  make(map[string]*stage),
		ghosts:  make(map[string]bool),
		pending: pending{files: make(map[string]time.Time)},
	}
}

// first reads everything and publishes it.
func (w *watcher) first() {
	w.look()
	w.faults = w.newFaults
	entries := slices.Collect(maps.Values(w.tree.files))
	for _, c := range readAll(entries, w.opt.MaxFileSize, w.inForce) {
		w.set.replace(c.path, c)
	}
	delta, _ := w.set.delta(w.wrong())
	w.publish(delta)
}

// run waits for events and takes them up.
func (w *watcher) run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	rescan := time.Now().Add(w.interval())
	for {
		timer.Reset(time.Until(w.wake(rescan)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.inbox.arrived:
			w.sort()
		case <-timer.C:
		}
		now := time.Now()
		if !now.Before(rescan) {
			w.pending.note(now)
			w.pending.all = true
			rescan = now.Add(w.interval())
		}
		if !w.pending.empty() && !now.Before(w.pending.due()) {
			w.evaluate()
		}
		w.commit(time.Now())
	}
}

// interval is the time between two looks at everything.
func (w *watcher) interval() time.Duration {
	switch {
	case w.unwatched > 0:
		// Of the time, a twentieth at most goes into looking.
		return max(poll, 20*w.looked)
	case w.opt.Rescan < 0:
		return 365 * 24 * time.Hour
	}
	return max(w.opt.Rescan, 20*w.looked)
}

// wake is when there is something to do even if nothing happens.
func (w *watcher) wake(rescan time.Time) time.Time {
	at := rescan
	if !w.pending.empty() {
		at = earlier(at, w.pending.due())
	}
	if next, waiting := w.nextCommit(); waiting {
		at = earlier(at, next)
	}
	return at
}

// sort takes the inbox and keeps what matters.
func (w *watcher) sort() {
	events, lost := w.inbox.take()
	if lost {
		w.pending.note(time.Now())
		w.pending.all = true
	}
	for path, ev := range events {
		switch w.classify(path, ev.op) {
		case file:
			w.pending.note(ev.last)
			w.pending.files[path] = ev.last
			w.unsettle(path, ev.last)
		case everything:
			w.pending.note(ev.last)
			w.pending.all = true
		}
	}
}

// look walks the roots again and watches what it finds.
func (w *watcher) look() {
	start := time.Now()
	defer func() { w.looked = time.Since(start) }()
	w.unwatched = 0
	w.forgetLostWatches()
	wanted := make(map[string]bool)
	w.tree = look(w.opt.Dirs, func(folder string, need bool) {
		if !wanted[folder] || need {
			wanted[folder] = true
			w.watch(folder, need)
		}
	})
	for folder := range w.watched {
		if !wanted[folder] {
			w.unwatch(folder)
		}
	}
	if !slices.Equal(w.newFaults, w.tree.faults) {
		w.newFaults, w.faultsAt = w.tree.faults, time.Now()
	}
}

// watch asks the kernel for a folder's events, unless it was asked already and the
// path still leads to the same folder.
func (w *watcher) watch(folder string, need bool) {
	if w.notify == nil {
		if need {
			w.unwatched++
		}
		return
	}
	// The identity is taken first: if the folder is exchanged in between, it will
	// not match when it is next looked at.
	info, err := os.Stat(folder)
	if err != nil {
		return
	}
	if old, ok := w.watched[folder]; ok && os.SameFile(old, info) {
		return
	}
	w.unwatch(folder)
	w.unwatchAliases(info)
	switch err := w.notify.Add(folder); {
	case err == nil:
		w.watched[folder] = info
	case need && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		w.unwatched++
		w.refusal = err
	}
}

// unwatchAliases ends the watching of a folder under the name that it had before it
// was moved: the kernel would go on to report its events under that.
func (w *watcher) unwatchAliases(info fs.FileInfo) {
	if w.tree == nil {
		return // Nothing can have been moved before the first look.
	}
	for folder, old := range w.watched {
		if os.SameFile(old, info) {
			w.unwatch(folder)
		}
	}
}

// unwatch ends the watching of a folder, which may have ended by itself.
func (w *watcher) unwatch(folder string) {
	if w.notify != nil {
		_ = w.notify.Remove(folder)
	}
	delete(w.watched, folder)
}

// forgetLostWatches drops the folders that the kernel no longer watches.
func (w *watcher) forgetLostWatches() {
	if w.notify == nil {
		return
	}
	real := make(map[string]bool)
	for _, folder := range w.notify.WatchList() {
		real[folder] = true
	}
	for folder := range w.watched {
		if !real[folder] {
			delete(w.watched, folder)
		}
	}
}

// inForce returns what is in force of a file.
func (w *watcher) inForce(path string) *content { return w.set.files[path] }
