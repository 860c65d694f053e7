package upstream

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// maxRaced bounds the addresses of a name that one connection tries.
const maxRaced = 6

// hostOf returns the name that an endpoint of the cluster stands on, and its port; no name
// for addresses and sockets, which stand for themselves.
func hostOf(spec *router.Cluster, e *router.Endpoint) (host string, port uint16) {
	if spec.Resolution != router.ResolutionDNS && spec.Resolution != router.ResolutionLogicalDNS {
		return "", 0
	}
	host, digits, err := net.SplitHostPort(e.Address)
	if err != nil || host == "" {
		return "", 0
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "", 0
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", 0
	}
	return host, uint16(n)
}

// followNames has the names of a specification resolved, and no others any more. The caller
// holds the lock.
func (s *clusterState) followNames(spec *router.Cluster, all *names) {
	old := s.names
	s.names = nil
	for _, e := range spec.Endpoints {
		host, _ := hostOf(spec, e)
		if host == "" || s.names[host] != nil {
			continue
		}
		if s.names == nil {
			s.names = make(map[string]*name)
		}
		s.names[host] = all.follow(host, s)
	}
	for host, x := range old {
		if s.names[host] == nil {
			all.leave(x, s)
		}
	}
}

// gather makes the list of the cluster's endpoints: those of the specification, with what
// its names stand for. It tells whether the list has changed. The caller holds the lock of
// the state.
func (c *Cluster) gather() bool {
	g := gathering{state: c.state, seen: make(map[*Endpoint]bool)}
	for _, e := range c.Spec.Endpoints {
		host, port := hostOf(c.Spec, e)
		if host == "" {
			g.add(e.Address, e).targets.Store(nil)
			continue
		}
		found := c.state.names[host].addresses.Load()
		switch {
		case found == nil:
		case c.Spec.Resolution == router.ResolutionLogicalDNS:
			g.add(e.Address, e).aim(found.first, port)
		default:
			for _, a := range found.every {
				g.add(netip.AddrPortFrom(a, port).String(), e)
			}
		}
	}
	if slices.Equal(g.members, c.members) && slices.Equal(g.specs, c.specs) {
		return false
	}
	c.members, c.specs = g.members, g.specs
	return true
}

type gathering struct {
	state   *clusterState
	members []*Endpoint
	specs   []*router.Endpoint
	seen    map[*Endpoint]bool
}

// add adds the endpoint of an address, which may be known from before. Where two names stand
// for the same address, the first has it.
func (g *gathering) add(address string, spec *router.Endpoint) *Endpoint {
	live := g.state.endpoints[address]
	if live == nil {
		live = newEndpoint(address)
		g.state.endpoints[address] = live
	}
	if address == spec.Address || !g.seen[live] {
		g.seen[live] = true
		live.describe(spec)
		g.members = append(g.members, live)
		g.specs = append(g.specs, spec)
	}
	return live
}

// aim says where connections go from now on.
func (e *Endpoint) aim(list []netip.Addr, port uint16) {
	targets := make([]string, 0, len(list))
	for _, a := range list[:min(len(list), maxRaced)] {
		targets = append(targets, netip.AddrPortFrom(a, port).String())
	}
	e.targets.Store(&targets)
}

// resolved takes what became of a lookup of one of the names.
func (s *clusterState) resolved(outcome Stat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.abandoned {
		return
	}
	s.counters[UpdateAttempt].Add(1)
	s.counters[outcome].Add(1)
	if outcome == UpdateSuccess && !s.regather() {
		s.counters[UpdateNoRebuild].Add(1)
	}
	s.tell()
}

// regather has requests meet what names stand for now, and tells whether that is news. The
// caller holds the lock.
func (s *clusterState) regather() bool {
	c := s.current.Load()
	if !c.gather() {
		return false
	}
	s.counters[MembershipChange].Add(1)
	c.plan = nil
	c.rebuild()
	s.keepOnly(c)
	return true
}

// tell wakes who waits for news. The caller holds the lock.
func (s *clusterState) tell() {
	if s.news != nil {
		close(s.news)
		s.news = nil
	}
}

// Await waits until there may be an endpoint to pick of a cluster that has none yet because
// its names are being resolved for the first time. It takes no longer than within, where
// that is not 0, and than the cluster's ConnectTimeout; and it ends when the client of down,
// which may be nil, goes away. It tells false where it was in vain, and whether there are
// endpoints where there is nothing to wait for.
func (c *Cluster) Await(within time.Duration, down proxy.Downstream) bool {
	// The names may have been resolved since the caller looked.
	if found, news := c.state.wait(); news == nil {
		return found
	}
	aborter := proxy.NewWaiter()
	if down != nil {
		defer down.Attach(nil)
		if !down.Attach(aborter) {
			return false
		}
	}
	return c.AwaitFor(within, aborter)
}

// AwaitFor is Await for somebody who is gone when the waiter is aborted.
func (c *Cluster) AwaitFor(within time.Duration, aborter *proxy.Aborter) bool {
	limit := c.ConnectTimeout
	if within > 0 {
		limit = min(limit, within)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		found, news := c.state.wait()
		if news == nil {
			return found
		}
		select {
		case <-news:
		case <-timer.C:
			return false
		case <-aborter.Woken():
			return false
		}
	}
}

// Unresolved returns why one of the cluster's names has no addresses, or nil.
func (c *Cluster) Unresolved() error {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	for _, x := range c.state.names {
		if failure := x.failure.Load(); failure != nil && x.addresses.Load() == nil {
			return *failure
		}
	}
	return nil
}

// waits tells whether a name has not been resolved, nor failed to be. The caller holds the
// lock.
func (s *clusterState) waits() bool {
	for _, x := range s.names {
		if !x.settled.Load() {
			return true
		}
	}
	return false
}

// wait tells whether there are endpoints. Where there are none yet, news is closed when that
// may have changed.
func (s *clusterState) wait() (found bool, news <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.current.Load().members) > 0:
		return true, nil
	case s.abandoned:
		return false, nil
	case !s.waits():
		// A name counts as settled a moment before its addresses are gathered.
		s.regather()
		return len(s.current.Load().members) > 0, nil
	case s.news == nil:
		s.news = make(chan struct{})
	}
	return false, s.news
}
