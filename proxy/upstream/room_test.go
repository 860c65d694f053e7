package upstream

import (
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
