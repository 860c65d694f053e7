package forward

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

const (
	// maxConnectAttempts is how many endpoints are tried for a connection: Istio's
	// default retry policy tries twice more after a connect failure.
	maxConnectAttempts = 3
	// maxReplays bounds how often a request is sent again because a kept connection turned
	// out to be closed. The last try is made on a new connection.
	maxReplays = 2
)

// forward sends the request to an endpoint of the destination's cluster and relays the
// response.
func (e *Engine) forward(ex *proxy.Exchange, down proxy.Downstream, snap *snapshot) {
	ex.Destination = ex.Decision.Pick(e.options.Random())
	cluster := snap.cluster(ex)
	if cluster == nil {
		ex.Flags |= proxy.FlagNoCluster
		e.reply(ex, down, reply{status: 503, details: "cluster_not_found", body: "503: the route's destination does not exist\n"})
		return
	}
	if !e.prepare(ex) {
		e.reply(ex, down, reply{status: 400, details: "rewritten_path_not_normal", body: rejectionBody(400)})
		return
	}
	target := ""
	if cluster.Spec.Resolution == router.ResolutionOriginal {
		target = originalTarget(ex)
	}
	replays, dials := 0, 0
	timeout := ex.Decision.Route.Timeout
	began := int64(0)
	if timeout > 0 {
		began = proxy.Now()
	}
	choice := upstream.Choice{Target: target}
	var tried [maxConnectAttempts]*upstream.Endpoint
	for {
		choice.Random = e.options.Random()
		endpoint := cluster.Pick(&choice)
		if endpoint == nil {
			ex.Flags |= proxy.FlagNoHealthyUpstream
			e.reply(ex, down, reply{status: 503, details: "no_healthy_upstream", body: "no healthy upstream\n"})
			return
		}
		if ex.Attempts = dials + 1; dials > 0 {
			at := len(ex.Scratch)
			ex.Scratch = strconv.AppendInt(ex.Scratch, int64(ex.Attempts), 10)
			setHeader(&ex.Request.Headers, "x-envoy-attempt-count", ex.KeptFrom(at))
		}
		ex.UpstreamHost = endpoint.Address
		within := time.Duration(0)
		if timeout > 0 {
			within = max(timeout-time.Duration(proxy.Now()-began), time.Millisecond)
		}
		conn, reused, err := cluster.Acquire(endpoint, replays >= maxReplays, within, down)
		if err != nil && timeout > 0 && proxy.Now()-began >= int64(timeout) {
			e.finish(ex, down, &proxy.Result{Failure: proxy.FailTimeout, Err: err})
			return
		}
		if errors.Is(err, upstream.ErrOverflow) {
			e.overflow(ex, down)
			return
		}
		if err != nil {
			tried[dials] = endpoint
			if dials++; dials < maxConnectAttempts {
				choice.Tried = tried[:dials]
				continue
			}
			e.failConnect(ex, down, err)
			return
		}
		if conn.Peer.IsValid() && conn.Peer == ex.Local {
			// The destination is this very listener: it would ask itself for ever.
			cluster.Release(endpoint, conn, upstream.Report{})
			e.failConnect(ex, down, errLoop)
			return
		}
		res := e.attempt(ex, down, conn, cluster, endpoint)
		if reused && replays < maxReplays && replayable(ex, &res) {
			replays++
			continue
		}
		e.finish(ex, down, &res)
		return
	}
}

// originalTarget returns the address that the request itself names.
func originalTarget(ex *proxy.Exchange) string {
	authority := ex.Request.Authority
	if _, _, err := net.SplitHostPort(authority); err == nil {
		return authority
	}
	return net.JoinHostPort(strings.Trim(authority, "[]"), strconv.Itoa(int(max(ex.Request.Port, 80))))
}

func (s *snapshot) cluster(ex *proxy.Exchange) *upstream.Cluster {
	d := ex.Destination
	if d == nil || d.Cluster.ID < 0 || d.Cluster.ID >= len(s.clusters) {
		return nil
	}
	return s.clusters[d.Cluster.ID]
}

// attempt has one connection send the request and relay the response.
func (e *Engine) attempt(ex *proxy.Exchange, down proxy.Downstream, conn *http1.Conn, cluster *upstream.Cluster, endpoint *upstream.Endpoint) proxy.Result {
	if !down.Attach(conn.Aborter) {
		down.Attach(nil)
		cluster.Release(endpoint, conn, upstream.Report{Failure: proxy.FailDownstream})
		return proxy.Result{Failure: proxy.FailDownstream}
	}
	ex.UpstreamLocal = conn.Local
	ex.UpstreamHost = conn.Remote
	if ex.UpstreamStart == 0 {
		ex.UpstreamStart = proxy.Now()
	}
	timeout := ex.Decision.Route.Timeout
	if timeout > 0 {
		conn.NetConn().SetDeadline(time.Now().Add(timeout - time.Duration(proxy.Now()-ex.UpstreamStart)))
	}
	res := conn.RoundTrip(ex, e, down)
	if res.Upgraded {
		conn.Tunnel(down, timeoutOrNone(e.options.Timeouts.Tunnel))
		down.Attach(nil)
		cluster.Release(endpoint, conn, upstream.Report{Status: 101})
		return res
	}
	down.Attach(nil)
	if timeout > 0 && res.Reusable {
		conn.NetConn().SetDeadline(time.Time{})
	}
	reusable := res.Reusable && !conn.Aborted()
	report := upstream.Report{Reusable: reusable, Failure: res.Failure}
	if res.Responded {
		report.Status = ex.Status
	}
	cluster.Release(endpoint, conn, report)
	return res
}

func timeoutOrNone(d time.Duration) time.Duration { return max(d, 0) }

// replayable tells whether a request that a kept connection did not answer may be sent
// again: not a byte of a response came, and either the upstream cannot have got the
// request whole, or it is of a method that may be repeated (RFC 9110 section 9.2.2).
func replayable(ex *proxy.Exchange, res *proxy.Result) bool {
	if res.Received || res.Responded || res.BodyError != nil {
		return false
	}
	switch res.Failure {
	case proxy.FailSend:
		return true
	case proxy.FailClosed, proxy.FailReset:
		return ex.Buffered && idempotent(ex.Request.Method)
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

// finish answers for an attempt that brought no response, and notes what went wrong with
// one that did.
func (e *Engine) finish(ex *proxy.Exchange, down proxy.Downstream, res *proxy.Result) {
	if res.Err != nil {
		ex.UpstreamFailure = res.Err.Error()
	}
	var r reply
	switch res.Failure {
	case proxy.FailNone:
		ex.Details = "via_upstream"
		return
	case proxy.FailDownstream:
		e.finishLost(ex, down, res)
		return
	case proxy.FailTimeout:
		ex.Flags |= proxy.FlagUpstreamTimeout
		r = reply{status: 504, details: "upstream_response_timeout", body: "upstream request timeout\n"}
	case proxy.FailProtocol:
		ex.Flags |= proxy.FlagUpstreamProtocolError
		r = reply{status: 502, details: "upstream_reset_before_response_started{protocol_error}",
			body: "upstream connect error or disconnect/reset before headers. reset reason: protocol error\n"}
	default:
		ex.Flags |= proxy.FlagUpstreamTermination
		r = reply{status: 503, details: "upstream_reset_before_response_started{connection_termination}",
			body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination\n"}
	}
	if res.Responded {
		ex.Details = "upstream_reset_after_response_started{connection_termination}"
		return
	}
	e.reply(ex, down, r)
}

// finishLost ends an exchange that the client, or its time, ended.
func (e *Engine) finishLost(ex *proxy.Exchange, down proxy.Downstream, res *proxy.Result) {
	var protocol *http1.ProtocolError
	lost, timeout := down.Lost()
	switch {
	case errors.As(res.BodyError, &protocol) && !res.Responded:
		ex.Flags |= proxy.FlagDownstreamProtocolError
		down.CloseBody()
		e.reply(ex, down, reply{status: protocol.Status, details: protocol.Detail, body: rejectionBody(protocol.Status)})
	case timeout && !res.Responded:
		ex.Flags |= proxy.FlagStreamIdleTimeout
		down.CloseBody()
		e.reply(ex, down, reply{status: 504, details: "stream_idle_timeout", body: "stream timeout\n"})
	case timeout:
		ex.Flags |= proxy.FlagStreamIdleTimeout
		ex.Details = "stream_idle_timeout"
	default:
		if !lost && res.BodyError != nil && !errors.Is(res.BodyError, io.ErrUnexpectedEOF) {
			ex.Termination = res.BodyError.Error()
		}
		e.lost(ex)
	}
}

// overflow answers for an exchange that a circuit breaker stopped.
func (e *Engine) overflow(ex *proxy.Exchange, down proxy.Downstream) {
	ex.Flags |= proxy.FlagUpstreamOverflow
	e.reply(ex, down, reply{status: 503, details: "upstream_reset_before_response_started{overflow}", overloaded: true,
		body: "upstream connect error or disconnect/reset before headers. reset reason: overflow\n"})
}

var errLoop = errors.New("the destination is the listener that the request came in by")

func (e *Engine) failConnect(ex *proxy.Exchange, down proxy.Downstream, err error) {
	ex.Flags |= proxy.FlagUpstreamConnectFailure
	ex.UpstreamFailure = err.Error()
	e.reply(ex, down, reply{status: 503, details: "upstream_reset_before_response_started{remote_connection_failure}",
		body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure\n"})
}

// bytesOf views a string as bytes, which must not be written to.
func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}
