package admin

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/recent"
	"github.com/sluicegate/sluice/version"
)

// Options are what the admin server shows. The functions are called for each request,
// from any goroutine, and what they return is not changed.
type Options struct {
	// Info describes the process.
	Info Info
	// Ready returns nil where the proxy serves its configuration, else why not.
	Ready func() error
	// Config returns the configuration in force.
	Config func() Config
	// Table returns the route table in force; nil before the first.
	Table func() *router.Table
	// Listeners and Clusters return the state of both sides.
	Listeners func() []Listener
	Clusters  func() []Cluster
	// Certificates returns the state of the certificates; nil where there never are any.
	Certificates func() []Certificate
	// Routed makes of what a client sends what routing sees of it, or says why it is refused
	// before that; nil means that it stays as it is.
	Routed func(*router.Request) error
	// Metrics serves /stats/prometheus.
	Metrics http.Handler
	// Recent is what is remembered of the latest traffic; nil means that nothing is, and that
	// there are no /failures, /why, /tap and /stats/routes.
	Recent *recent.Recorder
	// Locate says in which file and line a piece of configuration stands; file is empty where
	// that is not known. nil knows nothing.
	Locate func(router.Origin) (file string, line int)
	// Node is the proxy's own id, as Envoy's pages have it.
	Node string
	// LogLevel is the level of the process's log, which /logging changes; nil where it cannot
	// be changed.
	LogLevel *slog.LevelVar
	// Drain stops accepting connections, after a while in which clients are told to go where
	// graceful; Quit ends the process, after its drain; FailHealth says that the proxy is not
	// ready, or is again what it is. They return at once. nil means that there is no such thing.
	Drain      func(graceful bool)
	Quit       func()
	FailHealth func(fail bool)
	// Profiles lets /debug/pprof be read.
	Profiles bool
	// UI serves the page at /ui and below; nil means that there is none.
	UI http.Handler
	// AllowedHosts are names by which the server may be called, beside localhost and
	// IP addresses, which always may. Any other Host is refused, as it may be a name
	// that a web page pointed here (DNS rebinding).
	AllowedHosts []string
}

// Info describes a proxy process.
type Info struct {
	// Role is "gateway" or "sidecar".
	Role    string       `json:"role"`
	Version version.Info `json:"version"`
	Started time.Time    `json:"started"`
	// Namespace and Labels are the proxy's own, by which configuration selects it.
	Namespace string            `json:"namespace,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Config are the places that configuration is read from.
	Config []string `json:"config,omitempty"`
}

// Config is the configuration in force.
type Config struct {
	// Generation counts the tables that were published; 0 is none yet.
	Generation uint64
	// Updated is when that happened.
	Updated time.Time
	// Spec is what the table was built from; nil before the first.
	Spec *router.Spec
	// Conditions are the defects that stand.
	Conditions []config.Condition
}

// Listener is the state of one socket.
type Listener struct {
	// Name is the listener's in the configuration.
	Name string `json:"name"`
	// Address is where it listens ("0.0.0.0:8080"), or was asked to.
	Address string `json:"address"`
	// Port is the port that the configuration asked for, before any translation.
	Port uint16 `json:"port,omitempty"`
	// Inbound says that it is for calls to a sidecar's own workload.
	Inbound bool `json:"inbound,omitempty"`
	// Bound says that it accepts connections; Error why it does not.
	Bound bool   `json:"bound"`
	Error string `json:"error,omitempty"`
	// Connections are those open now.
	Connections int `json:"connections"`
}

// Cluster is the state of one cluster.
type Cluster struct {
	Name string `json:"name"`
	// Balancer is how an endpoint is picked: LEAST_REQUEST, ROUND_ROBIN and so on.
	Balancer  string     `json:"balancer,omitempty"`
	Endpoints []Endpoint `json:"endpoints"`
	// Stats are the cluster's numbers under Envoy's names.
	Stats []Stat `json:"stats,omitempty"`
}

// Stat is a number under its name in Envoy, "upstream_cx_total".
type Stat struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

// Endpoint is the state of one address of a cluster.
type Endpoint struct {
	Address string `json:"address"`
	// Name is what the address was resolved from, "api.example.com:443"; empty where the
	// configuration has the address.
	Name    string `json:"name,omitempty"`
	Healthy bool   `json:"healthy"`
	// EjectedAt is since when outlier detection keeps it out of use, Ejection why.
	EjectedAt time.Time `json:"ejectedAt,omitzero"`
	Ejection  string    `json:"ejection,omitempty"`
	// Active and Idle are connections in use, and kept for the next request.
	Active int `json:"active"`
	Idle   int `json:"idle"`
	// Requests and Failures count since the endpoint came.
	Requests uint64 `json:"requests"`
	Failures uint64 `json:"failures"`
	// Open are connections, Connects and ConnectFailures count since the endpoint came, as
	// does Ejections: how often outlier detection acted.
	Open            int64  `json:"open"`
	Connects        uint64 `json:"connects"`
	ConnectFailures uint64 `json:"connectFailures"`
	Ejections       uint64 `json:"ejections"`
	// Weight is as configured, Locality is "region/zone/subzone".
	Weight   uint32 `json:"weight,omitempty"`
	Locality string `json:"locality,omitempty"`
	// Priority is 0 for the endpoints to take first. EffectiveWeight is the weight with
	// what warming up takes from it, Share the percentage of the cluster's requests that
	// weight, health and locality mean for the endpoint.
	Priority        int     `json:"priority"`
	EffectiveWeight float64 `json:"effectiveWeight"`
	Share           float64 `json:"share"`
	Warming         bool    `json:"warming,omitempty"`
}
