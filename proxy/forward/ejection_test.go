package forward_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// patient is an origin that answers 503 while it is ill, and counts its requests.
type patient struct {
	*origin
	ill      atomic.Bool
	requests atomic.Int64
}

func startPatient(t *testing.T) *patient {
	p := &patient{}
	p.origin = startOrigin(t, func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			p.requests.Add(1)
			answer := okResponse
			if p.ill.Load() {
				answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nill"
			}
			if c.send(answer) != nil {
				return
			}
		}
	})
	return p
}

// An endpoint that fails is left alone for a while, and gets its share again when it is well.
func TestEjectionAndReturn(t *testing.T) {
	t.Parallel()
	a, b := startPatient(t), startPatient(t)
	// ejecting is a spec by which an ejection lasts that long.
	ejecting := func(base time.Duration) *router.Spec {
		spec := toOrigin(a.addr, b.addr)
		spec.Clusters[0].Outlier = &router.Outlier{
			Consecutive5xx: 3, Interval: 20 * time.Millisecond, BaseEjection: base, MaxEjectionPercent: 100,
		}
		return spec
	}
	g := start(t, ejecting(time.Hour))
	c := dial(t, g)
	a.ill.Store(true)
	failed := 0
	for range 40 {
		if c.get("/").StatusCode == 503 {
			failed++
		}
	}
	if failed != 3 || a.requests.Load() != 3 {
		t.Errorf("%d answers 503, %d requests to the failing endpoint, want 3", failed, a.requests.Load())
	}
	status := g.engine.Clusters()[0]
	if s := status.Stats; s[upstream.EjectionsActive] != 1 || s[upstream.Ejections5xx] != 1 || s[upstream.MembershipHealthy] != 1 ||
		status.Endpoints[0].Healthy || status.Endpoints[0].Ejections != 1 || !status.Endpoints[1].Healthy {
		t.Errorf("status %+v", status)
	}

	// With the other one out too there is nobody left.
	b.ill.Store(true)
	for range 3 {
		c.get("/")
	}
	if answer := c.get("/"); answer.StatusCode != 503 || answer.body != "no healthy upstream\n" {
		t.Errorf("answer %d %q", answer.StatusCode, answer.body)
	}
	if r := g.completed(44); r.flags != "UH" {
		t.Errorf("flags %s", r.flags)
	}

	a.ill.Store(false)
	b.ill.Store(false)
	g.engine.Publish(build(t, ejecting(500*time.Millisecond)))
	eventually(t, patience, "both are let in", func() bool { return g.stats()[upstream.EjectionsActive] == 0 })
	seen := a.requests.Load()
	for range 20 {
		if answer := c.get("/"); answer.StatusCode != 200 {
			t.Fatalf("answer %d", answer.StatusCode)
		}
	}
	if got := a.requests.Load() - seen; got != 10 {
		t.Errorf("%d of 20 requests went to the endpoint that is back, want 10", got)
	}
}

// Connections that break without a response eject too.
func TestBrokenConnectionsEject(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, answering(okResponse))
	nobody := startOrigin(t, func(*originConn) {})
	spec := toOrigin(nobody.addr, o.addr)
	spec.Clusters[0].Outlier = &router.Outlier{
		ConsecutiveLocal: 2, SplitLocal: true, BaseEjection: time.Minute, MaxEjectionPercent: 50,
	}
	g := start(t, spec)
	c := dial(t, g)
	failed := 0
	for range 20 {
		if c.get("/").StatusCode != 200 {
			failed++
		}
	}
	if s := g.stats(); s[upstream.EjectionsLocal] != 1 || failed != 2 {
		t.Errorf("%d ejections, %d failures; want 1 and 2", s[upstream.EjectionsLocal], failed)
	}
}
