package trace

import (
	stdcontext "context"
	"log/slog"
	"reflect"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// definition is all that an exporter depends on.
type definition struct {
	provider, service string
	otlp              *router.OTLP
}

func (d definition) equal(o definition) bool {
	return d.provider == o.provider && d.service == o.service && reflect.DeepEqual(d.otlp, o.otlp)
}

const (
	// maxQueued bounds the exchanges that wait to become spans.
	maxQueued = 2048
	// maxBatch is the number of spans that are sent without waiting for more, and maxBytes about
	// how large these may be: a collector of gRPC refuses messages of more than 4 MB, and one
	// exchange has less than the rest of that.
	maxBatch = 512
	maxBytes = 2 << 20
)

// exporter makes spans of exchanges and sends them to one collector, on a goroutine of its own.
type exporter struct {
	definition
	queue  chan *record
	stop   chan struct{}
	done   chan struct{}
	ending atomic.Bool
	// sent and failed count spans, dropped exchanges that found the queue full.
	sent, failed, dropped atomic.Uint64

	delay    time.Duration
	hold     time.Duration
	log      *slog.Logger
	spans    *spanMaker
	exporter *otlptrace.Exporter
	// ctx bounds uploads once the exporter ends.
	ctx    stdcontext.Context
	cancel stdcontext.CancelFunc
	// away says that the last upload failed; only the goroutine uses it.
	away bool
}

func newExporter(d definition, o *Options) *exporter {
	e := &exporter{
		definition: d, delay: o.Delay, hold: o.Hold, log: o.Log,
		queue: make(chan *record, maxQueued), stop: make(chan struct{}), done: make(chan struct{}),
		spans:    newSpanMaker(d.service, o.Identity),
		exporter: otlptrace.NewUnstarted(o.NewClient(d.otlp)),
	}
	e.ctx, e.cancel = stdcontext.WithCancel(stdcontext.Background())
	go e.run()
	return e
}

// offer copies what the spans of ex tell into the queue, where there is room.
func (e *exporter) offer(ex *proxy.Exchange, p *policy) {
	if len(e.queue) == cap(e.queue) {
		e.dropped.Add(1)
		return
	}
	r := records.Get().(*record)
	r.fill(ex, p)
	select {
	case e.queue <- r:
	default:
		e.dropped.Add(1)
		r.free()
	}
}

// run makes spans and sends them until stop.
func (e *exporter) run() {
	defer close(e.done)
	if err := e.exporter.Start(e.ctx); err != nil {
		e.failing(err)
	}
	for e.gather() {
		e.upload()
	}
	for len(e.queue) > 0 || len(e.spans.made) > 0 {
		for len(e.queue) > 0 && !e.spans.full() {
			e.take(<-e.queue)
		}
		e.upload()
	}
	e.exporter.Shutdown(e.ctx)
}

// gather waits for an exchange and, for the delay, for others to go along. It tells false once
// the exporter is to stop.
func (e *exporter) gather() bool {
	select {
	case r := <-e.queue:
		e.take(r)
	case <-e.stop:
		return false
	}
	late := time.NewTimer(e.delay)
	defer late.Stop()
	for !e.spans.full() {
		select {
		case r := <-e.queue:
			e.take(r)
		case <-late.C:
			return true
		case <-e.stop:
			return false
		}
	}
	return true
}

func (e *exporter) take(r *record) {
	e.spans.make(r)
	r.free()
}

// upload sends the spans that were made. For a collector that is away they are held for a
// while, in which the client tries again, and the queue behind them fills.
func (e *exporter) upload() {
	defer e.spans.forget()
	ctx, cancel := stdcontext.WithTimeout(e.ctx, e.hold)
	defer cancel()
	n := uint64(len(e.spans.made))
	if err := e.exporter.ExportSpans(ctx, e.spans.made); err != nil {
		e.failed.Add(n)
		e.failing(err)
		return
	}
	e.sent.Add(n)
	e.succeeding()
}

// failing and succeeding tell of a collector that is away, once, and when it is back.
func (e *exporter) failing(err error) {
	if !e.away {
		e.away = true
		e.log.Warn("the collector does not take spans; requests are served all the same", "provider", e.provider, "address", e.otlp.Address, "error", err)
	}
}

func (e *exporter) succeeding() {
	if e.away {
		e.away = false
		e.log.Info("the collector takes spans again", "provider", e.provider, "address", e.otlp.Address, "spans_lost", e.failed.Load(), "exchanges_dropped", e.dropped.Load())
	}
}

// shutdown sends what is left until ctx ends, and returns when the goroutine has ended.
func (e *exporter) shutdown(ctx stdcontext.Context) {
	close(e.stop)
	select {
	case <-e.done:
	case <-ctx.Done():
	}
	e.cancel()
	<-e.done
}
