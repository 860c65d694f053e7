package sidecar

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/admin/ui"
	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/role"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry"
)

// Outbound is the name of the listener for what the workload calls, as front ends
// compile it.
const Outbound = "outbound"

// Options describe a sidecar process. Source and NewCompiler are required.
type Options struct {
	// Source brings configuration; what NewCompiler returns turns it into what a
	// workload of these Labels in this Namespace calls: a listener named Outbound.
	Source      role.Source
	NewCompiler func() pipeline.Compile
	// Labels and Namespace are the workload's, for the admin server to show, as is
	// Config: where configuration is read from.
	Labels    map[string]string
	Namespace string
	Config    []string
	// Identity is who the sidecar speaks for in its telemetry.
	Identity telemetry.Identity
	// Buckets are the bounds of the histograms of Istio\'s metrics; nil means Envoy\'s.
	Buckets []float64
	// Outbound is where the workload sends what it calls, "127.0.0.1:15001"; empty
	// for no such listener. A request's Host, with its port, says what is called.
	Outbound string
	// Inbound are the listeners for what calls the workload.
	Inbound []Inbound
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
	// AppMetrics are URLs of the application's metrics, which that server shows with the
	// sidecar's own.
	AppMetrics []string
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
	// LameDuck is how long the sidecar goes on accepting after it has said that it is not
	// ready any more.
	LameDuck time.Duration
	// Limits bound what clients may take; zero fields take their defaults.
	Limits role.Limits
	// TLS says where TLS material comes from, beside the configuration.
	TLS role.TLS
	// LogLevel is the level of Logger, which the admin server changes; nil where it is fixed.
	LogLevel *slog.LevelVar
	// Logger is told what happens; nil means slog.Default().
	Logger *slog.Logger
	// Notify, where not nil, is called with each change of the sidecar's state.
	Notify func(role.Status)
}

// Run serves until ctx ends; then it stops accepting, finishes what runs, and returns
// nil. It returns an error where it cannot start.
func Run(ctx context.Context, o Options) error {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Outbound != "" && reachable(o.Outbound) {
		o.Logger.Warn("other machines can reach the outbound listener, and call through it whatever this workload can", "address", o.Outbound)
	}
	return role.Run(ctx, role.Options{
		Info:            admin.Info{Role: "sidecar", Namespace: o.Namespace, Labels: o.Labels, Config: o.Config},
		Source:          o.Source,
		NewCompiler:     withInbound(o.NewCompiler, inboundSpec(o.Inbound)),
		Binds:           o.binds,
		Mesh:            true,
		Admin:           o.Admin,
		Status:          o.Status,
		Metrics:         o.Metrics,
		AppMetrics:      o.AppMetrics,
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
		TLS:             o.TLS,
		Logger:          o.Logger,
		Notify:          o.Notify,
	})
}

// binds returns the sidecar's sockets: those it was started with, whatever the table
// says. A table without the outbound listener answers 404 there.
func (o Options) binds([]*router.Listener) ([]role.Bind, []config.Condition) {
	var binds []role.Bind
	if o.Outbound != "" {
		binds = append(binds, role.Bind{
			Listener: Outbound, Address: o.Outbound, PortFromAuthority: true, Instead: "--outbound 127.0.0.1:PORT",
		})
	}
	for _, in := range o.Inbound {
		binds = append(binds, role.Bind{Listener: in.name(), Address: in.Listen, Inbound: true, Instead: "--inbound ADDRESS=" + in.Local})
	}
	return binds, nil
}
