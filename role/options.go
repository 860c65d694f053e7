package role

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/admin/ui"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry"
)

// DefaultDrain is how long running requests may take when the process ends.
const DefaultDrain = 30 * time.Second

// MeshPolicy is what requests may look like in a mesh.
var MeshPolicy = http1.Policy{EscapedSlashes: http1.KeepEscapedSlashes, AllowUnderscores: true}

// Source brings configuration: it calls publish first with everything there is, then
// with each change, one call at a time, until ctx ends.
type Source func(ctx context.Context, publish func(config.Delta)) error

// Options describe a proxy process. Source, NewCompiler and Binds are
// required.
type Options struct {
	// Info is what the admin server says of the process; Version and Started are
	// filled in.
	Info   admin.Info
	Source Source
	// NewCompiler returns what turns objects into a Spec.
	NewCompiler func() pipeline.Compile
	// Binds says which sockets a table's listeners get, and what of that cannot be.
	Binds func([]*router.Listener) ([]Bind, []config.Condition)
	// Mesh is for a sidecar: its callers are its own workload, whose headers are left
	// as they are.
	Mesh bool
	// TrustedHops is the number of proxies in front of this one whose forwarding
	// headers are believed.
	TrustedHops int
	// Limits bound what clients may take.
	Limits Limits
	// Policy is what requests may look like at an edge. In a Mesh it is left to the
	// workload, whose own calls and callers these are.
	Policy http1.Policy
	// TLS says where TLS material comes from, beside the configuration.
	TLS TLS
	// HTTP3 returns what serves HTTP/3 at a UDP socket: Binds may ask for those only where it
	// is set.
	HTTP3 func(l listener.Options, http *http1.Options, headers []router.Header) DatagramServer
	// ResolvConf is the file that says which servers of DNS to ask; empty for
	// /etc/resolv.conf.
	ResolvConf string
	// ProxyProtocol says which peers tell by it who their clients are.
	ProxyProtocol ProxyProtocol
	// Identity is who the proxy speaks for in its telemetry.
	Identity telemetry.Identity
	// Buckets are the bounds of the histograms of Istio's metrics; nil means Envoy's.
	Buckets []float64
	// Admin and Status are the addresses of those servers, Metrics that of one for Prometheus
	// on another machine; empty for none.
	Admin, Status, Metrics string
	// AppMetrics are URLs of the metrics of the application beside a sidecar, which Metrics shows
	// with its own.
	AppMetrics []string
	// AdminRemote lets Admin be an address that other machines can reach.
	AdminRemote bool
	// Peers returns the admin servers of other proxies, whose states the page at /ui shows
	// beside the process' own; nil for none.
	Peers func() []ui.Peer
	// AccessLog is a file, "-" for standard output, or empty for none, where the configuration
	// decides nothing. AccessLogFormat is its format with Envoy's %COMMAND% operators, Istio's
	// where it is empty; with AccessLogJSON it is a JSON object of such.
	AccessLog, AccessLogFormat string
	AccessLogJSON              bool
	// ReopenLogs says when to open the files of access logs anew; nil means never.
	ReopenLogs <-chan os.Signal
	// Drain bounds how long running requests may take when the process ends or a
	// listener goes; 0 means DefaultDrain, negative that they are cut.
	Drain time.Duration
	// LameDuck is how long the process goes on accepting after it has said that it is not
	// ready any more, for load balancers that are slow to notice.
	LameDuck time.Duration
	// Collectors are metrics to show beside the process' own.
	Collectors []prometheus.Collector
	// AdminProfiles lets other machines read profiles too, where AdminRemote lets them in.
	AdminProfiles bool
	// LogLevel is the level of Logger, which the admin server changes; nil where it is fixed.
	LogLevel *slog.LevelVar
	// Logger is told what happens; nil means slog.Default().
	Logger *slog.Logger
	// Notify, where not nil, is called with the process's state when that changes,
	// one call at a time. It must return soon.
	Notify func(Status)

	// sleep passes the time of LameDuck, and settled that which a listener's clients have to
	// send their request when it closes. Tests replace them, so as not to depend on times.
	sleep   func(time.Duration)
	settled func(context.Context)
}

// Status is the state of a proxy process.
type Status struct {
	// NotReady says why the proxy does not serve yet, or no more; nil where it does.
	NotReady error
	// Admin, Status and Metrics are where those servers listen; empty where there is none.
	Admin, Status, Metrics string
	// Generation counts the tables published; 0 is none yet.
	Generation uint64
	// Listeners are the sockets wanted, bound or not.
	Listeners []admin.Listener
	// Conditions are the defects that stand, of the configuration and of sockets.
	Conditions []config.Condition
}

// Address returns where a listener, by its name, listens; of several sockets, at the
// first. It is empty where it does not.
func (s Status) Address(listener string) string {
	for _, l := range s.Listeners {
		if l.Name == listener && l.Bound {
			return l.Address
		}
	}
	return ""
}

func (o Options) withDefaults() Options {
	if o.Drain == 0 {
		o.Drain = DefaultDrain
	}
	o.Drain = max(o.Drain, 0)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.sleep == nil {
		o.sleep = time.Sleep
	}
	if o.settled == nil {
		o.settled = settled
	}
	o.Limits = o.Limits.withDefaults(descriptorLimit(), o.Logger)
	if o.Mesh {
		o.Policy = MeshPolicy
	}
	return o
}
