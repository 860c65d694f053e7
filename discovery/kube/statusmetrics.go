package kube

import "github.com/prometheus/client_golang/prometheus"

// statusMetrics are the figures of a writer of statuses.
type statusMetrics struct {
	leader  prometheus.Gauge
	pending prometheus.Gauge
	writes  *prometheus.CounterVec
	events  *prometheus.CounterVec
}

func newStatusMetrics() *statusMetrics {
	return &statusMetrics{
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_status_leader", Help: "1 where this replica writes the status of objects, else 0.",
		}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_status_pending", Help: "Objects whose status is still to be compared with the API server's, or written.",
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_status_writes_total", Help: "Statuses of objects written, by resource and result: success, conflict, refused, failure.",
		}, []string{"resource", "result"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_status_events_total", Help: "Events on objects, by result: success, repeated (the API server still has it), refused, failure, dropped.",
		}, []string{"result"}),
	}
}

func (m *statusMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.leader, m.pending, m.writes, m.events}
}
