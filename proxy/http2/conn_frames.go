package http2

import (
	"encoding/binary"

	"github.com/sluicegate/sluice/proxy"
)

// gotSettings takes a SETTINGS frame.
func (c *Conn) gotSettings(h frameHeader, payload []byte) *connError {
	if h.has(flagAck) {
		if len(payload) != 0 {
			return errFrameSize
		}
		return nil
	}
	c.mu.Lock()
	before := c.settings
	if err := c.settings.apply(payload, true); err != nil {
		c.mu.Unlock()
		return err
	}
	now := &c.settings
	c.enc.setLimit(now.headerTableSize)
	if change := now.initialWindow - before.initialWindow; change != 0 {
		for _, s := range c.streams {
			if !s.window.give(change) {
				c.mu.Unlock()
				return errWindowOfStreams
			}
			s.wakeSender()
		}
	}
	first := !c.told
	if first {
		c.told = true
		close(c.settled)
	}
	changed := first || now.maxConcurrentStreams != before.maxConcurrentStreams
	c.queue.out = appendSettingsAck(c.queue.room(frameHeaderLen))
	if err := c.replied(); err != nil {
		return err
	}
	if changed && c.options.Changed != nil {
		c.options.Changed(c)
	}
	return nil
}

// gotPing takes a PING frame.
func (c *Conn) gotPing(h frameHeader, payload []byte) *connError {
	if len(payload) != 8 {
		return errFrameSize
	}
	c.mu.Lock()
	if h.has(flagAck) {
		c.pingSent = 0
		c.mu.Unlock()
		return nil
	}
	c.queue.out = appendPing(c.queue.room(frameHeaderLen+8), true, [8]byte(payload))
	return c.replied()
}

// replied has the answer to a control frame sent. The caller holds mu, which it releases.
func (c *Conn) replied() *connError {
	flood := len(c.queue.out) > maxControl
	c.sendLater()
	c.mu.Unlock()
	if flood {
		return errReplyFlood
	}
	return nil
}

// gotGoAway takes a GOAWAY frame: the streams that it names last, and those before, go on.
func (c *Conn) gotGoAway(payload []byte) *connError {
	if len(payload) < 8 {
		return errFrameSize
	}
	last := binary.BigEndian.Uint32(payload) & maxStreamID
	c.mu.Lock()
	c.refusing = true
	for id, s := range c.streams {
		if id > last {
			s.end(proxy.FailRefusedStream, errGoAway)
		}
	}
	c.endIfDone()
	c.mu.Unlock()
	if c.options.Changed != nil {
		c.options.Changed(c)
	}
	return nil
}

// gotWindowUpdate takes a WINDOW_UPDATE frame.
func (c *Conn) gotWindowUpdate(h frameHeader, payload []byte) *connError {
	if len(payload) != 4 {
		return errFrameSize
	}
	n := int64(binary.BigEndian.Uint32(payload) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.stream == 0 {
		if n == 0 || !c.window.give(n) {
			return errWindowUpdate
		}
		c.wakeBlocked()
		return nil
	}
	s, err := c.known(h.stream)
	if s == nil {
		return err
	}
	if n == 0 || !s.window.give(n) {
		c.failStream(s, errStreamWindow)
		return nil
	}
	s.wakeSender()
	return nil
}
