package upstream

import (
	"errors"
	"sync"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// ErrOverflow, by errors.Is, says that a circuit breaker is open: the cluster has as many requests, or
// requests that wait for a connection, as its policy allows.
var ErrOverflow = errors.New("a circuit breaker is open: the cluster is at a limit of its connection pool")

// overflow is an ErrOverflow that says which limit is reached.
type overflow struct{ text string }

func overflowOf(field string) error {
	return &overflow{ErrOverflow.Error() + " (" + field + ")"}
}

// Error says what ErrOverflow does, and the limit by its name in a DestinationRule.
func (o *overflow) Error() string { return o.text }

// Is tells that it is an ErrOverflow.
func (o *overflow) Is(target error) bool { return target == ErrOverflow }

var (
	errRequests    = overflowOf("http2MaxRequests")
	errPending     = overflowOf("http1MaxPendingRequests")
	errConnections = overflowOf("maxConnections")
)

// over tells whether n is more than a limit, 0 being none.
func over(n int64, limit int) bool { return limit > 0 && n > int64(limit) }

// beginRequest counts a try as in progress, unless as many as Pool.MaxRequests are.
func (c *Cluster) beginRequest() bool {
	if over(c.state.counters[RqActive].Add(1), c.Spec.Pool.MaxRequests) {
		c.state.counters[RqActive].Add(-1)
		c.Count(RqPendingOverflow)
		return false
	}
	c.Count(RqTotal)
	if b := c.Spec.Pool.Budget; b != nil && b.Interval > 0 {
		c.state.recent.add(proxy.Now(), b.Interval)
	}
	return true
}

func (c *Cluster) endRequest() { c.state.counters[RqActive].Add(-1) }

// beginPending counts a request as waiting for a connection, unless as many as
// Pool.MaxPending do.
func (c *Cluster) beginPending() bool {
	if over(c.state.counters[RqPendingActive].Add(1), c.Spec.Pool.MaxPending) {
		c.state.counters[RqPendingActive].Add(-1)
		c.Count(RqPendingOverflow)
		return false
	}
	c.Count(RqPendingTotal)
	return true
}

func (c *Cluster) endPending() { c.state.counters[RqPendingActive].Add(-1) }

// BeginRetry counts a request as being retried, unless as many are as Pool.MaxRetries or
// Pool.Budget allows; then it tells false, which is counted. Each true one wants an EndRetry.
// The retries themselves are the caller's to Count.
func (c *Cluster) BeginRetry() bool {
	limit, limited := c.retryLimit()
	if n := c.state.retries.Add(1); limited && n > limit {
		c.state.retries.Add(-1)
		c.Count(RqRetryOverflow)
		return false
	}
	return true
}

// EndRetry ends what BeginRetry began.
func (c *Cluster) EndRetry() { c.state.retries.Add(-1) }

// retryLimit returns how many retries may be in progress; limited is false where any number may.
func (c *Cluster) retryLimit() (limit int64, limited bool) {
	p := &c.Spec.Pool
	if p.Budget == nil {
		return int64(p.MaxRetries), p.MaxRetries > 0
	}
	requests := c.state.counters[RqActive].Load() + c.state.counters[RqPendingActive].Load()
	if p.Budget.Interval > 0 {
		requests = max(requests, c.state.recent.count(proxy.Now(), p.Budget.Interval))
	}
	return max(int64(p.Budget.MinConcurrency), int64(p.Budget.Percent/100*float64(requests))), true
}

// recentParts is how finely recent looks at its interval: a power of two.
const recentParts = 16

// recent counts what happened within the last interval, to a sixteenth of it.
type recent struct {
	mu    sync.Mutex
	part  int64
	parts [recentParts]int64
	total int64
}

func (r *recent) add(now int64, interval time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now, interval)
	r.parts[r.part&(recentParts-1)]++
	r.total++
}

func (r *recent) count(now int64, interval time.Duration) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now, interval)
	return r.total
}

// advance forgets the parts that have become too old. Who comes late with a time that others
// have left behind is counted with them.
func (r *recent) advance(now int64, interval time.Duration) {
	part := now / max(int64(interval)/recentParts, 1)
	if part < r.part && r.part-part < recentParts {
		part = r.part
	}
	if part < r.part || part-r.part >= recentParts {
		r.parts, r.total = [recentParts]int64{}, 0
		r.part = part
	}
	for r.part < part {
		r.part++
		r.total -= r.parts[r.part&(recentParts-1)]
		r.parts[r.part&(recentParts-1)] = 0
	}
}

// breakers fills in which breakers are open.
func (c *Cluster) breakers(s *Stats) {
	p := &c.Spec.Pool
	open := func(to Stat, n int64, limit int) {
		if over(n+1, limit) {
			s[to] = 1
		}
	}
	open(CxOpen, int64(s[CxActive]), p.MaxConnections)
	open(RqPendingOpen, int64(s[RqPendingActive]), p.MaxPending)
	open(RqOpen, int64(s[RqActive]), p.MaxRequests)
	if limit, limited := c.retryLimit(); limited && c.state.retries.Load() >= limit {
		s[RqRetryOpen] = 1
	}
}
