package metrics

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sluicegate/sluice/router"
)

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
	// Those of a metric that is disabled go at once.
	m.Apply(&router.Spec{Telemetry: &router.Telemetry{Inbound: router.TelemetryPolicy{Metrics: []router.MetricOverride{{Disabled: true}}}}})
	if n := len(gather(t, m, "istio_request_bytes")); n != 0 {
		t.Errorf("%d series of a metric that is disabled", n)
	}
	// Without the policy everything is as before.
	m.Apply(&router.Spec{})
	m.Complete(0, exchange())
	if n := len(gather(t, m, "istio_request_bytes")); n != 1 {
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

// TestTagNames: no tag's name breaks the page for all other metrics, whatever came before it.
func TestTagNames(t *testing.T) {
	t.Parallel()
	var told bytes.Buffer
	m := newTest(t, Options{Identity: edge, Logger: slog.New(slog.NewTextHandler(&told, nil))})
	names := []string{"", "a-b", "é", "le", "__name__", "__x"}
	tags := []router.TagOverride{{Name: "method", Value: "request.method"}}
	for _, name := range names { // the expression is known by now, and another one is not
		tags = append(tags, router.TagOverride{Name: name, Value: "request.method"}, router.TagOverride{Name: name, Value: "request.path"})
	}
	m.Apply(&router.Spec{Telemetry: &router.Telemetry{Outbound: router.TelemetryPolicy{Metrics: []router.MetricOverride{{Tags: tags}}}}})
	m.Complete(0, exchange())
	page := pageOf(t, m)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(page)); err != nil {
		t.Errorf("the page cannot be read: %v", err)
	}
	if strings.Contains(page, `le="GET"`) || strings.Contains(page, `le="/`) {
		t.Error("a histogram's le is a tag")
	}
	labels := labelsOf(t, m, "istio_requests_total")
	if labels["method"] != "GET" || len(labels) != int(labelCount)+1 {
		t.Errorf("labels %v", labels)
	}
	for _, name := range names {
		if !strings.Contains(told.String(), fmt.Sprintf("tag=%s ", name)) && !strings.Contains(told.String(), fmt.Sprintf("tag=%q ", name)) {
			t.Errorf("nobody is told of %q", name)
		}
	}
}

// pageOf returns the page that Prometheus reads.
func pageOf(t *testing.T, m *Metrics) string {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(m)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/stats/prometheus", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestEmptyLabels: to Prometheus an empty label is none. What a policy leaves out goes on in the
// series where it is empty, as two samples of one would be read by chance.
func TestEmptyLabels(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	plans := [][]router.TagOverride{
		nil,
		{{Name: "grpc_response_status", Remove: true}},
		{{Name: "extra", Value: "''"}},
		{{Name: "extra", Value: "request.method"}},
		nil,
	}
	for _, tags := range plans {
		m.Apply(&router.Spec{Telemetry: &router.Telemetry{Outbound: router.TelemetryPolicy{Metrics: []router.MetricOverride{{Tags: tags}}}}})
		m.Complete(0, exchange())
	}
	list := gather(t, m, "istio_requests_total")
	seen := make(map[string]float64)
	for _, s := range list {
		var key strings.Builder
		for _, l := range s.Label {
			if l.GetValue() != "" {
				fmt.Fprintf(&key, "%s=%q ", l.GetName(), l.GetValue())
			}
		}
		if _, twice := seen[key.String()]; twice {
			t.Errorf("two samples of %s", key.String())
		}
		seen[key.String()] = s.GetCounter().GetValue()
	}
	if len(list) != 2 || total(list) != float64(len(plans)) {
		t.Errorf("%d series of %v requests: %v", len(list), total(list), seen)
	}
}
