package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ConfigUpdate is one change of the configuration, as the metrics show it.
type ConfigUpdate struct {
	// Generation counts the tables published; it stays where the change brought none.
	Generation uint64
	// Objects in force.
	Objects int
	// Failures counts, since the start, the changes that could not be brought into
	// force as a whole.
	Failures uint64
	// Duration is the time from the change's arrival to its being served.
	Duration time.Duration
	// Seen is when the change came about (a file was written, a cluster told of an object); zero
	// where that is not known.
	Seen time.Time
}

// configMetrics are written seldom, so they are Prometheus' own.
type configMetrics struct {
	generation, objects, failures prometheus.Gauge
	reload, propagation           prometheus.Histogram
}

func newConfigMetrics(r prometheus.Registerer) *configMetrics {
	m := &configMetrics{
		generation: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_config_generation", Help: "Number of the route table that is served; it grows with each change."}),
		objects: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_config_objects", Help: "API objects known."}),
		failures: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_config_reload_failures", Help: "Changes, since the start, that could not be brought into force as a whole."}),
		reload: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_config_reload_duration_seconds", Help: "Time from a change of the configuration to its being served.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}),
	}
	m.propagation = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "sluice_config_propagation_delay_seconds", Help: "Time from when a file was written, or a cluster told of an object, to its being served.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}})
	r.MustRegister(m.generation, m.objects, m.failures, m.reload, m.propagation)
	return m
}

func (m *configMetrics) update(u ConfigUpdate) {
	m.generation.Set(float64(u.Generation))
	m.objects.Set(float64(u.Objects))
	m.failures.Set(float64(u.Failures))
	m.reload.Observe(u.Duration.Seconds())
	if !u.Seen.IsZero() {
		m.propagation.Observe(time.Since(u.Seen).Seconds())
	}
}
