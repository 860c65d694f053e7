package http2

import (
	"errors"
	"strconv"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

var errNoConnect = errors.New("http2: the endpoint takes no WebSockets over HTTP/2 (it does not send SETTINGS_ENABLE_CONNECT_PROTOCOL)")

// RoundTrip implements proxy.Upstream. The response is relayed while the request's body is
// still being sent.
func (s *ConnStream) RoundTrip(ex *proxy.Exchange, filter proxy.ResponseFilter, down proxy.Downstream) proxy.Result {
	s.ex, s.filter, s.down = ex, filter, down
	s.connects = ex.Request.Upgrade != ""
	if s.connects {
		s.settle()
	}
	if !s.done {
		s.begin()
	}
	for !s.done {
		<-s.wake
		s.turn()
	}
	if s.pump.on {
		s.endPump()
	}
	s.ex, s.filter, s.down = nil, nil, nil
	return s.res
}

// settle waits until it is known whether the endpoint takes extended CONNECT (RFC 8441
// section 3).
func (s *ConnStream) settle() {
	for {
		select {
		case <-s.c.settled:
			s.c.mu.Lock()
			able := s.c.settings.connectProtocol || s.c.closing
			s.c.mu.Unlock()
			if !able {
				s.fail(proxy.FailStreamReset, errNoConnect)
			}
			return
		case <-s.wake:
			s.mu.Lock()
			late := s.in.late
			s.mu.Unlock()
			if late || s.aborter.Aborted() {
				s.fail(proxy.FailTimeout, nil)
				return
			}
		}
	}
}

// begin sends the request's head, and what there is of its body and may be sent, in one
// write. The rest is left to a pump.
func (s *ConnStream) begin() {
	c, ex := s.c, s.ex
	var trailers []router.Header
	if ex.Buffered && ex.Body.Kind == proxy.BodyStream {
		trailers = s.down.Trailers()
	}
	streams := s.connects || !ex.Buffered && ex.Body.Kind != proxy.BodyNone
	rest := ex.Payload
	s.in.noBody = ex.Request.Method == "HEAD"

	c.mu.Lock()
	if c.refusing || c.closing {
		failure, why := c.refusal()
		c.mu.Unlock()
		s.fail(failure, why)
		return
	}
	s.id = c.next
	c.next += 2
	c.retired = c.retired || s.id >= lastStream
	s.window = sendWindow(c.settings.initialWindow)
	c.streams[s.id] = s
	var flags uint8
	if !streams && len(rest) == 0 && len(trailers) == 0 {
		flags, s.sentEnd = flagEndStream, true
	}
	out := c.queue.room(frameHeaderLen + s.headSize() + len(rest) + frameHeaderLen)
	at := len(out)
	out = c.enc.begin(append(out, make([]byte, frameHeaderLen)...))
	out = s.appendHead(out)
	c.queue.out = appendHeaderFrames(out, at, flags, s.id, c.settings.maxFrame)
	for len(rest) > 0 {
		n := min(len(rest), c.spare(), int(min(s.window, maxFrameSize)), c.settings.maxFrame)
		if n <= 0 {
			break
		}
		s.queueData(rest[:n], n == len(rest) && len(trailers) == 0)
		rest = rest[n:]
	}
	if len(rest) == 0 && len(trailers) > 0 {
		s.queueTrailers(trailers)
	}
	ended := s.sentEnd
	c.send()
	if !ended && !s.connects {
		s.startPump(rest, trailers)
	}
}

// refusal says why an exchange cannot begin. Not a byte of it was sent: it may be tried
// elsewhere, but where the endpoint has broken the rules. The caller holds mu.
func (c *Conn) refusal() (proxy.Failure, error) {
	var fault *connError
	switch {
	case errors.As(c.why, &fault):
		return proxy.FailProtocol, c.why
	case c.why != nil:
		return proxy.FailRefusedStream, c.why
	}
	return proxy.FailRefusedStream, errGoAway
}

// headSize is about how much room the request's head takes, at most.
func (s *ConnStream) headSize() int {
	n := 64 + len(s.ex.UpstreamPath) + len(s.ex.UpstreamAuthority) + len(s.ex.Request.Method)
	for i := range s.ex.Request.Headers {
		h := &s.ex.Request.Headers[i]
		n += len(h.Name) + len(h.Value) + 8
	}
	return n
}

// appendHead appends the request's header block. The caller holds the connection's mu: blocks
// must be sent in the order in which they are made.
func (s *ConnStream) appendHead(out []byte) []byte {
	ex, enc := s.ex, &s.c.enc
	method := ex.Request.Method
	if s.connects {
		method = "CONNECT"
	}
	switch method {
	case "GET":
		out = append(out, 0x80|2)
	case "POST":
		out = append(out, 0x80|3)
	default:
		out = appendLiteral(out, 0, 4, 2, "", method)
	}
	if s.connects {
		out = enc.appendField(out, ":protocol", ex.Request.Upgrade)
	}
	if ex.Request.Scheme == "https" {
		out = append(out, 0x80|7)
	} else {
		out = append(out, 0x80|6)
	}
	if ex.UpstreamAuthority != "" {
		out = enc.appendField(out, ":authority", ex.UpstreamAuthority)
	}
	if ex.UpstreamPath == "/" {
		out = append(out, 0x80|4)
	} else {
		out = enc.appendField(out, ":path", ex.UpstreamPath)
	}
	for i := range ex.Request.Headers {
		h := &ex.Request.Headers[i]
		if http1.HopByHop(h.Name) || h.Name == "host" || h.Name == "te" || h.Name == "content-length" ||
			s.connects && h.Name == "sec-websocket-key" {
			continue
		}
		out = enc.appendField(out, h.Name, h.Value)
	}
	if ex.Body.Kind == proxy.BodyLength && !s.connects {
		var digits [20]byte
		out = enc.appendField(out, "content-length", str(strconv.AppendInt(digits[:0], ex.Body.Length, 10)))
	}
	if ex.Expect100 {
		out = enc.appendField(out, "expect", "100-continue")
	}
	if ex.WantsTrailers {
		out = enc.appendField(out, "te", "trailers")
	}
	return out
}

// queueTrailers queues the request's trailers, which end it. The caller holds the
// connection's mu.
func (s *ConnStream) queueTrailers(trailers []router.Header) {
	c := s.c
	out := c.queue.room(frameHeaderLen)
	at := len(out)
	out = c.enc.begin(append(out, make([]byte, frameHeaderLen)...))
	out = c.enc.appendFields(out, trailers)
	c.queue.out = appendHeaderFrames(out, at, flagEndStream, s.id, c.settings.maxFrame)
	s.sentEnd = true
}
