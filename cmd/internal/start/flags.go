package start

import (
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/role"
)

// Flags are those that every proxy has.
type Flags struct {
	// Config are the folders to read, and Elsewhere says that configuration comes from somewhere
	// else.
	Config    []string
	Elsewhere bool
	// MeshConfig is a file in the place of the mesh's ConfigMap; empty for none.
	MeshConfig string
	// Namespace is the proxy's own.
	Namespace string
	// Locality is where the proxy runs, "region/zone/subzone" or a beginning of it; empty
	// where it is not known.
	Locality string
	// Admin, Status and Metrics are addresses, empty for none.
	Admin, Status, Metrics string
	AdminRemote            bool
	AdminProfiles          bool
	// UIPeers are the admin servers of other proxies, "ADDRESS" or "NAME=ADDRESS".
	UIPeers []string
	// AccessLog is as role.Options has it, and AccessLogFormat.
	AccessLog, AccessLogFormat string
	// Drain is as role.Options has it, once Check has run.
	Drain time.Duration
	// MeshCertificates is the folder of the workload's own certificate; TicketKeys a file.
	MeshCertificates, TicketKeys string
	// ResolvConf is the file that names the servers of DNS.
	ResolvConf string
	// LameDuck and Limits are as role.Options has them, once Check has run.
	LameDuck time.Duration
	Limits   role.Limits
	// LogLevel is the level of the log, once Check has run.
	LogLevel            slog.LevelVar
	logLevel, logFormat string
	accessLogEncoding   string
	identity            identityFlags
	// Buckets are the bounds of histograms; nil for the usual ones.
	Buckets []float64
}

// Add declares the flags, with the defaults that f holds.
func (f *Flags) Add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.Config, "config", "c", nil, "folder of YAML or JSON files to read and watch (repeatable)")
	flags.StringVar(&f.MeshConfig, "mesh-config", "", "file with the mesh's configuration (Istio's MeshConfig: access logs, tracing, extensionProviders), in the place of ConfigMap istio-system/istio")
	flags.StringVar(&f.Namespace, "namespace", f.Namespace, "namespace that the proxy stands in")
	flags.StringVar(&f.Locality, "locality", "", "where the proxy runs, REGION/ZONE/SUBZONE or a beginning of it, so that endpoints near it go first; empty for unknown")
	flags.StringVar(&f.Admin, "admin", f.Admin, "address of the admin server; empty for none")
	flags.BoolVar(&f.AdminRemote, "admin-remote", false, "let --admin be an address that other machines can reach: it has no login")
	flags.StringArrayVar(&f.UIPeers, "ui-peer", nil, "admin server of another proxy that the page at /ui shows too, HOST:PORT or NAME=HOST:PORT (repeatable)")
	flags.BoolVar(&f.AdminProfiles, "admin-profiles", false, "let other machines read /debug/pprof too, where --admin-remote lets them in")
	flags.StringVar(&f.Status, "status", f.Status, "address of the status server (/healthz/ready); empty for none")
	flags.StringVar(&f.Metrics, "metrics", "", "address of a server that shows the metrics (/stats/prometheus, /metrics) and nothing else, for Prometheus on another machine; empty for none")
	f.addAccessLog(flags)
	flags.DurationVar(&f.Drain, "drain", role.DefaultDrain, "how long running requests may take when the proxy ends; 0 cuts them")
	flags.DurationVar(&f.LameDuck, "lame-duck", 0, "how long the proxy goes on accepting after it has said that it is not ready any more, before it drains")
	flags.StringVar(&f.MeshCertificates, "mesh-certificates", "/var/run/secrets/workload-spiffe-credentials", "folder of the proxy's own certificate in the mesh (cert-chain.pem, key.pem, root-cert.pem), for ISTIO_MUTUAL")
	flags.StringVar(&f.TicketKeys, "ticket-keys", "", "file of keys for TLS session tickets, one in base64 to a line, the first for new tickets, that replicas share; empty makes and rotates them here")
	flags.StringVar(&f.ResolvConf, "resolv-conf", "/etc/resolv.conf", "file that says which servers of DNS resolve the names of endpoints; [127.0.0.1]:5353 names one with its port")
	f.identity.add(flags)
	flags.Float64SliceVar(&f.Buckets, "metrics-buckets", nil, "bounds of the histograms of Istio's metrics, in milliseconds and in bytes, such as 1,10,100,1000 (Istio's annotation statsHistogramBuckets); empty for Envoy's")
	f.addLimits(flags)
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json")
}

// Check reports what makes no sense, and returns the log that was asked for.
func (f *Flags) Check(cmd *cobra.Command) (*slog.Logger, error) {
	if len(f.Config) == 0 && !f.Elsewhere {
		or := ""
		if cmd.Flags().Lookup("kube") != nil {
			or = " or --kube"
		}
		return nil, Misusef("say where the configuration is: --config DIR%s", or)
	}
	if f.Locality != "" && !isLocality(f.Locality) {
		return nil, Misusef("--locality %q: must be REGION, REGION/ZONE or REGION/ZONE/SUBZONE, such as us-east/zone1", f.Locality)
	}
	if _, err := f.peers(); err != nil {
		return nil, err
	}
	if err := f.checkAccessLog(); err != nil {
		return nil, err
	}
	switch {
	case f.Drain < 0:
		return nil, Misusef("--drain %s: must not be negative", f.Drain)
	case f.Drain == 0:
		f.Drain = -1
	}
	if f.LameDuck < 0 {
		return nil, Misusef("--lame-duck %s: must not be negative", f.LameDuck)
	}
	if err := checkBuckets(f.Buckets); err != nil {
		return nil, err
	}
	if err := f.checkLimits(); err != nil {
		return nil, err
	}
	return Logger(cmd.ErrOrStderr(), &f.LogLevel, f.logLevel, f.logFormat)
}

// isLocality tells whether s names a region, maybe a zone in it, and a subzone in that.
// Patterns, which only policies have, do not say where a proxy is.
func isLocality(s string) bool {
	parts := strings.Split(s, "/")
	for _, part := range parts {
		if part == "" || strings.ContainsAny(part, "* \t\r\n") {
			return false
		}
	}
	return len(parts) <= 3
}
