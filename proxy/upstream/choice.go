package upstream

import (
	"math/bits"
	"slices"

	"github.com/sluicegate/sluice/router"
)

// maxRepicks is how often a choice is made again that fell on an endpoint which was tried
// before (Envoy's host_selection_retry_max_attempts, which Istio sets to 5).
const maxRepicks = 5

// Choice is what a balancer may look at for one try of one request.
type Choice struct {
	// Random is an evenly spread number, new for each try.
	Random uint64
	// Target is the address that the request names, for a cluster of ResolutionOriginal.
	Target string
	// Hash is the request's hash where Hashed, for RingHash and Maglev. Without it they
	// take any endpoint.
	Hash   uint64
	Hashed bool
	// Tried are endpoints of earlier tries, in their order, passed over where another one
	// can be had.
	Tried []*Endpoint
	// AnyLocality leaves the priorities of earlier tries alone, two tries at a time
	// (Istio retryRemoteLocalities).
	AnyLocality bool
}

func (ch *Choice) tried(e *Endpoint) bool { return slices.Contains(ch.Tried, e) }

// Pick returns the endpoint for a try, or nil where there is none to use. It takes no lock
// and allocates nothing, but for a cluster that follows the request's target.
func (c *Cluster) Pick(ch *Choice) *Endpoint {
	if c.Spec.Resolution == router.ResolutionOriginal {
		return c.state.original(ch.Target)
	}
	e := c.picks.Load().pick(ch)
	if newest := c.state.current.Load(); e == nil && newest != c && newest.Spec.Resolution != router.ResolutionOriginal {
		// What names stand for is known of the newest only.
		e = newest.picks.Load().pick(ch)
	}
	return e
}

// pick returns an endpoint, or nil where there is none to use.
func (b *balancer) pick(ch *Choice) *Endpoint {
	random := ch.Random
	g := b.group(ch, random)
	e := g.pick(b.kind, ch, random)
	if e == nil || len(ch.Tried) == 0 {
		return e
	}
	for i := 0; i < maxRepicks && ch.tried(e); i++ {
		random = mix(random)
		g = b.group(ch, random)
		e = g.pick(b.kind, ch, random)
	}
	if ch.tried(e) {
		e = g.untried(ch, random, e)
	}
	return e
}

// group returns the priority or locality that serves the try.
func (b *balancer) group(ch *Choice, random uint64) *group {
	if len(b.groups) == 1 {
		return &b.groups[0]
	}
	key := random
	if ch.Hashed && (b.kind == router.RingHash || b.kind == router.Maglev) {
		key = ch.Hash
	}
	key = mix(key)
	if ch.AnyLocality && b.levels && len(ch.Tried) >= 2 {
		if g := b.elsewhere(ch.Tried[:len(ch.Tried)&^1], key); g != nil {
			return g
		}
	}
	if b.total == 0 {
		return &b.groups[0]
	}
	// A key keeps its place in the whole, so that few change groups when the loads change a little.
	at, _ := bits.Mul64(key, b.total)
	for i := range b.groups {
		if at < b.groups[i].load {
			return &b.groups[i]
		}
		at -= b.groups[i].load
	}
	return &b.groups[0]
}

// elsewhere returns a priority of which none of those endpoints is (Envoy's
// previous_priorities), or nil where no such one has a healthy endpoint.
func (b *balancer) elsewhere(tried []*Endpoint, key uint64) *group {
	used := func(i int) bool {
		return slices.ContainsFunc(tried, func(e *Endpoint) bool { return b.level[e] == i })
	}
	var total uint64
	for i := range b.groups {
		if !used(i) {
			total += b.groups[i].health
		}
	}
	if total == 0 {
		return nil
	}
	at, left := key%wholeLoad, uint64(wholeLoad)
	for i := range b.groups {
		if used(i) {
			continue
		}
		load := min(b.groups[i].health*wholeLoad/min(total, wholeLoad), left)
		if at < load {
			return &b.groups[i]
		}
		at -= load
		left -= load
	}
	return b.firstOf(used)
}

// firstOf returns the first healthy priority that is not used; it takes what rounding
// leaves.
func (b *balancer) firstOf(used func(int) bool) *group {
	for i := range b.groups {
		if !used(i) && b.groups[i].health > 0 {
			return &b.groups[i]
		}
	}
	return nil
}

// untried returns an endpoint of the group that was not tried; e where all were.
func (g *group) untried(ch *Choice, random uint64, e *Endpoint) *Endpoint {
	n := uint64(len(g.members))
	for i := range n {
		if other := g.members[(random+i)%n]; !ch.tried(other) {
			return other
		}
	}
	return e
}

// refresh makes the set to pick from anew: after a change of what it is made of, such as
// an ejection.
func (c *Cluster) refresh() {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	c.rebuild()
}
