package upstream

import (
	"cmp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// maxOriginal bounds the endpoints that a cluster of ResolutionOriginal remembers.
const maxOriginal = 1024

// Cluster is a router.Cluster at work. It is immutable but for its endpoints' own state.
type Cluster struct {
	// Spec is what it was made from.
	Spec *router.Cluster
	// ConnectTimeout is that of Spec, or the default.
	ConnectTimeout time.Duration
	// members are the endpoints, in the order of Spec. specs has for each that of Spec which
	// it is, or whose name stands for it. The state's lock guards them.
	members []*Endpoint
	specs   []*router.Endpoint
	// plan is how they form groups; the state's lock guards it. picks is what Pick picks
	// from, made of it; refresh replaces it.
	plan    *plan
	picks   atomic.Pointer[balancer]
	state   *clusterState
	manager *Manager
	times   poolTimes
	terms   *terms
}

// clusterState is what a cluster keeps through changes of its specification.
type clusterState struct {
	balance  balanceState
	counters counters
	// retries are those in progress, recent the requests that a retry budget looks at.
	retries atomic.Int64
	recent  recent
	queue   queue
	// current is the newest of the clusters that share the state.
	current atomic.Pointer[Cluster]

	// mu may be held while the queue's lock is taken, not the other way round.
	mu        sync.Mutex
	endpoints map[string]*Endpoint
	// names are those that endpoints stand on. news, where not nil, is closed when one of
	// them has been looked up.
	names map[string]*name
	news  chan struct{}
	// abandoned says that no table has the cluster any more.
	abandoned bool
	// timer has outlier detection look at the endpoints every interval, which is 0
	// without it.
	timer    *time.Timer
	interval time.Duration
}

// newCluster makes a cluster over the state of its name, whose newest it becomes.
func newCluster(spec *router.Cluster, s *clusterState, m *Manager) *Cluster {
	c := &Cluster{
		Spec: spec, ConnectTimeout: cmp.Or(spec.ConnectTimeout, defaultConnectTimeout),
		state: s, manager: m, times: newPoolTimes(&spec.Pool),
	}
	if spec.ProxyProtocol != 0 {
		c.times.idle = min(c.times.idle, ownedIdle)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.terms = s.agree(spec)
	s.followNames(spec, m.names)
	c.gather()
	s.current.Store(c)
	s.watch(spec.Outlier)
	c.rebuild()
	s.tell()
	s.admit()
	return c
}

// original returns the endpoint for an address that a caller named.
func (s *clusterState) original(address string) *Endpoint {
	if address == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.endpoints[address]; e != nil {
		return e
	}
	if len(s.endpoints) >= maxOriginal {
		for _, e := range s.endpoints {
			if e.active.Load() == 0 {
				s.remove(e)
				break
			}
		}
	}
	// The key outlives the request whose buffer the address stands in.
	kept := strings.Clone(address)
	e := newEndpoint(kept)
	e.retired, e.shared.retired = s.abandoned, s.abandoned
	s.endpoints[kept] = e
	return e
}

// remove forgets an endpoint: its idle connections are closed, those in use when they are
// released. The caller holds the lock.
func (s *clusterState) remove(e *Endpoint) {
	delete(s.endpoints, e.Address)
	if e.Ejected() {
		s.counters[EjectionsActive].Add(-1)
	}
	s.close(e)
}

// keepOnly removes the endpoints that are not the cluster's. The caller holds the lock.
func (s *clusterState) keepOnly(c *Cluster) {
	kept := make(map[*Endpoint]bool, len(c.members))
	for _, e := range c.members {
		kept[e] = true
	}
	for _, e := range s.endpoints {
		if !kept[e] {
			s.remove(e)
		}
	}
	if s.relent(proxy.Now()) {
		s.current.Load().rebuild()
	}
}

// abandon ends what goes on by itself, and lets no endpoint keep connections.
func (s *clusterState) abandon(all *names) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned = true
	s.unwatch()
	for _, x := range s.names {
		all.leave(x, s)
	}
	s.tell()
	for _, e := range s.endpoints {
		s.close(e)
	}
}

// close closes an endpoint's idle connections, and lets it keep no more.
func (s *clusterState) close(e *Endpoint) {
	for _, conn := range e.retire() {
		s.discard(e, conn)
	}
	e.shared.retire()
}

// all returns the endpoints there are.
func (s *clusterState) all() []*Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Endpoint, 0, len(s.endpoints))
	for _, e := range s.endpoints {
		list = append(list, e)
	}
	return list
}

// sweep closes connections that have been idle or open for too long, or whose peer has
// closed or spoken out of turn.
func (s *clusterState) sweep(now int64) {
	c := s.current.Load()
	for _, e := range s.all() {
		bad := e.sift(func(conn *http1.Conn) bool { return c.good(conn, now, int64(sweepEvery)/2) })
		for _, conn := range bad {
			s.discard(e, conn)
		}
		e.shared.sweep(c, now)
	}
}
