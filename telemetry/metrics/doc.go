// Package metrics owns Istio's standard metrics: requests, their durations and sizes, gRPC
// messages, and TCP connections and bytes, with Istio's names, labels and values, so that
// dashboards made for Istio read them.
//
// The request path counts under what identifies an exchange by pointers (the cluster, the
// endpoint, the caller) in a shard of its own; every few seconds, and at each scrape, the
// counts are moved into series with labels. So nothing on the request path makes a string, and
// a series may outlive the configuration that it came from, or be dropped.
//
// Labels come from the configuration, from peers of the mesh and from fixed lists, never from
// what a client writes into a request; where a policy says otherwise (a tag's CEL expression),
// the number of values is bounded. Series that nobody adds to, of things that are gone, expire.
//
// It must not know how a request is routed or carried, nor which HTTP server shows the metrics.
package metrics
