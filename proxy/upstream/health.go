package upstream

import "github.com/sluicegate/sluice/router"

// wholeLoad stands for all of a load, and is what a group in good health can take. It is fine
// enough that one healthy endpoint of very many counts for something.
const wholeLoad = 100_000_000

// newBalancer makes the set to pick from of the plan and the endpoints' health.
func (c *Cluster) newBalancer() *balancer {
	b := &balancer{kind: c.Spec.Balancer, levels: c.plan.levels, groups: make([]group, len(c.plan.groups))}
	healthy := make([]int, len(b.groups))
	for i := range c.plan.groups {
		for _, e := range c.plan.groups[i].members {
			if !e.Ejected() {
				healthy[i]++
			}
		}
		if n := len(c.plan.groups[i].members); n > 0 {
			b.groups[i].health = min(uint64(healthy[i])*wholeLoad*14/10/uint64(n), wholeLoad)
		}
	}
	panicking := c.panicking(b, healthy)
	c.state.balance.warming = false
	for i := range b.groups {
		c.fill(&b.groups[i], &c.plan.groups[i], panicking[i])
	}
	if b.levels {
		b.spill(panicking)
	} else {
		b.divide(c.plan, panicking)
	}
	for i := range b.groups {
		b.total += b.groups[i].load
	}
	return b
}

// panicking tells for each group whether so few of its endpoints are healthy that all are
// used (Istio minHealthPercent). Endpoints that stand together, or in localities with
// shares, are looked at together. Of several priorities none is in panic while they can
// take the whole load together (Envoy).
func (c *Cluster) panicking(b *balancer, healthy []int) []bool {
	result := make([]bool, len(healthy))
	if c.Spec.Outlier == nil || c.Spec.Outlier.MinHealthPercent == 0 {
		return result
	}
	least := c.Spec.Outlier.MinHealthPercent
	if len(healthy) > 1 && b.levels {
		if b.health() >= wholeLoad {
			return result
		}
		for i, n := range healthy {
			result[i] = 100*n < least*len(c.plan.groups[i].members)
		}
		return result
	}
	some, all := 0, 0
	for i, n := range healthy {
		some += n
		all += len(c.plan.groups[i].members)
	}
	for i := range result {
		result[i] = 100*some < least*all
	}
	return result
}

// health is the sum of what the groups can take.
func (b *balancer) health() (total uint64) {
	for i := range b.groups {
		total += b.groups[i].health
	}
	return total
}

// spill loads the priorities: each with as much as its health lets it take, in their
// order, and all with more where they cannot take the whole together. Where all are in
// panic, their numbers of endpoints decide (Envoy's priority load).
func (b *balancer) spill(panicking []bool) {
	all := true
	for _, p := range panicking {
		all = all && p
	}
	if all {
		for i := range b.groups {
			b.groups[i].load = uint64(len(b.groups[i].members))
		}
	} else if total := min(b.health(), wholeLoad); total > 0 {
		left := uint64(wholeLoad)
		for i := range b.groups {
			g := &b.groups[i]
			g.load = min(g.health*wholeLoad/total, left)
			left -= g.load
		}
		// The first that is healthy takes what rounding leaves.
		b.firstOf(func(int) bool { return false }).load += left
	}
	if len(b.groups) > 1 {
		b.level = make(map[*Endpoint]int)
		for i := range b.groups {
			for _, e := range b.groups[i].members {
				b.level[e] = i
			}
		}
	}
}

// divide loads the localities with their shares, less what their health takes from them
// (Envoy's locality weighted load balancing).
func (b *balancer) divide(p *plan, panicking []bool) {
	for i := range b.groups {
		g := &b.groups[i]
		if g.load = p.groups[i].share; !panicking[i] {
			g.load = g.load * g.health / wholeLoad
		}
	}
}

// fill puts those endpoints of a planned group that may be used, which is all of them in
// panic, into a group.
func (c *Cluster) fill(g *group, p *planned, panicking bool) {
	g.turn, g.ring, g.maglev = c.state.balance.turn(p.name), p.ring, p.maglev
	warming, now := warms(c.Spec), int64(0)
	if warming {
		now = c.manager.now()
	}
	for i, e := range p.members {
		if !panicking && e.Ejected() {
			if g.barred == nil {
				g.barred = make([]bool, len(p.members))
			}
			g.barred[i] = true
			continue
		}
		weight := p.weights[i] * weightUnit
		if warming {
			if part := c.warmth(e, now); part < 1 {
				weight = max(1, uint64(float64(weight)*part))
				c.state.balance.warming = true
			}
		}
		g.members = append(g.members, e)
		g.weights = append(g.weights, weight)
	}
	if allEqual(g.weights) {
		return
	}
	switch c.Spec.Balancer {
	case router.RoundRobin:
		g.schedule = newSchedule(g.weights)
	case router.Random, router.LeastRequest:
		g.draw = newDraw(g.weights)
	}
}
