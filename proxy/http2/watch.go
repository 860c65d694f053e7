package http2

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// watch is what Check needs to know. It is guarded by the session's mu.
type watch struct {
	opened int64
	// since is when the connection became idle; 0 while a stream is open.
	since int64
	// late is since when a preface, settings, a header block, or a frame that no stream waits
	// for, are not complete; 0 where nothing is waited for.
	late int64
	// data is the stream of a frame of DATA that is not complete, 0 where there is none.
	data uint32
	// rested is when the reading goroutine last began to wait; looked, that this wait has
	// been looked at once.
	rested int64
	looked bool
	// writing is since when a write waits, and moved what the socket had moved then.
	writing, moved int64
	// waiting counts the streams whose small body is waited for.
	waiting int
	// nextLook is when to look at the streams again.
	nextLook int64
	// woken: the reading goroutine was interrupted; expired, because of late.
	woken, expired bool
}

const (
	smallBodyWait = time.Second
	lookAfter     = 100 * time.Millisecond
	// thinAfter is how long a connection is idle before its workers are dismissed.
	thinAfter = time.Second
)

// Check implements proxy.Session.
func (c *session) Check(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.dead || c.failing || c.lingering || c.drain.done {
		return
	}
	c.checkWrite(now)
	c.checkIdle(now)
	c.checkDrain(now)
	if w := &c.watch; w.waiting > 0 || now >= w.nextLook {
		w.nextLook = now + int64(time.Second)
		c.streams.each(func(st *serverStream) { c.checkStream(st, now) })
	}
	c.flushLater()
}

// over tells whether something that began then has lasted too long.
func over(now, since int64, limit time.Duration) bool {
	return since != 0 && limit > 0 && now-since > int64(limit)
}

// waitsInVain tells whether a frame of DATA that is not complete belongs to no stream that takes
// it: then nothing but the connection's own time bounds how long memory is held for it. The caller
// holds mu.
func (c *session) waitsInVain() bool {
	if c.watch.data == 0 {
		return false
	}
	st := c.streams.get(c.watch.data)
	return st == nil || st.remoteDone
}

// checkIdle looks whether the client sends what it must, and anything at all.
func (c *session) checkIdle(now int64) {
	t, w := &c.options.Timeouts, &c.watch
	if w.late == 0 && c.waitsInVain() {
		w.late = now
	}
	switch {
	case over(now, w.late, t.Head):
		c.options.observe(proxy.ConnHeadTimeout)
		w.expired = true
		c.wakeReader()
		return
	case over(now, w.since, t.Idle) && c.workers.busy == 0:
		c.options.observe(proxy.ConnIdleTimeout)
		c.startDrain()
		c.finishDrain()
	case over(now, w.since, thinAfter) && len(c.workers.idle) > 0:
		c.workers.thin()
	}
	if !w.looked && now-w.rested > int64(lookAfter) {
		// Where the client's last bytes and its end had both come before those were read,
		// no edge told of the end.
		w.looked = true
		if _, inTLS := c.conn.(*socket.TLS); inTLS || c.sock.Peek() != socket.Quiet {
			c.wakeReader()
		}
	}
}

// wakeReader interrupts the reading goroutine's wait. The caller holds mu.
func (c *session) wakeReader() {
	if !c.closed && !c.lingering {
		c.watch.woken = true
		c.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// checkWrite ends a connection whose client reads nothing.
func (c *session) checkWrite(now int64) {
	w := &c.watch
	if !over(now, w.writing, c.options.Abuse.Write) {
		return
	}
	if moved := c.sock.Moved(); moved != w.moved {
		w.moved, w.writing = moved, now
		return
	}
	c.options.observe(proxy.ConnHTTP2WriteTimeout)
	c.kill()
}

// checkStream looks whether something moves in a stream.
func (c *session) checkStream(st *serverStream, now int64) {
	switch {
	case st.phase == streamWaiting:
		if now-st.since > int64(smallBodyWait) {
			c.settleBody(st, true)
		}
	case st.phase == streamAnswered:
		if now-st.since > int64(unreadWait) {
			c.reset(st, codeNone)
			c.forget(st)
		}
	case st.phase != streamServed || st.timedOut:
	case len(st.pending) > 0 && over(now, st.since, c.options.Abuse.Stall):
		c.stalled(st, now)
	case st.tunnel != nil:
	case c.slowBody(st, now):
		c.options.observe(proxy.ConnSlowBody)
		c.giveUp(st)
	case over(now, st.since, st.idle):
		c.options.observe(proxy.ConnStreamTimeout)
		c.giveUp(st)
	}
}

// stalled ends a stream, or the connection, whose client leaves it without a window. A stream
// whose turn has not come, since others take all that the client lets through, is neither.
func (c *session) stalled(st *serverStream, now int64) {
	switch {
	case st.window <= 0:
		c.options.observe(proxy.ConnHTTP2Stalled)
		c.reset(st, codeEnhanceYourCalm)
		c.lose(st)
		c.forget(st)
	case c.window <= 0 && over(now, max(c.moved, st.since), c.options.Abuse.Stall):
		c.options.observe(proxy.ConnHTTP2Stalled)
		c.kill()
	}
}

// giveUp ends an exchange in which nothing moves; the client may still be told why.
func (c *session) giveUp(st *serverStream) {
	st.timedOut = true
	c.lose(st)
}

// slowBody tells whether a request's body drips in at less than the least rate.
func (c *session) slowBody(st *serverStream, now int64) bool {
	rate := int64(c.options.MinBodyRate)
	took := now - st.bodySince
	// What stands in our buffer is waited for by nobody but the upstream.
	return rate > 0 && st.bodySince != 0 && st.br == st.bw && took > int64(c.options.MinBodyGrace) && st.received < rate*(took/int64(time.Second))
}

// Kill implements proxy.Session.
func (c *session) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kill()
}

func (c *session) kill() {
	if c.closed || c.killed {
		return
	}
	c.killed = true
	c.loseAll()
	c.conn.SetDeadline(time.Unix(1, 0))
	// The deadline does not stop what is written past the poller.
	c.sock.StopWrites()
}
