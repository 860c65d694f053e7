package telemetry

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/telemetry/accesslog"
)

// Cluster is what the metrics say about one cluster.
type Cluster struct {
	Name string
	// Active and Idle are open connections: in use, and kept for the next request.
	Active, Idle int
	// Requests and Failures count since the cluster came: what was sent to its
	// endpoints, and how much of that got no valid response.
	Requests, Failures uint64
	// Endpoints and Healthy count addresses.
	Endpoints, Healthy int
	// Stats are the cluster's numbers under Envoy's names.
	Stats []Stat
	// Mirror are the copies for the cluster; nil where none was wanted.
	Mirror *Mirror
}

// Stat is a number under its name in Envoy, "upstream_cx_total".
type Stat struct {
	Name  string
	Gauge bool
	Value uint64
}

// Mirror is what became of copies of requests.
type Mirror struct {
	// Active are on their way; Success and Failed have ended; Dropped, by reason, were
	// never sent.
	Active          int64
	Success, Failed uint64
	Dropped         map[string]uint64
}

// collector turns the counters of the request path, and what the Options' functions
// report, into Prometheus metrics at each scrape.
type collector struct {
	answers     *answerMetrics
	events      *connectionMetrics
	logs        *accesslog.Logs
	connections func() map[string]int
	listeners   func() (bound, unbound int)
	clusters    func() []Cluster
	conditions  func() map[string]int

	certificates func() []Certificate
}

var (
	rejectedDesc = prometheus.NewDesc("sluice_rejected_requests_total",
		"Requests that were refused before routing, by the reason that the access log has as response code details.",
		[]string{"listener", "reason"}, nil)
	corsDesc = prometheus.NewDesc("sluice_cors_requests_total",
		"Requests of pages of other origins on routes with a CORS policy, by what it made of them.",
		[]string{"listener", "result"}, nil)
	connectionsDesc = prometheus.NewDesc("sluice_downstream_connections",
		"Open connections of clients.", []string{"listener"}, nil)

	upstreamConnectionsDesc = prometheus.NewDesc("sluice_upstream_connections",
		"Open connections to endpoints, in use (active) or kept (idle).", []string{"cluster", "state"}, nil)
	upstreamRequestsDesc = prometheus.NewDesc("sluice_upstream_requests_total",
		"Requests sent to endpoints, retries included.", []string{"cluster"}, nil)
	upstreamFailuresDesc = prometheus.NewDesc("sluice_upstream_failures_total",
		"Requests to endpoints that got no valid response.", []string{"cluster"}, nil)
	mirrorActiveDesc = prometheus.NewDesc("sluice_mirror_active",
		"Copies of requests that are on their way to a mirror.", []string{"cluster"}, nil)
	mirrorDesc = prometheus.NewDesc("sluice_mirror_requests_total",
		"Copies of requests that were sent to a mirror, by what became of them (success: a response below 500).", []string{"cluster", "result"}, nil)
	mirrorDroppedDesc = prometheus.NewDesc("sluice_mirror_dropped_total",
		"Copies of requests that were not sent to a mirror, by reason.", []string{"cluster", "reason"}, nil)
	endpointsDesc = prometheus.NewDesc("sluice_cluster_endpoints",
		"Endpoints of a cluster, by whether they are used.", []string{"cluster", "state"}, nil)

	conditionsDesc = prometheus.NewDesc("sluice_config_conditions",
		"Defects of the configuration and of sockets that stand, by severity.", []string{"severity"}, nil)

	logLinesDesc = prometheus.NewDesc("sluice_access_log_lines_total",
		"Access log lines written.", nil, nil)
	logDroppedDesc = prometheus.NewDesc("sluice_access_log_dropped_lines_total",
		"Access log lines lost because the destination was too slow or failed.", nil, nil)
	logFailuresDesc = prometheus.NewDesc("sluice_access_log_write_failures_total",
		"Writes of the access log that failed.", nil, nil)
)

// Describe sends nothing: what there is depends on the configuration.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the current numbers.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.answers.collect(ch)
	c.events.collect(ch)
	if c.connections != nil {
		for listener, n := range c.connections() {
			gauge(ch, connectionsDesc, n, listener)
			gauge(ch, envoyConnectionsDesc, n, listener)
		}
	}
	if c.listeners != nil {
		bound, unbound := c.listeners()
		gauge(ch, listenersDesc, bound, "bound")
		gauge(ch, listenersDesc, unbound, "unbound")
	}
	collectMemory(ch)
	if c.clusters != nil {
		for _, cl := range c.clusters() {
			cl.collect(ch)
		}
	}
	if c.conditions != nil {
		for severity, n := range c.conditions() {
			gauge(ch, conditionsDesc, n, severity)
		}
	}
	if c.certificates != nil {
		collectCertificates(ch, c.certificates(), time.Now())
	}
	lines, dropped, failures := c.logs.Counts()
	counter(ch, logLinesDesc, lines)
	counter(ch, logDroppedDesc, dropped)
	counter(ch, logFailuresDesc, failures)
}

func (c *Cluster) collect(ch chan<- prometheus.Metric) {
	gauge(ch, upstreamConnectionsDesc, c.Active, c.Name, "active")
	gauge(ch, upstreamConnectionsDesc, c.Idle, c.Name, "idle")
	counter(ch, upstreamRequestsDesc, c.Requests, c.Name)
	counter(ch, upstreamFailuresDesc, c.Failures, c.Name)
	gauge(ch, endpointsDesc, c.Healthy, c.Name, "healthy")
	gauge(ch, endpointsDesc, c.Endpoints-c.Healthy, c.Name, "unhealthy")
	for _, s := range c.Stats {
		kind := prometheus.CounterValue
		if s.Gauge {
			kind = prometheus.GaugeValue
		}
		send(ch, statDesc(s.Name), kind, float64(s.Value), c.Name)
	}
	if m := c.Mirror; m != nil {
		gauge(ch, mirrorActiveDesc, int(m.Active), c.Name)
		counter(ch, mirrorDesc, m.Success, c.Name, "success")
		counter(ch, mirrorDesc, m.Failed, c.Name, "failed")
		for reason, n := range m.Dropped {
			counter(ch, mirrorDroppedDesc, n, c.Name, reason)
		}
	}
}

// statDescs are made once for each name; there are a few dozen.
var statDescs sync.Map

// statDesc returns the description of one of Envoy's cluster statistics, under the name
// that Envoy's own Prometheus page has.
func statDesc(name string) *prometheus.Desc {
	if d, ok := statDescs.Load(name); ok {
		return d.(*prometheus.Desc)
	}
	d := prometheus.NewDesc("envoy_cluster_"+strings.ReplaceAll(name, ".", "_"), "Envoy's cluster statistic "+name+".", []string{"cluster_name"}, nil)
	statDescs.Store(name, d)
	return d
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, n uint64, labels ...string) {
	send(ch, d, prometheus.CounterValue, float64(n), labels...)
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, n int, labels ...string) {
	send(ch, d, prometheus.GaugeValue, float64(n), labels...)
}

// send sends a sample, or what is wrong with it: the others go on without it.
func send(ch chan<- prometheus.Metric, d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
	m, err := prometheus.NewConstMetric(d, kind, value, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err)
	}
	ch <- m
}
