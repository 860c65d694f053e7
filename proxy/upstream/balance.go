package upstream

import (
	"sync/atomic"

	"github.com/sluicegate/sluice/router"
)

// balancer is a set of endpoints to pick from. It is immutable: what changes, changes the
// set. Only the turns of its groups go on, which live with the cluster's state.
type balancer struct {
	kind router.Balancer
	// groups are priorities, where levels, or localities with shares. There is at least
	// one.
	groups []group
	levels bool
	// total is the sum of the groups' loads. 0 where no endpoint may be used.
	total uint64
	// level is the index of each endpoint's group, where there are several priorities.
	level map[*Endpoint]int
}

// group is a set of endpoints that stand in for each other.
type group struct {
	// load is its part of the balancer's total, health how much of its load it can take, in
	// parts of wholeLoad (Envoy's health with an overprovisioning factor of 1.4).
	load, health uint64
	// members are those that may be used, weights their weights with what warming up
	// takes from them, in parts of weightUnit.
	members []*Endpoint
	weights []uint64
	// schedule serves RoundRobin, draw the weighted choice of the others; both are nil for
	// equal weights.
	schedule []uint32
	draw     *draw
	turn     *atomic.Uint64
	// ring and maglev serve RingHash and Maglev. They hold the group's endpoints, healthy
	// or not; barred tells which of them may not be used, nil where all may. The keys of
	// each that may not go to all the others alike, and come back to it.
	ring   *ring
	maglev *maglev
	barred []bool
}

// weightUnit is the weight of an endpoint of weight 1 that has warmed up.
const weightUnit = 1024

// pick returns an endpoint of the group, or nil where there is none.
func (g *group) pick(kind router.Balancer, ch *Choice, random uint64) *Endpoint {
	switch n := uint64(len(g.members)); {
	case n == 0:
		return nil
	case n == 1:
		return g.members[0]
	}
	switch kind {
	case router.RoundRobin:
		return g.next()
	case router.Random:
		return g.members[g.any(random)]
	case router.RingHash, router.Maglev:
		key := mix(random)
		if ch.Hashed {
			key = ch.Hash
		}
		if kind == router.RingHash {
			return g.ring.pick(key, ch, g.barred)
		}
		return g.maglev.pick(key, ch, g.barred)
	}
	return g.leastBusy(random)
}

// next returns the endpoint whose turn it is.
func (g *group) next() *Endpoint {
	turn := g.turn.Add(1) - 1
	if g.schedule == nil {
		return g.members[turn%uint64(len(g.members))]
	}
	return g.members[g.schedule[turn%uint64(len(g.schedule))]]
}

// any returns the index of an endpoint, as likely as its weight.
func (g *group) any(random uint64) uint64 {
	if g.draw == nil {
		return random % uint64(len(g.members))
	}
	return g.draw.at(mix(random))
}

// leastBusy takes the less busy of two: two different ones at random where all weigh the
// same; else two that are drawn by weight and compared by requests in progress for their
// weight.
func (g *group) leastBusy(random uint64) *Endpoint {
	if g.draw == nil {
		n := uint64(len(g.members))
		first := (random >> 32) % n
		second := first + 1 + (random&0xffffffff)%(n-1)
		if second >= n {
			second -= n
		}
		a, b := g.members[first], g.members[second]
		if b.active.Load() < a.active.Load() {
			return b
		}
		return a
	}
	random = mix(random)
	first, second := g.draw.at(random), g.draw.at(mix(random))
	a, b := g.members[first], g.members[second]
	if uint64(max(b.active.Load(), 0))*g.weights[first] < uint64(max(a.active.Load(), 0))*g.weights[second] {
		return b
	}
	return a
}

// mix makes an independent number of a number: the finalizer of SplitMix64 (Steele, Lea,
// Flood: Fast splittable pseudorandom number generators, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
