package file

import (
	"sync"
	"time"
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
	// replaced: the path came, went or moved, so that something else may be there.
	replaced bool
	last     time.Time
}

func newInbox() *inbox {
	return &inbox{arrived: make(chan struct{}, 1), events: make(map[string]event)}
}

func (in *inbox) put(path string, replaced bool) {
	in.mu.Lock()
	if len(in.events) >= maxWaiting {
		in.lost = true
	} else {
		e := in.events[path]
		e.replaced = e.replaced || replaced
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
