package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/admin/ui"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/http3"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/role"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry"
)

// Options describe a gateway process. Source and NewCompiler are required.
type Options struct {
	// Source brings configuration; what NewCompiler returns turns it into what a
	// gateway of these Labels in this Namespace serves.
	Source      role.Source
	NewCompiler func() pipeline.Compile
	// Labels and Namespace are the gateway's own, for the admin server to show, as is
	// Config: where configuration is read from.
	Labels    map[string]string
	Namespace string
	Config    []string
	// Identity is who the gateway speaks for in its telemetry.
	Identity telemetry.Identity
	// Buckets are the bounds of the histograms of Istio\'s metrics; nil means Envoy\'s.
	Buckets []float64
	// Address is the IP address to listen on where a Gateway's server names none;
	// the zero value is 0.0.0.0.
	Address netip.Addr
	// PortMap says where to listen instead of at a port that a Gateway asks for; to
	// port 0 means any that is free.
	PortMap map[uint16]uint16
	// NodePorts also listens at the nodePorts of the Service that selects the gateway.
	NodePorts bool
	// TrustedHops is the number of proxies in front of the gateway whose forwarding
	// headers are believed.
	TrustedHops int
	// Policy is what requests may look like; the zero value refuses what servers disagree
	// about.
	Policy http1.Policy
	// TLS says where TLS material comes from, beside the configuration, and ProxyProtocol
	// which peers tell by it who their clients are.
	TLS role.TLS
	// HTTP3 serves HTTP/3 wherever HTTPS is served, at the UDP port of the same number, and
	// tells clients of it (alt-svc).
	HTTP3         bool
	ProxyProtocol role.ProxyProtocol
	// ResolvConf is the file that says which servers of DNS to ask; empty for
	// /etc/resolv.conf.
	ResolvConf string
	// Admin and Status are the addresses of those servers; empty for none. AdminRemote
	// lets Admin be one that other machines can reach.
	Admin, Status string
	AdminRemote   bool
	// AdminProfiles lets other machines read profiles too.
	AdminProfiles bool
	// Peers returns the admin servers of other proxies that the page at /ui shows too.
	Peers func() []ui.Peer
	// Metrics is the address of a server for Prometheus on another machine; empty for none.
	Metrics string
	// AccessLog is a file, "-" for standard output, or empty for none, where the configuration
	// decides nothing. AccessLogFormat is its format with Envoy's %COMMAND% operators, Istio's
	// where it is empty; with AccessLogJSON it is a JSON object of such.
	AccessLog, AccessLogFormat string
	AccessLogJSON              bool
	// ReopenLogs says when to open the files of access logs anew; nil means never.
	ReopenLogs <-chan os.Signal
	// Drain bounds how long running requests may take at the end; 0 means
	// role.DefaultDrain, negative that they are cut.
	Drain time.Duration
	// LameDuck is how long the gateway goes on accepting after it has said that it is not
	// ready any more.
	LameDuck time.Duration
	// Limits bound what clients may take; zero fields take their defaults.
	Limits role.Limits
	// LogLevel is the level of Logger, which the admin server changes; nil where it is fixed.
	LogLevel *slog.LevelVar
	// Logger is told what happens; nil means slog.Default().
	Logger *slog.Logger
	// Collectors are metrics to show beside the gateway's own.
	Collectors []prometheus.Collector
	// Notify, where not nil, is called with each change of the gateway's state.
	Notify func(role.Status)
}

// Run serves until ctx ends; then it stops accepting, finishes what runs, and returns
// nil. It returns an error where it cannot start.
func Run(ctx context.Context, o Options) error {
	if !o.Address.IsValid() {
		o.Address = netip.IPv4Unspecified()
	}
	return role.Run(ctx, role.Options{
		Info:            admin.Info{Role: "gateway", Namespace: o.Namespace, Labels: o.Labels, Config: o.Config},
		Source:          o.Source,
		NewCompiler:     o.NewCompiler,
		Binds:           o.binds,
		TrustedHops:     o.TrustedHops,
		Policy:          o.Policy,
		HTTP3:           serveHTTP3,
		TLS:             o.TLS,
		ProxyProtocol:   o.ProxyProtocol,
		Admin:           o.Admin,
		Status:          o.Status,
		Metrics:         o.Metrics,
		ResolvConf:      o.ResolvConf,
		AdminRemote:     o.AdminRemote,
		AdminProfiles:   o.AdminProfiles,
		LogLevel:        o.LogLevel,
		Peers:           o.Peers,
		AccessLog:       o.AccessLog,
		AccessLogFormat: o.AccessLogFormat,
		AccessLogJSON:   o.AccessLogJSON,
		ReopenLogs:      o.ReopenLogs,
		Identity:        o.Identity,
		Buckets:         o.Buckets,
		Drain:           o.Drain,
		LameDuck:        o.LameDuck,
		Limits:          o.Limits,
		Logger:          o.Logger,
		Collectors:      o.Collectors,
		Notify:          o.Notify,
	})
}

// serveHTTP3 returns what serves HTTP/3 at a UDP socket.
func serveHTTP3(l listener.Options, http *http1.Options, headers []router.Header) role.DatagramServer {
	return http3.NewServer(http3.Options{Options: l, HTTP: http, Headers: headers})
}
