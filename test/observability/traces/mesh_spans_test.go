package traces

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// TestPageAcrossTheMesh: a page that a gateway and six sidecars have to do with is one trace,
// in which each span's parent is who caused it, whatever headers and protocols tell of it.
func TestPageAcrossTheMesh(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		overHTTP bool
		provider string
		headers  func(trace, parent string) []string
	}{
		"W3C, gRPC": {false, "", func(trace, parent string) []string {
			return []string{"traceparent: 00-" + trace + "-" + parent + "-01", "tracestate: rojo=1"}
		}},
		"B3, HTTP": {true, "http: {path: /otlp/v1/traces, timeout: 5s, headers: [{name: x-token, value: secret}]}", func(trace, parent string) []string {
			return []string{"b3: " + trace + "-" + parent + "-1"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSink()
			at, _ := s.serve(t, "127.0.0.1:0", c.overHTTP)
			m := newManifests(t)
			m.collector(t, at, c.provider, "randomSamplingPercentage: 0")
			url := m.mesh(t)

			trace, parent := ids()
			told := append(c.headers(trace, parent), "x-request-id: page-"+trace)
			if status, body := get(t, url+"/productpage", told...); status != 200 || !strings.Contains(body, "reviews-v3") {
				t.Fatalf("%d: %s", status, body)
			}
			// Eight proxied calls: page at the gateway, at its own sidecar; details, reviews and
			// ratings at the caller's and at their own. Each is a server's span and a client's.
			spans := s.await(t, trace, 16)
			checkTree(t, spans, parent)
			checkTags(t, spans, trace)
			if t.Failed() {
				t.Logf("the spans:\n%s", list(spans))
			}
			s.mu.Lock()
			headers, paths := s.headers, s.paths
			s.mu.Unlock()
			for i, token := range headers {
				if c.overHTTP && (token != "secret" || paths[i] != "/otlp/v1/traces") {
					t.Errorf("request %d had the token %q, and came to %q", i, token, paths[i])
				}
			}
			if other, _ := s.of(""); len(other) != len(spans) {
				t.Errorf("%d spans came, of which %d are of the trace", len(other), len(spans))
			}
		})
	}
}

// ids returns a new trace's id and its first span's.
func ids() (trace, span string) {
	return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()), fmt.Sprintf("%016x", rand.Uint64())
}

// The services' hosts.
const (
	page    = "productpage.default.svc.cluster.local"
	details = "details.default.svc.cluster.local"
	reviews = "reviews.default.svc.cluster.local"
	ratings = "ratings.default.svc.cluster.local"
)

// skew is how much two processes, each with its own reading of the clock, may differ, in
// nanoseconds.
const skew = 50_000_000

// checkTree holds the spans to who calls whom.
func checkTree(t *testing.T, spans []*span, parent string) {
	t.Helper()
	byID := map[string]*span{}
	for _, x := range spans {
		if byID[x.ID] != nil {
			t.Errorf("two spans have the id %s", x.ID)
		}
		byID[x.ID] = x
	}
	// path spells a span's ancestors out: "service KIND name".
	var path func(x *span) string
	path = func(x *span) string {
		own := x.Service + " " + strings.TrimPrefix(x.Kind.String(), "SPAN_KIND_") + " " + x.Name
		if above := byID[x.Parent]; above != nil {
			return path(above) + "\n  " + own
		}
		if x.Parent != parent {
			t.Errorf("the parent %q of %q is not there", x.Parent, own)
		}
		return own
	}
	got := map[string]bool{}
	for _, x := range spans {
		got[path(x)] = true
		if above := byID[x.Parent]; above != nil && (x.Start+skew < above.Start || x.End < x.Start) {
			t.Errorf("%q began before what caused it, or ended before it began", x.Name)
		}
	}
	call := func(from, to, subset, path string) string {
		return from + " SERVER " + to + ":9080" + path + "\n  " + from + " CLIENT router outbound|9080|" + subset + "|" + to + " egress\n  "
	}
	gateway := call("istio-ingressgateway.istio-system", page, "", "/productpage")
	inbound := func(service string) string {
		return service + ".default SERVER " + service + ".default.svc.cluster.local:9080/*\n  " + service + ".default CLIENT router inbound|PORT|| egress\n  "
	}
	onPage := gateway + inbound("productpage")
	onReviews := onPage + call("productpage.default", reviews, "v3", "/*") + inbound("reviews")
	var want []string
	for _, whole := range []string{onPage + call("productpage.default", details, "", "/*") + inbound("details"), onReviews + call("reviews.default", ratings, "", "/*") + inbound("ratings")} {
		lines := strings.Split(strings.TrimSuffix(whole, "\n  "), "\n  ")
		for i := range lines {
			want = append(want, strings.Join(lines[:i+1], "\n  "))
		}
	}
	seen := map[string]bool{}
	for p := range got {
		seen[inboundPort.ReplaceAllString(p, "inbound|PORT||")] = true
	}
	for _, w := range want {
		if !seen[w] {
			t.Errorf("there is no span\n  %s", w)
		}
	}
}

// checkTags holds the spans to what they must tell.
func checkTags(t *testing.T, spans []*span, trace string) {
	t.Helper()
	for _, x := range spans {
		for _, tag := range []string{"node_id", "component", "response_flags", "upstream_cluster", "upstream_cluster.name", "peer.address", "upstream_address",
			"http.status_code", "istio.canonical_service", "istio.canonical_revision", "istio.mesh_id", "istio.namespace", "istio.cluster_id"} {
			if x.Tags[tag] == "" {
				t.Errorf("%s %q has no %s", x.Service, x.Name, tag)
			}
		}
		app, namespace, _ := strings.Cut(x.Service, ".")
		if x.Tags["istio.canonical_service"] != app || x.Tags["istio.namespace"] != namespace || x.Tags["http.status_code"] != "200" || x.Failed {
			t.Errorf("got %v", x)
		}
		if x.Kind != tracepb.Span_SPAN_KIND_SERVER {
			continue
		}
		for _, tag := range []string{"http.url", "http.method", "http.protocol", "request_size", "response_size", "user_agent", "downstream_cluster"} {
			if x.Tags[tag] == "" {
				t.Errorf("%s %q has no %s", x.Service, x.Name, tag)
			}
		}
		if x.Tags["guid:x-request-id"] != "page-"+trace {
			t.Errorf("%s %q is of the request %q", x.Service, x.Name, x.Tags["guid:x-request-id"])
		}
	}
}

// inboundPort is a sidecar's own cluster, whose port another run has another of.
var inboundPort = regexp.MustCompile(`inbound\|\d+\|\|`)
