package forward_test

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// Who may come in is asked before anything else that a route does.
func TestSources(t *testing.T) {
	t.Parallel()
	ranges := func(list ...string) (out []netip.Prefix) {
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	for name, test := range map[string]struct {
		sources router.Sources
		headers []string
		hops    int
		want    int
	}{
		"allowed":            {sources: router.Sources{Allow: ranges("127.0.0.0/8")}, want: 200},
		"not among them":     {sources: router.Sources{Allow: ranges("10.0.0.0/8", "::1/128")}, want: 403},
		"denied":             {sources: router.Sources{Allow: ranges("127.0.0.0/8"), Deny: ranges("127.0.0.1/32")}, want: 403},
		"others are denied":  {sources: router.Sources{Deny: ranges("10.0.0.0/8")}, want: 200},
		"a claim":            {sources: router.Sources{Allow: ranges("10.0.0.0/8")}, headers: []string{"X-Forwarded-For: 10.0.0.1"}, want: 403},
		"a trusted word":     {sources: router.Sources{Allow: ranges("10.0.0.0/8")}, headers: []string{"X-Forwarded-For: 10.0.0.1"}, hops: 1, want: 200},
		"a trusted word, no": {sources: router.Sources{Allow: ranges("127.0.0.0/8")}, headers: []string{"X-Forwarded-For: 10.0.0.1"}, hops: 1, want: 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, requests := inTurn(t, okResponse)
			spec := toOrigin(o.addr)
			thePolicy(spec).Sources = &test.sources
			g := start(t, spec, func(s *setup) { s.engine.TrustedHops = test.hops })
			c := dial(t, g)
			if a := c.get("/", test.headers...); a.StatusCode != test.want {
				t.Errorf("answer %d, want %d", a.StatusCode, test.want)
			}
			if forwarded := requests.Load() == 1; forwarded != (test.want == 200) {
				t.Errorf("forwarded: %t", forwarded)
			}
			if r := g.completed(1); test.want == 403 && r.details != "source_not_allowed" {
				t.Errorf("details %q", r.details)
			}
		})
	}
}

// A redirect, or an answer of the route's own, is for those alone that may come in, too.
func TestSourcesOfAnswers(t *testing.T) {
	t.Parallel()
	sources := &router.Sources{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	c := dial(t, start(t, withRoutes(nil,
		&router.Route{Match: router.Match{Path: router.StringMatch{Kind: router.MatchExact, Value: "/a"}}, RouteAction: &router.RouteAction{Policy: &router.RoutePolicy{Sources: sources}, Direct: &router.DirectResponse{Status: 200, Body: []byte("secret")}}},
		&router.Route{RouteAction: &router.RouteAction{Policy: &router.RoutePolicy{Sources: sources}, Redirect: &router.Redirect{Status: 302, Path: "/secret"}}},
	)))
	for _, path := range []string{"/a", "/b"} {
		if a := c.get(path); a.StatusCode != 403 || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
	}
}

// A body larger than the route allows is refused: before any of it is read where its length
// is known, else once it is too long.
func TestMaxRequestBody(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	chunked := func(n int) string {
		var b strings.Builder
		for ; n > 0; n -= 10_000 {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", min(n, 10_000), strings.Repeat("x", min(n, 10_000)))
		}
		return b.String() + "0\r\n\r\n"
	}
	for name, test := range map[string]struct {
		head, body string
		want       int
	}{
		"as long as may be":   {fmt.Sprintf("Content-Length: %d", limit), strings.Repeat("x", limit), 200},
		"longer":              {fmt.Sprintf("Content-Length: %d", limit+1), "", 413},
		"much longer":         {"Content-Length: 99999999999", "", 413},
		"chunks as may be":    {"Transfer-Encoding: chunked", chunked(limit), 200},
		"too many chunks":     {"Transfer-Encoding: chunked", chunked(limit + 1), 413},
		"far too many chunks": {"Transfer-Encoding: chunked", chunked(20 * limit), 413},
		"none":                {"X: y", "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startOrigin(t, echo)
			spec := toOrigin(o.addr)
			thePolicy(spec).MaxRequestBody = limit
			g := start(t, spec)
			c := dial(t, g)
			go io.WriteString(c, req("PUT / HTTP/1.1", "Host: a.example", test.head)+test.body)
			if a := c.read("PUT"); a.StatusCode != test.want {
				t.Errorf("answer %d, want %d", a.StatusCode, test.want)
			}
			if r := g.completed(1); test.want == 413 && r.details != "request_payload_too_large" {
				t.Errorf("details %q", r.details)
			}
		})
	}
}
