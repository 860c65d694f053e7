package http2

import (
	"encoding/binary"

	"github.com/sluicegate/sluice/proxy"
)

var (
	errPreface      = protocolError("not the preface of HTTP/2")
	errNoSettings   = protocolError("the first frame is not SETTINGS")
	errStreamZero   = protocolError("a frame of a stream that belongs to none")
	errNotZero      = protocolError("a frame of the connection that belongs to a stream")
	errIdle         = protocolError("a frame of a stream that was never opened")
	errEvenStream   = protocolError("a stream of an even number")
	errPush         = protocolError("PUSH_PROMISE by a client")
	errInBlock      = protocolError("a header block is interrupted")
	errNoBlock      = protocolError("CONTINUATION of no header block")
	errClosedStream = &connError{codeStreamClosed, "HEADERS of a stream that is closed"}
	errZeroUpdate   = protocolError("WINDOW_UPDATE by 0 of the connection")
	errWindowOver   = &connError{codeFlowControl, "a window over 2^31-1"}
	errWindowUsed   = &connError{codeFlowControl, "more DATA than the connection's window"}
)

// frames deals with every frame that is whole in the buffer.
func (c *session) frames() *connError {
	if !c.greeted {
		n := min(c.w-c.r, len(preface))
		if str(c.in[c.r:c.r+n]) != preface[:n] {
			return errPreface
		}
		if n < len(preface) {
			return nil
		}
		c.r += n
		c.greeted = true
	}
	for c.w-c.r >= frameHeaderLen {
		h := parseFrameHeader(c.in[c.r:])
		if h.length > minFrameSize {
			return errFrameSize
		}
		end := c.r + frameHeaderLen + h.length
		if end > c.w {
			return nil
		}
		payload := c.in[c.r+frameHeaderLen : end]
		c.r, c.whole = end, true
		if err := c.frame(h, payload); err != nil {
			return err
		}
	}
	return nil
}

// frame deals with one frame.
func (c *session) frame(h frameHeader, payload []byte) *connError {
	if !c.settled && (h.kind != frameSettings || h.has(flagAck)) {
		return errNoSettings
	}
	if c.block.open && (h.kind != frameContinuation || h.stream != c.block.stream) {
		return errInBlock
	}
	if err := c.guard.frame(c, h); err != nil {
		return err
	}
	switch h.kind {
	case frameData:
		return c.gotData(h, payload)
	case frameHeaders:
		return c.gotHeaders(h, payload)
	case frameContinuation:
		return c.gotContinuation(h, payload)
	case framePriority:
		return c.gotPriority(h, payload)
	case frameReset:
		return c.gotReset(h, payload)
	case frameSettings:
		return c.gotSettings(h, payload)
	case framePushPromise:
		return errPush
	case framePing:
		return c.gotPing(h, payload)
	case frameGoAway:
		return c.gotGoAway(h, payload)
	case frameWindowUpdate:
		return c.gotWindowUpdate(h, payload)
	}
	return nil // RFC 9113 section 5.5: what is not known is passed over.
}

// gotData takes a part of a request's body.
func (c *session) gotData(h frameHeader, payload []byte) *connError {
	if h.stream == 0 {
		return errStreamZero
	}
	data, err := cutPadding(h, payload)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.inWindow.take(h.length) {
		return errWindowUsed
	}
	st := c.streams.get(h.stream)
	if st == nil || st.remoteDone {
		c.credit(h.length)
		return c.strayData(h, st)
	}
	if !st.inWindow.take(h.length) {
		c.credit(h.length)
		return c.resetBad(st, codeFlowControl)
	}
	// Padding is dealt with at once.
	c.credit(h.length - len(data))
	st.credit(h.length - len(data))
	return c.takeData(st, data, h.has(flagEndStream))
}

// strayData deals with DATA of a stream that takes none.
func (c *session) strayData(h frameHeader, st *serverStream) *connError {
	switch {
	case st != nil:
		return c.resetBad(st, codeStreamClosed)
	case h.stream&1 == 0 || h.stream > c.last:
		if c.ignored(h.stream) {
			return nil
		}
		return errIdle
	case c.refused.has(h.stream):
		return nil
	}
	return c.resetID(h.stream, codeStreamClosed)
}

// ignored tells of a stream that was opened after the client was told of the last one.
func (c *session) ignored(id uint32) bool { return c.drain.final && id&1 == 1 && id <= c.drain.opened }

func (c *session) gotPriority(h frameHeader, payload []byte) *connError {
	switch {
	case h.stream == 0:
		return errStreamZero
	case len(payload) != 5:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.resetNumber(h.stream, codeFrameSize)
	case binary.BigEndian.Uint32(payload)&maxStreamID == h.stream:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.resetNumber(h.stream, codeProtocol)
	}
	return nil
}

// gotReset ends a stream that the client does not want any more.
func (c *session) gotReset(h frameHeader, payload []byte) *connError {
	if h.stream == 0 {
		return errStreamZero
	}
	if len(payload) != 4 {
		return errFrameSize
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams.get(h.stream)
	if st == nil {
		if (h.stream&1 == 0 || h.stream > c.last) && !c.ignored(h.stream) {
			return errIdle
		}
		c.refused.remove(h.stream)
		return nil
	}
	premature := !st.localDone && (!st.answered || c.now-st.ex.Start < int64(c.options.Abuse.ShortLife))
	c.lose(st)
	c.forget(st)
	if premature {
		return c.guard.reset(c)
	}
	return nil
}

// queueControl counts a frame that answers the client, or resets a stream of its. The caller
// holds mu.
func (c *session) queueControl() *connError {
	if c.control++; c.control > c.options.Abuse.QueuedControlFrames {
		c.options.observe(proxy.ConnHTTP2ControlFlood)
		return errAnswerFlood
	}
	return nil
}

// resetBad ends a stream for a mistake of the client's. The caller holds mu, and is the
// reading goroutine.
func (c *session) resetBad(st *serverStream, code errCode) *connError {
	c.options.observe(proxy.ConnHTTP2StreamError)
	c.reset(st, code)
	c.lose(st)
	c.forget(st)
	if err := c.guard.reset(c); err != nil {
		return err
	}
	return c.queueControl()
}

// resetNumber ends the stream of that number for a mistake of the client's, if there is one.
func (c *session) resetNumber(id uint32, code errCode) *connError {
	if st := c.streams.get(id); st != nil {
		return c.resetBad(st, code)
	}
	return c.resetID(id, code)
}

// resetID answers a frame of a stream that is not open.
func (c *session) resetID(id uint32, code errCode) *connError {
	c.reserve(frameHeaderLen + 4)
	c.out = appendReset(c.out, id, code)
	c.refused.add(id)
	if err := c.guard.reset(c); err != nil {
		return err
	}
	return c.queueControl()
}
