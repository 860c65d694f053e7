package recent

import (
	"time"

	"github.com/sluicegate/sluice/router"
)

// Summary is what is remembered of one request that has ended, or, with Method empty, of one
// connection that carried bytes. Long texts are cut, and what could let somebody in is
// redacted. It shares no memory with the exchange that it was made from.
type Summary struct {
	// Sequence numbers the summaries of a process: later ones have higher numbers.
	Sequence uint64 `json:"sequence"`
	// ID is the x-request-id, Time when the request's first line had come.
	ID   string    `json:"id,omitempty"`
	Time time.Time `json:"time"`

	Method    string   `json:"method,omitempty"`
	Scheme    string   `json:"scheme,omitempty"`
	Authority string   `json:"authority,omitempty"`
	Path      string   `json:"path,omitempty"`
	Protocol  string   `json:"protocol,omitempty"`
	Headers   []Header `json:"headers,omitempty"`
	// Listener and Chain are names; Port is that of the route table, on a sidecar. Inbound says
	// that a sidecar's own workload was called.
	Listener string `json:"listener,omitempty"`
	Chain    string `json:"chain,omitempty"`
	Port     uint16 `json:"port,omitempty"`
	Inbound  bool   `json:"inbound,omitempty"`
	// Client is the caller's address, ServerName what it named when it began TLS.
	Client     string `json:"client,omitempty"`
	ServerName string `json:"serverName,omitempty"`

	// Status is 0 where nothing was answered. Flags are Envoy's, joined by commas.
	Status      int    `json:"status"`
	GRPCStatus  string `json:"grpcStatus,omitempty"`
	Flags       string `json:"flags,omitempty"`
	Details     string `json:"details,omitempty"`
	Termination string `json:"termination,omitempty"`

	// VirtualHost, Route (its name) and Rule are what the request met, as far as it got, and
	// Cluster the destination that was picked.
	VirtualHost string        `json:"virtualHost,omitempty"`
	Route       string        `json:"route,omitempty"`
	Rule        router.Origin `json:"rule,omitzero"`
	Cluster     string        `json:"cluster,omitempty"`
	// UpstreamHost is the endpoint that was tried last, UpstreamFailure what went wrong there,
	// and UpstreamStatus the last answer from there.
	UpstreamHost    string `json:"upstreamHost,omitempty"`
	UpstreamFailure string `json:"upstreamFailure,omitempty"`
	UpstreamStatus  int    `json:"upstreamStatus,omitempty"`
	Attempts        int    `json:"attempts,omitempty"`

	// Duration is the whole of it, UpstreamDuration the time from the first byte that was sent
	// to an endpoint to the first that came from there (or to the end, where none did), both in
	// milliseconds.
	Duration         float64 `json:"durationMs"`
	UpstreamDuration float64 `json:"upstreamDurationMs,omitempty"`
	BytesReceived    int64   `json:"bytesReceived"`
	BytesSent        int64   `json:"bytesSent"`
	// Generation is that of the configuration in force when the request ended.
	Generation uint64 `json:"generation"`
}

// Header is one field of a request.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Failure is a request that failed, with the decision that led to that.
type Failure struct {
	Summary
	// Explanation is what the table makes of the request, by which it was answered; nil where
	// no table was asked. Of many rules only the first are listed.
	Explanation *router.Explanation `json:"explanation,omitempty"`
	// Outdated says that the configuration changed while the request was served, so that the
	// explanation is not that of its own decision.
	Outdated bool `json:"outdated,omitempty"`
	// Upstream is the state of Cluster a moment after; nil where there is no such cluster.
	Upstream *Upstream `json:"upstream,omitempty"`
}

// Upstream is the state of a cluster, as far as it explains a failure.
type Upstream struct {
	Endpoints []Endpoint `json:"endpoints"`
	// Open are the circuit breakers at their limit, by Envoy's names: cx, rq_pending, rq, rq_retry.
	Open []string `json:"open,omitempty"`
	// Unresolved is why the names of the endpoints stand for no address.
	Unresolved string `json:"unresolved,omitempty"`
}

// Endpoint is the state of one address of a cluster.
type Endpoint struct {
	Address string `json:"address"`
	Name    string `json:"name,omitempty"`
	Healthy bool   `json:"healthy"`
	// EjectedAt is since when outlier detection keeps it out of use, Ejection why.
	EjectedAt       time.Time `json:"ejectedAt,omitzero"`
	Ejection        string    `json:"ejection,omitempty"`
	Active          int64     `json:"active"`
	Requests        uint64    `json:"requests"`
	Failures        uint64    `json:"failures"`
	ConnectFailures uint64    `json:"connectFailures"`
}
