package trace

import (
	"cmp"
	stdcontext "context"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
	"github.com/sluicegate/sluice/version"
)

// scope is the name of what makes the spans (OpenTelemetry's instrumentation scope).
const scope = "github.com/sluicegate/sluice"

// spanMaker makes spans of records with the OpenTelemetry SDK. It belongs to one goroutine.
type spanMaker struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
	// node and istio are the tags that every span of the proxy has.
	node  []attribute.KeyValue
	istio []attribute.KeyValue
	// made are those that have ended since forget.
	made []sdktrace.ReadOnlySpan
	// size is about how large they are, in bytes.
	size int
	// next are the ids of the span that is about to be made.
	next struct {
		trace oteltrace.TraceID
		span  oteltrace.SpanID
	}
	attributes []attribute.KeyValue
}

func newSpanMaker(service string, who identity.Identity) *spanMaker {
	m := &spanMaker{}
	m.provider = sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // Others never come here.
		sdktrace.WithIDGenerator(m),
		sdktrace.WithSpanProcessor(m),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", service),
			attribute.String("telemetry.sdk.name", "opentelemetry"),
			attribute.String("telemetry.sdk.language", "go"),
		)),
	)
	m.tracer = m.provider.Tracer(scope, oteltrace.WithInstrumentationVersion(version.Get().Version))
	own := who.Own()
	m.node = []attribute.KeyValue{attribute.String("node_id", who.Node), attribute.String("component", "proxy")}
	m.istio = []attribute.KeyValue{
		attribute.String("istio.canonical_service", cmp.Or(own.CanonicalService, "unknown")),
		attribute.String("istio.canonical_revision", cmp.Or(own.CanonicalRevision, "latest")),
		attribute.String("istio.mesh_id", cmp.Or(who.Mesh, "unknown")),
		attribute.String("istio.namespace", cmp.Or(who.Namespace, "default")),
		attribute.String("istio.cluster_id", cmp.Or(who.Cluster, "unknown")),
	}
	return m
}

// forget lets go of the spans that were made.
func (m *spanMaker) forget() {
	clear(m.made)
	m.made, m.size = m.made[:0], 0
}

// full tells whether what was made is to be sent before there is more.
func (m *spanMaker) full() bool { return len(m.made) >= maxBatch || m.size >= maxBytes }

// make makes the spans of one exchange: that of the proxy as a server, and below it one for each
// try to reach an upstream, in which it is a client.
func (m *spanMaker) make(r *record) {
	values := string(r.buf)
	parent := oteltrace.SpanContextConfig{TraceID: r.trace.ID, SpanID: r.trace.Parent, TraceFlags: oteltrace.FlagsSampled, Remote: true}
	if state := r.state.of(values); state != "" {
		parent.TraceState, _ = oteltrace.ParseTraceState(state)
		m.size += len(state) * (1 + len(r.tries))
	}
	set := m.begin()
	m.server(set, r, values)
	m.custom(set, r, values)
	m.span(serverName(r, values), oteltrace.SpanKindServer, parent, r.trace.Span, r.start, r.end, failed(r.status, r.grpcStatus.of(values)))

	parent.SpanID, parent.Remote = r.trace.Span, false
	retries := 0
	for i := range r.tries {
		try := &r.tries[i]
		if try.Retry {
			retries++
		}
		set := m.begin()
		last := i == len(r.tries)-1
		m.client(set, r, try, values, retries, last)
		m.custom(set, r, values)
		failure := tryFailed(try)
		if last && r.nobody() {
			failure = "no healthy upstream"
		}
		m.span(clientName(try), oteltrace.SpanKindClient, parent, try.Span, try.Start, try.End, failure)
	}
}

// begin begins a span's tags with those that all have.
func (m *spanMaker) begin() *tags {
	m.attributes = append(m.attributes[:0], m.node...)
	return (*tags)(&m.attributes)
}

// span makes one span of the tags that were set.
func (m *spanMaker) span(name string, kind oteltrace.SpanKind, parent oteltrace.SpanContextConfig, id [8]byte, start, end int64, failure string) {
	m.next.trace, m.next.span = parent.TraceID, id
	const frame = 100 // of a span, and 10 of an attribute
	m.size += frame + len(name)
	for i := range m.attributes {
		m.size += frame/10 + len(m.attributes[i].Key) + len(m.attributes[i].Value.AsString())
	}
	ctx := oteltrace.ContextWithSpanContext(stdcontext.Background(), oteltrace.NewSpanContext(parent))
	_, span := m.tracer.Start(ctx, name, oteltrace.WithSpanKind(kind), oteltrace.WithTimestamp(proxy.Wall(start)), oteltrace.WithAttributes(m.attributes...))
	if failure != "" {
		span.SetAttributes(attribute.String("error", "true"))
		span.SetStatus(codes.Error, failure)
	}
	span.End(oteltrace.WithTimestamp(proxy.Wall(max(start, end))))
}

// serverName names what the proxy does for its caller, as Istio names its routes' operations.
func serverName(r *record, values string) string {
	if r.cluster == nil {
		if r.inbound {
			return "ingress"
		}
		return "egress " + r.authority.of(values)
	}
	path := "/*"
	if r.route != nil && r.route.Route != nil {
		switch m := r.route.Route.Match.Path; m.Kind {
		case router.MatchExact, router.MatchRegex:
			path = m.Value
		case router.MatchPrefix:
			path = m.Value + "*"
		}
	}
	return destination(r) + path
}

// destination is the service's host and port or, where there is none, the cluster's name.
func destination(r *record) string {
	host := cmp.Or(r.cluster.Service.Host, r.cluster.Host)
	if host != "" {
		return host + ":" + strconv.Itoa(int(r.cluster.Port))
	}
	if r.policy.own != nil {
		if own := r.policy.own.at(r.cluster.Port); own != "" {
			return own
		}
	}
	return r.cluster.Name
}

// clientName names a try, as Envoy does.
func clientName(try *proxy.TracedTry) string {
	name := ""
	if try.Cluster != nil {
		name = try.Cluster.Name
	}
	if try.Mirror {
		return "async " + name + " egress"
	}
	return "router " + name + " egress"
}

// failed returns why an exchange is an error to its caller; empty where it is none.
func failed(status int, grpcStatus string) string {
	switch {
	case status == 0:
		return "no response"
	case status >= 500:
		return "HTTP status " + strconv.Itoa(status)
	}
	switch grpcStatus {
	case "2", "4", "8", "12", "13", "14", "15":
		return "gRPC status " + grpcStatus
	}
	return ""
}

// nobody tells whether the last try found no endpoint.
func (r *record) nobody() bool {
	return len(r.tries) > 0 && r.flags&proxy.FlagNoHealthyUpstream != 0 && !r.tries[len(r.tries)-1].Mirror
}

// tryFailed returns why a try is an error; empty where it is none. What comes of a mirror's is
// not known.
func tryFailed(try *proxy.TracedTry) string {
	if words := failures[try.Failure]; words != "" {
		return words
	}
	if try.Mirror {
		return ""
	}
	return failed(try.Status, "")
}

// failures are the words for what may become of a try.
var failures = map[proxy.Failure]string{
	proxy.FailConnect:       "remote connection failure",
	proxy.FailSend:          "connection termination",
	proxy.FailClosed:        "connection termination",
	proxy.FailReset:         "connection termination",
	proxy.FailProtocol:      "protocol error",
	proxy.FailTimeout:       "upstream request timeout",
	proxy.FailDownstream:    "the client went away",
	proxy.FailOverflow:      "overflow",
	proxy.FailStreamReset:   "remote reset",
	proxy.FailRefusedStream: "remote refused stream reset",
}

// of returns a text, given its record's buffer as a string.
func (t text) of(values string) string {
	if t.from < 0 {
		return ""
	}
	return strings.ToValidUTF8(values[t.from:t.to], "?")
}

// NewIDs implements sdktrace.IDGenerator: the ids have been made on the request path.
func (m *spanMaker) NewIDs(stdcontext.Context) (oteltrace.TraceID, oteltrace.SpanID) {
	return m.next.trace, m.next.span
}

// NewSpanID implements sdktrace.IDGenerator.
func (m *spanMaker) NewSpanID(stdcontext.Context, oteltrace.TraceID) oteltrace.SpanID {
	return m.next.span
}

// OnStart implements sdktrace.SpanProcessor.
func (m *spanMaker) OnStart(stdcontext.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (m *spanMaker) OnEnd(s sdktrace.ReadOnlySpan) { m.made = append(m.made, s) }

// Shutdown implements sdktrace.SpanProcessor.
func (m *spanMaker) Shutdown(stdcontext.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (m *spanMaker) ForceFlush(stdcontext.Context) error { return nil }
