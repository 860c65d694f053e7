package listener

import "sync"

// crew has the goroutines that serve connections. One that has nothing to do any more waits for
// the next connection: its stack has the size that serving takes by then, to which a new one's
// would have to grow again, copied at each step. The zero value is ready to use.
type crew struct {
	mu sync.Mutex
	// resting are those that wait; the last to begin is the first to be called.
	resting   []*hand
	dismissed bool
}

// mostResting bounds the goroutines that wait; of their stacks the garbage collector takes what
// was not needed lately.
const mostResting = 64

// hand is one goroutine of a crew.
type hand struct{ calls chan func() }

// do has a goroutine do the work.
func (w *crew) do(work func()) {
	w.mu.Lock()
	last := len(w.resting) - 1
	if last < 0 {
		w.mu.Unlock()
		go (&hand{calls: make(chan func(), 1)}).serve(w, work)
		return
	}
	h := w.resting[last]
	w.resting[last], w.resting = nil, w.resting[:last]
	w.mu.Unlock()
	h.calls <- work
}

// serve does the work, and what else it is called for.
func (h *hand) serve(w *crew, work func()) {
	for work != nil {
		work()
		work = nil // It is not to be held while there is nothing to do.
		if !w.rest(h) {
			return
		}
		work = <-h.calls
	}
}

// rest has the goroutine wait, unless enough do.
func (w *crew) rest(h *hand) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dismissed || len(w.resting) >= mostResting {
		return false
	}
	w.resting = append(w.resting, h)
	return true
}

// dismiss ends the goroutines that wait, and every other one with its work.
func (w *crew) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dismissed = true
	for _, h := range w.resting {
		close(h.calls)
	}
	w.resting = nil
}
