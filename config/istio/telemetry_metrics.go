package istio

import (
	"fmt"
	"maps"
	"slices"

	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/sluicegate/sluice/router"
)

// standardMetrics are the names of the metrics that a Telemetry can choose.
var standardMetrics = map[telemetry.MetricSelector_IstioMetric]string{
	telemetry.MetricSelector_ALL_METRICS:            "",
	telemetry.MetricSelector_REQUEST_COUNT:          "istio_requests_total",
	telemetry.MetricSelector_REQUEST_DURATION:       "istio_request_duration_milliseconds",
	telemetry.MetricSelector_REQUEST_SIZE:           "istio_request_bytes",
	telemetry.MetricSelector_RESPONSE_SIZE:          "istio_response_bytes",
	telemetry.MetricSelector_TCP_OPENED_CONNECTIONS: "istio_tcp_connections_opened_total",
	telemetry.MetricSelector_TCP_CLOSED_CONNECTIONS: "istio_tcp_connections_closed_total",
	telemetry.MetricSelector_TCP_SENT_BYTES:         "istio_tcp_sent_bytes_total",
	telemetry.MetricSelector_TCP_RECEIVED_BYTES:     "istio_tcp_received_bytes_total",
	telemetry.MetricSelector_GRPC_REQUEST_MESSAGES:  "istio_request_messages_total",
	telemetry.MetricSelector_GRPC_RESPONSE_MESSAGES: "istio_response_messages_total",
}

// prometheusProvider is the provider of metrics that there always is.
const prometheusProvider = "prometheus"

// metrics returns the changes to the standard metrics of one direction. There is one kind of
// provider, so what is said about Prometheus counts.
func (t *telemetries) metrics(inForce []*telemetryObject, mode telemetry.WorkloadMode) []router.MetricOverride {
	var out []router.MetricOverride
	parent := t.mesh.metricsProviders()
	scope := parent
	for _, o := range inForce {
		for i, m := range o.spec.Metrics {
			providers := providerNames(m.Providers)
			if len(providers) == 0 {
				providers = parent
			} else {
				scope = providers
			}
			if parent = providers; !slices.ContainsFunc(providers, t.mesh.isPrometheus) {
				continue
			}
			for n, override := range m.Overrides {
				if inMode(override.GetMatch().GetMode(), mode) {
					out = append(out, metricOverride(override, originOf(o.object, fmt.Sprintf("metrics[%d].overrides[%d]", i, n))))
				}
			}
		}
	}
	if !slices.ContainsFunc(scope, t.mesh.isPrometheus) {
		// The most special word on metrics sends them to somebody else.
		return []router.MetricOverride{{Disabled: true}}
	}
	return out
}

func metricOverride(m *telemetry.MetricsOverrides, origin router.Origin) router.MetricOverride {
	out := router.MetricOverride{Metric: m.GetMatch().GetCustomMetric(), Origin: origin}
	if out.Metric == "" {
		out.Metric = standardMetrics[m.GetMatch().GetMetric()]
	}
	if m.Disabled != nil {
		out.Disabled, out.Enabled = m.Disabled.Value, !m.Disabled.Value
	}
	for _, name := range slices.Sorted(maps.Keys(m.TagOverrides)) {
		o := m.TagOverrides[name]
		out.Tags = append(out.Tags, router.TagOverride{
			Name: name, Remove: o.Operation == telemetry.MetricsOverrides_TagOverride_REMOVE, Value: o.Value,
		})
	}
	return out
}
