package forward_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// A client that asks too often is answered 503, and others are not; a new table changes
// nothing of what was counted.
func TestLimits(t *testing.T) {
	t.Parallel()
	o, requests := inTurn(t, okResponse)
	spec := toOrigin(o.addr)
	theRoute(spec).Limits = []router.LocalLimit{{Name: "a", Requests: 1, Period: time.Hour, Burst: 2}}
	g := start(t, spec, func(s *setup) { s.engine.TrustedHops = 1 })
	c := dial(t, g)
	for n := 1; n <= 4; n++ {
		want := 200
		if n > 3 {
			want = 503
		}
		a := c.get("/", "X-Forwarded-For: 192.0.2.1")
		if a.StatusCode != want || (a.Header.Get("X-Envoy-Ratelimited") == "true") != (want == 503) {
			t.Errorf("request %d: %d %v, want %d", n, a.StatusCode, a.Header, want)
		}
	}
	if r := g.completed(4); r.flags != "RL" || r.details != "local_rate_limited" {
		t.Errorf("flags %q, details %q", r.flags, r.details)
	}
	if a := c.get("/", "X-Forwarded-For: 192.0.2.2"); a.StatusCode != 200 {
		t.Errorf("another client: %d", a.StatusCode)
	}
	again := toOrigin(o.addr)
	theRoute(again).Limits = []router.LocalLimit{{Name: "a", Requests: 1, Period: time.Hour, Burst: 3}}
	g.engine.Publish(build(t, again))
	for n, want := range []int{200, 503} {
		if a := c.get("/", "X-Forwarded-For: 192.0.2.1"); a.StatusCode != want {
			t.Errorf("by the new table, request %d: %d, want %d", n, a.StatusCode, want)
		}
	}
	if n := requests.Load(); n != 5 {
		t.Errorf("%d requests were forwarded, want 5", n)
	}
}

// As many requests of a client as the limit says are in progress, on whatever connections.
func TestLimitOfConcurrentRequests(t *testing.T) {
	t.Parallel()
	arrived, letGo := make(chan struct{}, 10), make(chan struct{})
	o := startOrigin(t, func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			arrived <- struct{}{}
			<-letGo
			c.send(okResponse)
		}
	})
	spec := toOrigin(o.addr)
	theRoute(spec).Limits = []router.LocalLimit{{Name: "a", Concurrent: 2, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	g := start(t, spec)
	one, two, three := dial(t, g), dial(t, g), dial(t, g)
	one.send(req("GET / HTTP/1.1", "Host: a.example"))
	two.send(req("GET / HTTP/1.1", "Host: a.example"))
	<-arrived
	<-arrived
	if a := three.get("/"); a.StatusCode != 503 {
		t.Errorf("a third request: %d", a.StatusCode)
	}
	close(letGo)
	for _, c := range []*client{one, two} {
		if a := c.read("GET"); a.StatusCode != 200 {
			t.Errorf("answer %d", a.StatusCode)
		}
	}
	g.completed(3)
	if a := three.get("/"); a.StatusCode != 200 {
		t.Errorf("once the others have ended: %d", a.StatusCode)
	}
}
