package metrics

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// valueOf returns a label's value, and whether there is one.
func valueOf(m *dto.Metric, name string) (string, bool) {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue(), true
		}
	}
	return "", false
}

// total sums a counter's series.
func total(list []*dto.Metric) (n float64) {
	for _, m := range list {
		n += m.GetCounter().GetValue()
	}
	return n
}

func TestHistograms(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	ex := exchange() // 3.2 ms, 432 and 5363 bytes
	for range 3 {
		m.Complete(0, ex)
	}
	ex.End = ex.Start + int64(2*time.Hour)
	m.Complete(0, ex)
	for name, want := range map[string]struct {
		sum     float64
		le      float64
		buckets uint64 // of le
		below   uint64 // of the bound before
	}{
		"istio_request_duration_milliseconds": {3*3.2 + 7_200_000, 5, 3, 0},
		"istio_request_bytes":                 {4 * 432, 500, 4, 0},
		"istio_response_bytes":                {4 * 5363, 10_000, 4, 0},
	} {
		list := gather(t, m, name)
		if len(list) != 1 {
			t.Fatalf("%s: %d series", name, len(list))
		}
		h := list[0].GetHistogram()
		if h.GetSampleCount() != 4 || h.GetSampleSum() < want.sum-0.001 || h.GetSampleSum() > want.sum+0.001 {
			t.Errorf("%s: %d values of sum %v, want 4 of %v", name, h.GetSampleCount(), h.GetSampleSum(), want.sum)
		}
		if len(h.Bucket) != len(DefaultBuckets) {
			t.Errorf("%s: %d buckets", name, len(h.Bucket))
		}
		for i, b := range h.Bucket {
			if b.GetUpperBound() == want.le && (b.GetCumulativeCount() != want.buckets || h.Bucket[i-1].GetCumulativeCount() != want.below) {
				t.Errorf("%s: %d up to %v and %d below, want %d and %d", name, b.GetCumulativeCount(), want.le, h.Bucket[i-1].GetCumulativeCount(), want.buckets, want.below)
			}
		}
	}
}

// Other bounds, as with Istio's annotation.
func TestBuckets(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Buckets: []float64{1, 10, 1000}})
	m.Complete(0, exchange())
	h := gather(t, m, "istio_request_duration_milliseconds")[0].GetHistogram()
	if len(h.Bucket) != 3 || h.Bucket[0].GetCumulativeCount() != 0 || h.Bucket[1].GetCumulativeCount() != 1 {
		t.Errorf("buckets %v", h.Bucket)
	}
}

// FuzzBounds: every value is in the first bucket whose bound it does not exceed.
func FuzzBounds(f *testing.F) {
	for _, v := range []int64{0, 1, 499_999, 500_000, 500_001, 1 << 40, 1<<63 - 1} {
		f.Add(v)
	}
	b := newBounds(DefaultBuckets, float64(time.Millisecond))
	f.Fuzz(func(t *testing.T, v int64) {
		if v < 0 {
			return
		}
		want := 0
		for want < len(b.limits) && v > b.limits[want] {
			want++
		}
		if got := b.bucket(v); got != want {
			t.Errorf("%d is in bucket %d, want %d", v, got, want)
		}
	})
}

func TestGRPCMessages(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	ex := exchange()
	ex.GRPC, ex.GRPCStatus, ex.MessagesReceived, ex.MessagesSent = true, "0", 3, 5
	m.Complete(0, ex)
	m.Complete(0, exchange())
	for name, want := range map[string]float64{"istio_request_messages_total": 3, "istio_response_messages_total": 5} {
		list := gather(t, m, name)
		if len(list) != 1 || total(list) != want || len(list[0].Label) != int(labelCount)-3 {
			t.Errorf("%s: %v", name, list)
		}
		for _, without := range []string{"response_code", "grpc_response_status", "response_flags"} {
			if v, ok := valueOf(list[0], without); ok {
				t.Errorf("%s has %s %q", name, without, v)
			}
		}
	}
}

// TestStreams: connections are counted when they open, bytes while they last.
func TestStreams(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	ex := exchange()
	st := &proxy.Stream{Connection: ex.Connection, Target: ex.Cluster, Endpoint: ex.Endpoint, Connected: 1}
	m.StreamOpened(0, st)
	expect := func(opened, closed, received, sent float64) {
		t.Helper()
		for name, want := range map[string]float64{
			"istio_tcp_connections_opened_total": opened, "istio_tcp_connections_closed_total": closed,
			"istio_tcp_received_bytes_total": received, "istio_tcp_sent_bytes_total": sent,
		} {
			if got := total(gather(t, m, name)); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	}
	expect(1, 0, 0, 0)
	m.StreamMoved(0, st, 10, 200)
	expect(1, 0, 10, 200)
	m.StreamMoved(0, st, 1, 2)
	m.StreamClosed(0, st)
	expect(1, 1, 11, 202)
	m.StreamClosed(0, &proxy.Stream{Connection: ex.Connection, Target: ex.Cluster, Flags: proxy.FlagUpstreamConnectFailure})
	expect(2, 2, 11, 202)
	labels := gather(t, m, "istio_tcp_connections_opened_total")[0].Label
	if len(labels) != int(labelCount)-2 {
		t.Errorf("%d labels", len(labels))
	}
}

// TestOverrides: a policy changes the metrics of its direction, and of no other.
func TestOverrides(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	m.Apply(&router.Spec{Telemetry: &router.Telemetry{Outbound: router.TelemetryPolicy{Metrics: []router.MetricOverride{
		{Metric: "istio_request_bytes", Disabled: true},
		{Metric: "istio_response_bytes", Disabled: true},
		{Metric: "istio_response_bytes", Enabled: true},
		{Tags: []router.TagOverride{{Name: "source_principal", Remove: true}}},
		{Metric: "istio_requests_total", Tags: []router.TagOverride{
			{Name: "method", Value: "request.method"},
			{Name: "destination_version", Value: "'all'"},
			{Name: "response_code", Remove: true},
			{Name: "not a label", Value: "'x'"},
			{Name: "broken", Value: "request.("},
		}},
	}}}})
	for _, status := range []int{200, 201} {
		ex := exchange()
		ex.Status = status
		m.Complete(0, ex)
	}
	if n := len(gather(t, m, "istio_request_bytes")); n != 0 {
		t.Errorf("a metric that is disabled has %d series", n)
	}
	if n := len(gather(t, m, "istio_response_bytes")); n != 2 {
		t.Errorf("a metric that is enabled again has %d series", n)
	}
	labels := labelsOf(t, m, "istio_requests_total") // one: the code is aggregated away
	if labels["method"] != "GET" || labels["destination_version"] != "all" || len(labels) != int(labelCount)-1 {
		t.Errorf("labels %v", labels)
	}
	if got := total(gather(t, m, "istio_requests_total")); got != 2 {
		t.Errorf("%v requests", got)
	}
	inbound := exchange()
	inbound.Connection.Inbound = true
	m.Complete(0, inbound)
	if list := gather(t, m, "istio_request_bytes"); len(list) != 1 || len(list[0].Label) != int(labelCount) {
		t.Errorf("inbound: %v", list)
	}
	// Without the policy everything is as before.
	m.Apply(&router.Spec{})
	m.Complete(0, exchange())
	if n := len(gather(t, m, "istio_request_bytes")); n != 2 {
		t.Errorf("%d series", n)
	}
}

// TestTagValuesAreBounded: a tag that clients choose has so many values, and other.
func TestTagValuesAreBounded(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	m.Apply(&router.Spec{Telemetry: &router.Telemetry{Outbound: router.TelemetryPolicy{Metrics: []router.MetricOverride{
		{Metric: "istio_requests_total", Tags: []router.TagOverride{{Name: "path", Value: "request.path"}}},
	}}}})
	const paths = 3 * maxTagValues
	for i := range paths {
		ex := exchange()
		ex.Request.Path = fmt.Sprint("/", i)
		m.Complete(0, ex)
	}
	list := gather(t, m, "istio_requests_total")
	if len(list) != maxTagValues+1 || total(list) != paths {
		t.Errorf("%d series of %v requests", len(list), total(list))
	}
	var beyond float64
	for _, s := range list {
		if v, _ := valueOf(s, "path"); v == other {
			beyond = s.GetCounter().GetValue()
		}
	}
	if beyond != paths-maxTagValues {
		t.Errorf("%v requests with other paths", beyond)
	}
}

// TestSeriesAreBounded: nothing is left uncounted where there is too much to tell apart.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge, MaxSeries: 10})
	const endpoints = 2 * maxEntries
	for i := range endpoints {
		ex := exchange()
		ex.Endpoint.Workload = fmt.Sprintf("default/w%d", i)
		m.Complete(0, ex)
	}
	list := gather(t, m, "istio_requests_total")
	if len(list) != 11 || total(list) != endpoints {
		t.Errorf("%d series of %v requests", len(list), total(list))
	}
	if edges := m.Edges(); len(edges) > 12 {
		t.Errorf("%d edges", len(edges))
	}
	if got := total(gather(t, m, "sluice_metrics_overflow_total")); got != endpoints-10 {
		t.Errorf("%v of them are told of", got)
	}
}

// TestPeersAreBounded: who calls itself ever anew makes so many series.
func TestPeersAreBounded(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: productpage, Mesh: true})
	for i := range 2 * maxPeers {
		ex := exchange()
		ex.Connection.Inbound = true
		caller := edge
		caller.Workload = fmt.Sprint("caller-", i)
		ex.PeerMetadata = caller.EncodePeer()
		m.Complete(0, ex)
	}
	if n := len(gather(t, m, "istio_requests_total")); n != maxPeers+1 {
		t.Errorf("%d series, want %d", n, maxPeers+1)
	}
}

func TestListeners(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{})
	ex := exchange()
	for i := range maxListeners + 500 {
		ex.Request.Listener = fmt.Sprint("listener ", i)
		m.Complete(0, ex)
		if i%1000 == 0 {
			m.Edges() // moves what was counted
		}
	}
	ex.Request.Listener = "listener 0"
	for i := range maxFlagged + 500 {
		ex.Flags = proxy.Flags(i + 1)
		m.Complete(0, ex)
	}
	list := gather(t, m, "sluice_requests_total")
	listeners, beyond := make(map[string]bool), 0.0
	for _, s := range list {
		name, _ := valueOf(s, "listener")
		listeners[name] = true
		if flags, _ := valueOf(s, "response_flags"); flags == other {
			beyond += s.GetCounter().GetValue()
		}
	}
	if len(listeners) != maxListeners+1 || !listeners[other] {
		t.Errorf("%d listeners", len(listeners))
	}
	if beyond != 501 { // one without flags was there before
		t.Errorf("%v requests with other flags", beyond)
	}
}

// clock is one that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// TestExpiry: what is gone, and what callers say of themselves, is forgotten; what the
// configuration has is not.
func TestExpiry(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1_000_000, 0)}
	m := newTest(t, Options{Identity: productpage, Mesh: true, now: c.now})
	stays, goes := exchange(), exchange()
	goes.Cluster.Name, goes.Cluster.Host = "outbound|80||old.default.svc.cluster.local", "old.default.svc.cluster.local"
	scaled := exchange()
	scaled.Endpoint = &router.Endpoint{Address: "10.0.0.3:9080", Workload: "default/reviews-v9"}
	caller := exchange()
	caller.Connection.Inbound, caller.Cluster = true, &router.Cluster{Name: "inbound|9080||"}
	caller.PeerMetadata = edge.EncodePeer()
	m.Apply(&router.Spec{Clusters: []*router.Cluster{stays.Cluster, goes.Cluster, caller.Cluster}})
	for _, ex := range []*proxy.Exchange{stays, goes, scaled, caller} {
		m.Complete(0, ex)
	}
	if n := len(gather(t, m, "istio_requests_total")); n != 4 {
		t.Fatalf("%d series", n)
	}
	m.Apply(&router.Spec{Clusters: []*router.Cluster{stays.Cluster, caller.Cluster}})
	c.pass(DefaultExpiry - time.Minute)
	if n := len(gather(t, m, "istio_requests_total")); n != 4 {
		t.Fatalf("%d series after less than that time", n)
	}
	c.pass(2 * time.Minute)
	if got := labelsOf(t, m, "istio_requests_total")["destination_workload"]; got != "reviews-v1" {
		t.Errorf("%s stays", got)
	}
	if n := len(m.Edges()); n != 0 {
		t.Errorf("%d edges without traffic", n)
	}
	// What comes back begins anew.
	m.Complete(0, goes)
	m.Complete(0, stays)
	list := gather(t, m, "istio_requests_total")
	if len(list) != 2 || total(list) != 3 {
		t.Errorf("%d series of %v requests", len(list), total(list))
	}
}

// TestConcurrently: scrapes, changes of the configuration and traffic lose nothing.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge, Shards: 2})
	const each, writers = 3000, 4
	var traffic, others sync.WaitGroup
	for n := range writers {
		traffic.Go(func() {
			for i := range each {
				ex := exchange()
				ex.Endpoint.Labels = map[string]string{"app": "reviews", "version": fmt.Sprint("v", i%7)}
				m.Complete(uint32(n%2), ex)
			}
		})
	}
	stop := make(chan struct{})
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			var spec router.Spec
			if i%2 == 0 {
				spec.Telemetry = &router.Telemetry{Outbound: router.TelemetryPolicy{Metrics: []router.MetricOverride{{Tags: []router.TagOverride{{Name: "method", Value: "request.method"}}}}}}
			}
			m.Apply(&spec)
			m.Edges()
		}
	})
	traffic.Wait()
	close(stop)
	others.Wait()
	if got := total(gather(t, m, "istio_requests_total")); got != each*writers {
		t.Errorf("%v requests, want %d", got, each*writers)
	}
}

func TestEdges(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	for _, status := range []int{200, 200, 503, 0} {
		ex := exchange()
		ex.Status = status
		m.Complete(0, ex)
	}
	list := m.Edges()
	if len(list) != 1 {
		t.Fatalf("%d edges: %+v", len(list), list)
	}
	e := list[0]
	if e.Inbound || e.Source.Name != "istio-ingressgateway" || e.Destination.Name != "reviews-v1" || e.Service.Name != "reviews" || e.Protocol != "http" {
		t.Errorf("edge %+v", e)
	}
	if e.Requests != [6]uint64{1, 0, 2, 0, 0, 1} || e.Failures != 2 || e.Duration.Total() != 4 || e.Received != 4*432 || e.Sent != 4*5363 {
		t.Errorf("edge %+v", e)
	}
	if p := e.Duration.Quantile(0.5); p <= 1 || p > 5 {
		t.Errorf("median %v", p)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	h := Histogram{Bounds: []float64{10, 20}, Counts: []uint64{10, 10, 0}}
	for q, want := range map[float64]float64{0: 0, 0.25: 5, 0.5: 10, 0.75: 15, 1: 20} {
		if got := h.Quantile(q); got != want {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if got := (&Histogram{Bounds: []float64{10}, Counts: []uint64{0, 4}}).Quantile(0.5); got != 10 {
		t.Errorf("beyond all bounds: %v", got)
	}
	if got := (&Histogram{}).Quantile(0.5); got != 0 {
		t.Errorf("nothing: %v", got)
	}
}

// TestAllocations holds the request path to its budget: with a policy, and a caller.
func TestAllocations(t *testing.T) {
	m := newTest(t, Options{Identity: productpage, Mesh: true})
	m.Apply(&router.Spec{Telemetry: &router.Telemetry{Inbound: router.TelemetryPolicy{Metrics: []router.MetricOverride{
		{Tags: []router.TagOverride{{Name: "host", Value: "request.host"}, {Name: "way", Value: "request.method + ' ' + request.path"}}},
	}}}})
	out, in := exchange(), exchange()
	in.Connection.Inbound, in.PeerMetadata = true, edge.EncodePeer()
	st := &proxy.Stream{Connection: out.Connection, Target: out.Cluster, Endpoint: out.Endpoint}
	step := func() {
		m.Complete(0, out)
		m.Complete(0, in)
		m.StreamOpened(0, st)
		m.StreamMoved(0, st, 1, 1)
	}
	step()
	if n := testing.AllocsPerRun(1000, step); n > 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
	if list := gather(t, m, "istio_requests_total"); len(list) != 2 {
		var text strings.Builder
		for _, s := range list {
			fmt.Fprintln(&text, s)
		}
		t.Errorf("series:\n%s", text.String())
	}
}
