package upstream

import (
	"net"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// sink is a listener that accepts and says nothing.
func sink(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// With and without policies, taking and giving back a kept connection allocates nothing.
func TestAcquireAllocatesNothing(t *testing.T) {
	b := newBench(t, nil, "a:1")
	policies := map[string]func(*router.Cluster){
		"default": nil,
		"all": func(c *router.Cluster) {
			c.Pool = router.Pool{MaxConnections: 4, MaxPending: 4, MaxRequests: 4, MaxRetries: 4, MaxRequestsPerConnection: 1 << 20,
				MaxConnectionAge: time.Hour, Budget: &router.RetryBudget{Percent: 20, Interval: time.Second}}
			c.Outlier = &router.Outlier{Consecutive5xx: 5, ConsecutiveGateway: 5, ErrorCodes: []int{500, 503}}
		},
	}
	for name, policy := range policies {
		b.update(policy, "a:1")
		b.done("a:1", b.acquire("a:1"))
		e, need := b.endpoint("a:1"), &Need{}
		n := testing.AllocsPerRun(1000, func() {
			conn, _, err := b.c.Acquire(e, need, false, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			b.c.Release(e, conn, Report{Reusable: true, Status: 200})
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkAcquireRelease(b *testing.B) {
	m := NewManager(Options{})
	defer m.Close()
	spec := &router.Cluster{Name: "c", Endpoints: []*router.Endpoint{{Address: sink(b)}}}
	c := m.Update([]*router.Cluster{spec}, nil)[0]
	e, need := c.Pick(&Choice{}), &Need{}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			conn, _, err := c.Acquire(e, need, false, 0, nil)
			if err != nil {
				b.Fatal(err)
			}
			c.Release(e, conn, Report{Reusable: true, Status: 200})
		}
	})
}
