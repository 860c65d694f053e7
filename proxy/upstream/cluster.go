package upstream

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

const (
	defaultConnectTimeout = 10 * time.Second
	defaultIdleTimeout    = time.Hour
	// sweepEvery is how often idle connections are looked at.
	sweepEvery = time.Second
	// maxOriginal bounds the endpoints that a cluster of ResolutionOriginal remembers.
	maxOriginal = 1024
)

// Cluster is a router.Cluster at work. It is immutable but for its endpoints' own state.
type Cluster struct {
	// Spec is what it was made from.
	Spec           *router.Cluster
	ConnectTimeout time.Duration
	// members are the endpoints of Spec, in their order.
	members []*Endpoint
	// picks is what Pick picks from; refresh replaces it.
	picks  atomic.Pointer[balancer]
	state  *clusterState
	limits http1.Limits
}

// clusterState is what a cluster keeps through changes of its specification.
type clusterState struct {
	turn      atomic.Uint64
	counters  counters
	mu        sync.Mutex
	endpoints map[string]*Endpoint
}

// original returns the endpoint for an address that a caller named.
func (s *clusterState) original(address string, limits http1.Limits) *Endpoint {
	if address == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.endpoints[address]; e != nil {
		return e
	}
	if len(s.endpoints) >= maxOriginal {
		for old, e := range s.endpoints {
			if e.active.Load() == 0 {
				delete(s.endpoints, old)
				go e.retire()
				break
			}
		}
	}
	// The key outlives the request whose buffer the address stands in.
	kept := strings.Clone(address)
	e := newEndpoint(kept, limits)
	s.endpoints[kept] = e
	return e
}

// ClusterStatus is a look at a cluster's state.
type ClusterStatus struct {
	Name      string           `json:"name"`
	Endpoints []EndpointStatus `json:"endpoints"`
}

// Status returns a look at the cluster's endpoints.
func (c *Cluster) Status() ClusterStatus {
	s := ClusterStatus{Name: c.Spec.Name, Endpoints: make([]EndpointStatus, 0, len(c.members))}
	if c.Spec.Resolution == router.ResolutionOriginal {
		c.state.mu.Lock()
		defer c.state.mu.Unlock()
		for _, e := range c.state.endpoints {
			s.Endpoints = append(s.Endpoints, e.status(1))
		}
		return s
	}
	for i, e := range c.members {
		s.Endpoints = append(s.Endpoints, e.status(max(c.Spec.Endpoints[i].Weight, 1)))
	}
	return s
}

// Manager keeps the clusters' state from table to table.
type Manager struct {
	limits http1.Limits
	mu     sync.Mutex
	states map[string]*clusterState
	stop   chan struct{}
	once   sync.Once
}

// NewManager starts a Manager, which looks after idle connections until Close.
func NewManager(limits http1.Limits) *Manager {
	m := &Manager{limits: limits, states: make(map[string]*clusterState), stop: make(chan struct{})}
	go m.sweep()
	return m
}

// Update returns the clusters of a table, by their IDs, given those of the table before:
// a cluster whose specification did not change stays as it is.
func (m *Manager) Update(specs []*router.Cluster, previous []*Cluster) []*Cluster {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make([]*Cluster, len(specs))
	for id, spec := range specs {
		if id < len(previous) && previous[id] != nil && previous[id].Spec == spec {
			next[id] = previous[id]
		} else if spec != nil {
			next[id] = m.make(spec)
		}
	}
	var byName map[string]*Cluster
	for id, old := range previous {
		if old == nil || id < len(next) && next[id] == old {
			continue
		}
		if id < len(next) && next[id] != nil && next[id].Spec.Name == old.Spec.Name {
			m.retire(old, next[id])
			continue
		}
		// A table that was not built from the one before may number its clusters anew.
		if byName == nil {
			byName = named(next)
		}
		m.retire(old, byName[old.Spec.Name])
	}
	return next
}

func named(clusters []*Cluster) map[string]*Cluster {
	m := make(map[string]*Cluster, len(clusters))
	for _, c := range clusters {
		if c != nil {
			m[c.Spec.Name] = c
		}
	}
	return m
}

// retire closes the endpoints of old that its successor does not have.
func (m *Manager) retire(old, successor *Cluster) {
	kept := make(map[*Endpoint]bool)
	if successor != nil {
		for _, e := range successor.members {
			kept[e] = true
		}
	} else {
		delete(m.states, old.Spec.Name)
	}
	old.state.mu.Lock()
	defer old.state.mu.Unlock()
	for address, e := range old.state.endpoints {
		if !kept[e] {
			e.retire()
			delete(old.state.endpoints, address)
		}
	}
}

// make makes a cluster over the state of its name.
func (m *Manager) make(spec *router.Cluster) *Cluster {
	state := m.states[spec.Name]
	if state == nil {
		state = &clusterState{endpoints: make(map[string]*Endpoint)}
		m.states[spec.Name] = state
	}
	c := &Cluster{Spec: spec, ConnectTimeout: spec.ConnectTimeout, state: state, limits: m.limits}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	for _, e := range spec.Endpoints {
		live := state.endpoints[e.Address]
		if live == nil {
			live = newEndpoint(e.Address, m.limits)
			state.endpoints[e.Address] = live
		}
		c.members = append(c.members, live)
	}
	c.rebuild()
	return c
}

// sweep looks after idle connections until Close.
func (m *Manager) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
		}
		now := proxy.Now()
		m.each(func(e *Endpoint) { e.sweep(now, defaultIdleTimeout) })
	}
}

func (m *Manager) each(f func(*Endpoint)) {
	m.mu.Lock()
	states := make([]*clusterState, 0, len(m.states))
	for _, s := range m.states {
		states = append(states, s)
	}
	m.mu.Unlock()
	for _, s := range states {
		s.mu.Lock()
		endpoints := make([]*Endpoint, 0, len(s.endpoints))
		for _, e := range s.endpoints {
			endpoints = append(endpoints, e)
		}
		s.mu.Unlock()
		for _, e := range endpoints {
			f(e)
		}
	}
}

// Close closes all idle connections, and those in use when they are released.
func (m *Manager) Close() {
	m.once.Do(func() { close(m.stop) })
	m.each((*Endpoint).retire)
}
