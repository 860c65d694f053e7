package file

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// maxWaiting is how many paths may wait in an inbox. Beyond, looking at everything
// is cheaper than looking at each.
const maxWaiting = 1 << 16

// inbox collects events, so that the kernel's queue is emptied even while a change
// is being taken up. Events of one path count once.
type inbox struct {
	// arrived has an element when there is something to take.
	arrived chan struct{}

	mu     sync.Mutex
	events map[string]event
	// lost: events were dropped on the way, so that anything may have changed.
	lost bool
}

// event is what happened to a path, and when last.
type event struct {
	op   fsnotify.Op
	last time.Time
}

// collect moves events into the inbox until the watcher is closed.
func (in *inbox) collect(w *fsnotify.Watcher) {
	events, failures := w.Events, w.Errors
	for events != nil || failures != nil {
		select {
		case ev, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			in.put(ev)
		case err, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				in.lose()
			}
		}
	}
}

func (in *inbox) put(ev fsnotify.Event) {
	// What lies in the top folder is reported as "//name".
	path := filepath.Clean(ev.Name)
	in.mu.Lock()
	if len(in.events) >= maxWaiting {
		in.lost = true
	} else {
		e := in.events[path]
		e.op |= ev.Op
		e.last = time.Now()
		in.events[path] = e
	}
	in.mu.Unlock()
	in.signal()
}

func (in *inbox) lose() {
	in.mu.Lock()
	in.lost = true
	in.mu.Unlock()
	in.signal()
}

func (in *inbox) signal() {
	select {
	case in.arrived <- struct{}{}:
	default:
	}
}

// take empties the inbox.
func (in *inbox) take() (events map[string]event, lost bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	events, lost = in.events, in.lost
	in.events, in.lost = make(map[string]event), false
	return events, lost
}
