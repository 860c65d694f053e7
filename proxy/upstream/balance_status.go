package upstream

import "github.com/sluicegate/sluice/router"

// BalanceStatus is an endpoint's standing with its cluster's balancer.
type BalanceStatus struct {
	// Locality is the endpoint's, "region/zone/subzone".
	Locality string `json:"locality,omitempty"`
	// Priority is 0 for the endpoints to take first.
	Priority int `json:"priority"`
	// EffectiveWeight is the weight with what warming up takes from it; 0 for an endpoint
	// that gets no requests.
	EffectiveWeight float64 `json:"effectiveWeight"`
	// Share is the part of the cluster's requests that the weights, priorities and
	// localities mean for it, in percent.
	Share float64 `json:"share"`
	// Warming tells that the endpoint is new and has not its whole weight yet.
	Warming bool `json:"warming,omitempty"`
}

// balancerName returns the name of a balancer as Envoy has it.
func balancerName(spec *router.Cluster) string {
	if spec.Resolution == router.ResolutionOriginal {
		return "CLUSTER_PROVIDED"
	}
	switch spec.Balancer {
	case router.RoundRobin:
		return "ROUND_ROBIN"
	case router.Random:
		return "RANDOM"
	case router.RingHash:
		return "RING_HASH"
	case router.Maglev:
		return "MAGLEV"
	}
	return "LEAST_REQUEST"
}

// describe adds to a status what the balancer knows.
func (c *Cluster) describe(s *ClusterStatus, members []*Endpoint, specs []*router.Endpoint) {
	s.Balancer = balancerName(c.Spec)
	if c.Spec.Resolution == router.ResolutionOriginal {
		return
	}
	standings := c.standings()
	for i, e := range members {
		s.Endpoints[i].BalanceStatus = standings[e]
		s.Endpoints[i].Locality = specs[i].Locality
	}
}

// standings returns how each endpoint stands with the balancer.
func (c *Cluster) standings() map[*Endpoint]BalanceStatus {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	all := make(map[*Endpoint]BalanceStatus, len(c.members))
	b := c.picks.Load()
	warming, now := warms(c.Spec), c.manager.now()
	for i := range b.groups {
		g := &b.groups[i]
		priority := 0
		if b.levels {
			priority = i
		}
		for _, e := range c.plan.groups[i].members {
			all[e] = BalanceStatus{Priority: priority}
		}
		var sum uint64
		for _, w := range g.weights {
			sum += w
		}
		for k, e := range g.members {
			st := BalanceStatus{Priority: priority, EffectiveWeight: float64(g.weights[k]) / weightUnit}
			if b.total > 0 {
				st.Share = 100 * float64(g.load) / float64(b.total) * float64(g.weights[k]) / float64(sum)
			}
			st.Warming = warming && c.warmth(e, now) < 1
			all[e] = st
		}
	}
	return all
}
