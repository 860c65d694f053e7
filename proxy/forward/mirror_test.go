package forward_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/filter"
	"github.com/sluicegate/sluice/router"
)

// mirrored is a spec whose requests go to main, with copies of a share to mirror.
func mirrored(main, mirror string, share router.Fraction) *router.Spec {
	spec := toOrigin(main)
	spec.Clusters = append(spec.Clusters, &router.Cluster{Name: "mirror", Endpoints: []*router.Endpoint{{Address: mirror}}})
	thePolicy(spec).Mirrors = []router.Mirror{{Cluster: "mirror", Fraction: share}}
	return spec
}

type seenRequest struct {
	*http.Request
	body string
}

// recording is an origin that tells what it gets.
func recording(t *testing.T, response string) (o *origin, seen chan seenRequest) {
	seen = make(chan seenRequest, 100)
	o = startOrigin(t, func(c *originConn) {
		for {
			r, body, err := c.request()
			if err != nil {
				return
			}
			seen <- seenRequest{r, string(body)}
			if c.send(response) != nil {
				return
			}
		}
	})
	return o, seen
}

func (g *gateway) mirrors() (s filter.MirrorStatus) {
	if all := g.engine.Mirrors(); len(all) > 0 {
		s = all[0]
	}
	return s
}

// A copy is what the upstream gets, body and rewrite included; its response goes nowhere.
func TestMirror(t *testing.T) {
	t.Parallel()
	main, got := recording(t, okResponse)
	mirror, copies := recording(t, status(500))
	spec := mirrored(main.addr, mirror.addr, router.AllTraffic)
	theRoute(spec).Rewrite = &router.Rewrite{Path: "/new", Authority: "b.example"}
	thePolicy(spec).Headers.Request.Set = []router.Header{{Name: "x-set", Value: "1"}}
	g := start(t, spec)
	c := dial(t, g)
	long := strings.Repeat("0123456789", 5000)
	for name, send := range map[string]string{
		"":      get(),
		"hello": post("hello", "Content-Length: 5"),
		"chunk": post("5\r\nchunk\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
		long:    post(long, fmt.Sprint("Content-Length: ", len(long))),
	} {
		at := strings.Index(send, "\r\n\r\n") + 4
		c.send(send[:at])
		if len(name) > 1000 {
			time.Sleep(10 * time.Millisecond) // so that the body streams
		}
		c.send(send[at:])
		if a := c.read("GET"); a.body != "ok" {
			t.Fatalf("answer %d %q", a.StatusCode, a.body)
		}
		first, second := <-got, <-copies
		if second.body != name || second.Method != first.Method || second.RequestURI != "/new" || second.Host != "b.example" {
			t.Errorf("the mirror got %s %s of %s with %d bytes", second.Method, second.RequestURI, second.Host, len(second.body))
		}
		for _, h := range []string{"X-Request-Id", "X-Set", "X-Forwarded-For", "X-Envoy-Original-Path"} {
			if first.Header.Get(h) == "" || first.Header.Get(h) != second.Header.Get(h) {
				t.Errorf("%s: %q and %q", h, first.Header.Get(h), second.Header.Get(h))
			}
		}
	}
	eventually(t, patience, "the mirror's answers to be counted", func() bool {
		return g.mirrors().Total == 4 && g.mirrors().Failed == 4
	})
}

// A share of the requests is copied; a body beyond the bound is not.
func TestMirrorBounds(t *testing.T) {
	t.Parallel()
	main := startOrigin(t, answering(okResponse))
	mirror := startOrigin(t, answering(okResponse))
	t.Run("share", func(t *testing.T) {
		var random atomic.Uint64
		g := start(t, mirrored(main.addr, mirror.addr, 1), func(s *setup) {
			s.engine.Random = random.Load
		})
		c := dial(t, g)
		c.get("/")
		eventually(t, patience, "one copy", func() bool { return g.mirrors().Success == 1 })
		random.Store(1)
		c.get("/")
		if n := g.mirrors().Total; n != 1 {
			t.Errorf("%d copies, want 1", n)
		}
	})
	t.Run("large body", func(t *testing.T) {
		g := start(t, mirrored(main.addr, mirror.addr, router.AllTraffic))
		body := strings.Repeat("x", 2<<20)
		c := dial(t, g)
		c.send(post(body, fmt.Sprint("Content-Length: ", len(body))))
		if a := c.read("POST"); a.body != "ok" {
			t.Errorf("answer %d", a.StatusCode)
		}
		g.completed(1)
		if total, dropped := g.mirrors().Total, g.mirrors().Dropped[filter.DropBody]; total != 1 || dropped != 1 {
			t.Errorf("%d copies, %d dropped, want 1, 1", total, dropped)
		}
	})
}

// A mirror that is dead, or never answers, costs the request nothing.
func TestMirrorCostsNothing(t *testing.T) {
	t.Parallel()
	main := startOrigin(t, answering(okResponse))
	stuck := startOrigin(t, func(c *originConn) { c.br.Peek(1 << 20) })
	p99 := func(spec *router.Spec) time.Duration {
		c := dial(t, start(t, spec, func(s *setup) { s.quiet = true }))
		c.SetDeadline(time.Now().Add(4 * patience))
		var took []time.Duration
		for range 2000 {
			began := time.Now()
			if a := c.get("/"); a.StatusCode != 200 {
				t.Fatalf("answer %d", a.StatusCode)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	without := p99(toOrigin(main.addr))
	dead := p99(mirrored(main.addr, "127.0.0.1:1", router.AllTraffic))
	slow := p99(mirrored(main.addr, stuck.addr, router.AllTraffic))
	t.Logf("p99 without a mirror %v, with a dead one %v, with one that never answers %v", without, dead, slow)
	// The copies cost processor time, of which a test machine has little; they must not
	// cost waiting, which would be seconds.
	if limit := max(20*without, time.Second); dead > limit || slow > limit {
		t.Errorf("p99 without a mirror %v, with a dead one %v, with one that never answers %v", without, dead, slow)
	}
}
