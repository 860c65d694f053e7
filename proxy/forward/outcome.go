package forward

import (
	"errors"
	"io"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

var errLoop = errors.New("the destination is the listener that the request came in by")

// finish answers for a last try that brought no response, and notes what went wrong with one
// that did.
func (d *delivery) finish(res *proxy.Result) {
	ex, e := d.ex, d.engine
	if res.Err != nil {
		ex.UpstreamFailure = res.Err.Error()
	}
	var r reply
	switch res.Failure {
	case proxy.FailNone:
		ex.End = d.ended
		return
	case proxy.FailDownstream:
		d.finishLost(res)
		return
	case proxy.FailOverflow:
		e.overflow(ex, d.down)
		return
	case proxy.FailConnect:
		ex.Flags |= proxy.FlagUpstreamConnectFailure
		r = reply{status: 503, details: connectDetails(res.Err),
			body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure\n"}
	case proxy.FailTimeout:
		d.cluster.Count(upstream.RqTimeout)
		ex.Flags |= proxy.FlagUpstreamTimeout
		r = reply{status: 504, details: "upstream_response_timeout", body: "upstream request timeout\n", grpc: proxy.GRPCDeadlineExceeded}
	case proxy.FailProtocol:
		ex.Flags |= proxy.FlagUpstreamProtocolError
		r = reply{status: 502, details: "upstream_reset_before_response_started{protocol_error}",
			body: "upstream connect error or disconnect/reset before headers. reset reason: protocol error\n"}
	case proxy.FailStreamReset:
		ex.Flags |= proxy.FlagUpstreamReset
		r = reply{status: 503, details: "upstream_reset_before_response_started{remote_reset}",
			body: "upstream connect error or disconnect/reset before headers. reset reason: remote reset\n"}
	case proxy.FailRefusedStream:
		ex.Flags |= proxy.FlagUpstreamReset
		r = reply{status: 503, details: "upstream_reset_before_response_started{remote_refused_stream_reset}",
			body: "upstream connect error or disconnect/reset before headers. reset reason: remote refused stream reset\n"}
	default:
		ex.Flags |= proxy.FlagUpstreamTermination
		r = reply{status: 503, details: "upstream_reset_before_response_started{connection_termination}",
			body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination\n"}
	}
	if res.Responded {
		ex.Details = afterResponse(res.Failure)
		return
	}
	e.reply(ex, d.down, r)
}

// afterResponse names what ended a response that had begun.
func afterResponse(f proxy.Failure) string {
	switch f {
	case proxy.FailStreamReset, proxy.FailRefusedStream:
		return "upstream_reset_after_response_started{remote_reset}"
	case proxy.FailProtocol:
		return "upstream_reset_after_response_started{protocol_error}"
	}
	return "upstream_reset_after_response_started{connection_termination}"
}

// connectDetails tells why there was no connection, with the cause where that is TLS.
func connectDetails(err error) string {
	secure := (*upstream.TLSError)(nil)
	if !errors.As(err, &secure) {
		return "upstream_reset_before_response_started{remote_connection_failure}"
	}
	cause := strings.ReplaceAll(strings.TrimPrefix(secure.Error(), "TLS:"), " ", "_")
	return "upstream_reset_before_response_started{remote_connection_failure|TLS_error:" + cause + "}"
}

// overflow answers for a circuit breaker that is open.
func (e *Engine) overflow(ex *proxy.Exchange, down proxy.Downstream) {
	ex.Flags |= proxy.FlagUpstreamOverflow
	e.reply(ex, down, reply{status: 503, details: "upstream_reset_before_response_started{overflow}",
		body:   "upstream connect error or disconnect/reset before headers. reset reason: overflow\n",
		header: router.Header{Name: "x-envoy-overloaded", Value: "true"}})
}

// finishLost ends an exchange that the client, or its time, ended.
func (d *delivery) finishLost(res *proxy.Result) {
	var protocol *http1.ProtocolError
	ex, e, down := d.ex, d.engine, d.down
	lost, timeout := down.Lost()
	switch {
	case errors.As(res.BodyError, &protocol) && !res.Responded:
		ex.Flags |= proxy.FlagDownstreamProtocolError
		down.CloseBody()
		e.reply(ex, down, reply{status: protocol.Status, details: protocol.Detail, body: rejectionBody(protocol.Status)})
	case isBadGRPCWeb(res.BodyError) && !res.Responded:
		down.CloseBody()
		e.badGRPCWeb(ex, down)
	case timeout && !res.Responded && ex.Body.Kind == proxy.BodyLength && ex.BytesReceived < ex.Body.Length:
		ex.Flags |= proxy.FlagStreamIdleTimeout
		down.CloseBody()
		e.reply(ex, down, reply{status: 408, details: "request_body_timeout", body: rejectionBody(408)})
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
