package metrics

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

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

// TestOutcomesAreBounded: services that end in every way there is do not make a histogram, which is
// a page of lines, for each of them, nor take the room of others. Nothing is left uncounted.
func TestOutcomesAreBounded(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	const services, codes, flags = 12, 20, 10
	complete := func(name string, status, flag int) {
		ex := exchange()
		ex.Cluster.Host, ex.Endpoint.Workload = name+".default.svc.cluster.local", "default/"+name
		ex.Status, ex.Flags = status, proxy.Flags(1)<<flag
		m.Complete(0, ex)
	}
	for i := range services * codes * flags {
		complete(fmt.Sprint("s", i%services), 400+i/services%codes, i/services/codes)
	}
	complete("quiet", 200, 0)
	const told = services*maxOutcomes + 1
	for _, name := range []string{"istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"} {
		list := gather(t, m, name)
		var counted, others uint64
		for _, s := range list {
			counted += s.Histogram.GetSampleCount()
			for _, l := range s.Label {
				if l.GetName() == "response_code" && l.GetValue() == other {
					others += s.Histogram.GetSampleCount()
				}
			}
		}
		if len(list) != told+services || counted != services*codes*flags+1 || others != counted-told {
			t.Errorf("%s: %d series of %d requests, %d of them of other codes", name, len(list), counted, others)
		}
	}
	if list := gather(t, m, "istio_requests_total"); len(list) != services*codes*flags+1 {
		t.Errorf("istio_requests_total has %d series, want one for each way to end", len(list))
	}
	if got := total(gather(t, m, "sluice_metrics_overflow_total")); got != services*codes*flags+1-told {
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
	goes.Request.Listener = "old"
	m.Complete(0, goes)
	m.Apply(&router.Spec{Clusters: []*router.Cluster{stays.Cluster, caller.Cluster}, Listeners: []*router.Listener{{Name: stays.Request.Listener}}})
	if n := len(gather(t, m, "sluice_request_duration_seconds")); n != 2 {
		t.Errorf("%d listeners", n)
	}
	c.pass(DefaultExpiry - time.Minute)
	if n := len(gather(t, m, "istio_requests_total")); n != 4 {
		t.Fatalf("%d series after less than that time", n)
	}
	c.pass(2 * time.Minute)
	if got := labelsOf(t, m, "istio_requests_total")["destination_workload"]; got != "reviews-v1" {
		t.Errorf("%s stays", got)
	}
	if list := gather(t, m, "sluice_request_duration_seconds"); len(list) != 1 {
		t.Errorf("%d listeners stay", len(list))
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

// TestPagesWhileCounting: each page is one that Prometheus can read, in which the buckets of a
// histogram grow towards its count; and from page to page nothing goes back.
func TestPagesWhileCounting(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge, Shards: 2})
	const writers, each = 4, 20_000
	var traffic sync.WaitGroup
	for n := range writers {
		traffic.Go(func() {
			ex := exchange()
			ex.Request.Listener = "quotes \" \\ and\nlines"
			for i := range each {
				ex.End = ex.Start + int64(i%11)*int64(time.Millisecond)
				m.Complete(uint32(n%2), ex)
			}
		})
	}
	over := make(chan struct{})
	go func() { traffic.Wait(); close(over) }()
	before := make(map[string]float64)
	for last := false; !last; {
		select {
		case <-over:
			last = true
		default:
		}
		now := readPage(t, pageOf(t, m))
		for name, n := range before {
			if now[name] < n {
				t.Fatalf("%s was %v, and is %v", name, n, now[name])
			}
		}
		before = now
	}
	for name, n := range before {
		if strings.HasSuffix(name, "_count") && n != writers*each {
			t.Errorf("%s is %v", name, n)
		}
	}
}

// readPage returns the counters of a page, and the counts of its histograms, whose buckets it
// looks at.
func readPage(t *testing.T, page string) map[string]float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for name, f := range families {
		for _, s := range f.Metric {
			key := name
			for _, l := range s.Label {
				key += fmt.Sprintf(" %s=%q", l.GetName(), l.GetValue())
			}
			if s.Histogram == nil {
				all[key] = s.GetCounter().GetValue() + s.GetGauge().GetValue()
				continue
			}
			h := s.Histogram
			all[key+"_count"] = float64(h.GetSampleCount())
			var below uint64
			for _, b := range h.Bucket {
				if b.GetCumulativeCount() < below {
					t.Fatalf("%s has %d up to %v, and less below it", key, b.GetCumulativeCount(), b.GetUpperBound())
				}
				below = b.GetCumulativeCount()
			}
			if top := h.Bucket[len(h.Bucket)-1]; !math.IsInf(top.GetUpperBound(), 1) || below != h.GetSampleCount() {
				t.Fatalf("%s has %d in all buckets up to %v, of %d", key, below, top.GetUpperBound(), h.GetSampleCount())
			}
		}
	}
	return all
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

// TestOutcomesNotTold: where the way to end is in no label, no series stands for several of them:
// nothing is told apart less than was asked for.
func TestOutcomesNotTold(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	var tags []router.TagOverride
	for _, name := range []string{"response_code", "response_flags", "grpc_response_status"} {
		tags = append(tags, router.TagOverride{Name: name, Remove: true})
	}
	m.Apply(&router.Spec{Telemetry: &router.Telemetry{Outbound: router.TelemetryPolicy{Metrics: []router.MetricOverride{{Tags: tags}}}}})
	for i := range 2 * maxOutcomes {
		ex := exchange()
		ex.Status = 400 + i
		m.Complete(0, ex)
	}
	if list := gather(t, m, "istio_request_bytes"); len(list) != 1 || list[0].Histogram.GetSampleCount() != 2*maxOutcomes {
		t.Errorf("%d series: %v", len(list), list)
	}
	if got := total(gather(t, m, "sluice_metrics_overflow_total")); got != 0 {
		t.Errorf("%v requests are told of as not told apart", got)
	}
}
