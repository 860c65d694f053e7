package upstream

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

const (
	defaultInterval = 10 * time.Second
	defaultEjection = 30 * time.Second
	// maxEjection bounds how long an endpoint is kept out of use, unless the base is longer
	// (Envoy's max_ejection_time; Istio leaves it at that).
	maxEjection = 300 * time.Second
)

// health is what outlier detection knows of an endpoint.
type health struct {
	ejected atomic.Bool
	// errors, gatewayErrors and localFailures are how many of each came in a row.
	errors, gatewayErrors, localFailures atomic.Int32
	ejections                            atomic.Uint64

	// times is by how much the next ejection is longer than the base; since is when the
	// endpoint was last ejected or let in again, and cause what it was ejected for. The
	// lock of the cluster's state guards them.
	times int64
	since int64
	cause Stat
}

// Ejected tells whether outlier detection keeps the endpoint out of use.
func (e *Endpoint) Ejected() bool { return e.health.ejected.Load() }

// observe lets outlier detection know what became of an exchange with e: the status that
// came, if any, and what went wrong. Nothing is taken for an endpoint's fault that is the
// client's.
func (c *Cluster) observe(e *Endpoint, status int, failure proxy.Failure) {
	o := c.Spec.Outlier
	if o == nil {
		return
	}
	if status != 0 {
		reset(&e.health.localFailures)
		c.observeStatus(e, o, judged(o, status))
	}
	switch failure {
	case proxy.FailNone, proxy.FailDownstream, proxy.FailRefused, proxy.FailRefusedStream:
		return
	}
	if o.SplitLocal {
		c.strike(e, &e.health.localFailures, o.ConsecutiveLocal, EjectionsLocal)
		return
	}
	status = 503
	if failure == proxy.FailTimeout {
		status = 504
	}
	c.observeStatus(e, o, status)
}

// judged returns the status that stands for one in a policy that names its error codes: 200
// for those it does not name, 500 for those that it does and that are none of 5xx.
func judged(o *router.Outlier, status int) int {
	switch {
	case len(o.ErrorCodes) == 0:
		return status
	case !slices.Contains(o.ErrorCodes, status):
		return 200
	case status < 500:
		return 500
	}
	return status
}

func (c *Cluster) observeStatus(e *Endpoint, o *router.Outlier, status int) {
	if status < 500 {
		reset(&e.health.errors)
		reset(&e.health.gatewayErrors)
		return
	}
	if status >= 502 && status <= 504 {
		c.strike(e, &e.health.gatewayErrors, o.ConsecutiveGateway, EjectionsGateway)
	} else {
		reset(&e.health.gatewayErrors)
	}
	c.strike(e, &e.health.errors, o.Consecutive5xx, Ejections5xx)
}

// reset ends a row. It writes only where there is something to write: most rows are empty.
func reset(row *atomic.Int32) {
	if row.Load() != 0 {
		row.Store(0)
	}
}

// strike lengthens a row, and ejects the endpoint when it has the length that the policy
// names.
func (c *Cluster) strike(e *Endpoint, row *atomic.Int32, limit int, kind Stat) {
	if limit <= 0 || int(row.Add(1)) < limit {
		return
	}
	c.state.eject(e, kind, proxy.Now())
	row.Store(0)
}

// eject takes an endpoint out of use, as far as the policy in force allows.
func (s *clusterState) eject(e *Endpoint, kind Stat, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.current.Load()
	o := current.Spec.Outlier
	if o == nil || s.endpoints[e.Address] != e || e.Ejected() {
		return
	}
	if s.counters[EjectionsActive].Load() >= s.mostEjected(o) {
		s.counters[EjectionsOverflow].Add(1)
		return
	}
	s.counters[EjectionsActive].Add(1)
	s.counters[EjectionsTotal].Add(1)
	s.counters[kind].Add(1)
	h := &e.health
	h.ejected.Store(true)
	h.ejections.Add(1)
	h.since, h.cause = now, kind
	if base := baseEjection(o); time.Duration(h.times)*base < max(maxEjection, base)+base {
		h.times++
	}
	s.rebuildSoon()
}

// mostEjected returns how many endpoints may be out at once: one always may. The caller holds the
// lock.
func (s *clusterState) mostEjected(o *router.Outlier) int64 {
	return max(1, int64(o.MaxEjectionPercent)*int64(len(s.endpoints))/100)
}

// relent lets endpoints back in where more are out than the policy in force allows, since it has
// become stricter, or others have left: first those whose time would be over first. It tells
// whether there were any. The caller holds the lock, and makes the set to pick from anew.
func (s *clusterState) relent(now int64) bool {
	o := s.current.Load().Spec.Outlier
	if o == nil {
		return false
	}
	surplus := s.counters[EjectionsActive].Load() - s.mostEjected(o)
	if surplus <= 0 {
		return false
	}
	var out []*Endpoint
	for _, e := range s.endpoints {
		if e.Ejected() {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *Endpoint) int {
		return cmp.Compare(a.health.since+int64(a.health.term(o)), b.health.since+int64(b.health.term(o)))
	})
	for _, e := range out[:min(int(surplus), len(out))] {
		s.readmit(e, now)
	}
	return true
}

// readmit lets an endpoint back in. The caller holds the lock, and makes the set to
// pick from anew.
func (s *clusterState) readmit(e *Endpoint, now int64) {
	s.counters[EjectionsActive].Add(-1)
	h := &e.health
	h.ejected.Store(false)
	h.errors.Store(0)
	h.gatewayErrors.Store(0)
	h.localFailures.Store(0)
	h.since = now
}

// look lets endpoints back in whose time is over, and takes one off the length of the next
// ejection for each that has been in use for an interval. The timer calls it.
func (s *clusterState) look() {
	now := proxy.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interval == 0 {
		return
	}
	s.timer.Reset(s.interval)
	current := s.current.Load()
	o := current.Spec.Outlier
	changed := false
	for _, e := range s.endpoints {
		h := &e.health
		switch since := time.Duration(now - h.since); {
		case e.Ejected():
			if since >= h.term(o) {
				s.readmit(e, now)
				changed = true
			}
		case h.times > 0 && since >= s.interval:
			h.times--
		}
	}
	if changed {
		current.rebuild()
	}
}

// watch begins, goes on with or ends outlier detection as a policy says. The caller holds
// the lock, and makes the set to pick from anew.
func (s *clusterState) watch(o *router.Outlier) {
	if o == nil {
		s.unwatch()
		for _, e := range s.endpoints {
			if e.Ejected() {
				s.readmit(e, proxy.Now())
			}
			e.health.times = 0
		}
		return
	}
	interval := cmp.Or(o.Interval, defaultInterval)
	switch {
	case s.timer == nil:
		s.timer = time.AfterFunc(interval, s.look)
	case s.interval != interval:
		s.timer.Reset(interval)
	}
	s.interval = interval
}

// unwatch ends the looks. The caller holds the lock.
func (s *clusterState) unwatch() {
	s.interval = 0
	if s.timer != nil {
		s.timer.Stop()
	}
}

func baseEjection(o *router.Outlier) time.Duration { return cmp.Or(o.BaseEjection, defaultEjection) }
