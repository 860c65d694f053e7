package upstream

import (
	"cmp"
	"math"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

const (
	defaultWarmupPercent    = 10
	defaultWarmupAggression = 1
)

// warmth is the part of its weight that an endpoint has which joined so long ago, as
// Envoy's slow start has it: the elapsed part of the window, from a second up, to the
// power of 1/aggression, and no less than the least part.
func warmth(w *router.Warmup, age time.Duration) float64 {
	if age >= w.Duration {
		return 1
	}
	part := min(float64(max(age, time.Second))/float64(w.Duration), 1)
	part = math.Pow(part, 1/cmp.Or(w.Aggression, defaultWarmupAggression))
	return min(max(part, cmp.Or(w.MinPercent, defaultWarmupPercent)/100), 1)
}

// warms tells whether the balancer heeds Warmup.
func warms(spec *router.Cluster) bool {
	return spec.Warmup != nil && spec.Warmup.Duration > 0 &&
		(spec.Balancer == router.RoundRobin || spec.Balancer == router.LeastRequest)
}

// join notes when each endpoint joined the cluster. Those of the first load, and those that
// were there before the policy, have always been there: nothing tells that they are new,
// and among equals nothing would follow from it. The caller holds the state's lock.
func (c *Cluster) join() {
	s := &c.state.balance
	if !warms(c.Spec) {
		s.joined = nil
		return
	}
	now := int64(math.MinInt64)
	if len(s.joined) > 0 {
		now = c.manager.now()
	}
	joined := make(map[*Endpoint]int64, len(c.members))
	for _, e := range c.members {
		if at, ok := s.joined[e]; ok {
			joined[e] = at
		} else {
			joined[e] = now
		}
	}
	s.joined = joined
}

// warmth returns how far an endpoint has warmed up.
func (c *Cluster) warmth(e *Endpoint, now int64) float64 {
	at, ok := c.state.balance.joined[e]
	if !ok || at == math.MinInt64 {
		return 1
	}
	return warmth(c.Spec.Warmup, time.Duration(now-at))
}

// warm makes the set to pick from anew where endpoints have become warmer.
func (s *clusterState) warm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.balance.warming {
		s.current.Load().rebuild()
	}
}

// now is the clock that endpoints warm up by.
func (m *Manager) now() int64 {
	if m.clock != nil {
		return m.clock()
	}
	return proxy.Now()
}
