package kube

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	syncedMetric    = prometheus.NewDesc("sluice_kubernetes_synced", "Whether every kind that may be read has been listed and is followed.", nil, nil)
	awayMetric      = prometheus.NewDesc("sluice_kubernetes_away_seconds", "How long the API server has not answered; 0 where it does.", nil, nil)
	snapshotMetric  = prometheus.NewDesc("sluice_kubernetes_snapshot_age_seconds", "Age of the snapshot that is served; 0 for none.", nil, nil)
	forbiddenMetric = prometheus.NewDesc("sluice_kubernetes_forbidden_kinds", "Kinds that may not be read.", nil, nil)
	missingMetric   = prometheus.NewDesc("sluice_kubernetes_missing_kinds", "Kinds that are not installed.", nil, nil)
)

// Describe and Collect make a Cluster a prometheus.Collector of its Status.
func (c *Cluster) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect sends the metrics.
func (c *Cluster) Collect(out chan<- prometheus.Metric) {
	s := c.Status()
	send := func(d *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	since := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return time.Since(t).Seconds()
	}
	synced := 0.0
	if s.Synced {
		synced = 1
	}
	send(syncedMetric, synced)
	send(awayMetric, since(s.AwaySince))
	send(snapshotMetric, since(s.SnapshotTaken))
	send(forbiddenMetric, float64(len(s.Forbidden)))
	send(missingMetric, float64(len(s.Missing)))
}
