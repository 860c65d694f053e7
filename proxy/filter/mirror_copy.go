package filter

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// requestCopy is a request that belongs to nobody's buffers. Once it is whole it does not
// change, and any number of mirrors are sent it.
type requestCopy struct {
	mirrors *Mirrors
	// listener is where the request came in: a mirror must not lead there.
	listener netip.AddrPort
	// need is what connections to mirrors must be like.
	need            upstream.Need
	method          string
	path, authority string
	headers         []router.Header
	kind            proxy.BodyKind
	payload         []byte
	trailers        []router.Header
	wantsTrailers   bool
	// trace is the request's, without its tries.
	trace proxy.Trace
	// size is what is counted of the memory, users the mirrors that need it yet.
	size  int64
	users atomic.Int32
}

// copy copies a request without its body, and tells false where there is no memory for it.
func (m *Mirrors) copy(ex *proxy.Exchange) (*requestCopy, bool) {
	size := len(ex.Request.Method) + len(ex.UpstreamPath) + len(ex.UpstreamAuthority) + headersSize(ex.Request.Headers)
	c := &requestCopy{mirrors: m, listener: ex.Local, kind: ex.Body.Kind, wantsTrailers: ex.WantsTrailers}
	if !c.grow(size) {
		return nil, false
	}
	var text strings.Builder
	text.Grow(size)
	keep := func(s string) string {
		at := text.Len()
		text.WriteString(s)
		return text.String()[at:]
	}
	c.method, c.path, c.authority = keep(ex.Request.Method), keep(ex.UpstreamPath), keep(ex.UpstreamAuthority)
	c.trace, c.trace.Tries = ex.Trace, nil
	c.need = upstream.NeedOf(ex)
	c.need.Authority = c.authority
	c.headers = make([]router.Header, len(ex.Request.Headers))
	for i, h := range ex.Request.Headers {
		c.headers[i] = router.Header{Name: keep(h.Name), Value: keep(h.Value)}
	}
	return c, true
}

func headersSize(headers []router.Header) (n int) {
	for i := range headers {
		n += len(headers[i].Name) + len(headers[i].Value)
	}
	return n
}

// grow counts n more bytes, unless memory would be used up.
func (c *requestCopy) grow(n int) bool {
	if c.mirrors.memory.Add(int64(n)) > c.mirrors.options.MaxMemory {
		c.mirrors.memory.Add(int64(-n))
		return false
	}
	c.size += int64(n)
	return true
}

// take completes the copy with a body that is there.
func (c *requestCopy) take(payload []byte, trailers []router.Header) bool {
	return c.append(payload) && c.end(trailers)
}

// append copies more of the body. Its memory is counted as it grows, before it does.
func (c *requestCopy) append(p []byte) bool {
	if need := len(c.payload) + len(p); need > cap(c.payload) {
		room := min(max(need, 2*cap(c.payload)), max(need, c.mirrors.options.MaxBody))
		if !c.grow(room - cap(c.payload)) {
			return false
		}
		c.payload = append(make([]byte, 0, room), c.payload...)
	}
	c.payload = append(c.payload, p...)
	return true
}

// end completes the copy with its trailers.
func (c *requestCopy) end(trailers []router.Header) bool {
	if len(trailers) == 0 {
		return true
	}
	if !c.grow(headersSize(trailers)) {
		return false
	}
	c.trailers = make([]router.Header, len(trailers))
	for i, h := range trailers {
		c.trailers[i] = router.Header{Name: strings.Clone(h.Name), Value: strings.Clone(h.Value)}
	}
	return true
}

// exchange returns a new exchange that sends the copy to an endpoint, as that span where the
// request is traced.
func (c *requestCopy) exchange(endpoint *upstream.Endpoint, span [8]byte) *proxy.Exchange {
	headers := c.headers
	if endpoint.Proxied() {
		headers = append(slices.Clip(headers), c.mirrors.options.PeerHeaders...)
	}
	if c.trace.Writes() {
		headers, _ = c.trace.Append(slices.Clip(headers), nil, span)
	}
	return &proxy.Exchange{
		Request:       router.Request{Method: c.method, Path: c.path, Authority: c.authority, Headers: headers},
		UpstreamPath:  c.path,
		Body:          proxy.Body{Kind: c.kind, Length: int64(len(c.payload))},
		Buffered:      true,
		Payload:       c.payload,
		WantsTrailers: c.wantsTrailers, UpstreamAuthority: c.authority,
	}
}

// release gives the memory back when the last mirror has done with it.
func (c *requestCopy) release() {
	if c.users.Add(-1) == 0 {
		c.free()
	}
}

func (c *requestCopy) free() { c.mirrors.memory.Add(-c.size) }
