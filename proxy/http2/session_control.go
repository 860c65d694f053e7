package http2

import "encoding/binary"

// gotSettings takes the client's settings, and acknowledges them before anything that they
// let go.
func (c *session) gotSettings(h frameHeader, payload []byte) *connError {
	if h.stream != 0 {
		return errNotZero
	}
	if h.has(flagAck) {
		if len(payload) != 0 {
			return errFrameSize
		}
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = true
	before := c.peer.initialWindow
	if err := c.peer.apply(payload, false); err != nil {
		return err
	}
	c.enc.setLimit(c.peer.headerTableSize)
	c.reserve(frameHeaderLen)
	c.out = appendSettingsAck(c.out)
	if err := c.moveWindows(c.peer.initialWindow - before); err != nil {
		return err
	}
	return c.queueControl()
}

func (c *session) gotPing(h frameHeader, payload []byte) *connError {
	if h.stream != 0 {
		return errNotZero
	}
	if len(payload) != 8 {
		return errFrameSize
	}
	data := [8]byte(payload)
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.has(flagAck) {
		if data == drainPing {
			c.finishDrain()
		}
		return nil
	}
	c.reserve(frameHeaderLen + 8)
	c.out = appendPing(c.out, true, data)
	return c.queueControl()
}

// gotGoAway: the client opens no more streams. The connection ends with those in progress.
func (c *session) gotGoAway(h frameHeader, payload []byte) *connError {
	if h.stream != 0 {
		return errNotZero
	}
	if len(payload) < 8 {
		return errFrameSize
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finishDrain()
	return nil
}

func (c *session) gotWindowUpdate(h frameHeader, payload []byte) *connError {
	if len(payload) != 4 {
		return errFrameSize
	}
	n := int64(binary.BigEndian.Uint32(payload) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.guard.windowUpdate(c); err != nil {
		return err
	}
	if h.stream == 0 {
		if n == 0 {
			return errZeroUpdate
		}
		if !c.window.give(n) {
			return errWindowOver
		}
		c.clock = c.now
		c.fill()
		return nil
	}
	st := c.streams.get(h.stream)
	switch {
	case st == nil && (h.stream&1 == 0 || h.stream > c.last) && !c.ignored(h.stream):
		return errIdle
	case n == 0:
		return c.resetNumber(h.stream, codeProtocol)
	case st == nil:
		return nil
	}
	if !st.window.give(n) {
		return c.resetBad(st, codeFlowControl)
	}
	c.wait(st)
	c.clock = c.now
	c.fill()
	return nil
}

// moveWindows changes the windows of all streams, after the client's SETTINGS did.
func (c *session) moveWindows(by int64) *connError {
	if by == 0 {
		return nil
	}
	over := false
	c.streams.each(func(st *serverStream) {
		if !st.window.give(by) {
			over = true
		}
		if st.window <= 0 {
			// It may be in the ready list, where it has no place now.
			c.unqueue(st)
		}
		c.wait(st)
	})
	if over {
		return errWindowOver
	}
	c.clock = c.now
	c.fill()
	return nil
}
