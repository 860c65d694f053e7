package upstream

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/http2"
	"github.com/sluicegate/sluice/router"
)

// settings is the first frame of an endpoint that has nothing to say.
const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// shareBench is a bench whose endpoints speak HTTP/2: they take what they are sent, and never
// answer. gate, where set, holds up each dial.
func shareBench(t *testing.T, gate chan struct{}, change func(*router.Cluster), addresses ...string) *bench {
	t.Helper()
	b := newBench(t, sharing(change), addresses...)
	b.m.dial = func(_ *net.Dialer, _ context.Context, _, address string) (net.Conn, error) {
		if gate != nil {
			<-gate
		}
		conn, peer, err := b.pair(address)
		if err != nil {
			return nil, err
		}
		go func() {
			go io.Copy(io.Discard, peer)
			io.WriteString(peer, settings)
		}()
		return conn, nil
	}
	return b
}

func sharing(change func(*router.Cluster)) func(*router.Cluster) {
	return func(c *router.Cluster) {
		c.Protocol = router.ProtocolHTTP2
		if change != nil {
			change(c)
		}
	}
}

// hangUp ends all that the bench has, to leave a bubble.
func (b *bench) hangUp() {
	b.close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, peer := range b.peers {
		peer.Close()
	}
}

// streams bounds the exchanges on a connection, and the connections.
func streams(n uint32, connections int) func(*router.Cluster) {
	return func(c *router.Cluster) {
		c.HTTP2.MaxConcurrentStreams = n
		c.Pool.MaxConnections = connections
	}
}

// share wants a stream.
func (b *bench) share(address string) *http2.ConnStream {
	b.t.Helper()
	up, _, err := b.c.Acquire(b.endpoint(address), &Need{}, false, 0, nil)
	if err != nil {
		b.t.Fatalf("acquire: %v", err)
	}
	return up.(*http2.ConnStream)
}

// shared is what an Acquire that waits comes to.
type sharedOutcome struct {
	stream *http2.ConnStream
	err    error
}

// waitShare has a request wait for a stream.
func (b *bench) waitShare(address string, within time.Duration, down proxy.Downstream, to chan sharedOutcome) {
	c, e := b.c, b.endpoint(address)
	go func() {
		up, _, err := c.Acquire(e, &Need{}, false, within, down)
		s, _ := up.(*http2.ConnStream)
		to <- sharedOutcome{s, err}
	}()
	synctest.Wait()
}

// over gives a stream back.
func (b *bench) over(address string, s *http2.ConnStream) {
	b.c.Release(b.endpoint(address), s, Report{Status: 200})
}

// Exchanges that come to a cold endpoint at once wait together for one connection.
func TestSharedDialIsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		b := shareBench(t, gate, nil, "a:1")
		defer b.hangUp()
		got := make(chan sharedOutcome, 32)
		for range 32 {
			b.waitShare("a:1", 0, nil, got)
		}
		b.want(map[Stat]uint64{CxActive: 1, RqPendingActive: 32, RqActive: 0})
		close(gate)
		var all []*http2.ConnStream
		for range 32 {
			o := <-got
			if o.err != nil || len(all) > 0 && o.stream.Conn() != all[0].Conn() {
				t.Fatalf("%+v", o)
			}
			all = append(all, o.stream)
		}
		b.want(map[Stat]uint64{CxActive: 1, CxTotal: 1, RqPendingActive: 0, RqPendingTotal: 32, RqActive: 32})
		if _, reused, err := b.c.Acquire(b.endpoint("a:1"), &Need{}, false, 0, nil); err != nil || !reused {
			t.Errorf("then reused %v, %v", reused, err)
		}
		for _, s := range all {
			b.over("a:1", s)
		}
		b.want(map[Stat]uint64{CxActive: 1, RqActive: 1, RqTotal: 33})
	})
}

// Connections fill up, the least busy first; another is made when all are full.
func TestSharedRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := shareBench(t, nil, streams(2, 0), "a:1")
		defer b.hangUp()
		one, two := b.share("a:1"), b.share("a:1")
		three := b.share("a:1")
		if one.Conn() != two.Conn() || three.Conn() == one.Conn() || b.dials != 2 {
			t.Fatalf("%d dials", b.dials)
		}
		b.over("a:1", one)
		b.over("a:1", two)
		if four := b.share("a:1"); four.Conn() == three.Conn() {
			t.Error("not the least busy connection")
		}
		b.want(map[Stat]uint64{CxActive: 2, CxTotal: 2, RqActive: 2})
		if e := b.endpoint("a:1").status(1); e.Active != 2 || e.Open != 2 || e.Idle != 0 || e.Connects != 2 {
			t.Errorf("%+v", e)
		}
	})
}

// Where no more connections may be made, those who wait are served as streams become free, in
// their order, and leave when they want to.
func TestSharedLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := shareBench(t, nil, streams(2, 1), "a:1")
		defer b.hangUp()
		one, two := b.share("a:1"), b.share("a:1")
		first, second, third, fourth := make(chan sharedOutcome, 1), make(chan sharedOutcome, 1), make(chan sharedOutcome, 1), make(chan sharedOutcome, 1)
		b.waitShare("a:1", 0, nil, first)
		leaving := &leaver{}
		b.waitShare("a:1", 0, leaving, second)
		b.waitShare("a:1", time.Second, nil, third)
		b.waitShare("a:1", 0, nil, fourth)
		b.want(map[Stat]uint64{CxActive: 1, CxOverflow: 4, RqPendingActive: 4})
		leaving.leave()
		if o := <-second; o.err != errGone {
			t.Errorf("%+v", o)
		}
		if o := <-third; !errors.Is(o.err, os.ErrDeadlineExceeded) {
			t.Errorf("%+v", o)
		}
		b.over("a:1", one)
		o := <-first
		if o.err != nil || len(fourth) != 0 {
			t.Fatalf("%+v", o)
		}
		// A connection that ends leaves room for another.
		conn := two.Conn()
		b.mu.Lock()
		b.peers[0].Close()
		b.mu.Unlock()
		p := <-fourth
		if p.err != nil || p.stream.Conn() == conn {
			t.Errorf("%+v", p)
		}
		b.over("a:1", two)
		b.over("a:1", o.stream)
		b.want(map[Stat]uint64{CxActive: 1, CxTotal: 2, RqPendingActive: 0, RqActive: 1})
	})
}

// Other endpoints' idle connections make room.
func TestSharedReclaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := shareBench(t, nil, streams(1, 2), "a:1", "b:1")
		defer b.hangUp()
		a1, a2 := b.share("a:1"), b.share("a:1")
		b.over("a:1", a1)
		b.over("a:1", a2)
		b1 := b.share("b:1")
		b2 := b.share("b:1")
		synctest.Wait()
		b.want(map[Stat]uint64{CxActive: 2, CxTotal: 4})
		b.over("b:1", b1)
		b.over("b:1", b2)
	})
}

// What it costs to wait does not grow with those who wait already: an endpoint that is slow to
// connect must not take the processor from the others.
func TestManyWaitForStreams(t *testing.T) {
	t.Parallel()
	const waiters = 2_000
	gate := make(chan struct{})
	b := shareBench(t, gate, nil, "a:1")
	e, c := b.endpoint("a:1"), b.c
	began := time.Now()
	var all sync.WaitGroup
	for range waiters {
		all.Go(func() {
			up, _, err := c.Acquire(e, &Need{}, false, 0, nil)
			if err != nil {
				t.Error(err)
				return
			}
			c.Release(e, up, Report{Status: 200})
		})
	}
	for c.Status().Stats[RqPendingActive] < waiters {
		runtime.Gosched()
	}
	close(gate)
	all.Wait()
	// Connections may be on their way for which there is no use any more.
	kinds := func() int {
		e.shared.mu.Lock()
		defer e.shared.mu.Unlock()
		return len(e.shared.kinds)
	}
	for kinds() > 0 && time.Since(began) < 10*time.Second {
		runtime.Gosched()
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("%d requests took %v", waiters, took)
	}
	b.hangUp()
}

// A failed dial is that of all who wait for it.
func TestSharedDialFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		b := shareBench(t, gate, nil, "a:1")
		defer b.hangUp()
		b.refuse["a:1"] = syscall.ECONNREFUSED
		got := make(chan sharedOutcome, 3)
		for range 3 {
			b.waitShare("a:1", 0, nil, got)
		}
		close(gate)
		for range 3 {
			if o := <-got; !errors.Is(o.err, syscall.ECONNREFUSED) {
				t.Errorf("%+v", o)
			}
		}
		b.want(map[Stat]uint64{CxActive: 0, CxConnectFail: 1, RqPendingActive: 0})
		if e := b.endpoint("a:1").status(1); e.Active != 0 || e.Open != 0 {
			t.Errorf("%+v", e)
		}
		delete(b.refuse, "a:1")
		b.over("a:1", b.share("a:1"))
	})
}

// A connection ends when it has served as many exchanges, has been idle, or is as old as may
// be.
func TestSharedLives(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*router.Cluster)
		stat   Stat
		after  time.Duration
	}{
		"requests": {func(c *router.Cluster) { c.Pool.MaxRequestsPerConnection = 2 }, CxMaxRequests, 0},
		"idle":     {func(c *router.Cluster) { c.Pool.IdleTimeout = 5 * time.Second }, CxIdleTimeout, 8 * time.Second},
		"age":      {func(c *router.Cluster) { c.Pool.MaxConnectionAge = 5 * time.Second }, CxMaxDuration, 8 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := shareBench(t, nil, test.change, "a:1")
				defer b.hangUp()
				one, two := b.share("a:1"), b.share("a:1")
				if one.Conn() != two.Conn() {
					t.Fatal("two connections")
				}
				if test.after == 0 {
					if three := b.share("a:1"); three.Conn() == one.Conn() {
						t.Error("a third exchange on it")
					} else {
						b.over("a:1", three)
					}
					b.want(map[Stat]uint64{CxActive: 2, CxMaxRequests: 1})
				}
				b.over("a:1", one)
				if name == "age" {
					time.Sleep(test.after)
					b.want(map[Stat]uint64{CxActive: 1})
				}
				b.over("a:1", two)
				time.Sleep(test.after)
				synctest.Wait()
				left := uint64(0)
				if name == "requests" {
					left = 1
				}
				b.want(map[Stat]uint64{CxActive: left, test.stat: 1})
			})
		})
	}
}

// Endpoints that leave the cluster let their exchanges end, and keep nothing; so do clusters
// that are made otherwise.
func TestSharedLeaves(t *testing.T) {
	t.Parallel()
	for name, update := range map[string]func(b *bench){
		"endpoint": func(b *bench) { b.update(sharing(nil), "b:1") },
		"protocol": func(b *bench) { b.update(nil, "a:1") },
		"close":    func(b *bench) { b.close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := shareBench(t, nil, nil, "a:1")
				defer b.hangUp()
				s := b.share("a:1")
				old, e := b.c, b.endpoint("a:1")
				update(b)
				time.Sleep(2 * time.Second)
				b.want(map[Stat]uint64{CxActive: 1, RqActive: 1})
				old.Release(e, s, Report{Status: 200})
				time.Sleep(2 * time.Second)
				b.want(map[Stat]uint64{CxActive: 0, RqActive: 0})
			})
		})
	}
}

func TestSharedBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := shareBench(t, nil, func(c *router.Cluster) { c.Pool.MaxRequests = 1 }, "a:1")
		defer b.hangUp()
		s := b.share("a:1")
		if _, _, err := b.c.Acquire(b.endpoint("a:1"), &Need{}, false, 0, nil); !errors.Is(err, ErrOverflow) {
			t.Errorf("a second: %v", err)
		}
		b.over("a:1", s)
		b.over("a:1", b.share("a:1"))
		b.want(map[Stat]uint64{RqActive: 0, RqPendingOverflow: 1, CxTotal: 1})
	})
}

// Where nothing is agreed on, endpoints that may know HTTP/2 are spoken to in HTTP/1.1, on
// connections of their own.
func TestSharedFallsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *router.Cluster) { c.Protocol = router.ProtocolAuto }, "a:1")
		defer b.hangUp()
		gate := make(chan struct{})
		b.m.dial = func(d *net.Dialer, ctx context.Context, network, address string) (net.Conn, error) {
			<-gate
			return b.dial(d, ctx, network, address)
		}
		got := make(chan outcome, 3)
		for range 3 {
			b.wait("", "a:1", 0, nil, got)
		}
		b.want(map[Stat]uint64{CxActive: 1, RqPendingActive: 3})
		close(gate)
		var conns []*http1.Conn
		for range 3 {
			o := <-got
			if o.err != nil || o.conn == nil {
				t.Fatalf("%+v", o)
			}
			conns = append(conns, o.conn)
		}
		b.want(map[Stat]uint64{CxActive: 3, CxTotal: 3, RqPendingActive: 0})
		for _, conn := range conns {
			b.done("a:1", conn)
		}
		if conn := b.acquire("a:1"); conn != conns[2] {
			t.Error("a kept connection is not used again")
		}
	})
}

// A client's protocol is its endpoint's, where policy says so.
func TestSharedAsClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := shareBench(t, nil, func(c *router.Cluster) { c.Protocol = router.ProtocolDownstream }, "a:1")
		defer b.hangUp()
		e := b.endpoint("a:1")
		one, _, err := b.c.Acquire(e, &Need{}, false, 0, nil)
		if _, ok := one.(*http1.Conn); !ok || err != nil {
			t.Errorf("%T, %v", one, err)
		}
		two, _, err := b.c.Acquire(e, &Need{HTTP2: true}, false, 0, nil)
		if _, ok := two.(*http2.ConnStream); !ok || err != nil {
			t.Errorf("%T, %v", two, err)
		}
		b.c.Release(e, one, Report{Reusable: true, Status: 200})
		b.c.Release(e, two, Report{Status: 200})
		if e := e.status(1); e.Idle != 2 || e.Open != 2 || e.Active != 0 {
			t.Errorf("%+v", e)
		}
	})
}

// Whatever happens at the same time, nothing is lost and no limit is passed.
func TestSharedConcurrency(t *testing.T) {
	t.Parallel()
	const limit, perConn, workers, rounds = 3, 4, 24, 150
	b := shareBench(t, nil, streams(perConn, limit), "a:1")
	var most, inUse atomic.Int64
	var wg sync.WaitGroup
	for i := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range rounds {
				within := time.Duration(0)
				if r.IntN(5) == 0 {
					within = time.Duration(1+r.IntN(50)) * time.Microsecond
				}
				e := b.endpoint("a:1")
				up, _, err := b.c.Acquire(e, &Need{}, false, within, nil)
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
				if r.IntN(50) == 0 {
					up.(*http2.ConnStream).Conn().Close()
				} else if r.IntN(50) == 0 {
					up.(*http2.ConnStream).Conn().Retire()
				}
				inUse.Add(-1)
				b.c.Release(e, up, Report{Status: 200})
			}
		}()
	}
	wg.Wait()
	if most.Load() > limit*perConn+perConn {
		t.Errorf("%d exchanges at once", most.Load())
	}
	b.want(map[Stat]uint64{RqActive: 0, RqPendingActive: 0})
	b.close()
	for end := time.Now().Add(20 * time.Second); b.c.Status().Stats[CxActive] != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are left", b.c.Status().Stats[CxActive])
		}
	}
}

// Room that comes at the very moment in which somebody finds none is not overlooked.
func TestSharedStarves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := shareBench(t, nil, streams(1, 1), "a:1")
		defer b.hangUp()
		b.refuse["a:1"] = syscall.ECONNREFUSED
		e, s := b.endpoint("a:1"), b.c.state
		id := b.c.terms.identity(&Need{}, new(identity)).keep()
		for round := range 50_000 {
			w := &streamWaiter{id: id, grant: make(chan streamGrant, 1)}
			e.shared.join(w)
			s.reserve(e)
			go b.c.expand(e, false)
			go func() {
				s.unreserve(e)
				s.freed(e, 1)
			}()
			synctest.Wait()
			if len(w.grant) == 0 {
				t.Fatalf("round %d: nobody dials for the one that waits", round)
			}
		}
	})
}

// A protocol is switched on connections of HTTP/1.1, where an endpoint is free to choose.
func TestSharedUpgrade(t *testing.T) {
	t.Parallel()
	for protocol, want := range map[router.Protocol]string{router.ProtocolAuto: "http/1.1", router.ProtocolHTTP2: "h2", router.ProtocolHTTP1: "http/1.1"} {
		b := newBench(t, func(c *router.Cluster) { c.Protocol = protocol }, "a:1")
		id := b.c.terms.identity(&Need{Upgrade: true}, new(identity))
		if got := id.protocols(); got[0] != want || id.shares() != (want == "h2") {
			t.Errorf("%v: %q, shares %v", protocol, got, id.shares())
		}
	}
}
