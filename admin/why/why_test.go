package why

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/recent"
)

const cart = "outbound|80|v1|cart.default.svc.cluster.local"

var (
	rule = router.Origin{Kind: "VirtualService", Namespace: "default", Name: "shop", Field: "http[0].match[0]"}
	dr   = router.Origin{Kind: "DestinationRule", Namespace: "default", Name: "cart", Field: "subsets[0]"}
)

// spec is a shop whose cart has every limit there is.
func spec() *router.Spec {
	return &router.Spec{
		Listeners: []*router.Listener{{Name: "0.0.0.0_8080", Port: 8080, Tables: []*router.RouteTable{{Name: "http.80", VirtualHosts: []*router.VirtualHost{{
			Name: "shop.example.com:80", Domains: []string{"shop.example.com"},
			Routes: []*router.Route{{
				Object: &router.Object{Kind: rule.Kind, Namespace: rule.Namespace, Name: rule.Name},
				Field:  rule.Field,
				Match:  router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/cart"}, Rest: &router.Conditions{Method: router.StringMatch{Kind: router.MatchExact, Value: "GET"}}},
				RouteAction: &router.RouteAction{Name: "cart", Destinations: []router.Destination{{Cluster: cart}}, Policy: &router.RoutePolicy{
					Timeout: 2 * time.Second, Retry: &router.Retry{Attempts: 2, PerTry: 500 * time.Millisecond}, MaxRequestBody: 1024,
					Limits: []router.LocalLimit{{Name: "shop", Requests: 10, Period: time.Second}},
				}},
			}},
		}}}}}},
		Clusters: []*router.Cluster{{
			Name: cart, Origin: dr, Pool: router.Pool{MaxRequests: 10, MaxPending: 5}, Outlier: &router.Outlier{Consecutive5xx: 5},
			Endpoints: []*router.Endpoint{{Address: "10.0.0.1:80"}},
		}},
	}
}

// failure is a request for the cart that failed with flags.
func failure(status int, flags, details string) *recent.Failure {
	return &recent.Failure{Summary: recent.Summary{
		ID: "7", Method: "GET", Scheme: "http", Authority: "shop.example.com", Path: "/cart", Listener: "0.0.0.0_8080", Client: "192.0.2.7:1234",
		Status: status, Flags: flags, Details: details, Rule: rule, Route: "cart", VirtualHost: "shop.example.com:80", Cluster: cart, UpstreamHost: "10.0.0.1:80", Attempts: 1, Generation: 3,
	}}
}

// explained adds what the table makes of the request.
func explained(t *testing.T, f *recent.Failure) *recent.Failure {
	t.Helper()
	table, problems := router.Build(spec(), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	f.Explanation = table.Explain(&router.Request{Listener: f.Listener, Method: f.Method, Scheme: f.Scheme, Authority: f.Authority, Path: f.Path})
	return f
}

func change(f *recent.Failure, how func(*recent.Failure)) *recent.Failure {
	how(f)
	return f
}

// TestAnswers: each kind of failure has its cause, and a fix that names the place.
func TestAnswers(t *testing.T) {
	t.Parallel()
	missed := func(how func(*recent.Failure)) *recent.Failure {
		f := failure(404, "NR", "route_not_found")
		f.Rule, f.Route, f.Cluster, f.UpstreamHost = router.Origin{}, "", "", ""
		how(f)
		return explained(t, f)
	}
	out := &recent.Upstream{Endpoints: []recent.Endpoint{{Address: "10.0.0.1:80", EjectedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Ejection: "5 times 5xx in a row", Active: 3}}}
	for name, c := range map[string]struct {
		failure *recent.Failure
		// outcome, cause and fix are parts of those texts, place the whole of where.
		outcome, cause, place, fix string
		// fact is a part of one of the facts.
		fact string
	}{
		"no rule": {missed(func(f *recent.Failure) { f.Method = "POST" }), "404 (NR: no route)", "none of its rules takes the request",
			"VirtualService default/shop http[0].match[0].method (shop.yaml:9)", `would take it with method exact "GET"`, `method: wants exact "GET", is "POST"`},
		"another path": {missed(func(f *recent.Failure) { f.Path = "/Cart" }), "404", "none of its rules",
			"VirtualService default/shop http[0].match[0].uri (shop.yaml:9)", "ignoreUriCase", `path: wants prefix "/cart", is "/Cart"`},
		"another host": {missed(func(f *recent.Failure) { f.Authority = "shop.example.org" }), "404", `no VirtualService has the host "shop.example.org"`,
			"VirtualService default/shop hosts (shop.yaml:9)", "known: shop.example.com", ""},
		"no listener":  {missed(func(f *recent.Failure) { f.Listener = "gone" }), "404", "the listener is not configured any more", "", "0.0.0.0_8080", ""},
		"no table yet": {failure(404, "NR", "route_not_found"), "404", "no route takes the request", "", "no configuration", ""},
		"misdirected": {change(failure(421, "NR", "misdirected_request"), func(f *recent.Failure) { f.ServerName = "a.example.com" }), "421", "not served on this TLS connection (server name a.example.com)", "",
			"asks again", ""},
		"no cluster": {change(failure(503, "NC", "cluster_not_found"), func(f *recent.Failure) { f.Cluster = "outbound|80|v9|cart.default.svc.cluster.local" }), "503 (NC: no such cluster)", "does not exist",
			"VirtualService default/shop http[0].route[0].destination.subset (shop.yaml:12)", `define "v9" in a DestinationRule for cart.default.svc.cluster.local`, ""},
		"no service": {change(failure(503, "NC", "cluster_not_found"), func(f *recent.Failure) {
			f.Cluster, f.Rule.Field = "outbound|80||gone.example.com", "http[1]"
		}), "503", "does not exist", "VirtualService default/shop http[1].route (shop.yaml:9)", "Service or ServiceEntry for gone.example.com with port 80", ""},
		"a cluster by now": {failure(503, "NC", "cluster_not_found"), "503", "does not exist", "", "it exists by now", ""},
		"no endpoints": {change(failure(503, "UH", "no_healthy_upstream"), func(f *recent.Failure) { f.Upstream = &recent.Upstream{} }), "503 (UH: no healthy endpoint)", "has no endpoints",
			"DestinationRule default/cart subsets[0] (shop.yaml:9)", `has the labels of subset "v1"`, ""},
		"all ejected": {change(failure(503, "UH", "no_healthy_upstream"), func(f *recent.Failure) { f.Upstream = out }), "503", "all 1 endpoint of",
			"DestinationRule default/cart subsets[0].trafficPolicy.outlierDetection (shop.yaml:9)", "maxEjectionPercent", "10.0.0.1:80 out of use since 03:04:05: 5 times 5xx in a row"},
		"no address": {change(failure(503, "UH", "no_healthy_upstream"), func(f *recent.Failure) { f.UpstreamFailure = "no such host" }), "503", "stand for no address: no such host",
			"DestinationRule default/cart subsets[0] (shop.yaml:9)", "--resolv-conf", ""},
		"refused": {change(failure(503, "UF,URX", "upstream_reset_before_response_started{remote_connection_failure}"), func(f *recent.Failure) { f.UpstreamFailure, f.Attempts = "connect: connection refused", 3 }), "503 (UF: no connection to the endpoint, URX: retries used up)",
			"no connection to 10.0.0.1:80", "DestinationRule default/cart subsets[0] (shop.yaml:9)", "nothing listens at 10.0.0.1:80", "3 tries were made"},
		"TLS fails": {change(failure(503, "UF", "x"), func(f *recent.Failure) { f.UpstreamFailure = "TLS: the certificate expired" }), "503", "the certificate expired",
			"DestinationRule default/cart subsets[0].trafficPolicy.tls (shop.yaml:9)", "subjectAltNames", ""},
		"a firewall": {change(failure(503, "UF", "x"), func(f *recent.Failure) { f.UpstreamFailure = "dial tcp: i/o timeout" }), "503", "i/o timeout",
			"DestinationRule default/cart subsets[0].trafficPolicy.connectionPool.tcp.connectTimeout (shop.yaml:9)", "firewall", ""},
		"a loop": {change(failure(503, "UF", "x"), func(f *recent.Failure) {
			f.UpstreamFailure = "the destination is the listener that the request came in by"
		}), "503", "listener that the request came in by",
			"DestinationRule default/cart subsets[0] (shop.yaml:9)", "leads back to this proxy", ""},
		"a breaker, named": {change(failure(503, "UO", "upstream_reset_before_response_started{overflow}"), func(f *recent.Failure) {
			f.UpstreamFailure, f.Upstream = "a circuit breaker is open (http2MaxRequests)", out
		}), "503 (UO: circuit breaker)", "as connectionPool.http.http2MaxRequests: 10 allows",
			"DestinationRule default/cart subsets[0].trafficPolicy.connectionPool.http.http2MaxRequests (shop.yaml:9)", "raise the limit", "3 exchanges were in progress"},
		"a breaker, seen open": {change(failure(503, "UO", "x"), func(f *recent.Failure) { f.Upstream = &recent.Upstream{Open: []string{"rq_pending"}} }), "503", "http1MaxPendingRequests: 5 allows",
			"DestinationRule default/cart subsets[0].trafficPolicy.connectionPool.http.http1MaxPendingRequests (shop.yaml:9)", "raise", ""},
		"a breaker, unknown": {failure(503, "UO", "x"), "503", "http2MaxRequests: 10 or http.http1MaxPendingRequests: 5",
			"DestinationRule default/cart subsets[0].trafficPolicy.connectionPool (shop.yaml:9)", "raise", ""},
		"the timeout": {change(failure(504, "UT", "upstream_response_timeout"), func(f *recent.Failure) { f.Duration = 2001 }), "504 (UT: timeout)", "within the rule's timeout of 2s",
			"VirtualService default/shop http[0].timeout (shop.yaml:9)", "raise timeout", ""},
		"the per-try timeout": {change(failure(504, "UT", "x"), func(f *recent.Failure) { f.Duration, f.Attempts = 1502, 3 }), "504", "perTryTimeout of 500ms",
			"VirtualService default/shop http[0].retries.perTryTimeout (shop.yaml:9)", "raise perTryTimeout", "3 tries"},
		"a caller's timeout": {change(failure(504, "UT", "x"), func(f *recent.Failure) {
			f.Duration, f.Headers = 100, []recent.Header{{Name: "grpc-timeout", Value: "100m"}}
		}), "504", "perTryTimeout", "VirtualService default/shop http[0].retries.perTryTimeout (shop.yaml:9)", "", "grpc-timeout"},
		"closed":         {change(failure(503, "UC", "x{connection_termination}"), func(f *recent.Failure) { f.UpstreamFailure = "EOF" }), "503 (UC", "closed the connection before its response (EOF)", "VirtualService default/shop http[0].retries (shop.yaml:9)", "retryOn: reset", ""},
		"cut":            {change(failure(200, "UC", "upstream_reset_after_response_started{x}"), func(f *recent.Failure) { f.BytesSent = 700 }), "200 (UC", "in the middle of its response, after 700 bytes", "VirtualService default/shop http[0].retries (shop.yaml:9)", "", ""},
		"refused stream": {failure(503, "UR", "upstream_reset_before_response_started{remote_refused_stream_reset}"), "503 (UR", "reset the stream", "VirtualService default/shop http[0].retries (shop.yaml:9)", "refused-stream", ""},
		"no HTTP":        {change(failure(502, "UPE", "x"), func(f *recent.Failure) { f.UpstreamFailure = "http1.invalid_status_line" }), "502 (UPE", "not a valid response: http1.invalid_status_line", "DestinationRule default/cart subsets[0] (shop.yaml:9)", "appProtocol", "spoken to in HTTP/1.1"},
		"smuggling":      {failure(400, "DPE", "http1.content_length_and_transfer_encoding"), "400 (DPE", "how requests are smuggled (http1.content_length_and_transfer_encoding)", "", "RFC 9112", ""},
		"unknown rule":   {failure(400, "DPE", "http9.something_new"), "400 (DPE", "http9.something_new", "", "the protocol asks for", ""},
		"a large body":   {failure(413, "DPE", "request_payload_too_large"), "413", "larger than the 1024 bytes", "VirtualService default/shop http[0].match[0] (shop.yaml:9)", "proxy-body-size", ""},
		"a slow body":    {change(failure(408, "SI", "request_body_timeout"), func(f *recent.Failure) { f.BytesReceived = 5 }), "408 (SI", "after 5 bytes", "", "--stream-idle-timeout", ""},
		"standstill":     {change(failure(504, "SI", "stream_idle_timeout"), func(f *recent.Failure) { f.Duration = 300000 }), "504 (SI", "5m0s", "", "--stream-idle-timeout", ""},
		"too long":       {change(failure(0, "DT", "x"), func(f *recent.Failure) { f.Duration = 1000 }), "no response (DT", "lasted 1s", "DestinationRule default/cart subsets[0].trafficPolicy.connectionPool (shop.yaml:9)", "", ""},
		"left early":     {change(failure(0, "DC", "downstream_remote_disconnect"), func(f *recent.Failure) { f.Duration, f.UpstreamDuration = 3000, 2990 }), "no response (DC", "went away after 3s, while 10.0.0.1:80", "", "timeout is shorter", ""},
		"left later": {change(failure(200, "DC", "x"), func(f *recent.Failure) {
			f.UpstreamDuration, f.UpstreamStatus, f.BytesSent, f.Termination = 1, 200, 9, "EOF"
		}), "200 (DC", "while the response was on its way", "", "client's doing", "EOF"},
		"a fault":            {failure(418, "FI", "fault_filter_abort"), "418 (FI", "on purpose", "VirtualService default/shop http[0].fault.abort (shop.yaml:9)", "remove fault", ""},
		"rate limit":         {failure(503, "RL", "local_rate_limited"), "503 (RL", "lets one client have", "VirtualService default/shop http[0].match[0] (shop.yaml:9)", "limit-rps", "10 requests"},
		"memory":             {failure(503, "OM", "overload"), "503 (OM", "out of memory", "", "GOMEMLIMIT", ""},
		"the upstream's own": {failure(500, "", "via_upstream"), "500 (Internal Server Error)", "10.0.0.1:80 of " + cart + " answered this itself", "", "x-request-id 7", ""},
		"a gRPC status":      {change(failure(200, "", "via_upstream"), func(f *recent.Failure) { f.GRPCStatus = "14" }), "200 with grpc-status 14", "answered this itself", "", "", ""},
		"a direct response":  {failure(403, "", "direct_response"), "403 (Forbidden)", "directResponse", "VirtualService default/shop http[0].directResponse (shop.yaml:9)", "before this one", ""},
		"a source":           {failure(403, "", "source_not_allowed"), "403", "192.0.2.7", "VirtualService default/shop http[0].match[0] (shop.yaml:9)", "--trusted-hops", ""},
		"a bad rewrite":      {failure(400, "", "rewritten_path_not_normal"), "400", "rewrite leads the path out", "VirtualService default/shop http[0].rewrite (shop.yaml:9)", "both end in a slash", ""},
		"anything":           {failure(501, "", "something_new"), "501", "something_new", "VirtualService default/shop http[0].match[0] (shop.yaml:9)", "something_new", ""},
		"a connection":       {change(failure(0, "UF", ""), func(f *recent.Failure) { f.Method, f.UpstreamFailure = "", "no route to host" }), "connection closed (UF", "no route to host", "DestinationRule default/cart subsets[0] (shop.yaml:9)", "reachable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := Of(c.failure, evidence())
			if !strings.Contains(a.Outcome, c.outcome) {
				t.Errorf("outcome %q, want %q", a.Outcome, c.outcome)
			}
			if !strings.Contains(a.Cause, c.cause) {
				t.Errorf("cause %q, want %q", a.Cause, c.cause)
			}
			if got := a.Fix.Place(); got != c.place {
				t.Errorf("place %q, want %q", got, c.place)
			}
			if a.Fix.Text == "" || !strings.Contains(a.Fix.Text, c.fix) {
				t.Errorf("fix %q, want %q", a.Fix.Text, c.fix)
			}
			if !strings.Contains(strings.Join(a.Facts, "\n"), c.fact) {
				t.Errorf("facts %q, want %q", a.Facts, c.fact)
			}
		})
	}
}

// evidence is the shop with one defect, every object of which stands in line 9.
func evidence() Evidence {
	shop := spec()
	shop.Listeners[0].Chains = []*router.Chain{{Name: "tcp", Origin: router.Origin{Kind: "Gateway", Namespace: "shop", Name: "edge", Field: "servers[0]"}}}
	return Evidence{
		Spec: shop,
		Conditions: []config.Condition{
			{Severity: config.Error, Reason: "SubsetNotFound", Object: config.Key{Kind: rule.Kind, Namespace: rule.Namespace, Name: rule.Name}, Field: "http[0].route[0].destination.subset",
				Message: `"v9": no such subset`, File: "shop.yaml", Line: 12},
			{Severity: config.Error, Reason: "Other", Object: config.Key{Kind: rule.Kind, Name: "other"}, Message: "has nothing to do with it"},
		},
		Locate: func(router.Origin) (string, int) { return "shop.yaml", 9 },
	}
}

// TestRelated: defects of the objects in question come along, others do not; and an answer by
// another table says so.
func TestRelated(t *testing.T) {
	t.Parallel()
	f := failure(500, "", "via_upstream")
	f.Outdated = true
	a := Of(f, evidence())
	if len(a.Conditions) != 1 || a.Conditions[0].Reason != "SubsetNotFound" {
		t.Errorf("conditions %v", a.Conditions)
	}
	if !a.Outdated || !strings.Contains(strings.Join(a.Facts, "\n"), "configuration changed") {
		t.Errorf("facts %q", a.Facts)
	}
	// Nothing to go by is no reason to fail.
	for flag := range flagWords {
		if a := Of(failure(503, flag, "x"), Evidence{}); a.Cause == "" || a.Fix.Text == "" {
			t.Errorf("%s: %+v", flag, a)
		}
	}
}

// TestTheDestinationThatFailed: of a rule with several bad destinations, the answer is about the one
// that was picked, not about the first, nor about a mirror.
func TestTheDestinationThatFailed(t *testing.T) {
	t.Parallel()
	vs := config.Key{Kind: rule.Kind, Namespace: rule.Namespace, Name: rule.Name}
	bad := []config.Condition{
		{Object: vs, Field: "http[0].mirrors[0].destination.subset", Message: `"v9": a mirror`, File: "shop.yaml", Line: 1},
		{Object: vs, Field: "http[0].route[0].destination.host", Message: `"cart": no Service`, File: "shop.yaml", Line: 2},
		{Object: vs, Field: "http[0].route[1].destination.subset", Message: `"v8": no such subset`, File: "shop.yaml", Line: 3},
		{Object: vs, Field: "http[0].route[2].destination.subset", Message: `"v9": no such subset`, File: "shop.yaml", Line: 4},
		{Object: vs, Field: "http[0].route[3].destination.host", Message: `"gone": no Service`, File: "shop.yaml", Line: 5},
		{Object: vs, Field: "http[0].route[4].destination.port.number", Message: `81: no such port`, File: "shop.yaml", Line: 6},
	}
	for cluster, place := range map[string]string{
		"outbound|80|v9|reviews.default.svc.cluster.local": "VirtualService default/shop http[0].route[2].destination.subset (shop.yaml:4)",
		"outbound|80||gone.default.svc.cluster.local":      "VirtualService default/shop http[0].route[3].destination.host (shop.yaml:5)",
		"outbound|81||shop.default.svc.cluster.local":      "VirtualService default/shop http[0].route[4].destination.port.number (shop.yaml:6)",
		"outbound|82||carts.default.svc.cluster.local":     "VirtualService default/shop http[0].route (shop.yaml:9)",
	} {
		f := failure(503, "NC", "cluster_not_found")
		f.Cluster = cluster
		e := evidence()
		e.Conditions = bad
		if a := Of(f, e); a.Fix.Place() != place {
			t.Errorf("%s: %s, at %s, want %s", cluster, a.Cause, a.Fix.Place(), place)
		}
	}
}

func TestIsFlag(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"NR": true, "uh": true, "404": false, "": false, "XX": false} {
		if got := IsFlag(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
