package recent

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy"
)

// tapBuffer is how many summaries wait for a subscriber; more are dropped.
const tapBuffer = 256

// taps are those who want to see every request that ends.
type taps struct {
	// list is nil while there are none, which is all that the request path looks at.
	list atomic.Pointer[[]*Tap]
	mu   sync.Mutex
	// over is closed with the Recorder.
	over chan struct{}
}

// Tap is a stream of summaries.
type Tap struct {
	// C delivers them.
	C <-chan Summary
	// Over is closed when the Recorder is: no more will come.
	Over <-chan struct{}

	c       chan Summary
	filter  Filter
	taps    *taps
	matched atomic.Uint64
	dropped atomic.Uint64
}

// Subscribe begins a stream of what the filter lets pass; Close ends it.
func (r *Recorder) Subscribe(f Filter) *Tap {
	c := make(chan Summary, tapBuffer)
	t := &Tap{C: c, Over: r.taps.over, c: c, filter: f, taps: &r.taps}
	r.taps.change(func(list []*Tap) []*Tap { return append(list, t) })
	return t
}

// Dropped returns how many summaries were lost because they were not taken from C in time.
func (t *Tap) Dropped() uint64 { return t.dropped.Load() }

// Close ends the stream. What is in C already can still be taken.
func (t *Tap) Close() {
	t.taps.change(func(list []*Tap) []*Tap {
		return slices.DeleteFunc(list, func(other *Tap) bool { return other == t })
	})
}

// change replaces the list by a changed copy.
func (s *taps) change(how func([]*Tap) []*Tap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Tap
	if old := s.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if list = how(list); len(list) == 0 {
		s.list.Store(nil)
		return
	}
	s.list.Store(&list)
}

// close ends every stream.
func (s *taps) close() {
	s.change(func([]*Tap) []*Tap { return nil })
	close(s.over)
}

// offer gives an exchange to those who want it. Here something is allocated: somebody looks.
func (s *taps) offer(r *Recorder, ex *proxy.Exchange) {
	list := s.list.Load()
	if list == nil {
		return
	}
	var made *Summary
	for _, t := range *list {
		if !t.filter.Matches(ex) || !t.filter.samples(t.matched.Add(1)) {
			continue
		}
		if made == nil {
			made = r.summarize(ex)
		}
		select {
		case t.c <- *made:
		default:
			t.dropped.Add(1)
		}
	}
}

// summarize returns the summary of an exchange.
func (r *Recorder) summarize(ex *proxy.Exchange) *Summary {
	var rec record
	rec.take(ex)
	rec.sequence, rec.generation = r.sequence.Add(1), r.generation()
	s := rec.summary()
	return &s
}
