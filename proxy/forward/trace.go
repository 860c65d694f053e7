package forward

import (
	"encoding/binary"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// beginTrace takes out the caller's headers of a trace whose tries tell of it by their own.
func (d *delivery) beginTrace() {
	if t := &d.ex.Trace; t.Writes() {
		d.ex.Request.Headers = t.Remove(d.ex.Request.Headers)
	}
}

// traceTry tells the endpoint of a try's span, and begins what is recorded of it. A request that
// is sent again because its connection was closed is the same try.
func (d *delivery) traceTry(endpoint *router.Endpoint) {
	ex, t := d.ex, &d.ex.Trace
	switch {
	case t.Tracing == nil:
		return
	case d.tracing:
		if t.Sampled {
			t.Tries[len(t.Tries)-1].Endpoint = endpoint
		}
		return
	}
	d.tracing = true
	var span [8]byte
	binary.BigEndian.PutUint64(span[:], max(d.engine.options.Random(), 1))
	if t.Writes() {
		if d.told {
			ex.Request.Headers = t.Remove(ex.Request.Headers)
		}
		ex.Request.Headers, ex.Scratch = t.Append(ex.Request.Headers, ex.Scratch, span)
		d.told = true
	}
	if t.Sampled {
		t.Tries = append(t.Tries, proxy.TracedTry{
			Span: span, Cluster: ex.Cluster, Endpoint: endpoint, Start: proxy.Now(), Retry: d.retries > 0,
		})
	}
}

// traceNobody records a try for which there was no endpoint.
func (d *delivery) traceNobody() {
	d.traceTry(nil)
	d.tracedTry(&proxy.Result{Failure: proxy.FailConnect})
}

// tracedTry ends a try.
func (d *delivery) tracedTry(res *proxy.Result) {
	if !d.tracing {
		return
	}
	d.tracing = false
	if t := &d.ex.Trace; t.Sampled {
		last := &t.Tries[len(t.Tries)-1]
		last.End, last.Failure = proxy.Now(), res.Failure
		if res.Received {
			last.Status = d.ex.UpstreamStatus
		}
	}
}
