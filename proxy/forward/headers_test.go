package forward_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// seenBy sends one request and returns the head that the upstream got, and the answer.
func seenBy(t *testing.T, spec func(addr string) *router.Spec, change func(*setup), request, response string) (string, answer) {
	t.Helper()
	got := make(chan string, 1)
	o := startOrigin(t, func(c *originConn) {
		head, _ := c.head()
		got <- head
		c.send(response)
	})
	if change == nil {
		change = func(*setup) {}
	}
	c := dial(t, start(t, spec(o.addr), change))
	c.send(request)
	a := c.read("GET")
	select {
	case head := <-got:
		return head, a
	default:
		return "", a
	}
}

func plain(addr string) *router.Spec { return toOrigin(addr) }

var uuid = regexp.MustCompile(`x-request-id: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\r\n`)

// forged are headers by which a client may pretend (hardening rows 32 and 33).
var forged = []string{"X-Forwarded-For: 6.6.6.6", "X-FORWARDED-PROTO: https", "X-Forwarded-Host: evil", "X-Forwarded-Port: 443", "X-Forwarded-Prefix: /admin",
	"X-Forwarded-Uri: /x", "X-Forwarded-Client-Cert: Subject=admin", "X-Real-Ip: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Envoy-Original-Path: /admin",
	"X-Envoy-Attempt-Count: 9", "x-envoy-external-address: 6.6.6.6", "X-Envoy-Internal: true", "X-Original-Url: /admin", "X-Original-Forwarded-For: 6.6.6.6", "X-Rewrite-Url: /admin",
	"X.Forwarded.For: 6.6.6.6", "X-Forwarded.For: 6.6.6.6", "X-Client-Ip: 6.6.6.6", "X-Cluster-Client-Ip: 6.6.6.6"}

// An edge that trusts nobody tells the upstream what it knows itself, and nothing else.
func TestForwardingHeadersAtTheEdge(t *testing.T) {
	t.Parallel()
	head, a := seenBy(t, plain, nil, get(append([]string{"Accept: */*", "Cookie: a=b"}, forged...)...), okResponse)
	id := uuid.FindString(head)
	want := "GET / HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\ncookie: a=b\r\n" + id + "x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-envoy-attempt-count: 1\r\n\r\n"
	if id == "" || head != want {
		t.Errorf("upstream got\n%q, want\n%q", head, want)
	}
	if a.Header.Get("X-Envoy-Upstream-Service-Time") == "" {
		t.Errorf("answer without x-envoy-upstream-service-time: %v", a.Header)
	}
}

// Aliases of forwarding headers are treated alike where underscores are let through.
func TestForwardingHeaderAliases(t *testing.T) {
	t.Parallel()
	head, _ := seenBy(t, plain, func(s *setup) { s.server.Policy.AllowUnderscores = true },
		get("X_Forwarded_For: 6.6.6.6", "X_FORWARDED-PROTO: https", "X_Real_Ip: 6.6.6.6", "x_envoy_original_path: /x", "my_header: 1"), okResponse)
	if strings.Contains(head, "6.6.6.6") || strings.Contains(head, "https") || strings.Contains(head, "x_envoy") || !strings.Contains(head, "my_header: 1\r\n") {
		t.Errorf("upstream got %q", head)
	}
}

// With trusted hops, their word counts, and no more than theirs.
func TestForwardingHeadersWithTrustedHops(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		hops                int
		headers             []string
		wantFor, wantClient string
		wantProto           string
	}{
		"one hop":                  {1, []string{"X-Forwarded-For: 6.6.6.6, 10.1.1.1", "X-Forwarded-Proto: https"}, "10.1.1.1,127.0.0.1", "10.1.1.1", "https"},
		"two hops":                 {2, []string{"X-Forwarded-For: 6.6.6.6, 10.1.1.1, 10.2.2.2"}, "10.1.1.1, 10.2.2.2,127.0.0.1", "10.1.1.1", "http"},
		"several fields":           {1, []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 10.1.1.1"}, "10.1.1.1,127.0.0.1", "10.1.1.1", "http"},
		"fewer entries than hops":  {2, []string{"X-Forwarded-For: 6.6.6.6"}, "6.6.6.6,127.0.0.1", "127.0.0.1", "http"},
		"no entry":                 {1, nil, "127.0.0.1", "127.0.0.1", "http"},
		"mapped address":           {1, []string{"X-Forwarded-For: ::ffff:10.1.1.1"}, "::ffff:10.1.1.1,127.0.0.1", "10.1.1.1", "http"},
		"not an address":           {1, []string{"X-Forwarded-For: unknown"}, "unknown,127.0.0.1", "127.0.0.1", "http"},
		"forged scheme":            {1, []string{"X-Forwarded-Proto: javascript"}, "127.0.0.1", "127.0.0.1", "http"},
		"nominated by the client":  {1, []string{"X-Forwarded-For: 10.1.1.1", "Connection: x-forwarded-for"}, "10.1.1.1,127.0.0.1", "10.1.1.1", "http"},
		"other spellings":          {1, []string{"X.Forwarded.For: forged", "X-Forwarded_Proto: forged", "X_Real_Ip: forged"}, "127.0.0.1", "127.0.0.1", "http"},
		"x-envoy headers are ours": {1, []string{"X-Envoy-Original-Path: /forged", "X-Envoy-Attempt-Count: 7"}, "127.0.0.1", "127.0.0.1", "http"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 1)
			o := startOrigin(t, func(c *originConn) {
				head, _ := c.head()
				got <- head
				c.send(okResponse)
			})
			g := start(t, toOrigin(o.addr), func(s *setup) { s.engine.TrustedHops, s.server.Policy.AllowUnderscores = test.hops, true })
			dial(t, g).get("/", test.headers...)
			head := <-got
			for _, want := range []string{"\r\nx-forwarded-for: " + test.wantFor + "\r\n", "\r\nx-forwarded-proto: " + test.wantProto + "\r\n", "\r\nx-envoy-attempt-count: 1\r\n"} {
				if strings.Count(head, want) != 1 {
					t.Errorf("upstream got %q, without %q", head, want)
				}
			}
			if strings.Count(head, "x-forwarded-for:") != 1 || strings.Count(head, "x-forwarded-proto:") != 1 || strings.Contains(head, "forged") {
				t.Errorf("upstream got %q", head)
			}
			if rec := g.completed(1); rec.client != test.wantClient {
				t.Errorf("client %s, want %s", rec.client, test.wantClient)
			}
		})
	}
}

// What the proxy says of a caller is there to be routed by, as it is in Istio; what the caller says
// is not.
func TestRoutedByForwardingHeaders(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		hops        int
		name, value string
		header      string
		want        int
	}{
		"the scheme":                 {0, "x-forwarded-proto", "http", "Accept: */*", 299},
		"a caller's word":            {0, "x-forwarded-proto", "https", "X-Forwarded-Proto: https", 404},
		"a trusted proxy's word":     {1, "x-forwarded-proto", "https", "X-Forwarded-Proto: https", 299},
		"the peer":                   {0, "x-forwarded-for", "127.0.0.1", "X-Forwarded-For: 10.0.0.1", 299},
		"those behind a trusted hop": {1, "x-forwarded-for", "10.0.0.1,127.0.0.1", "X-Forwarded-For: 6.6.6.6, 10.0.0.1", 299},
		"what a try is told":         {0, "x-envoy-attempt-count", "1", "X-Envoy-Attempt-Count: 1", 404},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			only := router.HeaderMatch{Name: test.name, Match: router.StringMatch{Kind: router.MatchExact, Value: test.value}}
			g := start(t, withRoutes(nil, &router.Route{
				Match:       router.Match{Rest: &router.Conditions{Headers: []router.HeaderMatch{only}}},
				RouteAction: &router.RouteAction{Direct: &router.DirectResponse{Status: 299}},
			}), func(s *setup) { s.engine.TrustedHops = test.hops })
			if a := dial(t, g).get("/", test.header); a.StatusCode != test.want {
				t.Errorf("answer %d, want %d", a.StatusCode, test.want)
			}
		})
	}
}

// A WebSocket's opening is told from other requests by its headers.
func TestRoutedByUpgrade(t *testing.T) {
	t.Parallel()
	by := func(status int, headers ...router.HeaderMatch) *router.Route {
		return &router.Route{
			Match:       router.Match{Rest: &router.Conditions{Headers: headers}},
			RouteAction: &router.RouteAction{Direct: &router.DirectResponse{Status: status}},
		}
	}
	g := start(t, withRoutes(nil,
		by(298, router.HeaderMatch{Name: "upgrade", Match: router.StringMatch{Kind: router.MatchExact, Value: "websocket"}},
			router.HeaderMatch{Name: "connection", Match: router.StringMatch{Kind: router.MatchRegex, Value: ".*[Uu]pgrade.*"}}),
		by(299)))
	tests := map[string]struct {
		request string
		want    int
	}{
		"an opening":       {webSocket(), 298},
		"another protocol": {req("GET / HTTP/1.1", "Host: a.example", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"), 299},
		"not nominated":    {req("GET / HTTP/1.1", "Host: a.example", "Upgrade: websocket"), 299},
		"none":             {get(), 299},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, g)
			c.send(test.request)
			if a := c.read("GET"); a.StatusCode != test.want {
				t.Errorf("answer %d, want %d", a.StatusCode, test.want)
			}
		})
	}
}

// A sidecar leaves its workload's headers alone.
func TestForwardingHeadersInTheMesh(t *testing.T) {
	t.Parallel()
	mesh := func(s *setup) { s.engine.Mesh = true }
	head, _ := seenBy(t, plain, mesh, get("X-Forwarded-For: 10.1.1.1", "X-Forwarded-Proto: https", "X-Request-Id: id-1", "X-B3-TraceId: 1"), okResponse)
	want := "GET / HTTP/1.1\r\nhost: a.example\r\nx-forwarded-for: 10.1.1.1\r\nx-forwarded-proto: https\r\nx-request-id: id-1\r\nx-b3-traceid: 1\r\nx-envoy-attempt-count: 1\r\n\r\n"
	if head != want {
		t.Errorf("upstream got\n%q, want\n%q", head, want)
	}
	head, _ = seenBy(t, plain, mesh, get(), okResponse)
	if !strings.Contains(head, "x-forwarded-proto: http\r\n") || uuid.FindString(head) == "" || strings.Contains(head, "x-forwarded-for") {
		t.Errorf("upstream got %q", head)
	}
}

// A caller's request id is kept if it is one.
func TestRequestID(t *testing.T) {
	t.Parallel()
	for given, kept := range map[string]bool{"abc-123": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "": false} {
		head, _ := seenBy(t, plain, nil, get("X-Request-Id: "+given), okResponse)
		if kept != strings.Contains(head, "x-request-id: "+given+"\r\n") || strings.Count(head, "x-request-id:") != 1 {
			t.Errorf("%q: upstream got %q", given, head)
		}
	}
	head, _ := seenBy(t, plain, nil, get("X-Request-Id: one", "X-Request-Id: two"), okResponse)
	if strings.Count(head, "x-request-id:") != 1 || !strings.Contains(head, "x-request-id: one\r\n") {
		t.Errorf("two ids: upstream got %q", head)
	}
}

// Headers of routes and destinations, with what Envoy's operators stand for.
func TestHeaderPolicies(t *testing.T) {
	t.Parallel()
	spec := func(addr string) *router.Spec {
		s := toOrigin(addr)
		r := s.Listeners[0].Tables[0].VirtualHosts[0].Routes[0]
		r.Policy.Headers.Request = router.HeaderOps{
			Set: []router.Header{{Name: "x-set", Value: "%REQ(user-agent)%/%PROTOCOL%"}, {Name: "x-route", Value: "%ROUTE_NAME%"}, {Name: "x-literal", Value: "100%%"}},
			Add: []router.Header{{Name: "x-add", Value: "two"}, {Name: "x-peer", Value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}, {Name: "x-missing", Value: "%REQ(nothing)%"}}, Remove: []string{"x-gone"}}
		r.Policy.Headers.Response = router.HeaderOps{Set: []router.Header{{Name: "server", Value: "sluice"}}, Add: []router.Header{{Name: "x-cluster", Value: "%UPSTREAM_CLUSTER%"}}, Remove: []string{"x-secret"}}
		r.Destinations[0].Headers.Request.Set = []router.Header{{Name: "x-set", Value: "destination"}, {Name: "x-first", Value: "1"}}
		return s
	}
	head, a := seenBy(t, spec, nil, get("User-Agent: test", "X-Set: client", "X-Add: one", "X-Gone: 1"),
		"HTTP/1.1 200 OK\r\nServer: origin\r\nX-Secret: 1\r\nContent-Length: 2\r\n\r\nok")
	for _, want := range []string{"\r\nx-set: test/HTTP/1.1\r\n", "\r\nx-route: all\r\n", "\r\nx-literal: 100%\r\n", "\r\nx-add: one\r\n", "\r\nx-add: two\r\n", "\r\nx-peer: 127.0.0.1\r\n", "\r\nx-first: 1\r\n"} {
		if strings.Count(head, want) != 1 {
			t.Errorf("upstream got %q, without %q", head, want)
		}
	}
	if strings.Contains(head, "x-gone") || strings.Count(head, "\r\nx-set:") != 1 {
		t.Errorf("upstream got %q", head)
	}
	if a.Header.Get("Server") != "sluice" || a.Header.Get("X-Cluster") != "origin" || a.Header.Get("X-Secret") != "" {
		t.Errorf("answer %v", a.Header)
	}
}

// A header of operators that have no value is not made: "-" would be somebody's word for it. What
// a client said stands no more in the place of a header that was to be set.
func TestHeaderPoliciesWithoutValue(t *testing.T) {
	t.Parallel()
	spec := func(addr string) *router.Spec {
		s := toOrigin(addr)
		ops := router.HeaderOps{
			Set: []router.Header{{Name: "x-user", Value: "%REQ(x-auth-user)%"}, {Name: "x-both", Value: "%REQ(nothing?x-a)%"}, {Name: "x-a", Value: "%REQ(x-a)%b"}, {Name: "x-empty", Value: ""}},
			Add: []router.Header{{Name: "x-sni", Value: "%REQUESTED_SERVER_NAME%"}, {Name: "x-part", Value: "<%REQ(nothing)%>"}, {Name: "x-other", Value: "%NO_SUCH_THING%"}},
		}
		thePolicy(s).Headers = router.HeaderPolicy{Request: ops, Response: ops}
		return s
	}
	head, a := seenBy(t, spec, nil, get("X-User: admin", "X-A: a"), "HTTP/1.1 200 OK\r\nX-User: origin\r\nContent-Length: 2\r\n\r\nok")
	for _, name := range []string{"x-user", "x-sni", "x-other"} {
		if strings.Contains(head, name+":") || a.Header.Get(name) != "" {
			t.Errorf("%s: upstream got %q, the client %v", name, head, a.Header)
		}
	}
	for _, want := range []string{"\r\nx-both: a\r\n", "\r\nx-a: ab\r\n", "\r\nx-part: <>\r\n", "\r\nx-empty: \r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("upstream got %q, without %q", head, want)
		}
	}
}

// A name in the configuration cannot end the header that tells it.
func TestHeaderPolicyTellsOddNames(t *testing.T) {
	t.Parallel()
	spec := func(addr string) *router.Spec {
		s := toOrigin(addr)
		r := s.Listeners[0].Tables[0].VirtualHosts[0].Routes[0]
		r.Name = "odd\r\nx-admin: 1\x00\x7f"
		r.Policy.Headers.Request = router.HeaderOps{Set: []router.Header{{Name: "x-route", Value: "%ROUTE_NAME%!"}}}
		return s
	}
	head, _ := seenBy(t, spec, nil, get(), okResponse)
	if !strings.Contains(head, "\r\nx-route: odd??x-admin: 1??!\r\n") {
		t.Errorf("upstream got %q", head)
	}
}

// A route's headers do not say where a message ends, nor anything else of its connection.
func TestHeaderPoliciesFrameNothing(t *testing.T) {
	t.Parallel()
	for _, h := range []router.Header{{Name: "Content-Length", Value: "7"}, {Name: "transfer-encoding", Value: "chunked"}, {Name: "Connection", Value: "close"},
		{Name: "te", Value: "x"}, {Name: "upgrade", Value: "x"}, {Name: "keep-alive", Value: "x"}} {
		ops := router.HeaderOps{Set: []router.Header{h}, Add: []router.Header{h}}
		spec := func(addr string) *router.Spec {
			s := toOrigin(addr)
			s.Listeners[0].Tables[0].VirtualHosts[0].Routes[0].Policy.Headers = router.HeaderPolicy{Request: ops, Response: ops}
			return s
		}
		head, a := seenBy(t, spec, nil, get(), okResponse)
		if strings.Contains(head, strings.ToLower(h.Name)+":") || a.StatusCode != 200 || a.body != "ok" || a.Header.Get(h.Name) != "" && h.Name != "Content-Length" {
			t.Errorf("%s: upstream got %q, the client %d %q %v", h.Name, head, a.StatusCode, a.body, a.Header)
		}
	}
}

// Rewrites, redirects and direct responses over the wire.
func TestRouteActions(t *testing.T) {
	t.Parallel()
	rewriting := func(addr string) *router.Spec {
		s := toOrigin(addr)
		r := s.Listeners[0].Tables[0].VirtualHosts[0].Routes[0]
		r.Match.Path = router.StringMatch{Kind: router.MatchPrefix, Value: "/old"}
		r.Rewrite = &router.Rewrite{Prefix: "/new", HasPrefix: true, Authority: "b.example"}
		return s
	}
	head, _ := seenBy(t, rewriting, nil, req("GET /old/x?q=1 HTTP/1.1", "Host: a.example"), okResponse)
	if !strings.HasPrefix(head, "GET /new/x?q=1 HTTP/1.1\r\nhost: b.example\r\n") || !strings.Contains(head, "x-envoy-original-path: /old/x?q=1\r\n") {
		t.Errorf("upstream got %q", head)
	}
	g := start(t, withRoutes(nil,
		&router.Route{Match: router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/moved"}}, RouteAction: &router.RouteAction{Redirect: &router.Redirect{Status: 308, Host: "c.example", PrefixRewrite: "/there", HasPrefix: true}}},
		&router.Route{
			RouteAction: &router.RouteAction{Direct: &router.DirectResponse{Status: 418, Body: []byte("short and stout")}, Policy: &router.RoutePolicy{Headers: router.HeaderPolicy{Response: router.HeaderOps{Set: []router.Header{{Name: "x-pot", Value: "tea"}}}}}},
		}))
	c := dial(t, g)
	if a := c.get("/moved/x?y"); a.StatusCode != 308 || a.Header.Get("Location") != "http://c.example/there/x?y" {
		t.Errorf("answer %d %v", a.StatusCode, a.Header)
	}
	if a := c.get("/pot"); a.StatusCode != 418 || a.body != "short and stout" || a.Header.Get("X-Pot") != "tea" || a.Close {
		t.Errorf("answer %d %q %v", a.StatusCode, a.body, a.Header)
	}
	if rec := g.completed(2); rec.details != "direct_response" || rec.flags != "-" || rec.sent != 15 {
		t.Errorf("record %+v", rec)
	}
}

// The record of an exchange says how it went.
func TestRecords(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, echo)
	g := start(t, toOrigin(o.addr))
	c := dial(t, g)
	c.send("POST /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
	a := c.read("POST")
	rec := g.completed(1)
	want := record{status: 200, attempts: 1, flags: "-", details: "via_upstream", host: o.addr, sent: int64(len(a.body)), received: 5,
		method: "POST", path: "/a?b", client: "127.0.0.1", protocol: "HTTP/1.1"}
	if rec != want {
		t.Errorf("record %+v, want %+v", rec, want)
	}
}
