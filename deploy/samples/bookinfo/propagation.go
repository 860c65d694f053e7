package bookinfo

import (
	"net/http"
	"strings"
)

// propagated are the headers that a service passes on to those behind it: the
// contexts of the tracing systems in use (B3, W3C Trace Context, OpenTracing,
// Datadog, Google Cloud, gRPC, SkyWalking), and who is asking.
var propagated = []string{
	"X-Request-Id",
	"X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Flags", "B3",
	"Traceparent", "Tracestate",
	"X-Ot-Span-Context",
	"X-Cloud-Trace-Context",
	"Grpc-Trace-Bin",
	"Sw8",
	"End-User",
	"User-Agent",
}

// datadogPrefix begins all of Datadog's headers, in canonical form.
const datadogPrefix = "X-Datadog-"

// propagate returns the headers of r that its calls to other services carry.
func propagate(r *http.Request) http.Header {
	// An empty User-Agent keeps the client from adding its own.
	out := http.Header{"User-Agent": {""}}
	for _, name := range propagated {
		if values := r.Header[name]; len(values) > 0 {
			out[name] = values
		}
	}
	for name, values := range r.Header {
		if strings.HasPrefix(name, datadogPrefix) {
			out[name] = values
		}
	}
	return out
}
