package telemetry

import (
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/accesslog"
	"github.com/sluicegate/sluice/telemetry/merge"
	"github.com/sluicegate/sluice/telemetry/metrics"
	"github.com/sluicegate/sluice/telemetry/recent"
	"github.com/sluicegate/sluice/telemetry/trace"
	"github.com/sluicegate/sluice/version"
)

// Options say what to write and what to ask.
type Options struct {
	// AccessLog is a file to append to, "-" for Stdout, or empty for none, where the
	// configuration decides nothing. AccessLogFormat is its format with Envoy's %COMMAND%
	// operators, Istio's where it is empty; with AccessLogJSON it is a JSON object of such.
	AccessLog, AccessLogFormat string
	AccessLogJSON              bool
	// Stdout is where "-" writes; nil means os.Stdout. It is never closed.
	Stdout io.Writer
	// Identity is who the proxy speaks for, and Mesh says that it is a sidecar.
	Identity Identity
	Mesh     bool
	// Buckets are the bounds of the histograms of Istio's metrics; nil means Envoy's.
	Buckets []float64
	// Connections returns the open connections of clients by listener, Listeners how many
	// sockets could be opened of those that the configuration asks for, Clusters the
	// state of the upstream side, Conditions the defects that stand by severity. They
	// are called at each scrape, from any goroutine; nil leaves their metrics out.
	Connections func() map[string]int
	Listeners   func() (bound, unbound int)
	Clusters    func() []Cluster
	Conditions  func() map[string]int
	// Certificates returns the state of the certificates, likewise.
	Certificates func() []Certificate
	// Dial is the way to collectors; nil means plain TCP to their addresses.
	Dial Dial
	// Recent says whom to ask about failures.
	Recent recent.Options
	// Collectors are further metrics, of whatever feeds the proxy.
	Collectors []prometheus.Collector
	// Logger is told of trouble with logs and metrics; nil means slog.Default().
	Logger *slog.Logger
}

// Telemetry is one proxy's access log and metrics. Its methods may be called from any
// goroutine.
type Telemetry struct {
	shards      *shardPicker
	metrics     *metrics.Metrics
	answers     *answerMetrics
	connections connectionMetrics
	logs        *accesslog.Logs
	config      *configMetrics
	recent      *recent.Recorder
	trace       *trace.Tracer
	registry    *prometheus.Registry
	logger      *slog.Logger
	plan        *router.Telemetry // in force; only for Apply and Captured
}

// New opens the access log and sets the metrics up. It fails only where the log file
// cannot be opened.
func New(o Options) (*Telemetry, error) {
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	t := &Telemetry{shards: newShardPicker(), registry: prometheus.NewRegistry(), logger: o.Logger, plan: &router.Telemetry{}}
	t.answers = newAnswerMetrics(int(t.shards.n))
	var err error
	if t.logs, err = accesslog.New(o.logs(int(t.shards.n))); err != nil {
		return nil, err
	}
	t.metrics = metrics.New(metrics.Options{
		Identity: o.Identity, Mesh: o.Mesh, Shards: int(t.shards.n), Buckets: o.Buckets, Logger: o.Logger,
	})
	t.trace = newTracer(o)
	t.config = newConfigMetrics(t.registry)
	t.registry.MustRegister(
		t.metrics,
		t.trace,
		&collector{answers: t.answers, events: &t.connections, logs: t.logs, connections: o.Connections, listeners: o.Listeners, clusters: o.Clusters, conditions: o.Conditions, certificates: o.Certificates},
		buildInfo(),
		istioBuild(),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	t.registry.MustRegister(o.Collectors...)
	t.recent = recent.New(o.Recent)
	return t, nil
}

func buildInfo() prometheus.Collector {
	v := version.Get()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "sluice_build_info",
		Help:        "Always 1; the labels say which build runs.",
		ConstLabels: prometheus.Labels{"version": v.Version, "commit": v.Commit, "go": v.Go},
	}, func() float64 { return 1 })
}

// istioBuild is by what Istio's dashboards know proxies.
func istioBuild() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "istio_build",
		Help:        "Always 1; the labels say which proxy runs.",
		ConstLabels: prometheus.Labels{"component": "proxy", "tag": version.Get().Version},
	}, func() float64 { return 1 })
}

// Complete records an exchange that has ended. It is meant for the request path: it
// does not allocate in the steady state, does not wait for any I/O and keeps nothing
// of ex.
func (t *Telemetry) Complete(ex *proxy.Exchange) {
	token := t.shards.get()
	t.metrics.Complete(token.shard, ex)
	t.answers.record(token.shard, ex)
	t.logs.Complete(token.shard, ex)
	t.recent.Complete(token.shard, ex)
	t.trace.Complete(ex)
	t.shards.put(token)
}

// Apply puts the telemetry of a configuration in force; call it before the table of the same
// Spec is published, one call at a time. Spec must not change any more.
func (t *Telemetry) Apply(spec *router.Spec) {
	t.metrics.Apply(spec)
	t.plan = plan(spec)
	t.trace.Apply(spec)
	t.logs.Apply(t.plan)
}

// Edges returns the service graph as the proxy has seen it.
func (t *Telemetry) Edges() []metrics.Edge { return t.metrics.Edges() }

// Recent returns what is remembered of the latest traffic.
func (t *Telemetry) Recent() *recent.Recorder { return t.recent }

// ConfigUpdated records a change of the configuration.
func (t *Telemetry) ConfigUpdated(u ConfigUpdate) { t.config.update(u) }

// Handler serves the metrics in the formats that Prometheus reads. What cannot be shown is left
// out, and logged: on a bad day the others are needed.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(t.logger.Handler(), slog.LevelError),
	})
}

// MergedHandler serves the metrics together with those of an application, which targets are URLs
// of; without targets it is Handler.
func (t *Telemetry) MergedHandler(targets []string) http.Handler {
	if len(targets) == 0 {
		return t.Handler()
	}
	return merge.New(merge.Options{Own: t.registry, Targets: targets})
}

// Close writes what is left of the access log, waiting at most two seconds for a
// destination that is stuck. Call it once, after the last Complete.
func (t *Telemetry) Close() {
	t.metrics.Close()
	t.recent.Close()
	t.trace.Close()
	t.logs.Close()
}
