package metrics

import (
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
)

const (
	// DefaultMaxSeries is how many series each metric may have.
	DefaultMaxSeries = 10_000
	// DefaultExpiry is how long a series stays that nothing is added to, once what it is about
	// is gone.
	DefaultExpiry = 15 * time.Minute
	// drainInterval is how long counts may stay on the request path's side.
	drainInterval = 5 * time.Second
)

// DefaultBuckets are the bounds of all histograms, in milliseconds and in bytes: Envoy's.
var DefaultBuckets = []float64{
	0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
}

// Options say who is counted for, and how much. The zero value counts for nobody known.
type Options struct {
	// Identity is the proxy's own workload.
	Identity identity.Identity
	// Mesh is for a sidecar: calls to hosts of the mesh that came to no cluster are counted as
	// calls to their services, and callers are asked who they are. A gateway believes nobody.
	Mesh bool
	// Shards is the number of independent parts of the request path; 0 means 1.
	Shards int
	// Buckets are the bounds of histograms, ascending, at most MaxBuckets (Istio's annotation
	// sidecar.istio.io/statsHistogramBuckets); nil means DefaultBuckets.
	Buckets []float64
	// MaxSeries bounds the series of each metric; what is beyond is counted as "other". 0
	// means DefaultMaxSeries.
	MaxSeries int
	// Expiry is how long series stay of what is gone; 0 means DefaultExpiry.
	Expiry time.Duration
	// Logger is told of expressions that cannot be used; nil means slog.Default().
	Logger *slog.Logger
	// now is the clock.
	now func() time.Time
}

// Metrics counts a proxy's traffic. Its methods may be called from any goroutine.
type Metrics struct {
	o        Options
	own      identity.Workload
	duration *bounds // of nanoseconds
	size     *bounds // of bytes
	shards   []shard
	applied  atomic.Pointer[applied]
	peers    peerTable
	stop     chan struct{}
	done     chan struct{}

	// mu guards what the series are, which only a drain, a scrape and Edges touch.
	mu       sync.Mutex
	taking   []*entry
	batch    []delta
	families [metricCount]family
	flows    map[flowKey]*flow
	requests map[string]*listenerSeries
	overflow uint64
	swept    time.Time
}

// applied is the configuration that traffic is counted by.
type applied struct {
	spec *router.Spec
	// telemetry is what the policies were made of.
	telemetry         *router.Telemetry
	outbound, inbound *policy
	services          services
}

// New returns Metrics that count; Close ends them.
func New(o Options) *Metrics {
	o = o.withDefaults()
	m := &Metrics{
		o:        o,
		own:      o.Identity.Own(),
		duration: newBounds(o.Buckets, float64(time.Millisecond)),
		size:     newBounds(o.Buckets, 1),
		shards:   make([]shard, o.Shards),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		flows:    make(map[flowKey]*flow),
		requests: make(map[string]*listenerSeries),
		swept:    o.now(),
	}
	for i := range m.shards {
		m.shards[i].entries = make(map[key]*entry)
	}
	for i := range m.families {
		m.families[i].byHash = make(map[uint64]*series)
	}
	m.Apply(&router.Spec{})
	go m.run()
	return m
}

func (o Options) withDefaults() Options {
	if o.Shards <= 0 {
		o.Shards = 1
	}
	if len(o.Buckets) == 0 || len(o.Buckets) > MaxBuckets {
		o.Buckets = DefaultBuckets
	}
	if o.MaxSeries <= 0 {
		o.MaxSeries = DefaultMaxSeries
	}
	if o.Expiry <= 0 {
		o.Expiry = DefaultExpiry
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.now == nil {
		o.now = time.Now
	}
	return o
}

// Apply counts by a configuration from now on. Spec must not change any more.
func (m *Metrics) Apply(spec *router.Spec) {
	previous := m.applied.Load()
	next := &applied{spec: spec, telemetry: spec.Telemetry}
	next.services.self = m.o.Identity
	if previous != nil && reflect.DeepEqual(previous.telemetry, spec.Telemetry) {
		next.outbound, next.inbound = previous.outbound, previous.inbound
	} else {
		t := spec.Telemetry
		if t == nil {
			t = &router.Telemetry{}
		}
		next.outbound = newPolicy(false, t.Outbound.Metrics, m.o.Logger)
		next.inbound = newPolicy(true, t.Inbound.Metrics, m.o.Logger)
	}
	m.applied.Store(next)
	if previous != nil && previous.outbound != next.outbound {
		m.mu.Lock()
		m.drain()
		m.dropDisabled(next)
		m.mu.Unlock()
	}
}

// Wanted returns the names, in lower case, of the headers and trailers of responses that the
// expressions of the configuration in force ask for.
func (m *Metrics) Wanted() (headers, trailers []string) {
	a := m.applied.Load()
	for _, t := range slices.Concat(a.outbound.tags, a.inbound.tags) {
		headers = append(headers, t.program.ResponseHeaders()...)
		trailers = append(trailers, t.program.ResponseTrailers()...)
	}
	return headers, trailers
}

// run moves counts into series now and then, so that nothing piles up where nobody scrapes.
func (m *Metrics) run() {
	defer close(m.done)
	ticker := time.NewTicker(drainInterval)
	defer ticker.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-ticker.C:
			m.mu.Lock()
			m.drain()
			m.mu.Unlock()
		}
	}
}

// Close ends the goroutine that moves counts. Call it once.
func (m *Metrics) Close() {
	close(m.stop)
	<-m.done
}
