// Package telemetry owns what a proxy says about its traffic: access logs, metrics and the
// spans of traces. All are fed from the request path with a [proxy.Exchange], through
// [Telemetry.Complete], which allocates nothing, blocks on nothing and keeps nothing;
// formatting to the outside (Prometheus, files, collectors) happens on other goroutines.
//
// Labels of metrics come from the configuration and from fixed lists, never from a
// request, so that no client can make them grow.
//
// It must not know how a request is routed or carried.
package telemetry
