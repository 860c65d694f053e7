// Package prometheus has a real Prometheus scrape a gateway and sidecars, as their users start
// them, and asks it what dashboards ask: those of Istio and Kiali (testdata/queries), and our own
// (deploy/dashboards).
package prometheus
