package forward

import (
	"net/http"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
)

// admits tells whether the route lets the request's client in.
func admits(ex *proxy.Exchange) bool {
	s := ex.Decision.Route.Sources
	return s == nil || s.Admits(ex.Client)
}

// deny answers a client that the route keeps out.
func (e *Engine) deny(ex *proxy.Exchange, down proxy.Downstream) {
	e.reply(ex, down, reply{status: http.StatusForbidden, details: "source_not_allowed", body: "403: not for this client\n"})
}

// errBodyTooLarge ends a request whose body turns out to be larger than its route allows.
var errBodyTooLarge = &http1.ProtocolError{Status: http.StatusRequestEntityTooLarge, Detail: "request_payload_too_large"}

// tooLarge tells whether a request's body is known to be larger than its route allows.
func tooLarge(ex *proxy.Exchange) bool {
	limit := ex.Decision.Route.MaxRequestBody
	return limit > 0 && (ex.Body.Kind == proxy.BodyLength && ex.Body.Length > limit || ex.Buffered && int64(len(ex.Payload)) > limit)
}

// refuseBody answers a request whose body is too large, and lets the rest of it go.
func (e *Engine) refuseBody(ex *proxy.Exchange, down proxy.Downstream) {
	ex.Flags |= proxy.FlagDownstreamProtocolError
	if !ex.Buffered {
		down.CloseBody()
	}
	e.reply(ex, down, reply{status: errBodyTooLarge.Status, details: errBodyTooLarge.Detail, body: rejectionBody(errBodyTooLarge.Status)})
}

// boundedBody is a client's side whose request body, of a length that nobody knows before,
// fails once it has more bytes than the limit.
type boundedBody struct {
	proxy.Downstream
	limit, read int64
}

// ReadBody implements proxy.Downstream.
func (b *boundedBody) ReadBody(p []byte) (int, error) {
	n, err := b.Downstream.ReadBody(p)
	if b.read += int64(n); b.read > b.limit {
		return 0, errBodyTooLarge
	}
	return n, err
}

// Rewind implements proxy.Downstream.
func (b *boundedBody) Rewind() bool {
	b.read = 0
	return b.Downstream.Rewind()
}
