package forward

import (
	"cmp"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// maxReplays bounds how often a request is sent again because a kept connection turned out
// to be closed. The last time it is sent on a new connection. These are no retries: policy
// has no say in them.
const maxReplays = 2

// maxTried bounds the endpoints that a retry passes over.
const maxTried = 8

// delivery is one exchange's way to an upstream: its tries, until one brings a response
// that is relayed. It filters the responses, and may refuse one for the sake of another
// try.
type delivery struct {
	engine  *Engine
	ex      *proxy.Exchange
	down    proxy.Downstream
	cluster *upstream.Cluster
	retry   *router.Retry
	choice  upstream.Choice
	need    upstream.Need
	tried   [maxTried]*upstream.Endpoint

	// timeout bounds all tries, counting from began, which is 0 until then; perTry bounds each
	// until its response begins. 0 for no bound.
	timeout, perTry time.Duration
	began           atomic.Int64
	// timed is the client's side of a request whose body has begun none of that yet.
	timed timedBody
	// clock guards what bounds the try in progress, which goes by up. armed: it has a bound.
	// relaying: its response has begun.
	clock           sync.Mutex
	up              proxy.Upstream
	armed, relaying bool
	// ended is when the last try was over.
	ended int64
	// replays and retries count what was done. retrying: a retry is counted as in progress
	// with the cluster, and holds its place there until no other is due.
	replays, retries int
	// due: another retry has been decided upon.
	retrying, due bool
	// grpc is the client's side of a gRPC call. tellsTimeout: the upstream is to be told the
	// time that there is for the call.
	grpc grpcResponse
	// trailers is the client's side of a response whose trailers telemetry wants.
	trailers trailerTap
	// bounded is the client's side of a request whose body may have so many bytes only.
	bounded      boundedBody
	tellsTimeout bool
	// tracing: a try is being made of which the trace knows. told: the request has the headers
	// of the trace for a try.
	tracing, told bool
	// meshed: the endpoint of the try stands behind a proxy of the mesh. introduced: the request
	// has the headers that tell it whom we speak for.
	meshed, introduced bool
	// cookie is the one to issue for a consistent hash, empty for none.
	cookie string
}

// deliveryOf returns a delivery for an exchange: one that lies with its memory is used again.
func deliveryOf(ex *proxy.Exchange) *delivery {
	d, ok := ex.Carrier.(*delivery)
	if !ok {
		d = new(delivery)
		ex.Carrier = d
	}
	return d
}

// forward sends the request to an endpoint of the destination's cluster and relays the
// response.
func (e *Engine) forward(ex *proxy.Exchange, down proxy.Downstream, snap *snapshot) {
	ex.Destination = ex.Decision.Pick(e.options.Random())
	cluster := snap.cluster(ex)
	if cluster != nil {
		ex.Cluster = cluster.Spec
	}
	if ex.Decision.Route.Fault != nil && e.injectFault(ex, down) {
		return
	}
	if cluster == nil {
		ex.Flags |= proxy.FlagNoCluster
		e.reply(ex, down, reply{status: 503, details: "cluster_not_found", body: "503: the route's destination does not exist\n"})
		return
	}
	if !e.prepare(ex) {
		e.reply(ex, down, reply{status: 400, details: "rewritten_path_not_normal", body: rejectionBody(400)})
		return
	}
	if tooLarge(ex) {
		e.refuseBody(ex, down)
		return
	}
	d := deliveryOf(ex)
	d.engine, d.ex, d.down, d.cluster, d.retry = e, ex, down, cluster, ex.Decision.Route.Retry
	if limit := ex.Decision.Route.MaxRequestBody; limit > 0 && ex.Body.Kind == proxy.BodyStream && !ex.Buffered && ex.Request.Upgrade == "" {
		d.bounded = boundedBody{Downstream: down, limit: limit}
		d.down = &d.bounded
	}
	d.tap()
	d.prepare()
	d.beginTrace()
	if len(ex.Decision.Route.Mirrors) > 0 {
		if tee := e.mirrors.Send(ex, ex.Decision.Route, snap.clusters, e.options.Random, d.down); tee != nil {
			d.down = tee
			defer tee.End()
		}
	}
	if ex.GRPC {
		d.grpc = grpcResponse{Downstream: d.down, ex: ex}
		d.down = &d.grpc
	}
	d.run()
	*d = delivery{}
}

// prepare settles what holds for all tries.
func (d *delivery) prepare() {
	d.setTimeouts()
	d.need = upstream.NeedOf(d.ex)
	if d.cluster.Spec.Resolution == router.ResolutionOriginal {
		d.choice.Target = originalTarget(d.ex, d.cluster.Spec.Port)
	}
	if d.cluster.Spec.Hash != nil {
		d.setHash(d.cluster.Spec.Hash)
	}
	if d.retry != nil {
		d.choice.AnyLocality = d.retry.RemoteLocalities
		if !d.ex.Buffered && needsBody(d.retry, d.cluster.Spec.Protocol != router.ProtocolHTTP1) {
			d.down.KeepBody()
		}
	}
}

// run makes tries until one ends the exchange.
func (d *delivery) run() {
	for {
		d.choice.Random = d.engine.options.Random()
		endpoint := d.cluster.Pick(&d.choice)
		if endpoint == nil && d.cluster.Await(d.left(), d.down) {
			endpoint = d.cluster.Pick(&d.choice)
		}
		if endpoint == nil {
			d.endRetry(false)
			d.traceNobody()
			if err := d.cluster.Unresolved(); err != nil {
				d.ex.UpstreamFailure = err.Error()
			}
			d.ex.Flags |= proxy.FlagNoHealthyUpstream
			d.engine.reply(d.ex, d.down, reply{status: 503, details: "no_healthy_upstream", body: "no healthy upstream\n"})
			return
		}
		d.number(endpoint)
		d.traceTry(d.ex.Endpoint)
		res, reused := d.try(endpoint)
		if d.replays < maxReplays && replayable(d.ex, &res, reused) && d.down.Rewind() {
			d.replays++
			continue
		}
		d.tracedTry(&res)
		if d.again(endpoint, &res) {
			continue
		}
		d.endRetry(res.Failure == proxy.FailNone)
		d.finish(&res)
		return
	}
}

// number tells the upstream and the log which try this is.
func (d *delivery) number(endpoint *upstream.Endpoint) {
	ex := d.ex
	ex.UpstreamHost, ex.Endpoint = endpoint.Address, endpoint.Spec()
	d.tellPeer(endpoint)
	if ex.Attempts = d.retries + 1; d.retries > 0 {
		at := len(ex.Scratch)
		ex.Scratch = strconv.AppendInt(ex.Scratch, int64(ex.Attempts), 10)
		setHeader(&ex.Request.Headers, "x-envoy-attempt-count", ex.KeptFrom(at))
	}
	if d.tellsTimeout || ex.GRPC && d.retries > 0 {
		d.tellGRPCTimeout()
	}
}

// try has an endpoint sent the request, and relays the response. reused tells that the
// connection had served others before.
func (d *delivery) try(endpoint *upstream.Endpoint) (res proxy.Result, reused bool) {
	ex := d.ex
	d.need.Now = proxy.Now()
	up, reused, err := d.cluster.Acquire(endpoint, &d.need, d.replays >= maxReplays, d.left(), d.down)
	if err != nil {
		return d.notConnected(err), false
	}
	local, remote, peer := up.Addresses()
	if peer.IsValid() && peer == ex.Local {
		// The destination is this very listener: it would ask itself for ever.
		d.cluster.Release(endpoint, up, upstream.Report{})
		return proxy.Result{Failure: proxy.FailConnect, Err: errLoop}, false
	}
	if !d.down.Attach(up.Aborter()) {
		d.down.Attach(nil)
		d.cluster.Release(endpoint, up, upstream.Report{Failure: proxy.FailDownstream})
		return proxy.Result{Failure: proxy.FailDownstream}, false
	}
	ex.UpstreamLocal, ex.UpstreamHost = local, remote
	if ex.UpstreamStart == 0 {
		ex.UpstreamStart = d.need.Now
	}
	d.arm(up)
	ex.UpstreamStatus, ex.GRPCStatus = 0, ""
	res = up.RoundTrip(ex, d, d.down)
	if ex.GRPC && res.Failure == proxy.FailStreamReset && d.overdue() {
		// The upstream knows the deadline, and was quicker.
		res.Failure = proxy.FailTimeout
	}
	if d.grpc.cut {
		d.grpc.end(res.Failure)
	}
	d.ended = proxy.Now()
	report := upstream.Report{Status: ex.UpstreamStatus, Failure: res.Failure, Now: d.ended}
	if ex.GRPCStatus != "" {
		report.Status = proxy.GRPCStatusHTTP(ex.GRPCStatus)
	}
	if res.Upgraded {
		up.Tunnel(d.down, max(ex.IdleTimeout(d.engine.options.Timeouts.Tunnel), 0))
		d.ended = proxy.Now()
		report.Now = d.ended
		d.down.Attach(nil)
		d.cluster.Release(endpoint, up, report)
		return res, reused
	}
	d.down.Attach(nil)
	if d.armed && res.Reusable {
		up.Bound(0)
	}
	report.Reusable = res.Reusable
	d.cluster.Release(endpoint, up, report)
	return res, reused
}

// notConnected says why there is no connection for a try.
func (d *delivery) notConnected(err error) proxy.Result {
	res := proxy.Result{Failure: proxy.FailConnect, Err: err}
	if lost, _ := d.down.Lost(); lost {
		res.Failure = proxy.FailDownstream
	} else if left := d.left(); left > 0 && left <= time.Millisecond {
		res.Failure = proxy.FailTimeout
	} else if errors.Is(err, upstream.ErrOverflow) {
		res.Failure = proxy.FailOverflow
	}
	return res
}

// FilterResponse implements proxy.ResponseFilter.
func (d *delivery) FilterResponse(ex *proxy.Exchange, r *proxy.Response) bool {
	ex.UpstreamStatus, ex.GRPCStatus = r.Status, proxy.GRPCStatus(r.Headers)
	if d.retry != nil && r.Status != 101 && retriesResponse(d.retry, r) && d.begin() {
		return false
	}
	d.responding()
	d.takePeer(r)
	d.engine.decorate(ex, r)
	if d.cookie != "" {
		r.Headers = append(r.Headers, router.Header{Name: "set-cookie", Value: d.cookie})
	}
	d.engine.answerPeer(ex, r)
	d.engine.captureHeaders(ex, r)
	return true
}

// originalTarget returns the address that the request itself names. Where it names no port, that
// is the cluster's, or else the one that the request was sent to.
func originalTarget(ex *proxy.Exchange, port uint16) string {
	authority := ex.Request.Authority
	host := hostOf(authority)
	if len(authority)-len(host) > len(":") {
		return authority
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(int(cmp.Or(port, ex.Request.Port, 80))))
}

// replayable tells whether a request may be sent again that a kept connection did not answer:
// not a byte of a response came, and either the upstream cannot have got the request whole,
// or it is of a method that may be repeated (RFC 9110 section 9.2.2). What the upstream says
// it has not even looked at may always be (RFC 9113 section 8.7).
func replayable(ex *proxy.Exchange, res *proxy.Result, reused bool) bool {
	if res.Received || res.Responded || res.BodyError != nil {
		return false
	}
	switch res.Failure {
	case proxy.FailRefusedStream:
		return true
	case proxy.FailSend:
		return reused
	case proxy.FailClosed, proxy.FailReset:
		return reused && ex.Buffered && idempotent(ex.Request.Method)
	}
	return false
}

func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
