package filter

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// compiled returns a route as the table compiles it.
func compiled(t *testing.T, route *router.Route) *router.CompiledRoute {
	t.Helper()
	if route.Redirect == nil && route.Direct == nil {
		route.Destinations = []router.Destination{{Cluster: "origin"}}
	}
	table, problems := router.Build(&router.Spec{
		Listeners: []*router.Listener{{Name: "main", Tables: []*router.RouteTable{{
			Name: "http.80", VirtualHosts: []*router.VirtualHost{{Name: "any", Domains: []string{"*"}, Routes: []*router.Route{route}}},
		}}}},
		Clusters: []*router.Cluster{{Name: "origin", Endpoints: []*router.Endpoint{{Address: "127.0.0.1:1"}}}},
	}, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return table.Route(&router.Request{Listener: "main", Authority: "a.example", Path: "/", Method: "GET", Scheme: "http"}).Route
}

// exchange returns one with those headers, "name: value".
func exchange(method string, headers ...string) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Request.Method, ex.Request.Headers = method, list(headers...)
	return ex
}

func list(lines ...string) (headers []router.Header) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		headers = append(headers, router.Header{Name: name, Value: value})
	}
	return headers
}

func text(headers []router.Header) string {
	var lines []string
	for _, h := range headers {
		lines = append(lines, strings.TrimPrefix(h.Name, "access-control-")+": "+h.Value)
	}
	return strings.Join(lines, "; ")
}

func policy(change func(*router.CORS)) *router.CORS {
	c := &router.CORS{
		AllowOrigins:     []router.StringMatch{{Kind: router.MatchExact, Value: "https://a.example"}, {Kind: router.MatchPrefix, Value: "https://b."}, {Kind: router.MatchRegex, Value: `https://[a-z]+\.c\.example`}},
		ForwardUnmatched: true,
	}
	if change != nil {
		change(c)
	}
	return c
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	const asks = "access-control-request-method: PUT"
	full := func(c *router.CORS) {
		c.AllowMethods, c.AllowHeaders, c.ExposeHeaders, c.AllowCredentials = "GET,PUT", "x-a,x-b", "x-c", true
		c.MaxAge, c.HasMaxAge = 90*time.Second+time.Millisecond, true
	}
	ignore := func(c *router.CORS) { full(c); c.ForwardUnmatched = false }
	for name, test := range map[string]struct {
		method  string
		headers []string
		change  func(*router.CORS)
		// want is the local answer's headers; origin what CORSResponse will tell.
		local  bool
		want   string
		origin string
	}{
		"allowed": {"OPTIONS", []string{"origin: https://a.example", asks}, nil, true, "allow-origin: https://a.example", ""},
		"prefix":  {"OPTIONS", []string{"origin: https://b.any", asks}, nil, true, "allow-origin: https://b.any", ""},
		"regex":   {"OPTIONS", []string{"origin: https://x.c.example", asks}, nil, true, "allow-origin: https://x.c.example", ""},
		"all fields": {"OPTIONS", []string{"origin: https://a.example", asks}, full, true,
			"allow-origin: https://a.example; allow-credentials: true; allow-methods: GET,PUT; allow-headers: x-a,x-b; max-age: 90", ""},
		"any method and header": {"OPTIONS", []string{"origin: https://a.example", asks, "access-control-request-headers: x-q"},
			func(c *router.CORS) { c.AllowMethods, c.AllowHeaders = "*", "*" }, true,
			"allow-origin: https://a.example; allow-methods: PUT; allow-headers: x-q", ""},
		"any header, none asked for": {"OPTIONS", []string{"origin: https://a.example", asks},
			func(c *router.CORS) { c.AllowHeaders = "*" }, true, "allow-origin: https://a.example", ""},
		"max age of 0":       {"OPTIONS", []string{"origin: https://a.example", asks}, func(c *router.CORS) { c.HasMaxAge = true }, true, "allow-origin: https://a.example; max-age: 0", ""},
		"unmatched, forward": {"OPTIONS", []string{"origin: https://x.c.example.evil", asks}, full, false, "", ""},
		"unmatched, ignore":  {"OPTIONS", []string{"origin: https://evil", asks}, ignore, true, "allow-credentials: true; allow-methods: GET,PUT; allow-headers: x-a,x-b; max-age: 90", ""},
		"no policy for any":  {"OPTIONS", []string{"origin: https://a.example", asks}, func(c *router.CORS) { c.AllowOrigins = nil }, false, "", ""},
		"plain OPTIONS":      {"OPTIONS", []string{"origin: https://a.example"}, full, false, "", "https://a.example"},
		"empty method":       {"OPTIONS", []string{"origin: https://a.example", "access-control-request-method: "}, full, false, "", "https://a.example"},
		"no origin":          {"OPTIONS", []string{asks}, ignore, false, "", ""},
		"empty origin":       {"OPTIONS", []string{"origin: ", asks}, ignore, false, "", ""},
		"actual":             {"GET", []string{"origin: https://a.example", asks}, full, false, "", "https://a.example"},
		"actual, unmatched":  {"GET", []string{"origin: https://evil"}, ignore, false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ex, route := exchange(test.method, test.headers...), compiled(t, &router.Route{RouteAction: &router.RouteAction{Name: "r", Policy: &router.RoutePolicy{CORS: policy(test.change)}}})
			var r proxy.Response
			if got := Preflight(ex, route, &r); got != test.local {
				t.Fatalf("answered here: %v", got)
			}
			if got := text(r.Headers); got != test.want {
				t.Errorf("headers %q, want %q", got, test.want)
			}
			if test.local && (r.Status != 200 || r.Body.Kind != proxy.BodyNone || ex.Details != "cors_response" || ex.Flags != 0) {
				t.Errorf("%d, body %d, details %q, flags %v", r.Status, r.Body.Kind, ex.Details, ex.Flags)
			}
			if ex.AllowedOrigin != test.origin {
				t.Errorf("allowed origin %q, want %q", ex.AllowedOrigin, test.origin)
			}
		})
	}
}

// A route that does not forward has no CORS, and one without a policy is let alone.
func TestPreflightElsewhere(t *testing.T) {
	t.Parallel()
	for name, route := range map[string]*router.Route{
		"no policy": {RouteAction: &router.RouteAction{Name: "r"}},
		"redirect":  {RouteAction: &router.RouteAction{Name: "r", Policy: &router.RoutePolicy{CORS: policy(nil)}, Redirect: &router.Redirect{Status: 301}}},
		"direct":    {RouteAction: &router.RouteAction{Name: "r", Policy: &router.RoutePolicy{CORS: policy(nil)}, Direct: &router.DirectResponse{Status: 200}}},
	} {
		ex := exchange("OPTIONS", "origin: https://a.example", "access-control-request-method: GET")
		if r := new(proxy.Response); Preflight(ex, compiled(t, route), r) || ex.AllowedOrigin != "" || r.Status != 0 {
			t.Errorf("%s: answered %d for %q", name, r.Status, ex.AllowedOrigin)
		}
	}
}

func TestCORSResponse(t *testing.T) {
	t.Parallel()
	said := []string{"x-a: 1", "access-control-allow-origin: *", "access-control-allow-origin: null", "access-control-expose-headers: x-up", "access-control-allow-credentials: no", "vary: origin"}
	for name, test := range map[string]struct {
		origin string
		change func(*router.CORS)
		want   string
	}{
		"replaces": {"https://a.example", func(c *router.CORS) { c.ExposeHeaders, c.AllowCredentials = "x-c", true },
			"x-a: 1; vary: origin; allow-origin: https://a.example; allow-credentials: true; expose-headers: x-c"},
		"only what it names": {"https://a.example", nil,
			"x-a: 1; expose-headers: x-up; allow-credentials: no; vary: origin; allow-origin: https://a.example"},
		"unmatched": {"", func(c *router.CORS) { c.ExposeHeaders = "x-c" },
			"x-a: 1; allow-origin: *; allow-origin: null; expose-headers: x-up; allow-credentials: no; vary: origin"},
	} {
		ex, r := exchange("GET"), &proxy.Response{Headers: list(said...)}
		ex.AllowedOrigin = test.origin
		CORSResponse(ex, compiled(t, &router.Route{RouteAction: &router.RouteAction{Name: "r", Policy: &router.RoutePolicy{CORS: policy(test.change)}}}), r)
		if got := text(r.Headers); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
