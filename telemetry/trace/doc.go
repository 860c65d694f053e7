// Package trace owns an exchange's part in a distributed trace: [Tracer.Begin] reads what the
// caller says of the trace (W3C Trace Context, B3), decides whether spans are recorded, and
// leaves that in [proxy.Trace]; [Tracer.Complete] hands a copy of what the spans tell to a
// goroutine, which makes them with the OpenTelemetry SDK and sends them to a collector.
//
// Begin and Complete are called on the request path. They allocate nothing in the steady
// state and wait for nothing: where the collector is slow or away, spans are dropped and
// counted.
//
// It must not know how requests are routed or carried, nor how a collector is reached: the
// headers for the upstream are proxy/forward's to write, and the way to the collector is given
// as an otlptrace.Client.
package trace
