package traces

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// backend is a service that notes what it is told of traces. Its first failing answers are 503.
type backend struct {
	*httptest.Server
	mu      sync.Mutex
	failing int
	seen    []http.Header
	came    chan struct{} // a mark for each request
}

func newBackend(t *testing.T, failing int) *backend {
	b := &backend{failing: failing, came: make(chan struct{}, 1000)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.seen = append(b.seen, r.Header.Clone())
		fails := len(b.seen) <= b.failing
		b.mu.Unlock()
		if fails {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, "shop")
		select {
		case b.came <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) address() string { return b.Listener.Addr().String() }

func (b *backend) requests() []http.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen
}

// shop writes a Gateway for shop.example.com and the service behind it.
func (m manifests) shop(t *testing.T, b *backend, route string) {
	t.Helper()
	m.workload(t, "default", "shop", "v1", 80, b.address())
	m.write(t, "shop-route.yaml", `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: ["*"]
  gateways: [shop]
  http:
  - match: [{uri: {prefix: /shop/}}]
    route: [{destination: {host: shop, port: {number: 80}}}]
`+indent(4, route))
}

// TestRetriesAndMirrors: each try, and each copy, is a span of its own, which whoever gets it is
// told as its parent.
func TestRetriesAndMirrors(t *testing.T) {
	t.Parallel()
	s := newSink()
	at, _ := s.serve(t, "127.0.0.1:0", false)
	m := newManifests(t)
	m.collector(t, at, "", "randomSamplingPercentage: 0\ncustomTags: {env: {literal: {value: prod}}, user: {header: {name: x-user, defaultValue: nobody}}, made: {formatter: {value: '%REQ(:METHOD)% of %PROTOCOL%'}}, none: {formatter: {value: '%REQ(x-none)%'}}}")
	shop, shadow := newBackend(t, 2), newBackend(t, 0)
	m.shop(t, shop, "retries: {attempts: 3, retryOn: 5xx}\nmirror: {host: shadow, port: {number: 80}}")
	m.workload(t, "default", "shadow", "v1", 80, shadow.address())
	url, _ := m.gateway(t)

	trace, parent := ids()
	if status, body := get(t, url+"/shop/1?a=b", "traceparent: 00-"+trace+"-"+parent+"-01", "tracestate: rojo=1,congo=2", "x-user: jason", "x-request-id: r-7", "user-agent: judge"); status != 200 || body != "shop\n" {
		t.Fatalf("%d: %s", status, body)
	}
	spans := s.await(t, trace, 5)
	select {
	case <-shadow.came:
	case <-time.After(patience):
		t.Fatal("no copy came")
	}
	defer func() {
		if t.Failed() {
			t.Logf("the spans:\n%s", list(spans))
		}
	}()
	byID := map[string]*span{}
	var server *span
	for _, x := range spans {
		byID[x.ID] = x
		if x.Kind == tracepb.Span_SPAN_KIND_SERVER {
			server = x
		}
	}
	if len(spans) != 5 || server == nil || server.Parent != parent || server.Failed || server.State != "rojo=1,congo=2" || server.Name != "shop.default.svc.cluster.local:80/shop/*" {
		t.Fatalf("the server's span is %v", server)
	}
	for tag, want := range map[string]string{
		"http.url": "http://" + strings.TrimPrefix(url, "http://") + "/shop/1?a=b", "http.method": "GET", "http.protocol": "HTTP/1.1", "http.status_code": "200",
		"guid:x-request-id": "r-7", "user_agent": "judge", "response_size": "5", "peer.address": "127.0.0.1", "env": "prod", "user": "jason", "made": "GET of HTTP/1.1", "none": "",
		"upstream_cluster": "outbound|80||shop.default.svc.cluster.local", "upstream_address": shop.address(),
	} {
		if server.Tags[tag] != want {
			t.Errorf("%s is %q, want %q", tag, server.Tags[tag], want)
		}
	}
	// told returns the span that a request was told as its parent.
	told := func(h http.Header) *span {
		parts := strings.Split(h.Get("Traceparent"), "-")
		if len(parts) != 4 || parts[1] != trace || parts[3] != "01" || byID[parts[2]] == nil || h.Get("Tracestate") != "rojo=1,congo=2" || len(h["Traceparent"]) != 1 {
			t.Fatalf("told: %v", h)
		}
		x := byID[parts[2]]
		if x.Kind != tracepb.Span_SPAN_KIND_CLIENT || x.Parent != server.ID {
			t.Errorf("told of %v", x)
		}
		return x
	}
	if n := len(shop.requests()); n != 3 {
		t.Fatalf("%d tries", n)
	}
	for i, h := range shop.requests() {
		x := told(h)
		retry, status := "", "503"
		if i > 0 {
			retry = fmt.Sprint(i)
		}
		if i == 2 {
			status = "200"
		}
		if x.Name != "router outbound|80||shop.default.svc.cluster.local egress" || x.Tags["retry.count"] != retry || x.Tags["http.status_code"] != status || x.Failed != (status == "503") {
			t.Errorf("try %d is %v", i, x)
		}
	}
	if x := told(shadow.requests()[0]); x.Name != "async outbound|80||shadow.default.svc.cluster.local egress" || x.Tags["sluice.mirror"] != "true" || x.Failed {
		t.Errorf("the mirror's is %v", x)
	}
}

// TestHeaders: what the caller decided is passed on, in every form, and what is not valid is not.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newSink()
	at, _ := s.serve(t, "127.0.0.1:0", false)
	m := newManifests(t)
	m.collector(t, at, "", "randomSamplingPercentage: 0")
	shop := newBackend(t, 0)
	m.shop(t, shop, "")
	url, p := m.gateway(t)
	const id, parent, half = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "a3ce929d0e0e4736"
	ask := func(headers ...string) http.Header {
		t.Helper()
		if status, _ := get(t, url+"/shop/", headers...); status != 200 {
			t.Fatalf("status %d", status)
		}
		seen := shop.requests()
		return seen[len(seen)-1]
	}
	for name, c := range map[string]struct {
		headers []string
		want    map[string]string // SPAN stands for any id, ID for one that is new
	}{
		"none":             {nil, map[string]string{"Traceparent": "00-ID-SPAN-00", "B3": "", "X-B3-Traceid": ""}},
		"not recorded":     {[]string{"traceparent: 00-" + id + "-" + parent + "-00", "tracestate: a=1"}, map[string]string{"Traceparent": "00-" + id + "-SPAN-00", "Tracestate": "a=1"}},
		"recorded":         {[]string{"traceparent: 00-" + id + "-" + parent + "-01"}, map[string]string{"Traceparent": "00-" + id + "-SPAN-01"}},
		"of the future":    {[]string{"traceparent: 01-" + id + "-" + parent + "-03-x"}, map[string]string{"Traceparent": "00-" + id + "-SPAN-01"}},
		"not valid":        {[]string{"traceparent: 00-" + id + "-" + parent + "-01-x", "tracestate: a=1"}, map[string]string{"Traceparent": "00-ID-SPAN-00", "Tracestate": ""}},
		"twice":            {[]string{"traceparent: 00-" + id + "-" + parent + "-01", "traceparent: 00-" + id + "-" + parent + "-01"}, map[string]string{"Traceparent": "00-ID-SPAN-00"}},
		"bad state":        {[]string{"traceparent: 00-" + id + "-" + parent + "-00", "tracestate: a=1,a=2"}, map[string]string{"Traceparent": "00-" + id + "-SPAN-00", "Tracestate": ""}},
		"B3":               {[]string{"b3: " + id + "-" + parent + "-0"}, map[string]string{"Traceparent": "00-" + id + "-SPAN-00", "B3": id + "-SPAN-0-SPAN"}},
		"B3 of 64 bits":    {[]string{"b3: " + half + "-" + parent + "-0"}, map[string]string{"Traceparent": "00-0000000000000000" + half + "-SPAN-00"}},
		"B3 denies":        {[]string{"b3: 0"}, map[string]string{"Traceparent": "00-ID-SPAN-00", "B3": "ID-SPAN-0-SPAN"}},
		"several of B3":    {[]string{"x-b3-traceid: " + id, "x-b3-spanid: " + parent, "x-b3-sampled: 0"}, map[string]string{"Traceparent": "00-" + id + "-SPAN-00", "X-B3-Traceid": id, "X-B3-Spanid": "SPAN", "X-B3-Sampled": "0", "B3": ""}},
		"debug":            {[]string{"x-b3-traceid: " + id, "x-b3-spanid: " + parent, "x-b3-flags: 1"}, map[string]string{"Traceparent": "00-" + id + "-SPAN-01", "X-B3-Traceid": id, "X-B3-Flags": "1"}},
		"force, an edge's": {[]string{"x-envoy-force-trace: true"}, map[string]string{"Traceparent": "00-ID-SPAN-00", "X-Envoy-Force-Trace": ""}},
	} {
		seen := ask(c.headers...)
		for header, want := range c.want {
			got := strings.Join(seen[header], ",")
			if !like(got, want, id, parent) {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
	}

	// Without tracing, everything passes as it is.
	generation := metric(t, p, "sluice_config_generation")
	m.telemetry(t, "match: {mode: SERVER}")
	p.becomes(t, "sluice_config_generation", func(now string) bool { return now != generation })
	if seen := ask("traceparent: x", "tracestate: =", "b3: 1"); seen.Get("Traceparent") != "x" || seen.Get("Tracestate") != "=" || seen.Get("B3") != "1" {
		t.Errorf("without tracing: %v", seen)
	}
	if seen := ask(); seen.Get("Traceparent") != "" {
		t.Errorf("without tracing: %v", seen)
	}
}

// like compares a header with what is wanted of it: SPAN is any new id of a span, ID of a trace.
func like(got, want, id, parent string) bool {
	g, w := strings.Split(got, "-"), strings.Split(want, "-")
	if len(g) != len(w) {
		return false
	}
	for i := range w {
		switch w[i] {
		case "SPAN":
			if len(g[i]) != 16 || g[i] == parent {
				return false
			}
		case "ID":
			if len(g[i]) != 32 || g[i] == id {
				return false
			}
		default:
			if g[i] != w[i] {
				return false
			}
		}
	}
	return true
}

// metric reads one of the proxy's metrics, "" where there is none.
func metric(t *testing.T, p *process, series string) string {
	t.Helper()
	_, body := get(t, "http://"+p.admin+"/stats/prometheus")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// becomes polls a metric until it is as wanted.
func (p *process) becomes(t *testing.T, series string, wanted func(string) bool) {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got := metric(t, p, series)
		if wanted(got) {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s stays %q", series, got)
		}
	}
}

// TestShare: the policy's share of the requests becomes traces, and by default one in a hundred.
func TestShare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		telemetry string
		share     float64
		n         int
	}{
		"a quarter":  {"randomSamplingPercentage: 25", 0.25, 2000},
		"by default": {"", 0.01, 4000},
		"all":        {"randomSamplingPercentage: 100", 1, 200},
		"none":       {"randomSamplingPercentage: 0", 0, 500},
		"not sent":   {"randomSamplingPercentage: 100\ndisableSpanReporting: true", 0, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSink()
			at, _ := s.serve(t, "127.0.0.1:0", false)
			m := newManifests(t)
			m.collector(t, at, "", c.telemetry)
			shop := newBackend(t, 0)
			m.shop(t, shop, "")
			url, p := m.gateway(t)
			for range c.n {
				get(t, url+"/shop/")
			}
			flagged := 0.0
			for _, h := range shop.requests() {
				if strings.HasSuffix(h.Get("Traceparent"), "-01") {
					flagged++
				}
			}
			if name != "not sent" {
				s.await(t, "", 2*int(flagged))
			}
			p.stop() // which sends what is left, if anything
			spans, _ := s.of("")
			got, want := float64(len(spans))/2, c.share*float64(c.n)
			if math.Abs(got-want) > 7*math.Sqrt(want*(1-c.share)) {
				t.Errorf("%v of %d requests are traces, want about %v", got, c.n, want)
			}
			if name != "not sent" && flagged != got || name == "not sent" && flagged != float64(c.n) {
				t.Errorf("%v requests were told to record, %v are recorded", flagged, got)
			}
		})
	}
}

// TestLocalReplies: what the proxy itself answers has a span too.
func TestLocalReplies(t *testing.T) {
	t.Parallel()
	s := newSink()
	at, _ := s.serve(t, "127.0.0.1:0", false)
	m := newManifests(t)
	m.collector(t, at, "", "randomSamplingPercentage: 100")
	shop := newBackend(t, 0)
	m.shop(t, shop, "")
	m.workload(t, "default", "shop", "v1", 80, freeAddress(t)) // where nobody listens
	url, p := m.gateway(t)
	get(t, url+"/nowhere")
	get(t, url+"/shop/")
	generation := metric(t, p, "sluice_config_generation")
	m.write(t, "shop-v1.yaml", "# Nobody is left.\n")
	p.becomes(t, "sluice_config_generation", func(now string) bool { return now != generation })
	get(t, url+"/shop/")
	spans, came := s.of("")
	found := map[string]*span{}
	for late := time.After(patience); ; spans, came = s.of("") {
		for _, x := range spans {
			found[x.Tags["response_flags"]+" "+x.Kind.String()] = x
		}
		if found["NR SPAN_KIND_SERVER"] != nil && found["UF,URX SPAN_KIND_SERVER"] != nil && found["UH SPAN_KIND_CLIENT"] != nil {
			break
		}
		select {
		case <-came:
		case <-late:
			t.Fatalf("of three failures these spans came:\n%s", list(spans))
		}
	}
	host := strings.TrimPrefix(url, "http://")
	if x := found["NR SPAN_KIND_SERVER"]; x == nil || x.Name != "egress "+host || x.Tags["http.status_code"] != "404" || x.Failed {
		t.Errorf("of the request without a route: %v", x)
	}
	if x := found["UF,URX SPAN_KIND_SERVER"]; x == nil || x.Tags["http.status_code"] != "503" || !x.Failed || x.Tags["error"] != "true" {
		t.Errorf("of the request that nobody took: %v", x)
	}
	if x := found["UH SPAN_KIND_CLIENT"]; x == nil || !x.Failed || x.Tags["upstream_address"] != "" || x.Tags["http.status_code"] != "0" {
		t.Errorf("of the try that found nobody: %v", x)
	}
	if t.Failed() {
		t.Logf("the spans:\n%s", list(spans))
	}
}

// TestCollectorAway: requests are served as ever while the collector is away; that is logged once,
// and spans come when it is back.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	for name, overHTTP := range map[string]bool{"gRPC": false, "HTTP": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := freeAddress(t)
			provider := ""
			if overHTTP {
				provider = "http: {path: /v1/traces}"
			}
			m := newManifests(t)
			m.collector(t, at, provider, "randomSamplingPercentage: 100")
			shop := newBackend(t, 0)
			m.shop(t, shop, "")
			url, p := m.gateway(t)
			first, parent := ids()
			for range 50 {
				began := time.Now()
				if status, _ := get(t, url+"/shop/", "traceparent: 00-"+first+"-"+parent+"-01"); status != 200 || time.Since(began) > 20*time.Second {
					t.Fatalf("status %d after %v", status, time.Since(began))
				}
			}
			s := newSink()
			_, stop := s.serve(t, at, overHTTP)
			s.await(t, first, 100) // They were kept.
			stop()
			second, _ := ids()
			get(t, url+"/shop/", "traceparent: 00-"+second+"-"+parent+"-01")
			s.serve(t, at, overHTTP)
			s.await(t, second, 2)
			if n := strings.Count(p.log.String(), "does not take spans"); n > 2 {
				t.Errorf("the log tells of it %d times", n)
			}
			p.becomes(t, `sluice_trace_spans_total{provider="otel",result="sent"}`, func(now string) bool { return now == "102" })
		})
	}
}
