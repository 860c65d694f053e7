package upstream

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// balanceState is what balancing keeps through changes of a cluster's specification. The
// lock of the cluster's state guards it.
type balanceState struct {
	// turns are the positions of RoundRobin, by the name of the group.
	turns map[string]*atomic.Uint64
	// joined is when each endpoint joined the cluster; nil where nothing warms up.
	joined map[*Endpoint]int64
	// warming tells that some endpoint still does.
	warming bool
	// groups are those of the newest plan, whose rings and tables the next may have.
	groups []planned
	// rebuilt is when the set to pick from was made; stale, that it is about to be made anew.
	rebuilt int64
	stale   bool
}

func (s *balanceState) turn(name string) *atomic.Uint64 {
	t := s.turns[name]
	if t == nil {
		if s.turns == nil {
			s.turns = make(map[string]*atomic.Uint64)
		}
		t = new(atomic.Uint64)
		s.turns[name] = t
	}
	return t
}

// plan is how a cluster's endpoints form groups, whatever their health.
type plan struct {
	// levels tells that the groups are priorities, and not localities with shares.
	levels bool
	groups []planned
}

// planned is a group of a plan.
type planned struct {
	// name is a locality, or the number of a priority.
	name    string
	key     int
	members []*Endpoint
	weights []uint64
	// share is what distribute gives the locality, in parts that only compare with those of
	// other localities.
	share uint64
	// size is that of the ring or the table, as the specification has it.
	size   int
	ring   *ring
	maglev *maglev
}

// newPlan makes the plan of a cluster.
func (c *Cluster) newPlan() *plan {
	p := &plan{levels: true}
	acts := localityActs(c.Spec)
	if acts && len(c.Spec.Locality.Distribute) > 0 {
		p.levels = false
		p.distribute(c)
	} else {
		byKey := make(map[int]*planned)
		for i, e := range c.specs {
			key := 0
			if acts {
				key = priorityOf(c.Spec.Locality, e)
			}
			if byKey[key] == nil {
				byKey[key] = &planned{key: key}
			}
			byKey[key].add(c.members[i], e)
		}
		for _, g := range byKey {
			p.groups = append(p.groups, *g)
		}
		slices.SortFunc(p.groups, func(a, b planned) int { return cmp.Compare(a.key, b.key) })
		for i := range p.groups {
			p.groups[i].name = strconv.Itoa(i)
		}
	}
	if len(p.groups) == 0 {
		p.groups = []planned{{name: "0"}}
	}
	for i := range p.groups {
		p.groups[i].index(c.Spec, c.state.balance.groups)
	}
	c.state.balance.groups = p.groups
	return p
}

func (g *planned) add(e *Endpoint, spec *router.Endpoint) {
	g.members = append(g.members, e)
	g.weights = append(g.weights, uint64(max(spec.Weight, 1)))
}

// distribute groups the endpoints by locality. Those whose locality has no share get no
// traffic; localities that fall under the same share divide it by their weights.
func (p *plan) distribute(c *Cluster) {
	shares := c.Spec.Locality.Distribute
	byName := make(map[string]*planned)
	sums := make([]uint64, len(shares))
	for i, e := range c.specs {
		at := shareOf(shares, e)
		if at < 0 {
			continue
		}
		if byName[e.Locality] == nil {
			byName[e.Locality] = &planned{name: e.Locality, key: at}
		}
		byName[e.Locality].add(c.members[i], e)
		sums[at] += uint64(max(e.Weight, 1))
	}
	for _, g := range byName {
		var sum uint64
		for _, w := range g.weights {
			sum += w
		}
		g.share = scale(uint64(shares[g.key].Percent)*1_000_000, sum, sums[g.key])
		p.groups = append(p.groups, *g)
	}
	slices.SortFunc(p.groups, func(a, b planned) int { return cmp.Compare(a.name, b.name) })
}

// scale returns x * part / whole.
func scale(x, part, whole uint64) uint64 {
	high, low := bits.Mul64(x, part)
	quotient, _ := bits.Div64(high, low, whole)
	return quotient
}

// index makes what finds endpoints by a hash, unless an earlier group of the same
// endpoints has it.
func (g *planned) index(spec *router.Cluster, earlier []planned) {
	switch spec.Balancer {
	case router.RingHash:
		if g.size = spec.RingSize; !g.reuse(earlier) || g.ring == nil {
			g.ring = newRing(g.members, g.weights, g.size)
		}
		g.maglev = nil
	case router.Maglev:
		if g.size = spec.TableSize; !g.reuse(earlier) || g.maglev == nil {
			g.maglev = newMaglev(g.members, g.weights, g.size)
		}
		g.ring = nil
	}
}

// reuse takes the ring and the table of an earlier group that has the same name, endpoints
// and size.
func (g *planned) reuse(earlier []planned) bool {
	for i := range earlier {
		e := &earlier[i]
		if e.name == g.name && e.size == g.size && slices.Equal(e.members, g.members) && slices.Equal(e.weights, g.weights) {
			g.ring, g.maglev = e.ring, e.maglev
			return true
		}
	}
	return false
}

// rebuild makes the set to pick from. The caller holds the lock of the cluster's state.
func (c *Cluster) rebuild() {
	if c.plan == nil {
		c.join()
		c.plan = c.newPlan()
		maps.DeleteFunc(c.state.balance.turns, func(name string, _ *atomic.Uint64) bool {
			return !slices.ContainsFunc(c.plan.groups, func(g planned) bool { return g.name == name })
		})
	}
	c.picks.Store(c.newBalancer())
	c.state.balance.rebuilt, c.state.balance.stale = proxy.Now(), false
}

const (
	// rebuildsAtOnce is up to how many endpoints the set to pick from is made anew with every
	// ejection. With more it is left alone for rebuildPause by each of them, in which
	// ejections gather: where half of very many fail together, the processor has other work.
	rebuildsAtOnce = 128
	rebuildPause   = 10 * time.Microsecond
)

// rebuildSoon makes the newest cluster's set to pick from, now or a little later. The caller
// holds the lock.
func (s *clusterState) rebuildSoon() {
	c, b := s.current.Load(), &s.balance
	if b.stale {
		return
	}
	pause := time.Duration(len(c.members)) * rebuildPause
	left := pause - time.Duration(proxy.Now()-b.rebuilt)
	if len(c.members) <= rebuildsAtOnce || left <= 0 {
		c.rebuild()
		return
	}
	b.stale = true
	time.AfterFunc(left, s.rebuildStale)
}

// rebuildStale makes the set to pick from, unless that was done meanwhile, or nobody picks from
// it any more.
func (s *clusterState) rebuildStale() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.balance.stale && !s.abandoned {
		s.current.Load().rebuild()
	}
}
