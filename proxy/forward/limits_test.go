package forward_test

import (
	"io"
	"net/netip"
	"strings"
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
	thePolicy(spec).Limits = []router.LocalLimit{{Name: "a", Requests: 1, Period: time.Hour, Burst: 2}}
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
	thePolicy(again).Limits = []router.LocalLimit{{Name: "a", Requests: 1, Period: time.Hour, Burst: 3}}
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
	thePolicy(spec).Limits = []router.LocalLimit{{Name: "a", Concurrent: 2, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
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

// stalling answers each request at once, but those for /slow when the test ends, or after a
// while; an upgrade is agreed to, and then nothing is said.
func stalling(t *testing.T, while time.Duration) *origin {
	t.Helper()
	end := make(chan struct{})
	o := startOrigin(t, func(c *originConn) {
		for {
			r, _, err := c.request()
			if err != nil {
				return
			}
			if r.URL.Path == "/slow" {
				select {
				case <-time.After(while):
				case <-end:
				}
			}
			if r.Header.Get("Upgrade") != "" {
				c.send(switching)
				continue
			}
			if c.send(okResponse) != nil {
				return
			}
		}
	})
	t.Cleanup(func() { close(end) }) // before the origin waits for its connections
	return o
}

// The idle timeout of a route goes before the listener's, be it shorter or longer.
func TestRouteIdleTimeout(t *testing.T) {
	t.Parallel()
	const short, long = 300 * time.Millisecond, time.Hour
	for name, test := range map[string]struct {
		route, listener, takes time.Duration
		want                   int
	}{
		"a shorter one": {short, long, long, 504},
		"a longer one":  {long, short, 3 * short, 200},
		"none":          {0, short, long, 504},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := toOrigin(stalling(t, test.takes).addr)
			slow := copyOf(theRoute(spec))
			slow.Match.Path = router.StringMatch{Kind: router.MatchExact, Value: "/slow"}
			slow.Policy = &router.RoutePolicy{IdleTimeout: test.route}
			thePolicy(spec).IdleTimeout = long // of the first request, which has time
			routes := &spec.Listeners[0].Tables[0].VirtualHosts[0].Routes
			*routes = append([]*router.Route{slow}, *routes...)
			g := start(t, spec, func(s *setup) { s.server.Timeouts.Stream = test.listener })
			c := dial(t, g)
			if a := c.get("/"); a.StatusCode != 200 {
				t.Fatalf("answer %d", a.StatusCode)
			}
			if a := c.get("/slow"); a.StatusCode != test.want {
				t.Errorf("answer %d, want %d", a.StatusCode, test.want)
			}
			if r := g.completed(2); test.want == 504 && (r.flags != "SI" || r.details != "stream_idle_timeout") {
				t.Errorf("flags %q, details %q", r.flags, r.details)
			}
		})
	}
}

// It does so with HTTP/2.
func TestRouteIdleTimeoutOfHTTP2(t *testing.T) {
	t.Parallel()
	spec := toOrigin(stalling(t, time.Hour).addr)
	thePolicy(spec).IdleTimeout = 300 * time.Millisecond
	g, client := bothWays(t, spec)
	r, err := client.Get("http://" + g.addr + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != 504 || r.ProtoMajor != 2 {
		t.Errorf("answer %d of %s, want 504", r.StatusCode, r.Proto)
	}
}

// And with what is no HTTP any more.
func TestRouteIdleTimeoutOfTunnels(t *testing.T) {
	t.Parallel()
	spec := toOrigin(stalling(t, time.Hour).addr)
	thePolicy(spec).IdleTimeout = 4 * time.Second // also for the answer
	g := start(t, spec)
	c := dial(t, g)
	c.send(req("GET /ws HTTP/1.1", "Host: a.example", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
	if head, err := readHead(c.br); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("%q, %v", head, err)
	}
	if rest, err := io.ReadAll(c.br); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v: want the end", rest, err)
	}
	if r := g.completed(1); r.status != 101 {
		t.Errorf("status %d", r.status)
	}
}
