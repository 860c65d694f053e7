package forward

import (
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
	if d.timeout > 0 || d.perTry > 0 {
		d.began = proxy.Now()
	}
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
// is no bound.
func (d *delivery) left() time.Duration {
	if d.timeout <= 0 {
		return 0
	}
	return max(d.timeout-time.Duration(proxy.Now()-d.began), time.Millisecond)
}

// arm bounds a try, and tells whether there is a bound.
func (d *delivery) arm(up proxy.Upstream) bool {
	limit := d.left()
	if d.perTry > 0 && (limit == 0 || d.perTry < limit) {
		limit = d.perTry
	}
	if limit <= 0 {
		return false
	}
	up.Bound(limit)
	return true
}

// unbound is the bound of a response that may take any time. It is none that Bound(0) would
// lift: that could undo an abort of this very moment.
const unbound = 10 * 365 * 24 * time.Hour

// responding lets a response that is relayed take what is left for all tries: a try's own time
// is for a response to begin, as no other can take its place then.
func (d *delivery) responding() {
	if d.perTry <= 0 {
		return
	}
	limit := d.left()
	if limit == 0 {
		limit = unbound
	}
	d.up.Bound(limit)
}

// overdue tells whether the time for all tries has run out.
func (d *delivery) overdue() bool {
	return d.timeout > 0 && proxy.Now()-d.began >= int64(d.timeout)
}
