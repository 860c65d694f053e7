package upstream

import (
	"slices"
	"sync/atomic"

	"github.com/sluicegate/sluice/router"
)

// maxSchedule bounds a weighted schedule; weights are scaled down to fit it.
const maxSchedule = 4096

// balancer is a set of endpoints to pick from. It is immutable but for turn, which is
// shared by all who pick, and by the sets that follow it.
type balancer struct {
	kind    router.Balancer
	members []*Endpoint
	// schedule holds indexes into members, each as often as its weight says, well mixed;
	// nil where all weigh the same.
	schedule []uint16
	turn     *atomic.Uint64
}

// rebuild makes the set to pick from. The caller holds the lock of the cluster's state.
func (c *Cluster) rebuild() {
	b := &balancer{kind: c.Spec.Balancer, members: c.members, turn: &c.state.turn}
	weights := make([]uint32, len(c.members))
	for i, e := range c.Spec.Endpoints {
		weights[i] = max(e.Weight, 1)
	}
	b.schedule = newSchedule(weights)
	c.picks.Store(b)
}

// pick returns an endpoint, or nil where there is none. Endpoints that were tried are
// passed over where another one can be had.
func (b *balancer) pick(ch *Choice) *Endpoint {
	n := len(b.members)
	if n == 0 {
		return nil
	}
	if n == 1 {
		return b.members[0]
	}
	random := ch.Random
	var e *Endpoint
	switch b.kind {
	case router.RoundRobin:
		e = b.at(b.turn.Add(1) - 1)
	case router.Random:
		e = b.at(random)
	default:
		e = b.at(random >> 32)
		if other := b.at(random & 0xffffffff); other.active.Load() < e.active.Load() || ch.tried(e) {
			e = other
		}
	}
	for i := uint64(1); i < uint64(n) && ch.tried(e); i++ {
		e = b.members[(random+i)%uint64(n)]
	}
	return e
}

func (ch *Choice) tried(e *Endpoint) bool { return slices.Contains(ch.Tried, e) }

func (b *balancer) at(i uint64) *Endpoint {
	if b.schedule == nil {
		return b.members[i%uint64(len(b.members))]
	}
	return b.members[b.schedule[i%uint64(len(b.schedule))]]
}

// newSchedule spreads the members by weight: each step goes to the one that is furthest
// behind its share (smooth weighted round robin). It returns nil for equal weights.
func newSchedule(weights []uint32) []uint16 {
	equal := true
	var divisor, total uint64
	for _, w := range weights {
		equal = equal && w == weights[0]
		divisor = gcd(divisor, uint64(w))
		total += uint64(w)
	}
	if equal || len(weights) > maxSchedule {
		return nil
	}
	scaled := make([]int64, len(weights))
	var length int64
	for i, w := range weights {
		n := uint64(w) / divisor
		if total/divisor > maxSchedule {
			n = max(1, uint64(w)*maxSchedule/total)
		}
		scaled[i] = int64(n)
		length += int64(n)
	}
	behind := make([]int64, len(weights))
	schedule := make([]uint16, length)
	for at := range schedule {
		best := 0
		for i := range behind {
			behind[i] += scaled[i]
			if behind[i] > behind[best] {
				best = i
			}
		}
		behind[best] -= length
		schedule[at] = uint16(best)
	}
	return schedule
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
