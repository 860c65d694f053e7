package trace

import (
	"net/netip"
	"strings"
	"sync"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// record is what an exchange's spans tell, copied off the request path. Its strings lie in one
// buffer, which is used again.
type record struct {
	policy *policy
	trace  proxy.Trace
	tries  []proxy.TracedTry

	route   *router.CompiledRoute
	cluster *router.Cluster
	peer    netip.Addr
	inbound bool
	grpc    bool

	start, end     int64
	status         int
	flags          proxy.Flags
	received, sent int64

	buf []byte
	method, scheme, authority, path, protocol, agent, requestID, clientTraceID, downstreamCluster,
	contentType, grpcTimeout, grpcStatus, upstream, state text
	tags []text
}

// text is a string in a record's buffer; none is -1 in from.
type text struct{ from, to int32 }

var noText = text{from: -1}

var records = sync.Pool{New: func() any { return new(record) }}

// maxRecord bounds the buffer of a record that is used again.
const maxRecord = 16 << 10

// maxValue bounds a tag's value, in bytes, but for http.url, which has its own bound.
const maxValue = 1024

func (r *record) free() {
	clear(r.tries) // They would keep what a table was built from.
	*r = record{tries: r.tries[:0], tags: r.tags[:0], buf: r.buf[:0]}
	if cap(r.buf) <= maxRecord {
		records.Put(r)
	}
}

// keep copies a string.
func (r *record) keep(s string, most int) text {
	from := len(r.buf)
	r.buf = append(r.buf, s[:min(len(s), most)]...)
	return text{int32(from), int32(len(r.buf))}
}

// fill copies what the spans of ex tell.
func (r *record) fill(ex *proxy.Exchange, p *policy) {
	r.policy = p
	r.trace, r.trace.Tries = ex.Trace, nil
	r.tries = append(r.tries, ex.Trace.Tries...)
	r.route, r.cluster = ex.Decision.Route, ex.Cluster
	r.peer = ex.Remote.Addr()
	r.inbound, r.grpc = ex.Connection != nil && ex.Connection.Inbound, ex.GRPC
	r.start, r.end, r.status, r.flags = ex.Start, ex.End, ex.Status, ex.Flags
	r.received, r.sent = ex.BytesReceived, ex.BytesSent

	req := &ex.Request
	r.method = r.keep(req.Method, maxValue)
	r.scheme = r.keep(req.Scheme, maxValue)
	r.authority = r.keep(req.Authority, maxValue)
	longest := p.tracing.MaxTagLength
	if longest <= 0 {
		longest = 256
	}
	r.path = r.keep(req.Path, longest)
	r.protocol = r.keep(ex.Protocol, maxValue)
	r.requestID = r.keep(ex.RequestID, maxValue)
	r.grpcStatus = r.keep(ex.GRPCStatus, maxValue)
	r.upstream = r.keep(ex.UpstreamHost, maxValue)
	r.agent, r.clientTraceID, r.downstreamCluster, r.contentType, r.grpcTimeout, r.state = noText, noText, noText, noText, noText, noText
	for i := range req.Headers {
		h := &req.Headers[i]
		switch h.Name {
		case "user-agent":
			r.agent = r.keep(h.Value, maxValue)
		case "x-client-trace-id":
			r.clientTraceID = r.keep(h.Value, maxValue)
		case "x-envoy-downstream-service-cluster":
			r.downstreamCluster = r.keep(h.Value, maxValue)
		case "content-type":
			r.contentType = r.keep(h.Value, maxValue)
		case "grpc-timeout":
			r.grpcTimeout = r.keep(h.Value, maxValue)
		}
	}
	if r.trace.KeepState {
		r.state = r.join(req.Headers, "tracestate")
	}
	for i := range p.tags {
		r.tags = append(r.tags, r.tag(ex, &p.tags[i]))
	}
}

// join makes one list of all headers of a name; those that would make it longer than a record
// should be are left out.
func (r *record) join(headers []router.Header, name string) text {
	from := len(r.buf)
	for i := range headers {
		h := &headers[i]
		if h.Name != name || h.Value == "" || len(r.buf)-from+1+len(h.Value) > maxRecord {
			continue
		}
		if len(r.buf) > from {
			r.buf = append(r.buf, ',')
		}
		r.buf = append(r.buf, h.Value...)
	}
	if len(r.buf) == from {
		return noText
	}
	return text{int32(from), int32(len(r.buf))}
}

// tag evaluates a tag of the policy; noText where it is not set.
func (r *record) tag(ex *proxy.Exchange, t *tag) text {
	switch {
	case t.format != nil:
		from := len(r.buf)
		if r.buf = t.format(r.buf, ex); len(r.buf) == from {
			return noText
		}
		r.buf = r.buf[:min(len(r.buf), from+maxValue)]
		return text{int32(from), int32(len(r.buf))}
	case t.Header != "":
		if value, ok := headerFold(ex.Request.Headers, t.Header); ok {
			return r.keep(value, maxValue)
		}
		if t.Default == "" {
			return noText
		}
		return r.keep(t.Default, maxValue)
	}
	return r.keep(t.Literal, maxValue)
}

// headerFold returns a header's first value, given its name in any case.
func headerFold(headers []router.Header, name string) (string, bool) {
	for i := range headers {
		if len(headers[i].Name) == len(name) && strings.EqualFold(headers[i].Name, name) {
			return headers[i].Value, true
		}
	}
	return "", false
}
