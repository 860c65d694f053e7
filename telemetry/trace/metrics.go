package trace

import "github.com/prometheus/client_golang/prometheus"

var (
	spansDesc = prometheus.NewDesc("sluice_trace_spans_total",
		"Spans by the provider that they were for and what became of them.", []string{"provider", "result"}, nil)
	droppedDesc = prometheus.NewDesc("sluice_trace_dropped_total",
		"Exchanges whose spans were not made, as too many others waited for the collector.", []string{"provider"}, nil)
)

var _ prometheus.Collector = (*Tracer)(nil)

// Describe implements prometheus.Collector.
func (t *Tracer) Describe(ch chan<- *prometheus.Desc) {
	ch <- spansDesc
	ch <- droppedDesc
}

// Collect implements prometheus.Collector.
func (t *Tracer) Collect(ch chan<- prometheus.Metric) {
	type sum struct{ sent, failed, dropped uint64 }
	sums := make(map[string]sum)
	t.mu.Lock()
	for _, e := range t.exporters {
		s := sums[e.provider]
		s.sent += e.sent.Load()
		s.failed += e.failed.Load()
		s.dropped += e.dropped.Load()
		sums[e.provider] = s
	}
	t.mu.Unlock()
	for provider, s := range sums {
		ch <- prometheus.MustNewConstMetric(spansDesc, prometheus.CounterValue, float64(s.sent), provider, "sent")
		ch <- prometheus.MustNewConstMetric(spansDesc, prometheus.CounterValue, float64(s.failed), provider, "failed")
		ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(s.dropped), provider)
	}
}
