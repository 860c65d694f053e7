package role

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/config/pipeline"
	"github.com/sluicegate/sluice/proxy/forward"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/proxy/upstream/dns"
	"github.com/sluicegate/sluice/telemetry"
	"github.com/sluicegate/sluice/telemetry/recent"
	"github.com/sluicegate/sluice/tls"
	"github.com/sluicegate/sluice/version"
)

// process is a proxy while it runs.
type process struct {
	o            Options
	engine       *forward.Engine
	pressure     *pressure
	telemetry    *telemetry.Telemetry
	listeners    *listeners
	certificates *tls.Store
	budget       *listener.Budget
	pipeline     *pipeline.Pipeline
	release      *release
	served       atomic.Pointer[served]
	// tables counts those that were put in force.
	tables    atomic.Uint64
	draining  atomic.Bool
	drained   sync.Once
	unhealthy atomic.Bool
	// quit ends the process.
	quit      context.CancelFunc
	adminAt   string
	statusAt  string
	metricsAt string

	notify sync.Mutex
}

// Run serves until ctx ends; then it drains and returns nil. It returns an error where
// the process cannot start or its source fails.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	o.Info.Version, o.Info.Started = version.Get(), time.Now()
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	p := &process{o: o, quit: quit, budget: listener.NewBudget(o.Limits.MaxConnectionsTotal)}
	p.served.Store(&served{})
	var err error
	if p.certificates, err = tls.New(o.tlsOptions()); err != nil {
		return err
	}
	defer p.certificates.Close()
	p.telemetry, err = telemetry.New(telemetry.Options{
		AccessLog: o.AccessLog, AccessLogFormat: o.AccessLogFormat, AccessLogJSON: o.AccessLogJSON,
		Identity:     o.Identity,
		Mesh:         o.Mesh,
		Buckets:      o.Buckets,
		Connections:  func() map[string]int { return p.listeners.connections() },
		Listeners:    p.listenerMetrics,
		Clusters:     p.clusterMetrics,
		Conditions:   p.conditionMetrics,
		Certificates: p.certificateMetrics,
		Dial:         p.dialCollector,
		Recent:       recent.Options{Upstream: p.upstreamState},
		Collectors:   o.Collectors,
		Logger:       o.Logger,
	})
	if err != nil {
		return err
	}
	defer p.telemetry.Close()
	stop := make(chan struct{})
	defer close(stop)
	go p.reopenLogs(stop)
	p.pressure = newPressure(o.Logger)
	go p.pressure.follow(stop)
	p.release = newRelease()
	go p.release.follow(stop)
	p.engine = forward.New(forward.Options{
		Mesh: o.Mesh, TrustedHops: o.TrustedHops, Trace: p.telemetry.Trace, OnComplete: p.telemetry.Complete,
		PeerMetadata: o.Identity.EncodePeer(), PeerMetadataID: o.Identity.Node,
		Limits: o.Limits.Head, Timeouts: o.Limits.Timeouts, Pressure: p.pressure.now,
		Challenge: o.TLS.challenge(), ClientPolicy: p.certificates.Policy, UpstreamTLS: p.certificates.Client, Log: o.Logger,
		Resolve: dns.New(dns.Options{Conf: o.ResolvConf}).Lookup,
	})
	defer p.engine.Close()
	defer p.telemetry.Flush()
	p.listeners = newListeners(p.newServer, o.Drain, o.Logger, p.changed)
	p.listeners.newDatagramServer, p.listeners.headers, p.listeners.settled = p.newDatagramServer, o.TLS.responseHeaders, o.settled
	p.pipeline = pipeline.New(pipeline.Options{NewCompiler: o.NewCompiler, Publish: p.publish, Logger: o.Logger})

	operators, err := p.listenOperators()
	if err != nil {
		return err
	}
	defer operators.close()
	return p.serve(ctx)
}

// serve follows the source until ctx ends or the source fails, and then drains. The source is
// followed until the last request has ended: endpoints that go meanwhile must not get it.
func (p *process) serve(ctx context.Context) error {
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.o.Source(watch, p.apply) }()
	select {
	case <-ctx.Done():
		p.drain(true)
		stop()
		<-ended
		return nil
	case err := <-ended:
		p.drain(true)
		return fmt.Errorf("configuration is not followed any more: %w", errors.Join(err, errSourceEnded))
	}
}

var errSourceEnded = errors.New("its source has ended")

func (p *process) connections() (n int) {
	for _, c := range p.listeners.connections() {
		n += c
	}
	return n
}

// ready returns why the proxy is not, or nil.
func (p *process) ready() error {
	if p.draining.Load() {
		return draining{}
	}
	if p.unhealthy.Load() {
		return errors.New("the health check was made to fail (POST /healthcheck/ok takes that back)")
	}
	if p.table() == nil {
		return errors.New("no configuration has been read yet")
	}
	return p.listeners.ready()
}

// changed tells the embedding program of the state.
func (p *process) changed() {
	if p.o.Notify == nil {
		return
	}
	p.notify.Lock()
	defer p.notify.Unlock()
	c := p.config()
	p.o.Notify(Status{
		NotReady:   p.ready(),
		Admin:      p.adminAt,
		Status:     p.statusAt,
		Metrics:    p.metricsAt,
		Generation: c.Generation,
		Listeners:  p.listeners.status(),
		Conditions: c.Conditions,
	})
}
