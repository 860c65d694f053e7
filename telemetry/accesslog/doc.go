// Package accesslog owns the access logs: what a line looks like (Envoy's formats with
// %COMMAND% operators, as text or JSON), which exchanges get one, and how lines come to files,
// standard output and collectors. Lines are made on the request path, without allocating, into
// buffers of the processor at hand; other goroutines write them in batches. Nothing on the
// request path ever waits for these: what does not fit any more is dropped, and counted.
//
// It must not know how a request is routed or carried, nor where a policy came from.
package accesslog
