package proxy

import "github.com/sluicegate/sluice/router"

// Trace is an exchange's part in a trace. The zero value has none: the headers of traces then
// pass as they are. forward.Options.Trace fills it in, before routing and once the request has
// its id; the headers themselves are left to be written for each try.
type Trace struct {
	// Tracing is the policy; nil where there is none.
	Tracing *router.Tracing
	// ID is the trace's, Span that of this exchange, and Parent that of the caller's span, zero
	// where the trace begins here.
	ID           [16]byte
	Span, Parent [8]byte
	// Sampled says that spans are recorded; Debug, that the caller insisted (B3's flag).
	Sampled, Debug bool
	// W3C and B3 say by which headers the upstream is told, in place of any that the caller
	// sent, and B3Single that those of B3 come as one. B3 has a parent only on spans that do.
	W3C, B3, B3Single bool
	// KeepState says that the caller's tracestate goes along, as the trace goes on from its
	// traceparent. Without it, where W3C is set, tracestate is removed.
	KeepState bool
	// Tries are those to reach an upstream, the copies for mirrors among them; only
	// where Sampled.
	Tries []TracedTry
}

// TracedTry is one try to have an endpoint answer, as its span tells of it.
type TracedTry struct {
	// Span is the try's own, which the endpoint is told as its parent.
	Span [8]byte
	// Cluster and Endpoint are where it went; Endpoint is nil where none was found.
	Cluster  *router.Cluster
	Endpoint *router.Endpoint
	// Start and End are on the clock of the exchange. A mirror's End is when it was sent off.
	Start, End int64
	// Status is the response's, 0 where there was none, and Failure why.
	Status  int
	Failure Failure
	// Retry and Mirror say what kind of try it was.
	Retry, Mirror bool
}
