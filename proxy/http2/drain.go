package http2

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// drain is how far a connection's graceful end has come (RFC 9113 section 6.8). It is guarded
// by the session's mu.
type drain struct {
	// announced is when the client was told that the end is near; what it had sent before
	// it knew is still served. final: it was told of the last stream that is; opened is the
	// highest that it has opened since. done: the connection ends now.
	announced int64
	final     bool
	opened    uint32
	done      bool
}

// drainPing is sent behind the announcement: when it comes back, the client knows.
var drainPing = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 0, 1}

// drainWait is how long its answer is waited for.
const drainWait = time.Second

// CloseIdle implements proxy.Session. The client is told to open no more streams, and the
// connection ends with the last of them.
func (c *session) CloseIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.dead || c.failing {
		return
	}
	c.startDrain()
	c.flushLater()
}

// startDrain announces the end. The caller holds mu.
func (c *session) startDrain() {
	d := &c.drain
	if d.announced != 0 || d.final {
		return
	}
	d.announced = proxy.Now()
	c.reserve(2*frameHeaderLen + 16)
	c.out = appendGoAway(c.out, maxStreamID, codeNone, "")
	c.out = appendPing(c.out, false, drainPing)
}

// finishDrain tells the client which stream was the last. The caller holds mu.
func (c *session) finishDrain() {
	d := &c.drain
	if d.final {
		return
	}
	d.final, d.opened = true, c.last
	c.reserve(frameHeaderLen + 8)
	c.out = appendGoAway(c.out, c.last, codeNone, "")
}

// checkDrain goes on with a drain, or begins that of a connection that is old.
func (c *session) checkDrain(now int64) {
	if over(now, c.watch.opened, c.options.MaxConnectionAge) {
		c.startDrain()
	}
	if over(now, c.drain.announced, drainWait) {
		c.finishDrain()
	}
	c.maybeDone()
}

// maybeDone ends a drained connection, if nothing is left to do. The caller holds mu.
func (c *session) maybeDone() {
	if !c.drain.final || c.drain.done || c.streams.n > 0 || c.workers.busy > 0 || len(c.workers.queue) > 0 || len(c.out) > 0 || c.flushing {
		return
	}
	c.drain.done = true
	c.wakeReader()
}
