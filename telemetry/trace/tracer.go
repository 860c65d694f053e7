package trace

import (
	stdcontext "context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
)

// Format appends what a format with Envoy's %COMMAND% operators comes to for an exchange. It
// allocates nothing.
type Format func(dst []byte, ex *proxy.Exchange) []byte

// Options configure a Tracer. NewClient is required.
type Options struct {
	// Identity is who the spans come from.
	Identity identity.Identity
	// Trusted says that callers are of the mesh: then a request id in which Envoy noted that the
	// request is traced is believed.
	Trusted bool
	// NewClient returns the way to a collector. It connects no earlier than when it is first
	// asked to upload.
	NewClient func(*router.OTLP) otlptrace.Client
	// Compile reads a format with %COMMAND% operators; nil knows none.
	Compile func(text string) (Format, error)
	// Delay is how long a span may wait for others to go along; 0 means 1 s.
	Delay time.Duration
	// Hold is how long spans are kept for a collector that is away; 0 means 30 s. It bounds the
	// tries of the client, whose own affair these are.
	Hold time.Duration
	// Random makes ids and draws lots; nil means the runtime's. It must be safe for concurrent
	// use.
	Random func() uint64
	// Log is told of trouble with collectors; nil means slog.Default().
	Log *slog.Logger
}

// Tracer takes part in traces as the newest policy wants it. Its methods may be called from any
// goroutine.
type Tracer struct {
	o       Options
	trusted bool
	random  func() uint64
	// policies is nil where neither direction is traced.
	policies atomic.Pointer[policies]

	mu        sync.Mutex
	exporters []*exporter // those of policies, and those that are ending
	closed    bool
	ending    sync.WaitGroup
}

// policies are those in force, each nil where there is none.
type policies struct{ inbound, outbound *policy }

// of returns the one for an exchange's direction.
func (p *policies) of(ex *proxy.Exchange) *policy {
	if ex.Connection != nil && ex.Connection.Inbound {
		return p.inbound
	}
	return p.outbound
}

// shareWhole is the number of steps in which a policy's share is counted, Envoy's.
const shareWhole = 10_000

// policy is a router.Tracing, made ready for the request path.
type policy struct {
	tracing *router.Tracing
	share   uint64
	tags    []tag
	// exporter is nil where spans are not sent.
	exporter *exporter
	// own is nil for calls out.
	own *ownServices
}

// tag is a router.SpanTag; format is nil where it has none.
type tag struct {
	router.SpanTag
	format Format
}

// New returns a Tracer without a policy.
func New(o Options) *Tracer {
	if o.Random == nil {
		o.Random = rand.Uint64
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Delay == 0 {
		o.Delay = time.Second
	}
	if o.Hold == 0 {
		o.Hold = 30 * time.Second
	}
	return &Tracer{o: o, trusted: o.Trusted, random: o.Random}
}

// Apply puts the plan of a Spec in force for all exchanges that begin from now on. What sends
// spans to the same place, by the same definition, as before goes on undisturbed.
func (t *Tracer) Apply(spec *router.Spec) {
	plan := spec.Telemetry
	if plan == nil {
		plan = &router.Telemetry{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	var next policies
	next.outbound = t.policy(plan.Outbound.Tracing)
	if next.inbound = t.policy(plan.Inbound.Tracing); next.inbound != nil {
		next.inbound.own = &ownServices{spec: spec, self: t.o.Identity}
	}
	if next.outbound == nil && next.inbound == nil {
		t.policies.Store(nil)
	} else {
		t.policies.Store(&next)
	}
	for _, e := range t.exporters {
		if !next.use(e) {
			t.end(e, drainPatience)
		}
	}
}

func (p *policies) use(e *exporter) bool {
	return p.outbound != nil && p.outbound.exporter == e || p.inbound != nil && p.inbound.exporter == e
}

// policy makes a policy ready, with the exporter that there is for it, or a new one.
func (t *Tracer) policy(tracing *router.Tracing) *policy {
	if tracing == nil {
		return nil
	}
	p := &policy{tracing: tracing, share: uint64(min(max(tracing.Sampling, 0), 100)*shareWhole/100 + 0.5)}
	for _, s := range tracing.Tags {
		added := tag{SpanTag: s}
		if s.Formatter != "" {
			if t.o.Compile == nil {
				continue
			}
			format, err := t.o.Compile(s.Formatter)
			if err != nil {
				t.o.Log.Warn("a span's tag is left out: its format is not valid", "tag", s.Name, "format", s.Formatter, "error", err)
				continue
			}
			added.format = format
		}
		p.tags = append(p.tags, added)
	}
	if tracing.OTLP != nil {
		p.exporter = t.exporter(definition{tracing.Provider, t.serviceName(tracing), tracing.OTLP})
	}
	return p
}

// exporter returns the running one of a definition.
func (t *Tracer) exporter(d definition) *exporter {
	for _, e := range t.exporters {
		if !e.ending.Load() && e.definition.equal(d) {
			return e
		}
	}
	e := newExporter(d, &t.o)
	t.exporters = append(t.exporters, e)
	return e
}

// end lets an exporter send what it has, for so long, and forgets it then. t.mu is held.
func (t *Tracer) end(e *exporter, patience time.Duration) {
	if e.ending.Swap(true) {
		return
	}
	t.ending.Go(func() {
		ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), patience)
		defer cancel()
		e.shutdown(ctx)
		t.mu.Lock()
		defer t.mu.Unlock()
		kept := make([]*exporter, 0, len(t.exporters))
		for _, other := range t.exporters {
			if other != e {
				kept = append(kept, other)
			}
		}
		t.exporters = kept
	})
}

// closePatience bounds how long Close waits for collectors, drainPatience how long a collector
// that no policy names any more has for what it was to get.
const (
	closePatience = 2 * time.Second
	drainPatience = 10 * time.Second
)

// Close sends what is left, for two seconds at most, and half a second more for collectors that
// no policy names any more. Exchanges that end later are not told of. A second call does nothing.
func (t *Tracer) Close() {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	t.closed = true
	t.policies.Store(nil)
	for _, e := range t.exporters {
		t.end(e, closePatience)
	}
	t.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		t.ending.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closePatience + time.Second/2):
	}
}

// Complete hands on what an exchange that has ended tells, where its spans are recorded. It
// keeps nothing of ex but what its table was built from.
func (t *Tracer) Complete(ex *proxy.Exchange) {
	if !ex.Trace.Sampled {
		return
	}
	policies := t.policies.Load()
	if policies == nil {
		return
	}
	if p := policies.of(ex); p != nil && p.exporter != nil {
		p.exporter.offer(ex, p)
	}
}
