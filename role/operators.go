package role

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/proxy/filter"
	"github.com/sluicegate/sluice/proxy/forward"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry"
)

// operators are the admin, status and metrics servers.
type operators struct{ servers []*http.Server }

// listenOperators starts the servers for operators. They answer until the process has
// drained, so that readiness says why.
func (p *process) listenOperators() (*operators, error) {
	var s operators
	if p.o.Admin != "" {
		l, err := admin.Listen(p.o.Admin, p.o.AdminRemote)
		if err != nil {
			return nil, operatorError("admin", p.o.Admin, err)
		}
		p.adminAt = l.Addr().String()
		s.start(l, admin.NewServer(p.adminHandler(), p.o.Logger))
	}
	if p.o.Status != "" {
		l, err := net.Listen("tcp", p.o.Status)
		if err != nil {
			s.close()
			return nil, operatorError("status", p.o.Status, err)
		}
		p.statusAt = l.Addr().String()
		s.start(l, admin.NewServer(admin.NewStatusHandler(p.ready), p.o.Logger))
	}
	if p.o.Metrics != "" {
		l, err := net.Listen("tcp", p.o.Metrics)
		if err != nil {
			s.close()
			return nil, operatorError("metrics", p.o.Metrics, err)
		}
		p.metricsAt = l.Addr().String()
		s.start(l, admin.NewServer(admin.NewMetricsHandler(p.telemetry.MergedHandler(p.o.AppMetrics)), p.o.Logger))
	}
	return &s, nil
}

func operatorError(name, address string, err error) error {
	return fmt.Errorf("the %s server cannot listen on %s: %w; choose another address with --%s, or turn it off with --%s=", name, address, err, name, name)
}

func (s *operators) start(l net.Listener, server *http.Server) {
	s.servers = append(s.servers, server)
	go server.Serve(l)
}

func (s *operators) close() {
	for _, server := range s.servers {
		server.Close()
	}
}

// adminHandler shows the process to its operator.
func (p *process) adminHandler() http.Handler {
	o := admin.Options{
		Info:         p.o.Info,
		Ready:        p.ready,
		Config:       p.config,
		Table:        p.table,
		Listeners:    p.listeners.status,
		Clusters:     p.clusters,
		Certificates: p.certificateStatus,
		Routed:       p.routed,
		Metrics:      p.telemetry.Handler(),
		Recent:       p.telemetry.Recent(),
		Locate:       p.pipeline.Locate,
		Node:         p.o.Identity.Node,
		LogLevel:     p.o.LogLevel,
		Drain:        func(graceful bool) { go p.drain(graceful) },
		Quit:         p.quit,
		FailHealth:   p.failHealth,
		Profiles:     p.profiles(),
	}
	o.UI = p.page(o)
	return admin.NewHandler(o)
}

// routed makes of a client's request what the listeners' servers and the engine hand to routing.
func (p *process) routed(r *router.Request) error {
	path, refused := http1.NormalizePath(r.Path, p.o.Policy.EscapedSlashes)
	if refused != nil {
		return fmt.Errorf("the proxy answers %d (%s) to this path, and routes it nowhere", refused.Status, refused.Detail)
	}
	r.Path = path
	forward.Seen(r, p.o.Mesh, p.o.TrustedHops)
	return nil
}

// clusters returns the upstream side as the admin server shows it.
func (p *process) clusters() []admin.Cluster {
	status := p.engine.Clusters()
	list := make([]admin.Cluster, len(status))
	for i, c := range status {
		list[i] = admin.Cluster{
			Name: c.Name, Balancer: c.Balancer,
			Endpoints: make([]admin.Endpoint, len(c.Endpoints)), Stats: make([]admin.Stat, len(c.Stats)),
		}
		for k, v := range c.Stats {
			list[i].Stats[k] = admin.Stat{Name: upstream.Stat(k).String(), Value: v}
		}
		for j, e := range c.Endpoints {
			list[i].Endpoints[j] = admin.Endpoint{
				Address: e.Address, Name: e.Name, Healthy: e.Healthy, EjectedAt: e.EjectedAt, Ejection: e.Ejection,
				Active: int(e.Active), Idle: e.Idle,
				Requests: e.Requests, Failures: e.Failures,
				Open: e.Open, Connects: e.Connects, ConnectFailures: e.ConnectFailures, Ejections: e.Ejections,
				Weight: e.Weight, Locality: e.Locality,
				Priority: e.Priority, EffectiveWeight: e.EffectiveWeight, Share: e.Share, Warming: e.Warming,
			}
		}
	}
	return list
}

// clusterMetrics returns the upstream side as the metrics count it.
func (p *process) clusterMetrics() []telemetry.Cluster {
	status := p.engine.Clusters()
	mirrors := make(map[string]*telemetry.Mirror)
	for _, s := range p.engine.Mirrors() {
		mirrors[s.Cluster] = mirrorMetrics(s)
	}
	list := make([]telemetry.Cluster, len(status))
	for i, c := range status {
		m := &list[i]
		m.Name, m.Endpoints, m.Mirror = c.Name, len(c.Endpoints), mirrors[c.Name]
		for k, v := range c.Stats {
			stat := upstream.Stat(k)
			m.Stats = append(m.Stats, telemetry.Stat{Name: stat.String(), Gauge: stat.Gauge(), Value: v})
		}
		for _, e := range c.Endpoints {
			m.Active += int(e.Active)
			m.Idle += e.Idle
			m.Requests += e.Requests
			m.Failures += e.Failures
			if e.Healthy {
				m.Healthy++
			}
		}
	}
	return list
}

func mirrorMetrics(s filter.MirrorStatus) *telemetry.Mirror {
	m := &telemetry.Mirror{Active: s.Active, Success: s.Success, Failed: s.Failed, Dropped: make(map[string]uint64)}
	for i, n := range s.Dropped {
		m.Dropped[filter.DropReason(i).String()] = n
	}
	return m
}

// conditionMetrics returns the number of conditions by severity.
func (p *process) conditionMetrics() map[string]int {
	n := map[string]int{"error": 0, "warning": 0, "info": 0}
	for _, c := range p.config().Conditions {
		n[strings.ToLower(string(c.Severity))]++
	}
	return n
}
