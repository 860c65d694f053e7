package metrics

import (
	"fmt"
	"io"
	"log/slog"
	"testing"

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
