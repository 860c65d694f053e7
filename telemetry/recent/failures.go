package recent

import (
	"cmp"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

const (
	// keptPerReason is how many failures are kept of each reason, so that a flood of one kind
	// leaves the others alone.
	keptPerReason = 64
	// burst is how many of a reason are remembered at once, and pause how long it takes until
	// another is: a flood costs little.
	burst = 64
	pause = int64(50 * time.Millisecond)
)

// Reasons are the response flags, by the lowest that is set, and what has none.
const (
	flagReasons = 32
	// answered: an upstream answered 5xx.
	answered = flagReasons + iota
	// direct: a route says that the proxy answers 4xx or 5xx.
	direct
	// refused: the proxy answered 4xx or 5xx for another reason.
	refused
	reasons
)

// harmless are flags of requests that went as they should.
const harmless = proxy.FlagDelayInjected

// effectiveStatus is the status of an exchange, of a gRPC call that which its grpc-status
// stands for.
func effectiveStatus(ex *proxy.Exchange) int {
	if ex.GRPCStatus != "" && ex.Status == 200 {
		return proxy.GRPCStatusHTTP(ex.GRPCStatus)
	}
	return ex.Status
}

// failed tells whether an exchange is one to remember: the proxy itself answered 4xx or 5xx, an
// upstream 5xx, or it was cut.
func failed(ex *proxy.Exchange) bool {
	if ex.Flags&^harmless != 0 {
		return true
	}
	status := effectiveStatus(ex)
	return status >= 500 || status < 100 || status >= 400 && ex.Details != viaUpstream
}

// viaUpstream is what Details say of a response that an upstream gave.
const viaUpstream = "via_upstream"

func reasonOf(ex *proxy.Exchange) int {
	switch {
	case ex.Flags&^harmless != 0:
		return bits.TrailingZeros32(uint32(ex.Flags &^ harmless))
	case ex.Details == viaUpstream:
		return answered
	case ex.Details == "direct_response":
		return direct
	}
	return refused
}

// failures are the latest, by reason.
type failures struct {
	recorder *Recorder
	rings    [reasons]ring
	// seen counts all, skipped those that were not remembered.
	seen, skipped atomic.Uint64

	// working lets one at a time explain.
	working          sync.Mutex
	wake, stop, done chan struct{}
}

// ring holds the latest failures of one reason.
type ring struct {
	mu sync.Mutex
	// slots are made for the first failure.
	slots []slot
	next  int
	// tokens are how many may be remembered now, as of filled.
	tokens int64
	filled int64
	seen   uint64
}

// slot is one failure, and what was worked out about it.
type slot struct {
	record
	// routed says that a table was asked.
	routed bool
	// route and table are the decision's, until it is explained.
	route *router.CompiledRoute
	table *router.Table

	explained   bool
	explanation *router.Explanation
	outdated    bool
	upstream    *Upstream
}

// room returns a slot for a failure at a moment, or nil where there were too many. The caller
// holds the lock.
func (r *ring) room(now int64) *slot {
	r.seen++
	if r.slots == nil {
		r.slots = make([]slot, keptPerReason)
		r.tokens, r.filled = burst, now
	}
	if more := (now - r.filled) / pause; more > 0 {
		r.tokens = min(r.tokens+more, burst)
		r.filled += more * pause
	}
	if r.tokens == 0 {
		return nil
	}
	r.tokens--
	s := &r.slots[r.next%keptPerReason]
	r.next++
	s.explained, s.explanation, s.outdated, s.upstream = false, nil, false, nil
	return s
}

func (f *failures) start(r *Recorder) {
	f.recorder = r
	f.wake, f.stop, f.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go f.run()
}

func (f *failures) close() {
	close(f.stop)
	<-f.done
}

// record remembers an exchange, unless somebody else is at it for the same reason, or there
// were too many.
func (f *failures) record(ex *proxy.Exchange) {
	f.seen.Add(1)
	ring := &f.rings[reasonOf(ex)]
	if !ring.mu.TryLock() {
		f.skipped.Add(1)
		return
	}
	s := ring.room(ex.End)
	if s == nil {
		ring.mu.Unlock()
		f.skipped.Add(1)
		return
	}
	s.take(ex)
	s.routed, s.route = ex.Decision.Listener != nil || ex.Flags&proxy.FlagNoRoute != 0, ex.Decision.Route
	f.finish(ring, s)
}

// recordStream remembers a connection.
func (f *failures) recordStream(st *proxy.Stream) {
	f.seen.Add(1)
	ring := &f.rings[bits.TrailingZeros32(uint32(st.Flags))]
	if !ring.mu.TryLock() {
		f.skipped.Add(1)
		return
	}
	s := ring.room(st.End)
	if s == nil {
		ring.mu.Unlock()
		f.skipped.Add(1)
		return
	}
	s.takeStream(st)
	s.routed, s.route = false, nil
	f.finish(ring, s)
}

// finish numbers a failure, and has it explained.
func (f *failures) finish(ring *ring, s *slot) {
	s.sequence = f.recorder.sequence.Add(1)
	s.table = f.recorder.table.Load()
	s.generation = 0
	if s.table != nil {
		s.generation = s.table.Generation()
	}
	ring.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Failures returns those that are remembered, the latest first, each with its explanation.
func (r *Recorder) Failures() []Failure {
	r.failures.explainAll()
	var list []Failure
	for i := range r.failures.rings {
		ring := &r.failures.rings[i]
		ring.mu.Lock()
		for j := range ring.slots[:min(ring.next, len(ring.slots))] {
			s := &ring.slots[j]
			list = append(list, Failure{Summary: s.summary(), Explanation: s.explanation, Outdated: s.outdated, Upstream: s.upstream})
		}
		ring.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b Failure) int { return cmp.Compare(b.Sequence, a.Sequence) })
	return list
}

// Failed returns how many requests have failed since the process began, and how many of those
// were not remembered because too many came at once.
func (r *Recorder) Failed() (all, skipped uint64) {
	return r.failures.seen.Load(), r.failures.skipped.Load()
}
