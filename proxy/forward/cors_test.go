package forward_test

import (
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

func withCORS(addr string, change func(*router.CORS)) *router.Spec {
	spec := toOrigin(addr)
	thePolicy(spec).CORS = &router.CORS{
		AllowOrigins: []router.StringMatch{
			{Kind: router.MatchExact, Value: "https://a.example"},
			{Kind: router.MatchPrefix, Value: "https://b."},
			{Kind: router.MatchRegex, Value: `https://[a-z]+\.c\.example`},
		},
		AllowMethods: "GET,POST", AllowHeaders: "x-token", ExposeHeaders: "x-count",
		MaxAge: 24 * time.Hour, HasMaxAge: true, AllowCredentials: true, ForwardUnmatched: true,
	}
	if change != nil {
		change(thePolicy(spec).CORS)
	}
	return spec
}

// A preflight of an allowed origin is answered here; another goes on, or not.
func TestPreflights(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		origin    string
		change    func(*router.CORS)
		forwarded bool
		allowed   string
	}{
		"exact":           {origin: "https://a.example", allowed: "https://a.example"},
		"prefix":          {origin: "https://b.example", allowed: "https://b.example"},
		"regex":           {origin: "https://x.c.example", allowed: "https://x.c.example"},
		"regex, in part":  {origin: "https://x.c.example.evil", forwarded: true},
		"other":           {origin: "https://evil.example", forwarded: true},
		"other, ignored":  {origin: "https://evil.example", change: func(c *router.CORS) { c.ForwardUnmatched = false }},
		"any":             {origin: "https://evil.example", change: func(c *router.CORS) { c.AllowOrigins = []router.StringMatch{{Kind: router.MatchExact, Value: "*"}} }, allowed: "https://evil.example"},
		"no origin":       {forwarded: true},
		"no origin named": {change: func(c *router.CORS) { c.ForwardUnmatched = false }, forwarded: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, requests := inTurn(t, okResponse)
			c := dial(t, start(t, withCORS(o.addr, test.change)))
			headers := []string{"Host: a.example", "Access-Control-Request-Method: GET"}
			if test.origin != "" {
				headers = append(headers, "Origin: "+test.origin)
			}
			c.send(req("OPTIONS / HTTP/1.1", headers...))
			a := c.read("OPTIONS")
			if a.StatusCode != 200 || (requests.Load() == 1) != test.forwarded {
				t.Errorf("answer %d, forwarded %d times", a.StatusCode, requests.Load())
			}
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != test.allowed {
				t.Errorf("allow-origin %q, want %q", got, test.allowed)
			}
			if test.allowed == "" {
				return
			}
			for name, want := range map[string]string{
				"Access-Control-Allow-Methods": "GET,POST", "Access-Control-Allow-Headers": "x-token",
				"Access-Control-Max-Age": "86400", "Access-Control-Allow-Credentials": "true",
			} {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// The response to a page of an allowed origin says so, whatever the upstream said.
func TestCrossOriginResponses(t *testing.T) {
	t.Parallel()
	o, _ := inTurn(t, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\naccess-control-allow-origin: *\r\naccess-control-expose-headers: x-other\r\n\r\nok")
	c := dial(t, start(t, withCORS(o.addr, nil)))
	a := c.get("/", "Origin: https://a.example")
	if v := a.Header.Values("Access-Control-Allow-Origin"); len(v) != 1 || v[0] != "https://a.example" {
		t.Errorf("allow-origin %q", v)
	}
	if v := a.Header.Values("Access-Control-Expose-Headers"); len(v) != 1 || v[0] != "x-count" {
		t.Errorf("expose-headers %q", v)
	}
	if a.Header.Get("Access-Control-Allow-Credentials") != "true" || a.Header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("headers %v", a.Header)
	}
	if a := c.get("/", "Origin: https://evil.example"); a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("what the upstream said was changed: %v", a.Header)
	}
}

// An answer of the proxy's own is readable by the page too.
func TestCrossOriginLocalAnswer(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t, withCORS("127.0.0.1:1", nil)))
	if a := c.get("/", "Origin: https://a.example"); a.StatusCode != 503 || a.Header.Get("Access-Control-Allow-Origin") != "https://a.example" {
		t.Errorf("answer %d %v", a.StatusCode, a.Header)
	}
}
