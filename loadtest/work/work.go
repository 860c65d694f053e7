// Package work says what the load test has proxies do, as plain data: what is asked, how
// often, through what kind of configuration.
//
// It must not know who does it, nor how it is measured.
package work

import "time"

// Protocol is how clients speak to the proxy.
type Protocol string

const (
	HTTP1      Protocol = "http1"       // keep-alive
	HTTP1Close Protocol = "http1-close" // a connection for each request
	HTTPS      Protocol = "https"       // HTTP/1.1, keep-alive
	Handshake  Protocol = "handshake"   // a full TLS handshake for each request
	Resumption Protocol = "resumption"  // a resumed one
	HTTP2      Protocol = "http2"       // over TLS
	GRPCUnary  Protocol = "grpc-unary"
	GRPCStream Protocol = "grpc-stream"
	WebSocket  Protocol = "websocket"
	TCP        Protocol = "tcp"
)

// Figure is what a work is measured by.
type Figure string

const (
	// CPU is the proxy's processor time for a request, at Work.Rate.
	CPU Figure = "cpu"
	// Saturation is requests a second, as many as one core bears.
	Saturation Figure = "saturation"
	// Latency is that of requests at Work.Rate, from when each was due.
	Latency Figure = "latency"
	// Memory is what is resident after the work.
	Memory Figure = "memory"
	// SystemCalls are those of a request.
	SystemCalls Figure = "system-calls"
	// Load and Change are the time to serve a configuration, and one change of it.
	Load   Figure = "load"
	Change Figure = "change"
	// Offered is the rate at which requests were due, and Lost how many had no right answer: they
	// are told with what is measured, and no work asks for them.
	Offered Figure = "offered"
	Lost    Figure = "lost"
)

// Work is one line of the comparison.
type Work struct {
	// Name is for the command line, "http1-1k"; Title for tables.
	Name, Title string
	Protocol    Protocol
	Site        Site
	// Connections are the client's, each with so many Streams at a time (1 but for HTTP/2).
	Connections, Streams int
	// Rate is the number of requests a second that are offered, whether or not the proxy
	// keeps up; 0 where only saturation is measured.
	Rate int
	// HalfOf names the peer half of whose saturation the rate is, found out before the first
	// round, in the place of Rate; where it does not take part the work cannot be done.
	HalfOf string
	// Upload is the size of a request's body, in bytes.
	Upload int
	// Cores is the number of cores, workers or threads that the proxy has: 1 but in the
	// work that says otherwise, which is not pinned.
	Cores int
	// Idle are connections that are opened and not used; only memory is measured then.
	Idle int
	// Duration is how long one round lasts; 0 for the run's default.
	Duration time.Duration
	Figures  []Figure
	// Peers are the proxies that can do it; nil for all.
	Peers []string
	// Relay has the relay take part.
	Relay bool
	// Smoke puts the work among the few of the smoke test.
	Smoke bool
}

// Site is the configuration that a proxy is given for a work.
type Site struct {
	// TLS has the proxy serve inside TLS, with a P-256 certificate.
	TLS bool
	// HTTP2 and Upgrades have it offer HTTP/2, and pass on upgraded connections.
	HTTP2, Upgrades bool
	// Hosts are h0.example.com and so on, each with RoutesPerHost routes, /r0/ and so on,
	// whose prefix is rewritten to /. One of each at least.
	Hosts, RoutesPerHost int
	// Prefixes and Regexes are further routes of the first host, /p0/ and ^/x0/[0-9]+$ and
	// so on, which come before the one that is asked for.
	Prefixes, Regexes int
	// Weights share the requests among as many backends; nil for one.
	Weights []int
	// Upstream is what backends speak.
	Upstream Upstream
	// Backends are their addresses, filled in by the run.
	Backends []string
	// Body is the size of a response's body in bytes.
	Body int
	// AccessLog writes a line for each request to a file; Metrics counts them, in peers that
	// can be told.
	AccessLog, Metrics bool
	// Sidecars puts two sidecars, the client's and the server's, in the place of the proxy.
	Sidecars bool
}

// Upstream is what backends speak.
type Upstream string

const (
	UpstreamHTTP1 Upstream = ""
	UpstreamGRPC  Upstream = "grpc" // HTTP/2 without TLS
	UpstreamTCP   Upstream = "tcp"
)
