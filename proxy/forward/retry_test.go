package forward_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// retrying is a spec whose every request goes to the addresses, with a retry policy. Pauses
// are short.
func retrying(p router.Retry, addresses ...string) *router.Spec {
	spec := toOrigin(addresses...)
	if p.Backoff == 0 {
		p.Backoff = time.Millisecond
	}
	thePolicy(spec).Retry = &p
	return spec
}

func thePolicy(spec *router.Spec) *router.RoutePolicy {
	r := theRoute(spec)
	if r.Policy == nil {
		r.Policy = &router.RoutePolicy{}
	}
	return r.Policy
}

// copyOf returns a route that can be changed without the other.
func copyOf(r *router.Route) *router.Route {
	action := *r.RouteAction
	return &router.Route{Object: r.Object, Field: r.Field, Match: r.Match, RouteAction: &action}
}

func theRoute(spec *router.Spec) *router.Route {
	return spec.Listeners[0].Tables[0].VirtualHosts[0].Routes[0]
}

// inTurn is an origin that answers its nth request, over all connections, with the nth of
// responses, and then with the last.
func inTurn(t *testing.T, responses ...string) (o *origin, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	o = startOrigin(t, func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			n := min(int(requests.Add(1)), len(responses))
			if responses[n-1] == "" || c.send(responses[n-1]) != nil {
				return
			}
		}
	})
	return o, requests
}

func status(code int, headers ...string) string {
	return fmt.Sprintf("HTTP/1.1 %d Status\r\ncontent-length: 4\r\n%s\r\nbody", code, lines(headers))
}

// Each condition retries what it names, and nothing else.
func TestRetryConditions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy   router.Retry
		first    string
		attempts int
	}{
		"5xx on 500":                   {router.Retry{On: router.Retry5xx}, status(500), 2},
		"5xx on 404":                   {router.Retry{On: router.Retry5xx}, status(404), 1},
		"5xx on a closed connection":   {router.Retry{On: router.Retry5xx}, "", 2},
		"5xx on garbage":               {router.Retry{On: router.Retry5xx}, "garbage\r\n\r\n", 2},
		"gateway-error on 502":         {router.Retry{On: router.RetryGatewayError}, status(502), 2},
		"gateway-error on 504":         {router.Retry{On: router.RetryGatewayError}, status(504), 2},
		"gateway-error on 500":         {router.Retry{On: router.RetryGatewayError}, status(500), 1},
		"reset on a closed connection": {router.Retry{On: router.RetryReset}, "", 2},
		"reset on 503":                 {router.Retry{On: router.RetryReset}, status(503), 1},
		"retriable-4xx on 409":         {router.Retry{On: router.RetryRetriable4xx}, status(409), 2},
		"retriable-4xx on 404":         {router.Retry{On: router.RetryRetriable4xx}, status(404), 1},
		"503 on 503":                   {router.Retry{On: router.RetryStatusCodes, StatusCodes: []int{418, 503}}, status(503), 2},
		"503 on 502":                   {router.Retry{On: router.RetryStatusCodes, StatusCodes: []int{418, 503}}, status(502), 1},
		"503 on a closed connection":   {router.Retry{On: router.RetryStatusCodes, StatusCodes: []int{503}}, "", 1},
		"envoy-ratelimited":            {router.Retry{On: router.RetryEnvoyRateLimited}, status(429, "x-envoy-ratelimited: true"), 2},
		"unavailable":                  {router.Retry{On: router.RetryUnavailable}, status(200, "grpc-status: 14"), 2},
		"cancelled on unavailable":     {router.Retry{On: router.RetryCancelled}, status(200, "grpc-status: 14"), 1},
		"connect-failure on 503":       {router.Retry{On: router.RetryConnectFailure}, status(503), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, requests := inTurn(t, test.first, okResponse)
			test.policy.Attempts = 2
			g := start(t, retrying(test.policy, o.addr))
			a := dial(t, g).get("/")
			rec := g.completed(1)
			if rec.attempts != test.attempts || requests.Load() != int64(test.attempts) {
				t.Errorf("%d attempts, the upstream saw %d, want %d (%+v)", rec.attempts, requests.Load(), test.attempts, rec)
			}
			if test.attempts == 2 && (a.body != "ok" || rec.flags != "-") {
				t.Errorf("answer %d %q, flags %s", a.StatusCode, a.body, rec.flags)
			}
		})
	}
}

// When the retries are used up, the last response is the client's, with flag URX.
func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	o, requests := inTurn(t, status(503))
	g := start(t, retrying(router.Retry{On: router.Retry5xx, Attempts: 3}, o.addr))
	a := dial(t, g).get("/")
	rec := g.completed(1)
	if a.StatusCode != 503 || a.body != "body" || requests.Load() != 4 || rec.attempts != 4 || rec.flags != "URX" || rec.details != "via_upstream" {
		t.Errorf("answer %d %q after %d requests, record %+v", a.StatusCode, a.body, requests.Load(), rec)
	}
	if o.conns.Load() != 1 {
		t.Errorf("%d connections, want the refused responses' one to be used again", o.conns.Load())
	}
}

// The upstream is told which attempt it sees, and another endpoint is preferred.
func TestRetryElsewhere(t *testing.T) {
	t.Parallel()
	bad, _ := inTurn(t, status(500))
	counts := make(chan string, 100)
	good := startOrigin(t, func(c *originConn) {
		for {
			r, _, err := c.request()
			if err != nil {
				return
			}
			counts <- r.Header.Get("X-Envoy-Attempt-Count")
			c.send(okResponse)
		}
	})
	g := start(t, retrying(router.Retry{On: router.Retry5xx, Attempts: 1, AvoidPrevious: true}, bad.addr, good.addr))
	c := dial(t, g)
	second := 0
	for range 20 {
		if a := c.get("/"); a.StatusCode != 200 {
			t.Fatalf("answer %d", a.StatusCode)
		}
		if <-counts == "2" {
			second++
		}
	}
	if second != 20 {
		t.Errorf("%d of 20 requests came as a second attempt, want all: each starts at the bad endpoint, in turn", second)
	}
}

// A try that takes too long is given up for another; the route's timeout ends them all.
func TestPerTryTimeout(t *testing.T) {
	t.Parallel()
	var slow atomic.Int64
	slow.Store(1)
	o := startOrigin(t, func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			if slow.Add(-1) >= 0 {
				c.br.ReadByte() // until the proxy gives up
				return
			}
			c.send(okResponse)
		}
	})
	// A machine that stands still makes any try a slow one.
	policy := router.Retry{On: router.Retry5xx, Attempts: 1000, PerTry: 500 * time.Millisecond}
	t.Run("one slow try", func(t *testing.T) {
		g := start(t, retrying(policy, o.addr))
		if a := dial(t, g).get("/"); a.body != "ok" {
			t.Errorf("answer %d %q", a.StatusCode, a.body)
		}
		if rec := g.completed(1); rec.attempts < 2 || rec.flags != "-" {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("all slow", func(t *testing.T) {
		slow.Store(1 << 30)
		spec := retrying(policy, o.addr)
		thePolicy(spec).Timeout = 4200 * time.Millisecond
		g := start(t, spec)
		if a := dial(t, g).get("/"); a.StatusCode != 504 {
			t.Errorf("answer %d, want 504", a.StatusCode)
		}
		if rec := g.completed(1); !strings.HasPrefix(rec.flags, "UT") || rec.attempts < 2 || rec.attempts > 9 {
			t.Errorf("record %+v", rec)
		}
	})
}

// A body is sent again as long as it was kept; a larger one is not retried.
func TestRetriedBodies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		size     int
		chunked  bool
		attempts int
	}{
		"none":                {0, false, 2},
		"small":               {1000, false, 2},
		"chunked":             {1000, true, 2},
		"streamed":            {50 << 10, false, 2},
		"streamed in chunks":  {50 << 10, true, 2},
		"too large":           {300 << 10, false, 1},
		"too large in chunks": {300 << 10, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := strings.Repeat("0123456789", test.size/10)
			var n atomic.Int64
			got := make(chan string, 10)
			o := startOrigin(t, func(c *originConn) {
				for {
					_, b, err := c.request()
					if err != nil {
						return
					}
					got <- string(b)
					if n.Add(1) == 1 {
						c.send(status(503))
						continue
					}
					c.send(okResponse)
				}
			})
			g := start(t, retrying(router.Retry{On: router.RetryStatusCodes, StatusCodes: []int{503}, Attempts: 1}, o.addr))
			c := dial(t, g)
			if test.chunked {
				c.send("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n")
				for rest := body; rest != ""; {
					piece := rest[:min(len(rest), 10000)]
					rest = rest[len(piece):]
					c.send(fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
				}
				c.send("0\r\n\r\n")
			} else {
				c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n", len(body)))
				time.Sleep(10 * time.Millisecond) // so that a streamed body begins without the head
				c.send(body)
			}
			a := c.read("POST")
			if rec := g.completed(1); rec.attempts != test.attempts {
				t.Errorf("record %+v, want %d attempts", rec, test.attempts)
			}
			if want := map[int]int{1: 503, 2: 200}[test.attempts]; a.StatusCode != want {
				t.Errorf("answer %d, want %d", a.StatusCode, want)
			}
			for range test.attempts {
				if b := <-got; b != body {
					t.Errorf("the upstream got %d bytes, want %d", len(b), len(body))
				}
			}
			if !a.Close && c.get("/next").StatusCode != 200 {
				t.Errorf("the connection is of no more use")
			}
		})
	}
}

// A client that goes away ends the pause before a retry.
func TestRetryEndsWithItsClient(t *testing.T) {
	t.Parallel()
	o, requests := inTurn(t, status(503))
	g := start(t, retrying(router.Retry{On: router.Retry5xx, Attempts: 5, Backoff: time.Hour, MaxBackoff: time.Hour}, o.addr),
		func(s *setup) { s.engine.Random = func() uint64 { return 1<<63 - 1 } })
	c := dial(t, g)
	c.send(get())
	eventually(t, patience, "a first try", func() bool { return requests.Load() == 1 })
	c.Close()
	if rec := g.completed(1); rec.flags != "DC" || requests.Load() != 1 {
		t.Errorf("record %+v after %d requests", rec, requests.Load())
	}
}

// The caller's timeout counts only where callers are trusted. The endpoint does not hear of it.
func TestCallersTimeout(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	o := startOrigin(t, func(c *originConn) {
		head, _ := c.head()
		switch {
		case strings.HasPrefix(head, "GET /slow "):
			time.Sleep(300 * time.Millisecond)
		case strings.HasPrefix(head, "GET /never "):
			c.br.ReadByte() // until the proxy gives up
			return
		}
		seen <- head
		c.send(okResponse)
	})
	edge := start(t, toOrigin(o.addr))
	mesh := start(t, toOrigin(o.addr), func(s *setup) { s.engine.Mesh = true })
	for _, test := range []struct {
		name    string
		g       *gateway
		path    string
		timeout string
		status  int
	}{
		{"edge, too short", edge, "/slow", "50", 200},
		{"mesh, too short", mesh, "/never", "50", 504},
		{"mesh, long enough", mesh, "/", "60000", 200},
	} {
		if a := dial(t, test.g).get(test.path, "X-Envoy-Upstream-Rq-Timeout-Ms: "+test.timeout); a.StatusCode != test.status {
			t.Errorf("%s: answer %d, want %d", test.name, a.StatusCode, test.status)
			continue
		}
		if test.status != 200 {
			continue
		}
		if head := <-seen; strings.Contains(head, "x-envoy-upstream-rq-timeout-ms") {
			t.Errorf("%s: the upstream got %q", test.name, head)
		}
	}
}

// Faults strike the share of requests that they are meant for, delay first.
func TestFaults(t *testing.T) {
	t.Parallel()
	o, requests := inTurn(t, okResponse)
	spec := toOrigin(o.addr)
	fault := router.Fault{
		Delay: 30 * time.Millisecond, DelayFraction: router.AllTraffic / 2,
		AbortStatus: 418, AbortFraction: router.AllTraffic / 4,
	}
	thePolicy(spec).Fault = &fault
	endless := fault
	endless.Delay = time.Hour
	var n atomic.Uint64
	g := start(t, spec, func(s *setup) { s.engine.Random = func() uint64 { return n.Load() } })
	c := dial(t, g)
	for i, test := range []struct {
		random uint64
		status int
		flags  string
	}{{0, 418, "DI,FI"}, {249_999, 418, "DI,FI"}, {250_000, 200, "DI"}, {499_999, 200, "DI"}, {500_000, 200, "-"}, {999_999, 200, "-"}} {
		n.Store(test.random)
		delayed := strings.HasPrefix(test.flags, "DI")
		if !delayed {
			// Were it delayed, it would not be answered.
			again := toOrigin(o.addr)
			thePolicy(again).Fault = &endless
			g.engine.Publish(build(t, again))
		}
		began := time.Now()
		a := c.get("/")
		rec := g.completed(i + 1)
		if a.StatusCode != test.status || rec.flags != test.flags {
			t.Errorf("random %d: answer %d, flags %s, want %d, %s", test.random, a.StatusCode, rec.flags, test.status, test.flags)
		}
		if test.status == 418 && rec.details != "fault_filter_abort" {
			t.Errorf("details %s", rec.details)
		}
		if took := time.Since(began); delayed && took < fault.Delay {
			t.Errorf("random %d: took %v", test.random, took)
		}
	}
	if requests.Load() != 4 {
		t.Errorf("the upstream got %d requests, want 4", requests.Load())
	}
}

// A delay ends with its client.
func TestDelayEndsWithItsClient(t *testing.T) {
	t.Parallel()
	o, _ := inTurn(t, okResponse)
	spec := toOrigin(o.addr)
	thePolicy(spec).Fault = &router.Fault{Delay: time.Hour, DelayFraction: router.AllTraffic}
	asked := make(chan bool, 100)
	g := start(t, spec, func(s *setup) { s.engine.Random = func() uint64 { asked <- true; return 0 } })
	c := dial(t, g)
	c.send(get())
	<-asked // whether to delay it
	c.Close()
	if rec := g.completed(1); rec.flags != "DC,DI" || rec.status != 0 {
		t.Errorf("record %+v", rec)
	}
}
