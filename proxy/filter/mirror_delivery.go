package filter

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
)

// delivery is the way of one copy to one endpoint. There are no retries.
type delivery struct {
	copy   *requestCopy
	target target
	sink   *sink
	// until is when its time is up, by proxy.Now.
	until int64
}

// run tells whether a response came that is no 5xx.
func (d *delivery) run() bool {
	choice := upstream.Choice{Random: d.target.random}
	endpoint := d.target.cluster.Pick(&choice)
	if endpoint == nil && d.target.cluster.Await(d.left(), d.sink) {
		endpoint = d.target.cluster.Pick(&choice)
	}
	if endpoint == nil {
		return false
	}
	status, closed := d.try(endpoint, false)
	if closed {
		// A kept connection that was closed meanwhile says nothing about the mirror.
		status, _ = d.try(endpoint, true)
	}
	return status >= 200 && status < 500
}

// try sends the copy by one connection, and returns the status of the response; 0 where none
// came. closed tells that the connection had served others, had been closed, and that the
// copy may be sent again (RFC 9110 section 9.2.2).
func (d *delivery) try(endpoint *upstream.Endpoint, fresh bool) (status int, closed bool) {
	need := d.copy.need // Acquire notes the time in it; the copy is other mirrors' too.
	up, reused, err := d.target.cluster.Acquire(endpoint, &need, fresh, d.left(), d.sink)
	if err != nil {
		return 0, false
	}
	report := upstream.Report{Failure: proxy.FailDownstream}
	defer func() { d.target.cluster.Release(endpoint, up, report) }()
	defer d.sink.Attach(nil)
	_, _, peer := up.Addresses()
	if peer.IsValid() && peer == d.copy.listener || !d.sink.Attach(up.Aborter()) {
		// A mirror that is the very listener would be mirrored again, for ever.
		return 0, false
	}
	up.Bound(d.left())
	ex := d.copy.exchange(endpoint, d.target.span)
	res := up.RoundTrip(ex, d.sink, d.sink)
	d.sink.Attach(nil)
	report = upstream.Report{Status: d.sink.status, Failure: res.Failure, Reusable: res.Reusable}
	if report.Reusable {
		up.Bound(0)
	}
	closed = !res.Received && !d.sink.aborted() && (res.Failure == proxy.FailRefusedStream || reused &&
		(res.Failure == proxy.FailSend || (res.Failure == proxy.FailClosed || res.Failure == proxy.FailReset) && safe(d.copy.method)))
	return d.sink.status, closed
}

// left returns how much of the time is left, at least a millisecond.
func (d *delivery) left() time.Duration {
	return max(time.Duration(d.until-proxy.Now()), time.Millisecond)
}

// safe tells whether a request with that method may be sent twice.
func safe(method string) bool { return method == "GET" || method == "HEAD" || method == "OPTIONS" }
