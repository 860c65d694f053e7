package trace

import (
	stdcontext "context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
)

// collector stands for a client and the collector behind it.
type collector struct {
	mu       sync.Mutex
	resource map[string]string
	spans    []*tracepb.Span
	uploads  int
	largest  int // in bytes
	stopped  bool
	// fails, where not nil, is what uploads come to; hang lets them wait for it or for their
	// time to end.
	fails error
	hang  chan struct{}
	// came has a mark for each upload.
	came chan struct{}
}

func newCollector() *collector { return &collector{came: make(chan struct{}, 1000)} }

func (c *collector) Start(stdcontext.Context) error { return nil }

func (c *collector) Stop(stdcontext.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	return nil
}

func (c *collector) UploadTraces(ctx stdcontext.Context, all []*tracepb.ResourceSpans) error {
	c.mu.Lock()
	hang := c.hang
	c.mu.Unlock()
	defer func() { c.came <- struct{}{} }()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uploads++
	if c.fails != nil {
		return c.fails
	}
	c.largest = max(c.largest, proto.Size(&tracepb.TracesData{ResourceSpans: all}))
	for _, r := range all {
		c.resource = values(r.Resource.Attributes)
		for _, s := range r.ScopeSpans {
			c.spans = append(c.spans, s.Spans...)
		}
	}
	return nil
}

func (c *collector) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *collector) count() (n int) {
	c.set(func() { n = len(c.spans) })
	return n
}

// await waits for n uploads.
func (c *collector) await(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-c.came:
		case <-time.After(20 * time.Second):
			t.Fatal("no upload came")
		}
	}
}

func values(all []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range all {
		m[kv.Key] = kv.Value.GetStringValue()
	}
	return m
}

// logged collects lines.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var collected = &router.OTLP{Cluster: "outbound|4317||otel.observability.svc.cluster.local", Address: "otel.observability.svc.cluster.local:4317"}

// reporting returns a Tracer that sends to c.
func reporting(t testing.TB, c *collector, tracing router.Tracing, change ...func(*Options)) (*Tracer, *logged) {
	t.Helper()
	lines := &logged{}
	o := Options{
		Identity: identity.Identity{Workload: "productpage-v1", Namespace: "default", Labels: map[string]string{"app": "productpage", "version": "v1"},
			Mesh: "cluster.local", Cluster: "Kubernetes", Node: "sidecar~10.0.0.7~productpage.default~default.svc.cluster.local"},
		NewClient: func(*router.OTLP) otlptrace.Client { return c },
		Compile: func(text string) (Format, error) {
			if text == "%NONE%" {
				return nil, errors.New("no such operator")
			}
			return func(dst []byte, ex *proxy.Exchange) []byte { return append(append(dst, text...), ex.Request.Method...) }, nil
		},
		Delay: time.Millisecond, Hold: time.Hour, Random: rand.Uint64,
		Log: slog.New(slog.NewTextHandler(lines, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	tracing.OTLP, tracing.Provider = collected, "otel"
	tr := New(o)
	t.Cleanup(tr.Close)
	tr.Apply(&router.Spec{Telemetry: &router.Telemetry{Outbound: router.TelemetryPolicy{Tracing: &tracing}}})
	return tr, lines
}

var reviews = &router.Cluster{
	Name: "outbound|9080|v1|reviews.default.svc.cluster.local", Host: "reviews.default.svc.cluster.local", Subset: "v1", Port: 9080,
	Service: router.Service{Host: "reviews.default.svc.cluster.local", Name: "reviews", Namespace: "default"},
}

// served is an exchange as it is when a request to reviews was answered at the second try.
func served(headers string) *proxy.Exchange {
	ex := request(headers)
	ex.Request.Method, ex.Request.Scheme, ex.Request.Authority, ex.Request.Path = "GET", "http", "reviews:9080", "/reviews/0?full=true"
	ex.Protocol = "HTTP/1.1"
	ex.Remote = netip.MustParseAddrPort("10.1.2.3:40123")
	ex.Decision.Route = &router.CompiledRoute{Route: &router.Route{Match: router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/reviews/"}}}, Handling: &router.Handling{Configured: router.Configured{RouteAction: &router.RouteAction{}, RoutePolicy: &router.RoutePolicy{}}}}
	ex.Cluster = reviews
	ex.Status, ex.UpstreamStatus, ex.UpstreamHost = 200, 200, "10.0.0.2:9080"
	ex.BytesReceived, ex.BytesSent = 5, 357
	ex.Start, ex.End = 1_000, 9_000_000
	return ex
}

// complete does what the data path does.
func complete(t *Tracer, ex *proxy.Exchange) {
	t.Begin(ex)
	if ex.Trace.Sampled {
		first := &router.Endpoint{Address: "10.0.0.1:9080", Locality: "r1/z1"}
		ex.Trace.Tries = append(ex.Trace.Tries[:0],
			proxy.TracedTry{Span: [8]byte{1}, Cluster: &router.Cluster{Name: "outbound|9080|v3|reviews"}, Endpoint: first, Start: 1500, End: 1500, Mirror: true},
			proxy.TracedTry{Span: [8]byte{2}, Cluster: reviews, Endpoint: first, Start: 2000, End: 3000, Failure: proxy.FailReset},
			proxy.TracedTry{Span: [8]byte{3}, Cluster: reviews, Endpoint: &router.Endpoint{Address: "reviews.example.com:9080"}, Start: 4000, End: 8_000_000, Status: ex.UpstreamStatus, Retry: true},
		)
	}
	t.Complete(ex)
}

func TestSpans(t *testing.T) {
	t.Parallel()
	c := newCollector()
	tr, lines := reporting(t, c, router.Tracing{W3C: true, Sampling: 0, Tags: []router.SpanTag{
		{Name: "env", Literal: "prod"}, {Name: "user", Header: "End-User", Default: "nobody"}, {Name: "who", Header: "x-who", Default: "nobody"},
		{Name: "gone", Header: "x-gone"}, {Name: "made", Formatter: "it is "}, {Name: "bad", Formatter: "%NONE%"},
	}})
	complete(tr, served(parentNo)) // which makes no spans
	complete(tr, served(parentYes+"\ntracestate: rojo=1\nuser-agent: curl/8\nx-request-id: r-1\nend-user: jason"))
	c.await(t, 1)
	tr.Close()
	if len(c.spans) != 4 || !c.stopped {
		t.Fatalf("%d spans, stopped %v", len(c.spans), c.stopped)
	}
	if got := c.resource["service.name"]; got != "productpage.default" {
		t.Errorf("service.name is %q", got)
	}
	server := c.spans[0]
	const name = "reviews.default.svc.cluster.local:9080/reviews/*"
	if server.Name != name || server.Kind != tracepb.Span_SPAN_KIND_SERVER || hex.EncodeToString(server.TraceId) != id ||
		hex.EncodeToString(server.ParentSpanId) != span || server.TraceState != "rojo=1" || server.Status.GetCode() != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("got %v", server)
	}
	if got := server.EndTimeUnixNano - server.StartTimeUnixNano; got != 9_000_000-1_000 {
		t.Errorf("it took %d ns", got)
	}
	both := map[string]string{
		"component": "proxy", "node_id": "sidecar~10.0.0.7~productpage.default~default.svc.cluster.local",
		"istio.canonical_service": "productpage", "istio.canonical_revision": "v1", "istio.mesh_id": "cluster.local",
		"istio.namespace": "default", "istio.cluster_id": "Kubernetes",
		"env": "prod", "user": "jason", "who": "nobody", "made": "it is GET",
	}
	check := func(s *tracepb.Span, want map[string]string) {
		t.Helper()
		got := values(s.Attributes)
		for _, m := range []map[string]string{both, want} {
			for k, v := range m {
				if got[k] != v {
					t.Errorf("%s: %s is %q, want %q", s.Name, k, got[k], v)
				}
				delete(got, k)
			}
		}
		for k, v := range got {
			t.Errorf("%s: %s is %q", s.Name, k, v)
		}
	}
	check(server, map[string]string{
		"guid:x-request-id": "r-1", "http.url": "http://reviews:9080/reviews/0?full=true", "http.method": "GET", "http.protocol": "HTTP/1.1",
		"http.status_code": "200", "request_size": "5", "response_size": "357", "user_agent": "curl/8", "downstream_cluster": "-",
		"response_flags": "-", "peer.address": "10.1.2.3", "upstream_cluster": reviews.Name, "upstream_cluster.name": reviews.Name, "upstream_address": "10.0.0.2:9080",
	})
	mirror, first, second := c.spans[1], c.spans[2], c.spans[3]
	for i, s := range c.spans[1:] {
		if s.Kind != tracepb.Span_SPAN_KIND_CLIENT || string(s.ParentSpanId) != string(server.SpanId) || string(s.TraceId) != string(server.TraceId) || s.SpanId[0] != byte(i+1) {
			t.Errorf("got %v", s)
		}
	}
	if mirror.Name != "async outbound|9080|v3|reviews egress" || first.Name != "router "+reviews.Name+" egress" {
		t.Errorf("got %q and %q", mirror.Name, first.Name)
	}
	check(mirror, map[string]string{"sluice.mirror": "true", "response_flags": "-", "upstream_cluster": "outbound|9080|v3|reviews", "upstream_cluster.name": "outbound|9080|v3|reviews",
		"upstream_address": "10.0.0.1:9080", "peer.address": "10.0.0.1:9080", "zone": "r1/z1"})
	if first.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || first.Status.GetMessage() != "connection termination" {
		t.Errorf("got %v", first.Status)
	}
	check(first, map[string]string{"response_flags": "-", "upstream_cluster": reviews.Name, "upstream_cluster.name": reviews.Name,
		"upstream_address": "10.0.0.1:9080", "peer.address": "10.0.0.1:9080", "zone": "r1/z1", "http.status_code": "0", "error": "true"})
	check(second, map[string]string{"response_flags": "-", "upstream_cluster": reviews.Name, "upstream_cluster.name": reviews.Name,
		"upstream_address": "10.0.0.2:9080", "peer.address": "10.0.0.2:9080", "http.status_code": "200", "retry.count": "1"})
	if got := lines.String(); !strings.Contains(got, "tag=bad") || strings.Count(got, "\n") != 1 {
		t.Errorf("log: %s", got)
	}
}

// TestOddExchanges: spans of what was not forwarded, and of what cannot be a tag as it is.
func TestOddExchanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*proxy.Exchange)
		span   string
		tags   map[string]string
		status string
	}{
		"no route": {func(ex *proxy.Exchange) {
			ex.Decision.Route, ex.Cluster, ex.Status, ex.Flags = nil, nil, 404, proxy.FlagNoRoute
			ex.UpstreamHost = ""
		}, "egress reviews:9080", map[string]string{"http.status_code": "404", "response_flags": "NR", "upstream_cluster": "", "upstream_address": ""}, ""},
		"no healthy upstream": {func(ex *proxy.Exchange) {
			ex.Status, ex.Flags = 503, proxy.FlagNoHealthyUpstream
		}, "reviews.default.svc.cluster.local:9080/reviews/*", map[string]string{"response_flags": "UH", "error": "true"}, "HTTP status 503"},
		"no response": {func(ex *proxy.Exchange) { ex.Status, ex.Flags = 0, proxy.FlagDownstreamTermination },
			"reviews.default.svc.cluster.local:9080/reviews/*", map[string]string{"http.status_code": "0", "error": "true"}, "no response"},
		"gRPC": {func(ex *proxy.Exchange) {
			ex.GRPC, ex.GRPCStatus, ex.Request.Path = true, "14", "/reviews.Reviews/Get"
			ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: "content-type", Value: "application/grpc"}, router.Header{Name: "grpc-timeout", Value: "1S"})
		}, "reviews.default.svc.cluster.local:9080/reviews/*", map[string]string{"grpc.status_code": "14", "grpc.path": "/reviews.Reviews/Get",
			"grpc.authority": "reviews:9080", "grpc.content_type": "application/grpc", "grpc.timeout": "1S", "error": "true"}, "gRPC status 14"},
		"long path": {func(ex *proxy.Exchange) { ex.Request.Path = "/" + strings.Repeat("x", 1000) },
			"reviews.default.svc.cluster.local:9080/reviews/*", map[string]string{"http.url": "http://reviews:9080/" + strings.Repeat("x", 19)}, ""},
		"not UTF-8": {func(ex *proxy.Exchange) { ex.Request.Path = "/\xff\xfe" },
			"reviews.default.svc.cluster.local:9080/reviews/*", map[string]string{"http.url": "http://reviews:9080/?"}, ""},
		"exact path": {func(ex *proxy.Exchange) {
			ex.Decision.Route = &router.CompiledRoute{Route: &router.Route{Match: router.Match{Path: router.StringMatch{Kind: router.MatchExact, Value: "/productpage"}}}, Handling: &router.Handling{Configured: router.Configured{RouteAction: &router.RouteAction{}, RoutePolicy: &router.RoutePolicy{}}}}
		}, "reviews.default.svc.cluster.local:9080/productpage", nil, ""},
		"any path": {func(ex *proxy.Exchange) {
			ex.Decision.Route = &router.CompiledRoute{Route: &router.Route{}, Handling: &router.Handling{Configured: router.Configured{RouteAction: &router.RouteAction{}, RoutePolicy: &router.RoutePolicy{}}}}
		},
			"reviews.default.svc.cluster.local:9080/*", nil, ""},
		"passed through": {func(ex *proxy.Exchange) {
			ex.Decision.Route = &router.CompiledRoute{Route: &router.Route{}, Handling: &router.Handling{Configured: router.Configured{RouteAction: &router.RouteAction{}, RoutePolicy: &router.RoutePolicy{}}}}
			ex.Cluster = &router.Cluster{Name: "PassthroughCluster"}
		}, "PassthroughCluster/*", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := newCollector()
			tr, _ := reporting(t, sink, router.Tracing{W3C: true, Sampling: 100, MaxTagLength: 20, NoIstioTags: true})
			ex := served("")
			c.change(ex)
			tr.Begin(ex)
			tr.Complete(ex)
			sink.await(t, 1)
			tr.Close()
			if len(sink.spans) != 1 {
				t.Fatalf("%d spans", len(sink.spans))
			}
			s := sink.spans[0]
			if s.Name != c.span || s.Status.GetMessage() != c.status || len(s.ParentSpanId) != 0 {
				t.Errorf("got %v", s)
			}
			got := values(s.Attributes)
			for k, v := range c.tags {
				if got[k] != v {
					t.Errorf("%s is %q, want %q", k, got[k], v)
				}
			}
			if _, ok := got["istio.mesh_id"]; ok {
				t.Error("Istio's tags were not wanted")
			}
		})
	}
}

// TestCollectorAway: a collector that fails, or does not answer, is told of once, and the
// request path does not wait for it.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	c := newCollector()
	c.fails = errors.New("connection refused")
	tr, lines := reporting(t, c, router.Tracing{Sampling: 100})
	for range 3 {
		complete(tr, served(""))
		c.await(t, 1)
	}
	c.set(func() { c.fails = nil })
	complete(tr, served(""))
	c.await(t, 1)

	hang := make(chan struct{})
	c.set(func() { c.hang = hang })
	for range maxQueued + 3*maxBatch {
		complete(tr, served(""))
	}
	e := tr.exporters[0]
	if got := e.dropped.Load(); got < 1 || got > 3*maxBatch {
		t.Errorf("%d exchanges were dropped", got)
	}
	close(hang)
	// Close would have no more than two seconds' patience.
	for until := time.Now().Add(time.Minute); (len(e.queue) > 0 || e.sent.Load() < 4*(maxQueued+3*maxBatch+1-e.dropped.Load())) && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	tr.Close()
	if want := maxQueued + 3*maxBatch + 1 - e.dropped.Load(); e.sent.Load() != 4*want || e.failed.Load() != 3*4 {
		t.Errorf("%d spans sent, want %d; %d failed", e.sent.Load(), 4*want, e.failed.Load())
	}
	if got := lines.String(); strings.Count(got, "does not take spans") != 1 || strings.Count(got, "takes spans again") != 1 {
		t.Errorf("log: %s", got)
	}
}

// TestLargeSpans: whatever clients send, a batch is no larger than collectors of gRPC take, 4 MB, or
// the spans of others would be lost with it.
func TestLargeSpans(t *testing.T) {
	t.Parallel()
	c := newCollector()
	tr, _ := reporting(t, c, router.Tracing{W3C: true, Sampling: 100}, func(o *Options) { o.Delay = time.Second })
	var state []string
	for i := range 32 {
		state = append(state, fmt.Sprintf("key%d=%s", i, strings.Repeat("v", 250)))
	}
	ex := served(parentYes + "\ntracestate: " + strings.Join(state, ",") + "\nuser-agent: " + strings.Repeat("u", 2000) + "\nx-client-trace-id: " + strings.Repeat("i", 2000))
	c.hang = make(chan struct{})
	const n = 2 * maxBatch
	for range n {
		complete(tr, ex)
	}
	if !ex.Trace.KeepState {
		t.Fatal("the state is not kept")
	}
	close(c.hang)
	for until := time.Now().Add(time.Minute); c.count() < 4*n && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	tr.Close()
	if got := c.count(); got != 4*n {
		t.Errorf("%d spans came, want %d", got, 4*n)
	}
	if c.largest > 4<<20 {
		t.Errorf("a batch has %d KB", c.largest>>10)
	}
}

// TestCloseIsBounded: a collector that does not answer holds the end up for two seconds at most.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	c := newCollector()
	c.hang = make(chan struct{})
	tr, _ := reporting(t, c, router.Tracing{Sampling: 100}, func(o *Options) { o.Hold = time.Hour })
	complete(tr, served(""))
	began := time.Now()
	tr.Close()
	if took := time.Since(began); took > closePatience+20*time.Second {
		t.Errorf("it took %v", took)
	}
	if e := tr.exporters; len(e) > 0 {
		<-e[0].done
		if got := e[0].failed.Load(); got != 4 {
			t.Errorf("%d spans are counted as failed", got)
		}
	}
}

// TestExportersAreKept: an exporter lives as long as a policy has its definition.
func TestExportersAreKept(t *testing.T) {
	t.Parallel()
	made := 0
	var all []*collector
	tr := New(Options{Delay: time.Hour, NewClient: func(*router.OTLP) otlptrace.Client {
		made++
		all = append(all, newCollector())
		return all[len(all)-1]
	}})
	defer tr.Close()
	plan := func(address string, sampling float64) *router.Spec {
		policy := router.TelemetryPolicy{Tracing: &router.Tracing{Provider: "otel", Sampling: sampling, OTLP: &router.OTLP{Address: address, Headers: []router.Header{{Name: "a", Value: "b"}}}}}
		return &router.Spec{Telemetry: &router.Telemetry{Outbound: policy, Inbound: policy}}
	}
	tr.Apply(plan("a:1", 100))
	ex := served("")
	tr.Begin(ex)
	tr.Complete(ex)
	tr.Apply(plan("a:1", 1))
	if made != 1 {
		t.Fatalf("%d exporters for one definition", made)
	}
	tr.Apply(plan("b:1", 1))
	if made != 2 {
		t.Fatalf("%d exporters for two definitions", made)
	}
	all[0].await(t, 1) // What it had is sent before it ends.
	if n := all[0].count(); n != 1 {
		t.Errorf("%d spans, want 1", n)
	}
	tr.Apply(&router.Spec{})
	tr.ending.Wait()
	if !all[0].stopped || !all[1].stopped || len(tr.exporters) != 0 {
		t.Errorf("exporters are left: %d", len(tr.exporters))
	}
}

// TestNothingIsSent: a policy without a collector, and a request that is not recorded.
func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	tr := New(Options{NewClient: func(*router.OTLP) otlptrace.Client { panic("there is no collector") }})
	tr.Apply(&router.Spec{Telemetry: &router.Telemetry{Outbound: router.TelemetryPolicy{Tracing: &router.Tracing{W3C: true, Sampling: 100}}}})
	ex := served("")
	complete(tr, ex)
	if !ex.Trace.Sampled || !ex.Trace.W3C {
		t.Errorf("headers are not continued: %+v", ex.Trace)
	}
	tr.Close()
	complete(tr, ex) // After the end, nothing happens.
}

// TestCompleteAllocatesNothing holds the request path to its budget. The worker is held up, as
// what it allocates counts too.
func TestCompleteAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	c := newCollector()
	c.hang = make(chan struct{})
	defer close(c.hang)
	tr, _ := reporting(t, c, router.Tracing{Sampling: 100, Tags: []router.SpanTag{{Name: "a", Formatter: "b"}, {Name: "c", Header: "d", Default: "e"}}})
	ex := served(parentYes)
	tr.Begin(ex)
	tr.Complete(ex)
	e := tr.exporters[0]
	for len(e.queue) < maxQueued-200 { // The worker hangs by now, or soon.
		tr.Complete(ex)
	}
	for range 100 {
		r := new(record)
		r.fill(ex, tr.policies.Load().outbound)
		r.free()
	}
	if n := testing.AllocsPerRun(50, func() { tr.Complete(ex) }); n > 0 {
		t.Errorf("%v allocations for each exchange", n)
	}
	ex.Trace.Sampled = false
	if n := testing.AllocsPerRun(1000, func() { tr.Complete(ex) }); n > 0 {
		t.Errorf("%v allocations for each exchange that is not recorded", n)
	}
}

// TestOwnService: calls to the workload are named by the service that it is an endpoint of.
func TestOwnService(t *testing.T) {
	t.Parallel()
	c := newCollector()
	tr := New(Options{
		Identity:  identity.Identity{Workload: "reviews-v1", Namespace: "default"},
		NewClient: func(*router.OTLP) otlptrace.Client { return c }, Delay: time.Millisecond,
	})
	defer tr.Close()
	inbound := router.TelemetryPolicy{Tracing: &router.Tracing{Provider: "otel", Sampling: 100, OTLP: collected}}
	tr.Apply(&router.Spec{Telemetry: &router.Telemetry{Inbound: inbound}, Clusters: []*router.Cluster{
		{Name: "a", Port: 80, Service: router.Service{Host: "other"}, Endpoints: []*router.Endpoint{{Address: "10.0.0.1:9080", Workload: "default/ratings-v1"}}},
		{Name: "b", Port: 81, Service: router.Service{Host: "reviews.default.svc.cluster.local"}, Endpoints: []*router.Endpoint{{Address: "10.0.0.2:9080", Workload: "default/reviews-v1"}}},
	}})
	for _, port := range []uint16{9080, 9999} {
		ex := served("")
		ex.Connection.Inbound, ex.Decision.Route = true, nil
		ex.Cluster = &router.Cluster{Name: fmt.Sprintf("inbound|%d||", port), Port: port}
		tr.Begin(ex)
		tr.Complete(ex)
		c.await(t, 1)
	}
	tr.Close()
	if len(c.spans) != 2 || c.spans[0].Name != "reviews.default.svc.cluster.local:81/*" || c.spans[1].Name != "inbound|9999||/*" {
		t.Errorf("got %v", c.spans)
	}
}

func TestServiceName(t *testing.T) {
	t.Parallel()
	for want, who := range map[string]identity.Identity{
		"productpage.default":               {Namespace: "default", Workload: "x", Labels: map[string]string{"app": "productpage"}},
		"istio-ingressgateway.istio-system": {Namespace: "istio-system", Workload: "istio-ingressgateway", Labels: map[string]string{"istio": "ingressgateway"}},
		"istio-proxy":                       {Namespace: "default"},
	} {
		if got := serviceName(who); got != want {
			t.Errorf("%+v is %q, want %q", who, got, want)
		}
	}
	tr := New(Options{})
	if got := tr.serviceName(&router.Tracing{ServiceName: "mine"}); got != "mine" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkComplete(b *testing.B) {
	for _, sampled := range []bool{false, true} {
		b.Run(fmt.Sprint("sampled=", sampled), func(b *testing.B) {
			c := newCollector()
			c.came = make(chan struct{}, 1<<20)
			tr, _ := reporting(b, c, router.Tracing{W3C: true, Sampling: 100}, func(o *Options) { o.Delay = time.Second })
			ex := served("user-agent: curl/8\nx-request-id: r-1")
			tr.Begin(ex)
			ex.Trace.Sampled = sampled
			b.ReportAllocs()
			for b.Loop() {
				tr.Complete(ex)
			}
		})
	}
}

// BenchmarkMake is the cost of an exchange's spans off the request path: a server's and three
// clients'.
func BenchmarkMake(b *testing.B) {
	tr, _ := reporting(b, newCollector(), router.Tracing{W3C: true, Sampling: 100})
	ex := served("user-agent: curl/8\nx-request-id: r-1")
	complete(tr, ex)
	m := newSpanMaker("productpage.default", tr.o.Identity)
	r := new(record)
	r.fill(ex, tr.policies.Load().outbound)
	b.ReportAllocs()
	for b.Loop() {
		m.make(r)
		m.forget()
	}
}
