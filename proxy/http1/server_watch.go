package http1

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// Kill implements proxy.Session.
func (c *serverConn) Kill() {
	if next := c.successor.Load(); next != nil {
		(*next).Kill()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.lost = true
	if c.aborter != nil {
		c.aborter.Abort()
	}
	c.conn.SetDeadline(time.Unix(1, 0))
	// The deadline does not stop what is written past the poller.
	c.sock.StopWrites()
	c.unpark()
}

// drainQuiet is how long a connection must have been idle for a drain to close it: one that
// is in use gets the chance to send a request, and is told with the answer.
const drainQuiet = 250 * time.Millisecond

// CloseIdle implements proxy.Session: it ends the connection if that waits for a request, and
// tells of the end with the next response.
func (c *serverConn) CloseIdle() {
	c.draining.Store(true)
	if next := c.successor.Load(); next != nil {
		(*next).CloseIdle()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && (c.phase == phaseIdle || c.phase == phaseNew) && proxy.Now()-c.since > int64(drainQuiet) {
		c.wake()
	}
}

// wake interrupts the wait for a request. The caller holds mu.
func (c *serverConn) wake() {
	c.woken = true
	c.conn.SetReadDeadline(time.Unix(1, 0))
	c.unpark()
}

// clearWake undoes wake. The caller holds mu.
func (c *serverConn) clearWake() {
	if c.woken {
		c.woken = false
		c.conn.SetReadDeadline(time.Time{})
	}
}

// Check implements proxy.Session. It also notices a client that has gone during its exchange.
func (c *serverConn) Check(now int64) {
	if next := c.successor.Load(); next != nil {
		(*next).Check(now)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.timedOut {
		return
	}
	t := &c.options.Timeouts
	if c.phase < phaseExchange && !c.parked {
		c.look(now)
	}
	switch c.phase {
	case phaseNew:
		c.wantParked(now)
		c.expire(now, min(t.Idle, maxFirstByte), proxy.ConnIdleTimeout)
	case phaseIdle:
		c.wantParked(now)
		c.expire(now, t.Idle, proxy.ConnIdleTimeout)
	case phaseHead:
		c.expire(now, t.Head, proxy.ConnHeadTimeout)
	case phaseBody:
		if now-c.since > int64(smallBodyWait) {
			c.timedOut = true
			c.wake()
		}
	case phaseExchange:
		c.checkExchange(now, c.idle)
	}
}

// look notices, once in each wait, a client that closed right behind its last bytes: where
// both had come before those were read, no edge told of the end.
func (c *serverConn) look(now int64) {
	if c.looked || now-c.since < int64(watchEvery) {
		return
	}
	c.looked = true
	if c.sock.Glance() != socket.Quiet {
		c.wake()
	}
}

// expire wakes a connection whose phase has lasted too long.
func (c *serverConn) expire(now int64, limit time.Duration, e proxy.ConnEvent) {
	if limit > 0 && now-c.since > int64(limit) {
		c.timedOut = true
		c.options.observe(e)
		c.wake()
	}
}

// checkExchange looks, less and less often, for a client that has hung up, which ends the
// exchange's upstream side too; and for one in which nothing moves.
func (c *serverConn) checkExchange(now int64, limit time.Duration) {
	if c.lost || now < c.nextLook {
		return
	}
	c.nextLook = now + min(max(now-c.since, int64(watchEvery)), int64(time.Second))
	if c.sock.Glance() == socket.Closed {
		c.giveUp()
		return
	}
	// What the kernel moves by itself is seen in its counters only.
	if c.moved == 0 {
		c.moved = c.sock.Moved()
	}
	if c.slowBody(now) {
		c.timedOut = true
		c.options.observe(proxy.ConnSlowBody)
		c.giveUp()
		return
	}
	if limit <= 0 || now-c.since <= int64(limit) {
		return
	}
	if moved := c.sock.Moved(); moved != c.moved {
		c.moved, c.since = moved, now
		return
	}
	c.timedOut = true
	c.options.observe(proxy.ConnStreamTimeout)
	c.giveUp()
}

// slowBody tells whether a request's body drips in at less than the least rate.
func (c *serverConn) slowBody(now int64) bool {
	rate := int64(c.options.MinBodyRate)
	took := now - c.body.since
	return rate > 0 && c.body.since != 0 && took > int64(c.options.MinBodyGrace) && c.body.bytes < rate*(took/int64(time.Second))
}

func (c *serverConn) giveUp() {
	c.lost = true
	if c.aborter != nil {
		c.aborter.Abort()
	}
	if !c.timedOut {
		c.conn.SetDeadline(time.Unix(1, 0))
		return
	}
	// A client that stands still may still be told why.
	c.conn.SetReadDeadline(time.Unix(1, 0))
	c.conn.SetWriteDeadline(time.Now().Add(time.Second))
}

// arrived notes that n bytes of the request's body came; more tells that the rest of a body
// of known length is still to come.
func (c *serverConn) arrived(n int, more bool) {
	now := proxy.Now()
	c.mu.Lock()
	c.since = now
	switch {
	case !more:
		c.body.since = 0
	case c.body.since == 0:
		c.body.since, c.body.bytes = now, int64(n)
	default:
		c.body.bytes += int64(n)
	}
	c.mu.Unlock()
}

// touch notes that something of the exchange moved.
func (c *serverConn) touch() {
	now := proxy.Now()
	c.mu.Lock()
	c.since = now
	c.mu.Unlock()
}
