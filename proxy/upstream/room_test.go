package upstream

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// A session that finds no room, and gives back what it had counted for itself, does not take
// the room of a request that waits.
func TestRoomAfterRefusedSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *router.Cluster) { c.Pool.MaxConnections = 1 }, "a:1")
		defer b.close()
		e, s := b.endpoint("a:1"), b.c.state
		for round := range 4_000 {
			held := b.acquire("a:1")
			got := make(chan proxy.Upstream, 1)
			go func() {
				up, _, err := b.c.Acquire(e, &Need{}, false, time.Minute, nil)
				if err != nil {
					t.Error(err)
				}
				got <- up
			}()
			synctest.Wait()
			go func() {
				if conn, err := b.c.Connect(e, &Need{}, proxy.NewWaiter()); err == nil {
					b.c.Disconnect(e, conn)
				}
			}()
			go b.c.Release(e, held, Report{Status: 200})
			synctest.Wait()
			if s.queue.waiting.Load() > 0 {
				t.Fatalf("round %d: a request waits, with %d connections", round, s.counters[CxActive].Load())
			}
			b.c.Release(e, <-got, Report{Status: 200})
		}
	})
}

// At the limit, connections of HTTP/2 that are idle make room for those of another identity: for
// one who comes, and for one who waits.
func TestSharedRoomForAnotherIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := shareBench(t, nil, func(c *router.Cluster) {
			c.ProxyProtocol = 1
			c.Pool.MaxConnections = 1
		}, "a:1")
		defer b.hangUp()
		e := b.endpoint("a:1")
		acquire := func(port uint16) proxy.Upstream {
			need := &Need{Source: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), Destination: netip.MustParseAddrPort("10.1.1.1:80")}
			up, _, err := b.c.Acquire(e, need, false, time.Second, nil)
			if err != nil {
				t.Errorf("%d: %v", port, err)
				return nil
			}
			return up
		}
		b.c.Release(e, acquire(1), Report{Status: 200})
		second := acquire(2)
		got := make(chan proxy.Upstream)
		go func() { got <- acquire(3) }()
		synctest.Wait()
		b.c.Release(e, second, Report{Status: 200})
		b.c.Release(e, <-got, Report{Status: 200})
		synctest.Wait()
		b.want(map[Stat]uint64{CxActive: 1, CxTotal: 3})
	})
}

// At the limit, connections that clients of one protocol leave idle make room for those of the
// other.
func TestRoomForAnotherProtocol(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := shareBench(t, nil, func(c *router.Cluster) {
			c.Protocol = router.ProtocolDownstream
			c.Pool.MaxConnections = 1
		}, "a:1")
		defer b.hangUp()
		e := b.endpoint("a:1")
		acquire := func(need Need) proxy.Upstream {
			up, _, err := b.c.Acquire(e, &need, false, time.Second, nil)
			if err != nil {
				t.Errorf("%+v: %v", need, err)
				return nil
			}
			return up
		}
		release := func(up proxy.Upstream) {
			if up != nil {
				b.c.Release(e, up, Report{Reusable: true, Status: 200})
			}
		}
		release(acquire(Need{HTTP2: true}))
		release(acquire(Need{}))
		up := acquire(Need{HTTP2: true})
		for _, next := range []Need{{}, {HTTP2: true}, {}} {
			got := make(chan proxy.Upstream)
			go func() { got <- acquire(next) }()
			synctest.Wait()
			release(up)
			up = <-got
		}
		release(up)
		synctest.Wait()
		b.want(map[Stat]uint64{CxActive: 1, CxTotal: 6})
	})
}

// However a release and a wait for another protocol's connection fall together, nobody is left
// waiting beside an idle connection.
func TestRoomForAnotherProtocolAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := shareBench(t, nil, func(c *router.Cluster) {
			c.Protocol = router.ProtocolDownstream
			c.Pool.MaxConnections = 1
		}, "a:1")
		defer b.hangUp()
		e := b.endpoint("a:1")
		for round := range 1500 {
			need := Need{HTTP2: round%2 == 0}
			held, _, err := b.c.Acquire(e, &need, false, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			other := Need{HTTP2: !need.HTTP2}
			got := make(chan error, 1)
			go func() {
				up, _, err := b.c.Acquire(e, &other, false, time.Second, nil)
				if err == nil {
					b.c.Release(e, up, Report{Reusable: true, Status: 200})
				}
				got <- err
			}()
			go b.c.Release(e, held, Report{Reusable: true, Status: 200})
			if err := <-got; err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			synctest.Wait()
		}
		b.want(map[Stat]uint64{CxActive: 1, RqActive: 0, RqPendingActive: 0})
	})
}
