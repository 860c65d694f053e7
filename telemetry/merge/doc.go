// Package merge owns the page that has a proxy's metrics and those of the application beside
// it, so that a pod is scraped once (Istio's port 15020, "metrics merging").
//
// It must not know what the metrics are about.
package merge
