package forward

import (
	"io"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// setTimeouts settles how long the tries may take: by the route, or by a caller that is
// trusted to say so (x-envoy-upstream-rq-timeout-ms and its per-try kin).
func (d *delivery) setTimeouts() {
	d.timeout = d.ex.Decision.Route.Timeout
	if d.retry != nil {
		d.perTry = d.retry.PerTry
	}
	if d.ex.GRPC {
		d.setGRPCTimeout()
	}
	if d.engine.options.Mesh || d.engine.options.TrustedHops > 0 {
		d.callersTimeout("x-envoy-upstream-rq-timeout-ms", &d.timeout)
		d.callersTimeout("x-envoy-upstream-rq-per-try-timeout-ms", &d.perTry)
	}
	if d.timeout > 0 && d.perTry >= d.timeout {
		d.perTry = 0
	}
	ex := d.ex
	switch {
	case d.timeout <= 0 && d.perTry <= 0:
	case ex.GRPC || ex.Buffered || ex.Request.Upgrade != "" || ex.Body.Kind == proxy.BodyNone:
		d.began.Store(proxy.Now())
	default:
		d.timed = timedBody{Downstream: d.down, d: d}
		d.down = &d.timed
	}
}

// timedBody is a client's side that has the times begin once the request has come whole, as in
// Envoy: how long a client may take to send its body is not the route's to say. A call of gRPC
// has its time from the beginning.
type timedBody struct {
	proxy.Downstream
	d *delivery
}

// ReadBody implements proxy.Downstream.
func (b *timedBody) ReadBody(p []byte) (int, error) {
	n, err := b.Downstream.ReadBody(p)
	if err == io.EOF {
		b.d.start()
	}
	return n, err
}

func (d *delivery) callersTimeout(header string, to *time.Duration) {
	value, ok := d.ex.Request.Header(header)
	if !ok {
		return
	}
	if ms, err := strconv.ParseUint(value, 10, 31); err == nil {
		*to = time.Duration(ms) * time.Millisecond
	}
	d.ex.Request.Headers = removeHeader(d.ex.Request.Headers, header)
}

// left returns what is left of the time for all tries, at least a millisecond; 0 where there
// is no bound, or none yet.
func (d *delivery) left() time.Duration {
	began := d.began.Load()
	if d.timeout <= 0 || began == 0 {
		return 0
	}
	return max(d.timeout-time.Duration(proxy.Now()-began), time.Millisecond)
}

// overdue tells whether the time for all tries has run out.
func (d *delivery) overdue() bool {
	began := d.began.Load()
	return d.timeout > 0 && began != 0 && proxy.Now()-began >= int64(d.timeout)
}

// start has the times begin, now that the request has come whole. It may be called by whoever
// reads the body, while the response is waited for or relayed.
func (d *delivery) start() {
	d.clock.Lock()
	defer d.clock.Unlock()
	if d.began.Load() == 0 {
		d.began.Store(proxy.Now())
		d.bound()
	}
}

// arm bounds a try that begins.
func (d *delivery) arm(up proxy.Upstream) {
	if d.timeout <= 0 && d.perTry <= 0 {
		return
	}
	d.clock.Lock()
	defer d.clock.Unlock()
	d.up, d.armed, d.relaying = up, false, false
	d.bound()
}

// responding lets a response that is relayed take what is left for all tries: a try's own time
// is for a response to begin, as no other can take its place then.
func (d *delivery) responding() {
	if d.perTry <= 0 {
		return
	}
	d.clock.Lock()
	defer d.clock.Unlock()
	d.relaying = true
	d.bound()
}

// unbound is the bound of a response that may take any time. It is none that Bound(0) would
// lift: that could undo an abort of this very moment.
const unbound = 10 * 365 * 24 * time.Hour

// bound bounds the try by what holds for it now. The caller holds clock.
func (d *delivery) bound() {
	limit := d.left()
	if d.perTry > 0 && !d.relaying && d.began.Load() != 0 && (limit == 0 || d.perTry < limit) {
		limit = d.perTry
	}
	switch {
	case limit == 0 && !d.armed:
		return
	case limit == 0:
		limit = unbound
	}
	d.armed = true
	d.up.Bound(limit)
}
