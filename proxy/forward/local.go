package forward

import (
	"net/http"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/filter"
	"github.com/sluicegate/sluice/router"
)

// reply is an answer that the proxy itself gives.
type reply struct {
	status   int
	details  string
	body     string
	location string
	// header is one more to send, where it has a name.
	header router.Header
	// grpc is the grpc-status for a gRPC call, where it is not the one that status stands for.
	grpc string
}

// reply answers an exchange without any upstream. A body that says what happened is plain
// text, and short.
func (e *Engine) reply(ex *proxy.Exchange, down proxy.Downstream, r reply) {
	ex.Details = r.details
	headers := ex.LocalHeaders()
	if r.location != "" {
		headers = append(headers, router.Header{Name: "location", Value: r.location})
	}
	if r.header.Name != "" {
		headers = append(headers, r.header)
	}
	if ex.GRPC {
		e.respondGRPC(ex, down, appendGRPC(ex, headers, r.status, r.grpc, r.body))
		return
	}
	if r.body != "" {
		headers = append(headers, router.Header{Name: "content-type", Value: "text/plain"})
	}
	body := bytesOf(r.body)
	ex.Reply = proxy.Response{Status: r.status, Headers: headers, Body: bodyOf(body), DeclaredLength: int64(len(body))}
	e.respond(ex, down, body)
}

func bodyOf(b []byte) proxy.Body {
	if len(b) == 0 {
		return proxy.Body{Kind: proxy.BodyNone}
	}
	return proxy.Body{Kind: proxy.BodyLength, Length: int64(len(b))}
}

// respond sends ex.Reply; a client that is lost by then is noted.
func (e *Engine) respond(ex *proxy.Exchange, down proxy.Downstream, body []byte) {
	ex.Reply.Headers = append(ex.Reply.Headers, router.Header{Name: "date", Value: httpDate()})
	if ex.Decision.Route != nil {
		filter.CORSResponse(ex, ex.Decision.Route, &ex.Reply)
	}
	addConnectionHeaders(ex, &ex.Reply)
	e.answerPeer(ex, &ex.Reply)
	e.captureHeaders(ex, &ex.Reply)
	if err := down.Respond(ex, &ex.Reply, body, true); err != nil {
		e.lost(ex)
	}
}

// respondDirect answers with the route's DirectResponse.
func (e *Engine) respondDirect(ex *proxy.Exchange, down proxy.Downstream) {
	route := ex.Decision.Route
	body := route.Direct.Body
	ex.Details = "direct_response"
	headers := ex.LocalHeaders()
	if ex.GRPC {
		headers = appendGRPC(ex, headers, route.Direct.Status, "", stringOf(body))
		e.respondGRPC(ex, down, applyOps(ex, headers, route.ResponseOps))
		return
	}
	if len(body) > 0 {
		headers = append(headers, router.Header{Name: "content-type", Value: "text/plain"})
	}
	headers = applyOps(ex, headers, route.ResponseOps)
	ex.Reply = proxy.Response{Status: route.Direct.Status, Headers: headers, Body: bodyOf(body), DeclaredLength: int64(len(body))}
	e.respond(ex, down, body)
}

// redirect answers with the Location that the table says.
func (e *Engine) redirect(ex *proxy.Exchange, down proxy.Downstream) {
	at := len(ex.Scratch)
	ex.Scratch = ex.Decision.AppendLocation(ex.Scratch, &ex.Request)
	status := http.StatusMovedPermanently
	if ex.Decision.Outcome == router.Redirected {
		status = ex.Decision.Route.Redirect.Status
	}
	e.reply(ex, down, reply{status: status, details: "direct_response", location: ex.KeptFrom(at)})
}

// lost notes that the client went away before it was answered in full.
func (e *Engine) lost(ex *proxy.Exchange) {
	ex.Flags |= proxy.FlagDownstreamTermination
	ex.Details = "downstream_remote_disconnect"
}

func rejectionBody(status int) string {
	switch status {
	case 307:
		return ""
	case 400:
		return "400: bad request\n"
	case 405:
		return "405: method not allowed\n"
	case 408:
		return "408: request timeout\n"
	case 413:
		return "413: request body too large\n"
	case 414:
		return "414: request target too long\n"
	case 417:
		return "417: expectation failed\n"
	case 431:
		return "431: request header fields too large\n"
	case 501:
		return "501: transfer coding not implemented\n"
	case 505:
		return "505: HTTP version not supported\n"
	default:
		return http.StatusText(status) + "\n"
	}
}

// stamp is the Date of a second.
type stamp struct {
	second int64
	text   string
}

var lastStamp atomic.Pointer[stamp]

// httpDate returns the time in the form of a Date field (RFC 9110 section 5.6.7), made once
// a second.
func httpDate() string {
	now := time.Now()
	if s := lastStamp.Load(); s != nil && s.second == now.Unix() {
		return s.text
	}
	s := &stamp{second: now.Unix(), text: now.UTC().Format(http.TimeFormat)}
	lastStamp.Store(s)
	return s.text
}

// shed answers a request for which there is no memory.
func (e *Engine) shed(ex *proxy.Exchange, down proxy.Downstream) {
	ex.Flags |= proxy.FlagOverload
	e.reply(ex, down, reply{status: http.StatusServiceUnavailable, details: "overload", body: "503: the proxy is out of memory\n",
		header: router.Header{Name: "retry-after", Value: "1"}})
}

// bytesOf views a string as bytes, which must not be written to.
func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
