package upstream

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// bench is a manager whose connections are pipes, and one cluster of it.
type bench struct {
	t       *testing.T
	m       *Manager
	c       *Cluster
	spec    *router.Cluster
	mu      sync.Mutex
	dials   int
	refuse  map[string]error
	peers   []net.Conn
	stopped bool
}

// newBench makes a cluster of the addresses, with the policy that change sets.
func newBench(t *testing.T, change func(*router.Cluster), addresses ...string) *bench {
	t.Helper()
	b := &bench{t: t, m: NewManager(Options{}), refuse: map[string]error{}}
	b.m.dial = b.dial
	t.Cleanup(b.close)
	b.update(change, addresses...)
	return b
}

func (b *bench) dial(_ *net.Dialer, _ context.Context, _, address string) (net.Conn, error) {
	conn, _, err := b.pair(address)
	return conn, err
}

// pair returns both ends of a new connection.
func (b *bench) pair(address string) (ours, theirs net.Conn, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dials++
	if err := b.refuse[address]; err != nil {
		return nil, nil, err
	}
	ours, theirs = net.Pipe()
	b.peers = append(b.peers, theirs)
	return ours, theirs, nil
}

// close may be called before the test ends, to leave a bubble.
func (b *bench) close() {
	if !b.stopped {
		b.stopped = true
		b.m.Close()
	}
}

// update publishes a table that has the cluster with other endpoints or another policy.
func (b *bench) update(change func(*router.Cluster), addresses ...string) {
	b.t.Helper()
	spec := &router.Cluster{Name: "c", Balancer: router.RoundRobin}
	for _, a := range addresses {
		spec.Endpoints = append(spec.Endpoints, &router.Endpoint{Address: a})
	}
	if change != nil {
		change(spec)
	}
	var previous []*Cluster
	if b.c != nil {
		previous = []*Cluster{b.c}
	}
	b.spec, b.c = spec, b.m.Update([]*router.Cluster{spec}, previous)[0]
}

// endpoint returns the endpoint of an address.
func (b *bench) endpoint(address string) *Endpoint {
	b.t.Helper()
	for _, e := range b.c.members {
		if e.Address == address {
			return e
		}
	}
	b.t.Fatalf("no endpoint %s", address)
	return nil
}

// acquire wants a connection.
func (b *bench) acquire(address string) *http1.Conn {
	b.t.Helper()
	conn, _, err := b.c.Acquire(b.endpoint(address), &Need{}, false, 0, nil)
	if err != nil {
		b.t.Fatalf("acquire: %v", err)
	}
	return conn.(*http1.Conn)
}

// done gives a connection back after a good response.
func (b *bench) done(address string, conn *http1.Conn) {
	conn.Requests++
	b.c.Release(b.endpoint(address), conn, Report{Reusable: true, Status: 200})
}

// want compares some of the cluster's numbers.
func (b *bench) want(stats map[Stat]uint64) {
	b.t.Helper()
	all := b.c.Status().Stats
	for s, v := range stats {
		if all[s] != v {
			b.t.Errorf("%s is %d, want %d", s, all[s], v)
		}
	}
}
