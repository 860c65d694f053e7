package http2

import (
	"net"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// Interim implements proxy.Downstream.
func (st *serverStream) Interim(r *proxy.Response) error {
	if st.responded || r.Status == 101 {
		return nil
	}
	if r.Status == 100 {
		st.ex.Expect100 = false
	}
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.awaitRoom(st); err != nil {
		return err
	}
	c.appendHead(st, r, 0, noLength)
	c.flush()
	return nil
}

// Respond implements proxy.Downstream. A response that is whole is on its way when the
// handler returns, together with those of other streams; others go out at once.
func (st *serverStream) Respond(ex *proxy.Exchange, r *proxy.Response, body []byte, end bool) error {
	c := st.c
	st.responded = true
	status, length := st.frame(r)
	ex.Status = status
	if st.bodyless {
		body = nil
	}
	ex.BytesSent += int64(len(body))
	shed := c.options.Pressure != nil && c.options.Pressure() >= proxy.PressureHigh
	tunnel := ex.Request.Upgrade != "" && r.Status == 101
	c.mu.Lock()
	defer c.mu.Unlock()
	if shed {
		c.startDrain()
	}
	if err := c.awaitRoom(st); err != nil {
		return err
	}
	var flags uint8
	if !tunnel && (st.bodyless || end && len(body) == 0) {
		flags = flagEndStream
	}
	kept := r.Status
	r.Status = status
	c.appendHead(st, r, flags, length)
	st.answered = true
	r.Status = kept
	st.since = proxy.Now()
	if !end || tunnel {
		ex.ResponseFlushed = st.since
	}
	if flags != 0 {
		st.localDone = true
	} else if err := c.send(st, body, end && !tunnel); err != nil {
		return err
	}
	if !st.localDone {
		c.flushLater()
	}
	return nil
}

const noLength = -1

// frame settles the response's status and whether it has a body, and returns the length to
// announce, or noLength.
func (st *serverStream) frame(r *proxy.Response) (status int, length int64) {
	switch {
	case r.Status == 101:
		// What HTTP/1 switches to, an extended CONNECT just begins (RFC 8441 section 5).
		return 200, noLength
	case st.ex.Request.Upgrade != "" && r.Status >= 200 && r.Status < 300:
		// The client would take it for a tunnel.
		st.bodyless = true
		return 502, noLength
	case st.head.head || r.Status == 204 || r.Status == 304:
		st.bodyless = true
		if r.Status == 204 {
			return r.Status, noLength
		}
		return r.Status, r.DeclaredLength
	case r.Body.Kind == proxy.BodyLength:
		return r.Status, r.Body.Length
	case r.Body.Kind == proxy.BodyNone:
		return r.Status, 0
	}
	return r.Status, noLength
}

// appendHead appends a response's head to out. The caller holds mu.
func (c *session) appendHead(st *serverStream, r *proxy.Response, flags uint8, length int64) {
	// A field takes at most ten bytes beside its strings.
	size := 64
	for i := range r.Headers {
		size += 10 + len(r.Headers[i].Name) + len(r.Headers[i].Value)
	}
	c.reserve(size)
	at := len(c.out)
	var room [frameHeaderLen]byte
	dst := c.enc.begin(append(c.out, room[:]...))
	dst = c.enc.appendStatus(dst, r.Status)
	for i := range r.Headers {
		dst = c.enc.appendResponseField(dst, &r.Headers[i], st.ex.Request.Upgrade != "")
	}
	if length >= 0 {
		var digits [20]byte
		dst = c.enc.appendField(dst, "content-length", str(strconv.AppendInt(digits[:0], length, 10)))
	}
	c.out = appendHeaderFrames(dst, at, flags, st.id, c.peer.maxFrame)
	st.ex.HeadSent += int64(len(c.out) - at)
}

// appendResponseField appends a field, unless it is one that HTTP/2 does not have.
func (e *encoder) appendResponseField(dst []byte, h *router.Header, upgrade bool) []byte {
	if http1.HopByHop(h.Name) || upgrade && h.Name == "sec-websocket-accept" {
		return dst
	}
	if !lower(h.Name) {
		if h.Name = strings.ToLower(h.Name); http1.HopByHop(h.Name) {
			return dst
		}
	}
	return e.appendField(dst, h.Name, h.Value)
}

// WriteBody implements proxy.Downstream.
func (st *serverStream) WriteBody(p []byte, trailers []router.Header, end bool) error {
	if st.bodyless {
		if st.ex.Request.Upgrade != "" {
			return errClientGone // It would take a tunnel, or nothing.
		}
		return nil
	}
	st.ex.BytesSent += int64(len(p))
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.send(st, p, end && len(trailers) == 0); err != nil {
		return err
	}
	if end && len(trailers) > 0 {
		if err := c.awaitRoom(st); err != nil {
			return err
		}
		c.appendTrailers(st, trailers)
	}
	if !st.localDone {
		c.flushLater()
	}
	return nil
}

// appendTrailers appends what ends a response with trailers. The caller holds mu.
func (c *session) appendTrailers(st *serverStream, trailers []router.Header) {
	at := len(c.out)
	var room [frameHeaderLen]byte
	c.reserve(frameHeaderLen)
	dst := c.enc.begin(append(c.out, room[:]...))
	for i := range trailers {
		dst = c.enc.appendResponseField(dst, &trailers[i], false)
	}
	c.out = appendHeaderFrames(dst, at, flagEndStream, st.id, c.peer.maxFrame)
	st.ex.HeadSent += int64(len(c.out) - at)
	st.localDone = true
}

// Splice implements proxy.Downstream: HTTP/2 must frame every byte.
func (st *serverStream) Splice(net.Conn, int64) (written int64, ok bool, err error) {
	return 0, false, nil
}

// Cut implements proxy.Downstream: the stream is reset when the handler returns.
func (st *serverStream) Cut() {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.gone && !st.localDone {
		c.reset(st, codeInternal)
		c.forget(st)
	}
}

func lower(name string) bool {
	for i := 0; i < len(name); i++ {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}
