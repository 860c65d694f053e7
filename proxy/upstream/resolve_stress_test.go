package upstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/upstream/dns"
	"github.com/sluicegate/sluice/router"
)

// Names that change all the time, policies that do, and requests beside them: nothing is
// lost, nobody waits for ever, and what has gone leaves nothing behind.
func TestNamesUnderStress(t *testing.T) {
	t.Parallel()
	lookup := func(ctx context.Context, host string) (dns.Answer, error) {
		if rand.IntN(4) == 0 {
			return dns.Answer{}, &dns.Error{Name: host, Cause: "no answer in time"}
		}
		var a dns.Answer
		for range 1 + rand.IntN(3) {
			a.Addrs = append(a.Addrs, netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + rand.IntN(5))}))
		}
		return a, nil
	}
	b := &bench{t: t, m: NewManager(Options{Resolve: lookup, MinRefresh: time.Millisecond}), refuse: map[string]error{}}
	b.m.dial = b.dial
	b.m.names.random = func() float64 { return 0 }
	t.Cleanup(b.close)
	var mu sync.Mutex
	publish := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		b.update(func(c *router.Cluster) {
			c.Resolution = []router.Resolution{router.ResolutionDNS, router.ResolutionLogicalDNS, router.ResolutionDNS}[n%3]
			c.ProxyProtocol = uint8(n / 7 % 2)
			c.Pool.MaxConnections = n % 5
			c.Outlier = &router.Outlier{Consecutive5xx: 2, MaxEjectionPercent: 50, Interval: time.Millisecond}
			c.ConnectTimeout = time.Second
		}, "a.test:80", fmt.Sprintf("b%d.test:80", n%3), "10.0.0.9:80")
	}
	publish(0)
	current := func() *Cluster {
		mu.Lock()
		defer mu.Unlock()
		return b.c
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				c := current()
				e := c.Pick(&Choice{Random: rand.Uint64()})
				if e == nil && c.Await(0, nil) {
					e = c.Pick(&Choice{Random: rand.Uint64()})
				}
				if e == nil {
					continue
				}
				up, _, err := c.Acquire(e, &Need{}, rand.IntN(8) == 0, 5*time.Second, nil)
				if err == nil {
					c.Release(e, up, Report{Reusable: rand.IntN(4) > 0, Status: 200 + 300*rand.IntN(2)})
				}
			}
		})
	}
	wg.Go(func() {
		for n := range 100 {
			publish(n)
			c := current()
			c.Status()
			time.Sleep(time.Millisecond)
		}
	})
	wg.Wait()
	c := current()
	b.m.names.close()
	s := c.state
	s.mu.Lock()
	if len(s.endpoints) != len(c.members) {
		t.Errorf("%d endpoints for %d members", len(s.endpoints), len(c.members))
	}
	s.mu.Unlock()
	b.m.Update(nil, []*Cluster{c})
	if open := s.counters[CxActive].Load(); open != 0 || len(b.m.names.byHost) != 0 {
		t.Errorf("%d connections, names %v left", open, b.m.names.byHost)
	}
}
