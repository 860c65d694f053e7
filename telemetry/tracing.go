package telemetry

import (
	"context"
	"net"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/accesslog"
	"github.com/sluicegate/sluice/telemetry/otlp"
	"github.com/sluicegate/sluice/telemetry/trace"
)

// Dial connects to a collector, by its cluster or its address.
type Dial func(ctx context.Context, to *router.OTLP) (net.Conn, error)

// dial returns the way to one collector, as telemetry/otlp takes it.
func (o Options) dial(to *router.OTLP) otlp.Dial {
	if o.Dial == nil {
		return nil
	}
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Dial(ctx, to) }
}

func newTracer(o Options) *trace.Tracer {
	return trace.New(trace.Options{
		Identity: o.Identity, Trusted: o.Mesh, Log: o.Logger,
		NewClient: func(to *router.OTLP) otlptrace.Client { return otlp.New(*to, o.dial(to), o.Logger) },
		Compile: func(text string) (trace.Format, error) {
			f, err := accesslog.Compile(text, true)
			if err != nil {
				return nil, err
			}
			return f.AppendPlain, nil
		},
	})
}

// Trace settles an exchange's part in a trace. It is forward.Options.Trace.
func (t *Telemetry) Trace(ex *proxy.Exchange) { t.trace.Begin(ex) }

// Flush sends what is left to collectors, for two seconds at most. It is for the time between
// the last Complete and the end of the way to collectors.
func (t *Telemetry) Flush() {
	t.trace.Close()
	t.logs.CloseCollectors()
}

// plan returns what a Spec says of telemetry.
func plan(spec *router.Spec) *router.Telemetry {
	if spec.Telemetry == nil {
		return &router.Telemetry{}
	}
	return spec.Telemetry
}
