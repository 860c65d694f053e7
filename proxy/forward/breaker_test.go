package forward_test

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// withPool is a spec whose every request goes to the addresses, under a pool's limits.
func withPool(pool router.Pool, addresses ...string) *router.Spec {
	spec := toOrigin(addresses...)
	spec.Clusters[0].Pool = pool
	return spec
}

// stats returns the numbers of the only cluster.
func (g *gateway) stats() upstream.Stats { return g.engine.Clusters()[0].Stats }

// slow is an origin that takes its time for each answer.
func slow(d time.Duration) func(*originConn) {
	return func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			time.Sleep(d)
			if c.send(okResponse) != nil {
				return
			}
		}
	}
}

// callers has n clients send requests one after the other, each until more tells that it is
// enough, and counts the answers.
func callers(t *testing.T, g *gateway, n int, more func(sent int) bool) (good, overflown int) {
	t.Helper()
	var ok, over atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := dial(t, g)
			c.SetDeadline(time.Now().Add(4 * patience))
			for sent := 0; more(sent); sent++ {
				if _, err := io.WriteString(c, get()); err != nil {
					t.Error(err)
					return
				}
				a, err := tryRead(c)
				switch {
				case err != nil:
					t.Error(err)
					return
				case a.StatusCode == 200:
					ok.Add(1)
				case a.StatusCode == 503 && a.Header.Get("x-envoy-overloaded") == "true":
					over.Add(1)
				default:
					t.Errorf("answer %d %v", a.StatusCode, a.Header)
					return
				}
			}
		}()
	}
	wg.Wait()
	return int(ok.Load()), int(over.Load())
}

// One connection, one request that waits for it, no keep-alive: a caller that is alone gets
// every answer; others who come at the same time see the breaker.
func TestClassicBreaker(t *testing.T) {
	t.Parallel()
	pool := router.Pool{MaxConnections: 1, MaxPending: 1, MaxRequestsPerConnection: 1}
	for n := 1; n <= 3; n++ {
		t.Run(string(rune('0'+n)), func(t *testing.T) {
			o := startOrigin(t, slow(time.Millisecond))
			g := start(t, withPool(pool, o.addr))
			until := time.Now().Add(2 * patience)
			good, over := callers(t, g, n, func(sent int) bool {
				// Several callers meet sooner or later: two of them in the moment in which
				// one connects, three when all are there.
				return sent < 50 || n > 1 && g.stats()[upstream.RqPendingOverflow] == 0 && time.Now().Before(until)
			})
			t.Logf("%d answers 200, %d answers 503", good, over)
			switch {
			case n == 1 && (good != 50 || over != 0):
				t.Errorf("one caller: %d good, %d overflown", good, over)
			case n > 1 && (good == 0 || over == 0):
				t.Errorf("%d callers: %d good, %d overflown, want some of both", n, good, over)
			}
			g.completed(good + over)
			s := g.stats()
			for stat, want := range map[upstream.Stat]int{
				upstream.RqPendingOverflow: over, upstream.RqTotal: good, upstream.CxTotal: good, upstream.CxMaxRequests: good,
				upstream.RqActive: 0, upstream.RqPendingActive: 0, upstream.CxActive: 0,
			} {
				if s[stat] != uint64(want) {
					t.Errorf("%s is %d, want %d", stat, s[stat], want)
				}
			}
			if conns := int(o.conns.Load()); conns != good {
				t.Errorf("the upstream saw %d connections, want %d", conns, good)
			}
			flagged := 0
			for i := range good + over {
				if r := g.completed(i + 1); r.flags == "UO" && r.status == 503 && r.details == "upstream_reset_before_response_started{overflow}" {
					flagged++
				} else if r.status != 200 || r.flags != "-" {
					t.Errorf("record %+v", r)
				}
			}
			if flagged != over {
				t.Errorf("%d records with UO, want %d", flagged, over)
			}
		})
	}
}

// Connections are bounded while requests wait for them, and all are answered.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	o := startOrigin(t, func(c *originConn) {
		for n := now.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		defer now.Add(-1)
		slow(time.Millisecond)(c)
	})
	g := start(t, withPool(router.Pool{MaxConnections: 3}, o.addr), func(s *setup) { s.quiet = true })
	good, over := callers(t, g, 24, func(sent int) bool { return sent < 20 })
	if good != 480 || over != 0 {
		t.Errorf("%d good, %d overflown", good, over)
	}
	if most.Load() != 3 {
		t.Errorf("%d connections at once, want 3", most.Load())
	}
	if s := g.stats(); s[upstream.CxTotal] != 3 || s[upstream.CxActive] != 3 || s[upstream.CxOverflow] == 0 || s[upstream.RqPendingActive] != 0 {
		t.Errorf("stats %v", s)
	}
}

// http2MaxRequests bounds requests of HTTP/1 as well, as in Envoy.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan bool, 2), make(chan bool)
	o := startOrigin(t, func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			arrived <- true
			<-answer
			c.send(okResponse)
		}
	})
	g := start(t, withPool(router.Pool{MaxRequests: 2}, o.addr))
	one, two, three := dial(t, g), dial(t, g), dial(t, g)
	one.send(get())
	two.send(get())
	<-arrived
	<-arrived
	for range 3 {
		if a := three.get("/"); a.StatusCode != 503 || a.Header.Get("X-Envoy-Overloaded") != "true" || !strings.Contains(a.body, "overflow") {
			t.Errorf("answer %d %q", a.StatusCode, a.body)
		}
	}
	close(answer)
	for _, c := range []*client{one, two} {
		if a := c.read("GET"); a.StatusCode != 200 {
			t.Errorf("answer %d", a.StatusCode)
		}
	}
	// An answer may be there before its request is over.
	idle := func() bool { return g.stats()[upstream.RqActive] == 0 }
	eventually(t, patience, "both are over", idle)
	if a := three.get("/"); a.StatusCode != 200 {
		t.Errorf("answer %d", a.StatusCode)
	}
	eventually(t, patience, "the third is over", idle)
	if n := g.stats()[upstream.RqPendingOverflow]; n != 3 {
		t.Errorf("%d overflown, want 3", n)
	}
}

// A client that leaves while its request waits for a connection leaves the queue with it, and
// a route's timeout ends the wait.
func TestWaitingForConnectionEnds(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan bool, 1), make(chan bool)
	o := startOrigin(t, func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			arrived <- true
			<-answer
			c.send(okResponse)
		}
	})
	spec := withPool(router.Pool{MaxConnections: 1}, o.addr)
	bounded := copyOf(theRoute(spec))
	bounded.Policy = &router.RoutePolicy{Timeout: 200 * time.Millisecond}
	bounded.Match.Path = router.StringMatch{Kind: router.MatchExact, Value: "/bounded"}
	vh := spec.Listeners[0].Tables[0].VirtualHosts[0]
	vh.Routes = append([]*router.Route{bounded}, vh.Routes...)
	g := start(t, spec)
	busy, gone := dial(t, g), dial(t, g)
	busy.send(get())
	<-arrived
	gone.send(get())
	eventually(t, patience, "a request waits", func() bool { return g.stats()[upstream.RqPendingActive] == 1 })
	gone.Close()
	eventually(t, patience, "its client has left", func() bool { return g.stats()[upstream.RqPendingActive] == 0 })
	if r := g.completed(1); r.flags != "DC" {
		t.Errorf("record %+v", r)
	}
	if a := dial(t, g).get("/bounded"); a.StatusCode != 504 {
		t.Errorf("answer %d", a.StatusCode)
	}
	if r := g.completed(2); r.flags != "UT" {
		t.Errorf("record %+v", r)
	}
	close(answer)
	if a := busy.read("GET"); a.StatusCode != 200 {
		t.Errorf("answer %d", a.StatusCode)
	}
	if s := g.stats(); s[upstream.CxTotal] != 1 {
		t.Errorf("%d connections, want 1", s[upstream.CxTotal])
	}
}

// A limit that is lifted lets in those who wait; nobody's connection is dropped for a lower
// one.
func TestLimitsChangeUnderWay(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan bool, 3), make(chan bool)
	o := startOrigin(t, func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			arrived <- true
			<-answer
			c.send(okResponse)
		}
	})
	g := start(t, withPool(router.Pool{MaxConnections: 1}, o.addr))
	clients := []*client{dial(t, g), dial(t, g), dial(t, g)}
	for _, c := range clients {
		c.send(get())
	}
	<-arrived
	eventually(t, patience, "two requests wait", func() bool { return g.stats()[upstream.RqPendingActive] == 2 })
	g.engine.Publish(build(t, withPool(router.Pool{}, o.addr)))
	<-arrived
	<-arrived
	g.engine.Publish(build(t, withPool(router.Pool{MaxConnections: 1}, o.addr)))
	close(answer)
	for _, c := range clients {
		if a := c.read("GET"); a.StatusCode != 200 {
			t.Errorf("answer %d", a.StatusCode)
		}
	}
	for i := range 3 {
		if a := clients[i].get("/"); a.StatusCode != 200 {
			t.Errorf("answer %d", a.StatusCode)
		}
	}
	if n := o.conns.Load(); n != 3 {
		t.Errorf("%d connections, want the 3 that there were", n)
	}
}

// connectTimeout bounds the wait for a connection that nobody answers, and the client's going
// ends it.
func TestConnectTimeoutAndAbort(t *testing.T) {
	t.Parallel()
	spec := toOrigin(fullListener(t))
	spec.Clusters[0].ConnectTimeout = 150 * time.Millisecond
	g := start(t, spec)
	began := time.Now()
	if a := dial(t, g).get("/"); a.StatusCode != 503 {
		t.Errorf("answer %d", a.StatusCode)
	}
	if took := time.Since(began); took < 450*time.Millisecond || took > patience {
		t.Errorf("took %v", took)
	}
	if r := g.completed(1); r.flags != "UF,URX" || r.attempts != 3 {
		t.Errorf("record %+v", r)
	}
	if s := g.stats(); s[upstream.CxConnectTimeout] != 3 || s[upstream.CxConnectFail] != 3 || s[upstream.CxActive] != 0 || s[upstream.RqRetry] != 2 {
		t.Errorf("stats %v", s)
	}
	spec = toOrigin(spec.Clusters[0].Endpoints[0].Address)
	g.engine.Publish(build(t, spec))
	c := dial(t, g)
	c.send(get())
	eventually(t, patience, "a connection is waited for", func() bool { return g.stats()[upstream.RqPendingActive] == 1 })
	c.Close()
	eventually(t, patience, "nobody waits any more", func() bool { return g.stats()[upstream.RqPendingActive] == 0 })
	if r := g.completed(2); r.flags != "DC" {
		t.Errorf("record %+v", r)
	}
	if s := g.stats(); s[upstream.CxConnectFail] != 3 {
		t.Errorf("%d failures to connect, want 3", s[upstream.CxConnectFail])
	}
}
