package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// outcome is what an Acquire that waits comes to.
type outcome struct {
	name   string
	conn   *http1.Conn
	reused bool
	err    error
}

// wait has a request wait for a connection.
func (b *bench) wait(name, address string, within time.Duration, down proxy.Downstream, to chan outcome) {
	c, e := b.c, b.endpoint(address)
	go func() {
		up, reused, err := c.Acquire(e, &Need{}, false, within, down)
		conn, _ := up.(*http1.Conn)
		to <- outcome{name, conn, reused, err}
	}()
	synctest.Wait()
}

// leaver is a client that may go away.
type leaver struct {
	proxy.Downstream
	mu      sync.Mutex
	aborter *proxy.Aborter
	gone    bool
}

func (l *leaver) Attach(a *proxy.Aborter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.aborter = a
	return !l.gone
}

func (l *leaver) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	if l.aborter != nil {
		l.aborter.Abort()
	}
}

func limited(connections, pending int) func(*router.Cluster) {
	return func(c *router.Cluster) { c.Pool.MaxConnections, c.Pool.MaxPending = connections, pending }
}

// Requests beyond the connections wait, and are served in their order.
func TestWaitingForConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, limited(2, 3), "a:1")
		defer b.close()
		first, second := b.acquire("a:1"), b.acquire("a:1")
		got := make(chan outcome, 4)
		for _, name := range []string{"x", "y", "z"} {
			b.wait(name, "a:1", 0, nil, got)
		}
		if _, _, err := b.c.Acquire(b.endpoint("a:1"), &Need{}, false, 0, nil); !errors.Is(err, ErrOverflow) {
			t.Errorf("a fourth waits: %v", err)
		}
		b.want(map[Stat]uint64{CxActive: 2, CxTotal: 2, CxOverflow: 3, RqPendingActive: 3, RqPendingOverflow: 1, RqPendingTotal: 5, CxOpen: 1, RqPendingOpen: 1, RqActive: 2})

		b.done("a:1", first)
		if o := <-got; o.name != "x" || o.conn != first || !o.reused {
			t.Errorf("got %+v, want x with the connection that was released", o)
		}
		// A connection that ends leaves room for a new one.
		b.c.Release(b.endpoint("a:1"), second, Report{Failure: proxy.FailClosed})
		o := <-got
		if o.name != "y" || o.conn == second || o.reused || o.err != nil {
			t.Errorf("got %+v, want y with a new connection", o)
		}
		b.done("a:1", o.conn)
		b.done("a:1", (<-got).conn)
		b.done("a:1", first)
		b.want(map[Stat]uint64{CxActive: 2, CxTotal: 3, RqPendingActive: 0, RqActive: 0, RqTotal: 5, RqRxReset: 1, CxOpen: 1, RqPendingOpen: 0})
		if e := b.endpoint("a:1").status(1); e.Active != 0 || e.Idle != 2 || e.Open != 2 {
			t.Errorf("endpoint %+v", e)
		}
	})
}

// A wait ends with its time and with its client, and what it was given meanwhile is not lost.
func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, limited(1, 0), "a:1")
		defer b.close()
		conn := b.acquire("a:1")
		got := make(chan outcome, 1)
		began := time.Now()
		b.wait("", "a:1", 3*time.Second, nil, got)
		if o := <-got; !errors.Is(o.err, os.ErrDeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(began), o.err)
		}
		client := &leaver{}
		b.wait("", "a:1", 3*time.Second, client, got)
		client.leave()
		if o := <-got; o.err != errGone {
			t.Errorf("the client left: %v", o.err)
		}
		b.wait("", "a:1", 0, client, got)
		if o := <-got; o.err != errGone {
			t.Errorf("the client had left: %v", o.err)
		}
		b.want(map[Stat]uint64{RqPendingActive: 0, CxActive: 1})
		if e := b.endpoint("a:1"); e.active.Load() != 1 || e.waiting.Load() != 0 {
			t.Errorf("%d active, %d waiting", e.active.Load(), e.waiting.Load())
		}
		b.done("a:1", conn)
		b.done("a:1", b.acquire("a:1"))
	})
}

// New limits are in force at once, for those who wait too, and close nothing.
func TestLimitsChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, limited(1, 0), "a:1")
		defer b.close()
		conns := []*http1.Conn{b.acquire("a:1")}
		got := make(chan outcome, 3)
		for range 3 {
			b.wait("", "a:1", 0, nil, got)
		}
		b.update(limited(3, 0), "a:1")
		for range 2 {
			conns = append(conns, (<-got).conn)
		}
		synctest.Wait()
		b.want(map[Stat]uint64{CxActive: 3, RqPendingActive: 1})
		b.update(nil, "a:1")
		conns = append(conns, (<-got).conn)
		b.update(limited(1, 0), "a:1")
		for _, c := range conns {
			b.done("a:1", c)
		}
		b.want(map[Stat]uint64{CxActive: 4, RqActive: 0})
		if e := b.endpoint("a:1").status(1); e.Idle != 4 {
			t.Errorf("%d idle, want all 4 still", e.Idle)
		}
	})
}

// An endpoint may always have one connection, and gets the room of idle ones elsewhere.
func TestLimitSpansEndpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, limited(2, 0), "a:1", "b:1")
		defer b.close()
		a1, a2 := b.acquire("a:1"), b.acquire("a:1")
		b1 := b.acquire("b:1")
		b.want(map[Stat]uint64{CxActive: 3})
		got := make(chan outcome, 1)
		b.wait("", "b:1", 0, nil, got)
		b.want(map[Stat]uint64{CxOverflow: 1, RqPendingActive: 1})
		// While it waits for b, an end at a is no room: there are as many as may be.
		b.c.Release(b.endpoint("a:1"), a1, Report{})
		synctest.Wait()
		b.want(map[Stat]uint64{CxActive: 2, RqPendingActive: 1})
		// A connection that is idle there is closed for its sake.
		b.done("a:1", a2)
		synctest.Wait()
		b.want(map[Stat]uint64{CxActive: 2, RqPendingActive: 0})
		b2 := (<-got).conn
		other := make(chan outcome, 1)
		b.wait("", "b:1", 0, nil, other)
		b.done("b:1", b1)
		if o := <-other; o.conn != b1 {
			t.Errorf("got %+v, want what was released", o)
		}
		b.done("b:1", b1)
		b.done("b:1", b2)
		b.want(map[Stat]uint64{CxActive: 2, RqActive: 0, RqPendingActive: 0})
	})
}

// Idle connections of one endpoint do not keep another from having some.
func TestIdleConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	b := newBench(t, limited(2, 0), "a:1", "b:1")
	one, two := b.acquire("a:1"), b.acquire("a:1")
	b.done("a:1", one)
	b.done("a:1", two)
	b.acquire("b:1")
	b.want(map[Stat]uint64{CxActive: 3})
	b.acquire("b:1")
	b.want(map[Stat]uint64{CxActive: 2, CxOverflow: 0})
}

// Where there are many more endpoints than connections may be, one more connection is not made at
// the cost of all the others.
func TestManyIdleConnectionsStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var addresses []string
		for i := range 200 {
			addresses = append(addresses, fmt.Sprintf("10.0.0.%d:1", i))
		}
		b := newBench(t, limited(10, 0), addresses...)
		defer b.close()
		for _, a := range addresses[1:] {
			b.done(a, b.acquire(a))
		}
		first := b.acquire(addresses[0])
		got := make(chan outcome, 1)
		b.wait("", addresses[0], time.Minute, nil, got)
		b.want(map[Stat]uint64{CxActive: 200, RqPendingActive: 1})
		b.done(addresses[0], first)
		if o := <-got; o.conn != first {
			t.Errorf("got %+v, want what was released", o)
		}
		b.done(addresses[0], first)
	})
}

// What an endpoint leaves idle makes room for those who wait for another one already.
func TestIdleConnectionsGiveWayToThoseWhoWait(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]router.Protocol{"HTTP/1.1": router.ProtocolHTTP1, "HTTP/2": router.ProtocolHTTP2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := shareBench(t, nil, func(c *router.Cluster) {
					streams(1, 2)(c)
					c.Protocol = protocol
				}, "a:1", "b:1")
				defer b.hangUp()
				acquire := func(address string) proxy.Upstream {
					up, _, err := b.c.Acquire(b.endpoint(address), &Need{}, false, time.Minute, nil)
					if err != nil {
						t.Errorf("%s: %v", address, err)
					}
					return up
				}
				release := func(address string, up proxy.Upstream) {
					b.c.Release(b.endpoint(address), up, Report{Reusable: true, Status: 200})
				}
				one, two := acquire("a:1"), acquire("b:1")
				got := make(chan proxy.Upstream, 1)
				began := time.Now()
				go func() { got <- acquire("b:1") }()
				synctest.Wait()
				release("a:1", one)
				three := <-got
				if took := time.Since(began); took > time.Second {
					t.Fatalf("a request waited %v beside an idle connection", took)
				}
				release("b:1", two)
				release("b:1", three)
				synctest.Wait()
				b.want(map[Stat]uint64{CxActive: 2, CxTotal: 3, RqActive: 0, RqPendingActive: 0})
			})
		})
	}
}

// A connection that cannot be made makes room for the next attempt.
func TestFailureToConnectMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, limited(1, 0), "a:1")
		defer b.close()
		conn := b.acquire("a:1")
		got := make(chan outcome, 3)
		for range 3 {
			b.wait("", "a:1", time.Minute, nil, got)
		}
		b.refuse["a:1"] = syscall.ECONNREFUSED
		b.c.Release(b.endpoint("a:1"), conn, Report{Failure: proxy.FailReset})
		for range 3 {
			if o := <-got; !errors.Is(o.err, syscall.ECONNREFUSED) {
				t.Errorf("got %v", o.err)
			}
		}
		b.want(map[Stat]uint64{CxActive: 0, RqPendingActive: 0})
	})
}

// A request that wants a new connection gets room for it from an idle one.
func TestFreshAtTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, limited(2, 0), "a:1")
		defer b.close()
		one, two := b.acquire("a:1"), b.acquire("a:1")
		b.done("a:1", one)
		b.done("a:1", two)
		conn, reused, err := b.c.Acquire(b.endpoint("a:1"), &Need{}, true, time.Minute, nil)
		if err != nil || reused || conn == one || conn == two {
			t.Fatalf("reused %v, %v", reused, err)
		}
		b.want(map[Stat]uint64{CxActive: 2, CxTotal: 3})
		b.done("a:1", conn.(*http1.Conn))
	})
}

func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *router.Cluster) { c.Pool.MaxRequests = 2 }, "a:1", "b:1")
	one, two := b.acquire("a:1"), b.acquire("b:1")
	if _, _, err := b.c.Acquire(b.endpoint("a:1"), &Need{}, false, 0, nil); !errors.Is(err, ErrOverflow) {
		t.Errorf("a third request: %v", err)
	}
	b.want(map[Stat]uint64{RqActive: 2, RqPendingOverflow: 1, RqOpen: 1})
	b.done("a:1", one)
	b.done("a:1", b.acquire("a:1"))
	b.done("b:1", two)
	b.want(map[Stat]uint64{RqActive: 0, RqOpen: 0, RqTotal: 3})
	for _, e := range b.c.Status().Endpoints {
		if e.Active != 0 {
			t.Errorf("%s has %d active", e.Address, e.Active)
		}
	}
}

// What ends a connection between two requests, and what is counted then.
func TestConnectionsEnd(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		policy func(*router.Pool)
		// The pauses are idle times between exchanges.
		pauses []time.Duration
		dials  int
		stat   Stat
		count  uint64
	}{
		"kept":             {nil, []time.Duration{0, time.Minute, 59 * time.Minute}, 1, CxIdleTimeout, 0},
		"idle by default":  {nil, []time.Duration{61 * time.Minute}, 2, CxIdleTimeout, 1},
		"idle":             {func(p *router.Pool) { p.IdleTimeout = 5 * time.Second }, []time.Duration{4 * time.Second, 4 * time.Second, 7 * time.Second}, 2, CxIdleTimeout, 1},
		"idle, short":      {func(p *router.Pool) { p.IdleTimeout = 10 * time.Millisecond }, []time.Duration{9 * time.Millisecond, 11 * time.Millisecond}, 2, CxIdleTimeout, 1},
		"old":              {func(p *router.Pool) { p.MaxConnectionAge = 5 * time.Second }, []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}, 2, CxMaxDuration, 1},
		"used":             {func(p *router.Pool) { p.MaxRequestsPerConnection = 2 }, []time.Duration{0, 0, 0, 0}, 3, CxMaxRequests, 2},
		"keep-alive off":   {func(p *router.Pool) { p.MaxRequestsPerConnection = 1 }, []time.Duration{0, 0}, 3, CxMaxRequests, 3},
		"idle for a sweep": {func(p *router.Pool) { p.IdleTimeout = 3 * time.Second }, []time.Duration{10 * time.Second}, 2, CxIdleTimeout, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(c *router.Cluster) {
					if test.policy != nil {
						test.policy(&c.Pool)
					}
				}, "a:1")
				defer b.close()
				b.done("a:1", b.acquire("a:1"))
				for _, pause := range test.pauses {
					time.Sleep(pause)
					b.done("a:1", b.acquire("a:1"))
				}
				if b.dials != test.dials {
					t.Errorf("%d connections, want %d", b.dials, test.dials)
				}
				b.want(map[Stat]uint64{test.stat: test.count, CxTotal: uint64(test.dials), RqTotal: uint64(len(test.pauses) + 1)})
			})
		})
	}
}

// The sweep closes what is idle for too long without any request.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *router.Cluster) { c.Pool.IdleTimeout = 5 * time.Second }, "a:1")
		defer b.close()
		b.done("a:1", b.acquire("a:1"))
		time.Sleep(4 * time.Second)
		b.want(map[Stat]uint64{CxActive: 1})
		time.Sleep(3 * time.Second)
		b.want(map[Stat]uint64{CxActive: 0, CxIdleTimeout: 1})
	})
}

// A failure to connect is told, counted, and takes no room.
func TestConnectFailures(t *testing.T) {
	t.Parallel()
	b := newBench(t, limited(1, 1), "a:1")
	b.refuse["a:1"] = syscall.ECONNREFUSED
	for range 3 {
		if _, _, err := b.c.Acquire(b.endpoint("a:1"), &Need{}, false, 0, nil); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
	}
	b.refuse["a:1"] = os.ErrDeadlineExceeded
	if _, _, err := b.c.Acquire(b.endpoint("a:1"), &Need{}, false, 0, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	b.want(map[Stat]uint64{CxConnectFail: 4, CxConnectTimeout: 1, CxTotal: 0, CxActive: 0, RqActive: 0, RqPendingActive: 0})
	if e := b.endpoint("a:1").status(1); e.ConnectFailures != 4 || e.Active != 0 || e.Open != 0 {
		t.Errorf("%+v", e)
	}
}

// An endpoint that takes longer to connect than anybody waits is connected to all the same: by
// one dial that goes on without them, not by one for each.
func TestSlowToConnect(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]bool{"their time is over": false, "they leave": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, outlier(router.Outlier{Consecutive5xx: 100}), "a:1")
				defer b.close()
				var dials, most atomic.Int64
				b.m.dial = func(d *net.Dialer, ctx context.Context, _, address string) (net.Conn, error) {
					most.Store(max(most.Load(), dials.Add(1)))
					defer dials.Add(-1)
					ctx, cancel := context.WithDeadline(ctx, d.Deadline)
					defer cancel()
					select {
					case <-time.After(5 * time.Second):
					case <-ctx.Done():
						return nil, ctx.Err()
					}
					conn, _, err := b.pair(address)
					return conn, err
				}
				got := make(chan outcome, 100)
				served := 0
				for range 30 {
					one, other := &leaver{}, &leaver{}
					within := time.Second
					if leave {
						within = 0
					}
					b.wait("", "a:1", within, one, got)
					b.wait("", "a:1", within, other, got)
					time.Sleep(time.Second)
					one.leave()
					other.leave()
					for range 2 {
						if o := <-got; o.err == nil {
							served++
							b.done("a:1", o.conn)
						}
					}
				}
				if served < 40 {
					t.Errorf("%d of 60 requests were served", served)
				}
				if most.Load() > 4 {
					t.Errorf("%d dials at once", most.Load())
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				e := b.endpoint("a:1").status(1)
				if e.Active != 0 || e.Open != int64(e.Idle) {
					t.Errorf("%+v", e)
				}
				b.want(map[Stat]uint64{RqActive: 0, RqPendingActive: 0, CxActive: uint64(e.Open)})
			})
		})
	}
}

// Endpoints that leave the cluster let their exchanges end, and keep nothing.
func TestRemovedEndpoints(t *testing.T) {
	t.Parallel()
	policy := outlier(router.Outlier{Consecutive5xx: 1})
	b := newBench(t, policy, "a:1", "b:1")
	idle, busy := b.acquire("a:1"), b.acquire("a:1")
	b.done("a:1", idle)
	old, gone := b.c, b.endpoint("a:1")
	b.update(policy, "b:1")
	b.want(map[Stat]uint64{CxActive: 1, MembershipTotal: 1})
	if err := busy.NetConn().SetDeadline(time.Time{}); err != nil {
		t.Errorf("the connection in use was closed: %v", err)
	}
	old.Release(gone, busy, Report{Reusable: true, Status: 500})
	b.want(map[Stat]uint64{CxActive: 0, RqActive: 0, EjectionsActive: 0})
	if err := busy.NetConn().SetDeadline(time.Time{}); err == nil {
		t.Error("the connection lives on")
	}
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		pool    router.Pool
		active  int
		allowed int
	}{
		"none":                    {router.Pool{}, 0, 1000},
		"maxRetries":              {router.Pool{MaxRetries: 4}, 0, 4},
		"budget":                  {router.Pool{Budget: &router.RetryBudget{Percent: 20, MinConcurrency: 3}}, 25, 5},
		"budget, at least":        {router.Pool{Budget: &router.RetryBudget{Percent: 20, MinConcurrency: 3}}, 2, 3},
		"budget of none":          {router.Pool{Budget: &router.RetryBudget{}}, 10, 0},
		"budget beats maxRetries": {router.Pool{MaxRetries: 1, Budget: &router.RetryBudget{Percent: 50}}, 8, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *router.Cluster) { c.Pool = test.pool }, "a:1")
			for range test.active {
				b.acquire("a:1")
			}
			n := 0
			for n < 1000 && b.c.BeginRetry() {
				n++
			}
			if n != test.allowed {
				t.Errorf("%d retries at once, want %d", n, test.allowed)
			}
			if n == 1000 {
				return
			}
			b.want(map[Stat]uint64{RqRetryOverflow: 1, RqRetryOpen: 1})
			for range n {
				b.c.EndRetry()
			}
			if n > 0 && !b.c.BeginRetry() {
				t.Error("no retry after the others have ended")
			}
		})
	}
}

// A budget's interval counts requests for that long after they began.
func TestBudgetInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *router.Cluster) {
			c.Pool.Budget = &router.RetryBudget{Percent: 10, Interval: 16 * time.Second}
		}, "a:1")
		defer b.close()
		for range 40 {
			b.done("a:1", b.acquire("a:1"))
		}
		for _, step := range []struct {
			after time.Duration
			limit int64
		}{{0, 4}, {14 * time.Second, 4}, {3 * time.Second, 0}} {
			time.Sleep(step.after)
			if limit, _ := b.c.retryLimit(); limit != step.limit {
				t.Errorf("%v later %d retries are allowed, want %d", step.after, limit, step.limit)
			}
		}
		b.done("a:1", b.acquire("a:1"))
		if n := b.c.state.recent.count(proxy.Now(), 16*time.Second); n != 1 {
			t.Errorf("%d requests counted, want 1", n)
		}
	})
}

// Of two that begin at once, the later may be counted first: nothing is forgotten over that.
func TestBudgetCountsLateComers(t *testing.T) {
	t.Parallel()
	var r recent
	now, interval := int64(100*time.Second), 16*time.Second
	for range 10 {
		r.add(now, interval)
	}
	r.add(now-1, interval)
	if n := r.count(now, interval); n != 11 {
		t.Errorf("%d requests counted, want 11", n)
	}
	if n := r.count(now+int64(interval), interval); n != 0 {
		t.Errorf("%d requests counted when all are over", n)
	}
}

// Whatever happens at once, no limit is passed, nobody waits for ever and nothing is left
// behind.
func TestPoolUnderStress(t *testing.T) {
	t.Parallel()
	const clients, rounds, limit = 32, 1500, 5
	b := newBench(t, limited(limit, 0), "a:1", "b:1", "c:1")
	addresses := []string{"a:1", "b:1", "c:1"}
	var inUse, most atomic.Int64
	var cluster atomic.Pointer[Cluster]
	cluster.Store(b.c)
	endpoints := slices.Clone(b.c.members)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range rounds {
				c, e := cluster.Load(), endpoints[(i*7+n*13)%3]
				within := time.Duration(0)
				if n%5 == 0 {
					within = time.Duration(1+n%40) * time.Microsecond
				}
				conn, _, err := c.Acquire(e, &Need{}, n%11 == 0, within, nil)
				if err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) || within == 0 {
						t.Errorf("acquire: %v", err)
					}
					continue
				}
				for now := inUse.Add(1); ; {
					if m := most.Load(); now <= m || most.CompareAndSwap(m, now) {
						break
					}
				}
				inUse.Add(-1)
				c.Release(e, conn, Report{Reusable: n%4 != 0, Status: 200})
			}
		}()
	}
	for n := range 200 {
		b.update(limited(limit-n%2, 0), addresses...)
		cluster.Store(b.c)
		time.Sleep(100 * time.Microsecond)
	}
	wg.Wait()
	// Each endpoint may have one connection whatever the limit.
	if m := most.Load(); m > limit+2 {
		t.Errorf("%d connections in use at once, want at most %d", m, limit+2)
	}
	// A dial may go on that nobody waits for any more.
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if !slices.ContainsFunc(endpoints, func(e *Endpoint) bool { return e.orphaned.Load() }) {
			break
		}
	}
	s := b.c.Status()
	idle := 0
	for _, e := range s.Endpoints {
		idle += e.Idle
		if e.Active != 0 || e.Open != int64(e.Idle) {
			t.Errorf("left behind: %+v", e)
		}
	}
	if s.Stats[RqActive] != 0 || s.Stats[RqPendingActive] != 0 || s.Stats[CxActive] != uint64(idle) || b.c.state.queue.waiting.Load() != 0 {
		t.Errorf("left behind: %v", s.Stats)
	}
}
