package file

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluicegate/sluice/config"
)

// poll is the interval of looking where folders cannot be watched.
const poll = time.Second

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
	if notify, err := newNotifier(w.inbox); err != nil {
		w.refusal = err
	} else {
		w.notify = notify
		defer notify.close()
	}
	w.first()
	return w.run(ctx)
}

// watcher is the state of one Watch. Only its own goroutine touches it, but for the inbox.
type watcher struct {
	opt     Options
	publish func(config.Delta)
	notify  *notifier
	inbox   *inbox
	tree    *tree
	set     *set
	// watched are the folders that the kernel watches.
	watched map[string]asked
	// unwatched counts the folders that should be watched and are not; refusal is
	// why the first of them, or all, are not.
	unwatched int
	refusal   error
	// looked is how long the last look at everything took.
	looked time.Duration

	pending pending
	staged  map[string]*stage
	// loose are the blocks of texts that have not been published, or packed.
	loose []*block
	// ghosts are files that have gone and stay in force, because none of those that
	// are left in their root parse.
	ghosts map[string]bool
	// faults are the tree's that were published; faultsAt is when they last changed.
	faults, newFaults []config.Condition
	faultsAt          time.Time
	// told are the conditions that no file has, as they were published.
	told []config.Condition
}

func newWatcher(opt Options, publish func(config.Delta)) *watcher {
	return &watcher{
		opt:     opt,
		publish: publish,
		inbox:   newInbox(),
		set:     newSet(),
		watched: make(map[string]asked),
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
	contents, blocks := readAll(entries, w.opt.MaxFileSize, w.inForce)
	for _, c := range contents {
		w.set.replace(c.path, c)
	}
	w.told = w.wrong()
	delta, _ := w.set.delta(w.told)
	w.publish(delta)
	pack(blocks)
}

// run waits for events and takes them up.
func (w *watcher) run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	last := time.Now()
	for {
		// The interval is another one once folders cannot be watched.
		rescan := last.Add(w.interval())
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
			last = now
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
		switch w.classify(path, ev.replaced) {
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
	// wanted says of each folder whether files in it are read.
	wanted := make(map[string]bool)
	w.tree = look(w.opt.Dirs, func(folder string, need bool) {
		if needed, known := wanted[folder]; !known || need && !needed {
			wanted[folder] = need
			w.watch(folder, need)
		}
	})
	for folder, had := range w.watched {
		switch need, known := wanted[folder]; {
		case !known:
			w.unwatch(folder)
		case had.writes && !need:
			_ = w.ask(folder, asked{had.info, false})
		}
	}
	if !slices.Equal(w.newFaults, w.tree.faults) {
		w.newFaults, w.faultsAt = w.tree.faults, time.Now()
	}
}

// inForce returns what is in force of a file.
func (w *watcher) inForce(path string) *content { return w.set.files[path] }
