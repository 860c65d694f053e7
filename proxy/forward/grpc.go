package forward

import (
	"errors"
	"net"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/filter"
	"github.com/sluicegate/sluice/router"
)

// appendGRPC appends what makes a response without a body an answer to a gRPC call: its
// status, that which stands for an HTTP status where it is empty, and a text that says why
// (gRPC over HTTP/2, "Trailers-Only").
func appendGRPC(ex *proxy.Exchange, headers []router.Header, status int, grpc, text string) []router.Header {
	if grpc == "" {
		grpc = proxy.GRPCStatusOf(status)
	}
	ex.GRPCStatus = grpc
	headers = append(headers, router.Header{Name: "content-type", Value: "application/grpc"}, router.Header{Name: "grpc-status", Value: grpc})
	if text = strings.TrimSuffix(text, "\n"); text == "" {
		return headers
	}
	at := len(ex.Scratch)
	ex.Scratch = proxy.AppendGRPCMessage(ex.Scratch, text)
	return append(headers, router.Header{Name: "grpc-message", Value: ex.KeptFrom(at)})
}

// respondGRPC answers a gRPC call with headers alone. The HTTP status is always 200.
func (e *Engine) respondGRPC(ex *proxy.Exchange, down proxy.Downstream, headers []router.Header) {
	ex.Reply = proxy.Response{Status: 200, Headers: headers}
	e.respond(ex, down, nil)
}

// serveGRPCWeb serves a call of gRPC-Web as the call of gRPC that it stands for.
func (e *Engine) serveGRPCWeb(ex *proxy.Exchange, down proxy.Downstream, snap *snapshot) {
	web, err := filter.TranslateGRPCWeb(ex, down)
	ex.GRPC = true
	if err != nil {
		e.badGRPCWeb(ex, web)
	} else {
		e.act(ex, web, snap)
	}
	web.End()
}

// badGRPCWeb answers a call of gRPC-Web whose text is none.
func (e *Engine) badGRPCWeb(ex *proxy.Exchange, down proxy.Downstream) {
	ex.Flags |= proxy.FlagDownstreamProtocolError
	e.reply(ex, down, reply{status: 400, details: "grpc_base_64_decode_failed", body: "bad gRPC-Web request: invalid base64\n"})
}

func isBadGRPCWeb(err error) bool { return errors.Is(err, filter.ErrGRPCWebText) }

// countPayload counts the messages of a gRPC call that has come whole.
func countPayload(ex *proxy.Exchange) {
	if ex.GRPC && ex.Buffered {
		var m proxy.GRPCMessages
		ex.MessagesReceived = m.Count(ex.Payload)
	}
}

// grpcResponse is the client's side of a gRPC call, whose messages it counts. A response that
// cannot be completed ends with a status, where the client takes trailers: a reset would tell it
// less.
type grpcResponse struct {
	proxy.Downstream
	ex *proxy.Exchange
	// received and sent count the messages. Of the request's body, read bytes were read since it
	// began, or was begun anew, and counted ones of them were looked at. answers: the response is
	// one of gRPC.
	received, sent proxy.GRPCMessages
	read, counted  int64
	answers        bool
	// takesTrailers: the response has begun, and may end with trailers at any time. cut: it
	// must end now.
	takesTrailers, cut bool
	last               [2]router.Header
}

// Respond implements proxy.Downstream.
func (g *grpcResponse) Respond(ex *proxy.Exchange, r *proxy.Response, body []byte, end bool) error {
	g.answers = isGRPCResponse(r)
	g.countSent(body)
	g.takesTrailers = !end && r.Body.Kind == proxy.BodyStream && (ex.WantsTrailers || ex.Protocol == "HTTP/2" || ex.Protocol == "HTTP/3")
	return g.Downstream.Respond(ex, r, body, end)
}

// WriteBody implements proxy.Downstream.
func (g *grpcResponse) WriteBody(p []byte, trailers []router.Header, end bool) error {
	if status := proxy.GRPCStatus(trailers); status != "" {
		g.ex.GRPCStatus = status
	}
	g.countSent(p)
	return g.Downstream.WriteBody(p, trailers, end)
}

func isGRPCResponse(r *proxy.Response) bool {
	for i := range r.Headers {
		if r.Headers[i].Name == "content-type" {
			return proxy.IsGRPC(r.Headers[i].Value)
		}
	}
	return false
}

func (g *grpcResponse) countSent(p []byte) {
	if g.answers {
		g.ex.MessagesSent += g.sent.Count(p)
	}
}

// Splice implements proxy.Downstream: the bytes must be seen.
func (g *grpcResponse) Splice(net.Conn, int64) (written int64, ok bool, err error) {
	return 0, false, nil
}

// ReadBody implements proxy.Downstream.
func (g *grpcResponse) ReadBody(p []byte) (int, error) {
	n, err := g.Downstream.ReadBody(p)
	g.read += int64(n)
	// After a Rewind, what was counted before comes again.
	if fresh := g.read - g.counted; fresh > 0 {
		g.ex.MessagesReceived += g.received.Count(p[int64(n)-fresh : n])
		g.counted = g.read
	}
	return n, err
}

// Rewind implements proxy.Downstream.
func (g *grpcResponse) Rewind() bool {
	if !g.Downstream.Rewind() {
		return false
	}
	g.read = 0
	return true
}

// Cut implements proxy.Downstream: the response ends when it is known why.
func (g *grpcResponse) Cut() {
	if g.takesTrailers {
		g.cut = true
		return
	}
	g.Downstream.Cut()
}

// end ends a response that was cut.
func (g *grpcResponse) end(f proxy.Failure) {
	status, message := proxy.GRPCUnavailable, "upstream reset after response started"
	if f == proxy.FailTimeout {
		status, message = proxy.GRPCDeadlineExceeded, "upstream request timeout"
	}
	g.cut, g.ex.GRPCStatus = false, status
	g.last = [2]router.Header{{Name: "grpc-status", Value: status}, {Name: "grpc-message", Value: message}}
	if g.Downstream.WriteBody(nil, g.last[:], true) != nil {
		g.Downstream.Cut()
	}
}
