package router

import "time"

// Telemetry says what a proxy is to tell of its traffic. The router only carries it: what it
// means is telemetry's.
type Telemetry struct {
	// Outbound holds for calls to others, which is everything on a gateway; Inbound for
	// calls to a sidecar's own workload.
	Outbound, Inbound TelemetryPolicy
}

// TelemetryPolicy is what is told of one direction (Istio Telemetry).
type TelemetryPolicy struct {
	// LogsDecided says that AccessLogs is all there is, none at all where it is empty. Without
	// it the process keeps the log that it was started with.
	LogsDecided bool
	AccessLogs  []AccessLog
	// Metrics are changes to the standard metrics, to be made in this order.
	Metrics []MetricOverride
	// Tracing is nil where nobody wants spans: then the headers of traces pass as they are.
	Tracing *Tracing
}

// AccessLog is one place that lines go to, and what they look like.
type AccessLog struct {
	// Provider is its name in the mesh's configuration ("envoy").
	Provider string
	// File is a path, "/dev/stdout" or "/dev/stderr"; empty where OTLP is set.
	File string
	OTLP *OTLP
	// Text is a format with Envoy's %COMMAND% operators, and Fields those of JSON objects
	// (MeshConfig accessLogFormat, extensionProviders). JSON says which of the two it is where
	// both are empty, which means Istio's default formats.
	Text   string
	JSON   bool
	Fields []LogField
	// OmitEmpty writes nothing for what is not known, instead of "-", and leaves it out of JSON.
	OmitEmpty bool
	// Filter is a CEL expression that says which requests are logged; empty for all.
	Filter string
	Origin Origin
}

// LogField is a member of a JSON object: a format, or an object of its own.
type LogField struct {
	Name   string
	Text   string
	Fields []LogField
}

// MetricOverride changes standard metrics (Istio Telemetry metrics[].overrides[]).
type MetricOverride struct {
	// Metric is "istio_requests_total" and so on; empty for all.
	Metric string
	// Disabled and Enabled turn it off, and on again; neither leaves it.
	Disabled, Enabled bool
	Tags              []TagOverride
	Origin            Origin
}

// TagOverride removes a label, or sets it to what a CEL expression comes to.
type TagOverride struct {
	Name   string
	Remove bool
	Value  string
}

// Tracing says which requests become spans, and where these go.
type Tracing struct {
	// Provider is its name in the mesh's configuration, and OTLP where spans go to; nil where
	// nothing is sent (no provider that can be spoken to, or disableSpanReporting): then
	// headers are continued all the same.
	Provider string
	OTLP     *OTLP
	// Sampling is the share of requests, in percent and in steps of 0.01, that become traces
	// where the caller has not decided. Which ones, their x-request-id says, so that all proxies
	// on the way choose the same, or the lot (useRequestIdForTraceSampling: false).
	Sampling       float64
	SampleAtRandom bool
	// W3C and B3 say which headers a new trace is told by. Those of both kinds are read.
	W3C, B3 bool
	Tags    []SpanTag
	// NoIstioTags leaves out the tags that begin with "istio." (enableIstioTags: false).
	NoIstioTags bool
	// MaxTagLength bounds the value of http.url; 0 means 256 bytes.
	MaxTagLength int
	// ServiceName is that of the resource; empty for the proxy's own workload.
	ServiceName string
	Origin      Origin
}

// SpanTag is a tag of every span: a fixed Literal, or the value of a request's Header, with
// Default where it is missing. Environment variables are literals by now. A Formatter is a
// format with Envoy's %COMMAND% operators.
type SpanTag struct {
	Name, Literal, Header, Default, Formatter string
}

// OTLP is a collector that speaks the OpenTelemetry protocol.
type OTLP struct {
	// Cluster is that of the mesh which it is reached by, where there is such a one, and
	// Address its host and port.
	Cluster string
	Address string
	// HTTP says that it is sent POST requests with protobuf to Path, with Headers; otherwise
	// it speaks gRPC, with Headers as its metadata.
	HTTP    bool
	Path    string
	Headers []Header
	// Timeout bounds one request; 0 means 10 s.
	Timeout time.Duration
	// LogName is what a log calls itself there, Attributes what stands in the log's records
	// beside the line: formats with Envoy's %COMMAND% operators.
	LogName    string
	Attributes []LogField
}

// TelemetryProblem is a part of a Telemetry that cannot be done: an expression or a format that
// does not compile.
type TelemetryProblem struct {
	// Origin is the object and the field.
	Origin  Origin
	Message string
}
