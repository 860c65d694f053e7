package http2

import (
	"encoding/binary"
	"errors"
	"io"
	"syscall"

	"github.com/sluicegate/sluice/proxy"
)

// maxEmpty bounds the DATA frames in a row that bring nothing.
const maxEmpty = 100

var (
	errFrameTooLarge   = &connError{codeFrameSize, "a frame larger than SETTINGS_MAX_FRAME_SIZE"}
	errNotStreamZero   = protocolError("a frame of the connection on a stream")
	errUnknownStream   = protocolError("a frame on a stream that was never opened")
	errPushed          = protocolError("PUSH_PROMISE, though push is off")
	errFirstFrame      = protocolError("the endpoint does not begin with SETTINGS: it may not speak HTTP/2")
	errSpeaksHTTP1     = protocolError("the endpoint answers in HTTP/1.1: it does not speak HTTP/2, which its port's name or appProtocol, or h2UpgradePolicy, asks for")
	errContinuation    = protocolError("a header block that is not continued, or CONTINUATION without one")
	errWindowUpdate    = &connError{codeFlowControl, "WINDOW_UPDATE by nothing, or by too much"}
	errWindowOverrun   = &connError{codeFlowControl, "more DATA than the connection's window lets through"}
	errEmptyFrames     = &connError{codeEnhanceYourCalm, "DATA frames without data"}
	errReplyFlood      = &connError{codeEnhanceYourCalm, "control frames without reading their answers"}
	errWindowOfStreams = &connError{codeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large"}
)

// connFailure turns what ended a connection into a Failure.
func connFailure(err error) proxy.Failure {
	var fault *connError
	switch {
	case errors.As(err, &fault):
		return proxy.FailProtocol
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return proxy.FailReset
	}
	return proxy.FailClosed
}

// step is called when the socket may have news; see socket.Socket.Run.
func (c *Conn) step() bool {
	for {
		if c.in == nil {
			c.in, c.r, c.w = getBuffer(readBuffer), 0, 0
		}
		room := len(c.in) - c.w
		n, again, err := c.sock.Read(c.in[c.w:])
		if again {
			c.rest()
			return false
		}
		if err != nil {
			c.ended(err)
			return true
		}
		c.w += n
		c.heard.Store(proxy.Now())
		fault := c.frames()
		c.tell()
		if fault != nil {
			c.fault = fault
			return true
		}
		if c.sock.Short(n, room) {
			c.rest()
			return false
		}
	}
}

// ended notes the end of what the endpoint sends.
func (c *Conn) ended(err error) {
	if err == io.EOF && c.w > c.r {
		err = io.ErrUnexpectedEOF
	}
	c.mu.Lock()
	if !c.closing {
		c.closing, c.why = true, err
	}
	c.mu.Unlock()
}

// rest is called before the connection waits: it holds no memory where nothing is in it.
func (c *Conn) rest() {
	if c.r == c.w && c.in != nil {
		putBuffer(c.in)
		c.in, c.r, c.w = nil, 0, 0
	}
	c.head.list.trim()
}

// tell wakes the streams that were handed something. They are woken once for all that came
// together, and can pass that on in one piece.
func (c *Conn) tell() {
	for i, s := range c.news {
		s.wakeUp()
		c.news[i] = nil
	}
	c.news = c.news[:0]
}

// oldVersion is how a response of HTTP/1 begins.
const oldVersion = "HTTP/1."

// frames deals with the frames that are whole in the buffer.
func (c *Conn) frames() *connError {
	if !c.told && c.w-c.r >= len(oldVersion) && str(c.in[c.r:c.r+len(oldVersion)]) == oldVersion {
		return errSpeaksHTTP1
	}
	for c.w-c.r >= frameHeaderLen {
		h := parseFrameHeader(c.in[c.r:])
		if h.length > minFrameSize {
			return errFrameTooLarge
		}
		end := c.r + frameHeaderLen + h.length
		if end > c.w {
			break
		}
		if err := c.frame(h, c.in[c.r+frameHeaderLen:end]); err != nil {
			return err
		}
		c.r = end
	}
	if c.r > 0 && len(c.in)-c.w < frameHeaderLen+minFrameSize {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	return nil
}

// frame deals with one frame.
func (c *Conn) frame(h frameHeader, payload []byte) *connError {
	if c.block.stream != 0 && (h.kind != frameContinuation || h.stream != c.block.stream) {
		return errContinuation
	}
	if !c.told && (h.kind != frameSettings || h.has(flagAck)) {
		return errFirstFrame
	}
	switch h.kind {
	case frameData, frameHeaders, frameReset, frameContinuation:
		if h.stream == 0 {
			return errStreamZero
		}
	case frameSettings, framePing, frameGoAway:
		if h.stream != 0 {
			return errNotStreamZero
		}
	}
	switch h.kind {
	case frameData:
		return c.gotData(h, payload)
	case frameHeaders:
		return c.gotHeaders(h, payload)
	case frameContinuation:
		return c.gotContinuation(h, payload)
	case frameReset:
		return c.gotReset(h, payload)
	case frameSettings:
		return c.gotSettings(h, payload)
	case framePing:
		return c.gotPing(h, payload)
	case frameGoAway:
		return c.gotGoAway(payload)
	case frameWindowUpdate:
		return c.gotWindowUpdate(h, payload)
	case framePushPromise:
		return errPushed
	}
	return nil
}

// known returns the stream of an id; nil where it is over. The caller holds mu.
func (c *Conn) known(id uint32) (*ConnStream, *connError) {
	if s := c.streams[id]; s != nil {
		return s, nil
	}
	if id >= c.next || id%2 == 0 {
		return nil, errUnknownStream
	}
	return nil, nil
}

// gotData takes a DATA frame.
func (c *Conn) gotData(h frameHeader, payload []byte) *connError {
	if !c.received.take(h.length) {
		return errWindowOverrun
	}
	data, err := cutPadding(h, payload)
	if err != nil {
		return err
	}
	if c.idleData++; len(data) > 0 || h.has(flagEndStream) {
		c.idleData = 0
	}
	if c.idleData > maxEmpty {
		return errEmptyFrames
	}
	open := c.received.done(h.length)
	c.mu.Lock()
	if open > 0 {
		c.queue.out = appendWindowUpdate(c.queue.room(32), 0, open)
		c.sendLater()
	}
	s, err := c.known(h.stream)
	if s != nil {
		if fault := s.gotData(data, h.length-len(data), h.has(flagEndStream)); fault != nil {
			c.failStream(s, fault)
		}
		c.news = append(c.news, s)
	}
	c.mu.Unlock()
	return err
}

// gotReset takes a RST_STREAM frame.
func (c *Conn) gotReset(h frameHeader, payload []byte) *connError {
	if len(payload) != 4 {
		return errFrameSize
	}
	code := errCode(binary.BigEndian.Uint32(payload))
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.known(h.stream)
	if s != nil {
		s.gotReset(code)
	}
	return err
}

// failStream resets a stream whose endpoint broke the rules. The caller holds mu.
func (c *Conn) failStream(s *ConnStream, e *streamError) {
	if !s.reset && !c.closing {
		c.queueReset(s.id, e.code)
		c.sendLater()
	}
	s.end(proxy.FailProtocol, e)
}
