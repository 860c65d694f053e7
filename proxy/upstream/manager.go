package upstream

import (
	"context"
	ctls "crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/upstream/dns"
	"github.com/sluicegate/sluice/router"
)

// sweepEvery is how often idle connections are looked at.
const sweepEvery = time.Second

// Options configure a Manager. The zero value speaks plaintext only.
type Options struct {
	// Limits bound what an endpoint may send.
	Limits http1.Limits
	// TLS returns the configuration for a handshake with an endpoint of a cluster. It is
	// asked at each dial. The serverName is what to send and verify; protocols are offered
	// by ALPN where t has none.
	TLS func(t *router.ClientTLS, serverName string, protocols ...string) (*ctls.Config, error)
	// Resolve finds the addresses of a host name; nil asks as the system's files say. It is
	// called again when the answer's TTL is over, but not sooner than after MinRefresh (5 s
	// by default), and must be safe for concurrent use.
	Resolve    func(ctx context.Context, host string) (dns.Answer, error)
	MinRefresh time.Duration
	// Log is told of names that cannot be resolved, once each; nil for nobody.
	Log *slog.Logger
}

// Manager keeps the clusters' state from table to table.
type Manager struct {
	options Options
	names   *names
	dial    func(d *net.Dialer, ctx context.Context, network, address string) (net.Conn, error)
	// clock is what endpoints warm up by, nil for the process's.
	clock  func() int64
	mu     sync.Mutex
	states map[string]*clusterState
	stop   chan struct{}
	once   sync.Once
}

// NewManager starts a Manager, which looks after idle connections until Close.
func NewManager(options Options) *Manager {
	m := &Manager{
		options: options, names: newNames(&options), dial: dialTCP,
		states: make(map[string]*clusterState), stop: make(chan struct{}),
	}
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
			next[id] = newCluster(spec, m.state(spec.Name), m)
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

func (m *Manager) state(name string) *clusterState {
	s := m.states[name]
	if s == nil {
		s = &clusterState{endpoints: make(map[string]*Endpoint)}
		m.states[name] = s
	}
	return s
}

// retire removes the endpoints of old that its successor does not have. One that follows
// its requests' targets keeps those of a predecessor that did.
func (m *Manager) retire(old, successor *Cluster) {
	switch {
	case successor == nil:
		delete(m.states, old.Spec.Name)
		old.state.abandon(m.names)
		return
	case successor.Spec.Resolution == router.ResolutionOriginal && old.Spec.Resolution == router.ResolutionOriginal:
		return
	}
	old.state.mu.Lock()
	defer old.state.mu.Unlock()
	old.state.keepOnly(successor)
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
		for _, s := range m.all() {
			s.sweep(proxy.Now())
			s.warm()
		}
	}
}

func (m *Manager) all() []*clusterState {
	m.mu.Lock()
	defer m.mu.Unlock()
	states := make([]*clusterState, 0, len(m.states))
	for _, s := range m.states {
		states = append(states, s)
	}
	return states
}

// Close closes all idle connections, and those in use when they are released.
func (m *Manager) Close() {
	m.once.Do(func() { close(m.stop) })
	m.names.close()
	for _, s := range m.all() {
		s.abandon(m.names)
	}
}
