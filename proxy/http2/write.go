package http2

import (
	"os"
	"runtime"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// reserve makes room for n more bytes in out. The caller holds mu.
func (c *session) reserve(n int) {
	if c.dead {
		// Nobody will read it.
		c.out = c.out[:0]
	}
	if want := len(c.out) + n; want > cap(c.out) {
		grown := getBuffer(want)[:len(c.out)]
		copy(grown, c.out)
		if c.out != nil {
			putBuffer(c.out)
		}
		c.out = grown
	}
}

// maxWrites bounds how often a worker writes what others have added meanwhile.
const maxWrites = 4

// flush writes what is in out, unless somebody is already doing so: who does goes on until
// nothing is left. The caller holds mu, which is released meanwhile, and may wait for the
// client.
func (c *session) flush() {
	if c.flushing || len(c.out) == 0 || c.dead {
		return
	}
	c.flushing = true
	c.write(maxWrites)
}

// flushTogether is flush at the end of an exchange. Where others are in progress they get
// the chance to add what they have ready: one system call for many is what HTTP/2 is for.
func (c *session) flushTogether() {
	if c.flushing || len(c.out) == 0 || c.dead {
		return
	}
	c.flushing = true
	if c.workers.busy > 0 && len(c.out) < outHigh {
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.write(maxWrites)
}

// flushLater has out written soon, behind what runs now. The caller holds mu.
func (c *session) flushLater() {
	if c.flushing || len(c.out) == 0 || c.dead {
		return
	}
	c.flushing = true
	go c.flushLoop()
}

func (c *session) flushLoop() {
	c.mu.Lock()
	c.write(0)
	c.mu.Unlock()
}

// write writes until nothing is left, or writes times, if not 0; then another goroutine goes
// on. The caller holds mu and has set flushing.
func (c *session) write(writes int) {
	for n := 0; len(c.out) > 0 && !c.dead; n++ {
		if writes > 0 && n == writes {
			go c.flushLoop()
			return
		}
		out := c.out
		c.out, c.control = nil, 0
		c.clock = proxy.Now()
		c.watch.writing = c.clock
		c.mu.Unlock()
		err := c.sock.Write(out)
		c.mu.Lock()
		c.watch.writing = 0
		putBuffer(out)
		if err != nil {
			c.broken()
			break
		}
		c.fill()
		c.wakeRoomless()
	}
	c.flushing = false
	c.maybeDone()
	if c.closed || c.lingering || c.failing {
		c.ended.Broadcast()
	}
}

// broken ends a connection to which nothing can be written. The caller holds mu.
func (c *session) broken() {
	c.dead = true
	c.loseAll()
	c.wakeRoomless()
	c.wakeReader()
}

// wakeRoomless lets those look again that wait for room in out. The caller holds mu.
func (c *session) wakeRoomless() {
	for _, waiting := range c.roomless {
		wake(waiting)
	}
	c.roomless = c.roomless[:0]
}

// wait puts a stream that has something to send, and a window, into the ready list: behind
// those that are as urgent, before those that are less (RFC 9218). The caller holds mu.
func (c *session) wait(st *serverStream) {
	if st.queued || len(st.pending) == 0 || st.window <= 0 {
		return
	}
	st.queued = true
	at := len(c.ready)
	c.ready = append(c.ready, st)
	for ; at > 0 && c.ready[at-1].head.urgency > st.head.urgency; at-- {
		c.ready[at] = c.ready[at-1]
	}
	c.ready[at] = st
}

// unqueue takes a stream out of the ready list.
func (c *session) unqueue(st *serverStream) {
	if !st.queued {
		return
	}
	st.queued = false
	for i, other := range c.ready {
		if other == st {
			c.ready = append(c.ready[:i], c.ready[i+1:]...)
			return
		}
	}
}

// fill moves what waiting streams have to send to out, a frame of each in turn, as far as the
// windows and out's room let it. The caller holds mu.
func (c *session) fill() {
	for len(c.ready) > 0 && c.window > 0 && len(c.out) < outHigh && !c.dead {
		st := c.ready[0]
		c.ready = c.ready[:copy(c.ready, c.ready[1:])]
		st.queued = false
		c.sendFrame(st)
		if len(st.pending) == 0 {
			st.pending = nil
			wake(st.sendWake)
			continue
		}
		c.wait(st)
	}
}

// leastTaken is how much of all responses, in bytes a second over the time of AbuseLimits.Stall, a
// client must take while some of them have no turn. One that gives windows of single bytes would
// hold all of them for as long as it likes.
const leastTaken = 64

// sendFrame moves one frame of DATA to out. The caller holds mu, and has seen to it that the
// windows are open.
func (c *session) sendFrame(st *serverStream) {
	n := min(len(st.pending), minFrameSize, int(st.window), int(c.window))
	data := st.pending[:n]
	st.pending = st.pending[n:]
	st.window -= sendWindow(n)
	c.window -= sendWindow(n)
	var flags uint8
	if len(st.pending) == 0 && st.pendingEnd {
		flags = flagEndStream
		st.localDone = true
	}
	c.reserve(frameHeaderLen + n)
	c.out = appendFrameHeader(c.out, n, frameData, flags, st.id)
	c.out = append(c.out, data...)
	c.dataSent++
	if c.taken += n; time.Duration(c.taken)*time.Second >= leastTaken*c.options.Abuse.Stall {
		c.moved, c.taken = c.clock, 0
	}
	st.since = max(st.since, c.clock)
}

// send sends data, and the stream's end behind it. It returns when all of it is in out. The
// caller holds mu.
func (c *session) send(st *serverStream, data []byte, end bool) error {
	if err := st.unwritable(); err != nil {
		return err
	}
	if len(data) == 0 {
		if end {
			c.reserve(frameHeaderLen)
			c.out = appendFrameHeader(c.out, 0, frameData, flagEndStream, st.id)
			st.localDone = true
		}
		return nil
	}
	st.pending, st.pendingEnd = data, end
	st.since = proxy.Now()
	c.wait(st)
	c.fill()
	for len(st.pending) > 0 {
		c.flush()
		if len(st.pending) == 0 {
			break
		}
		if err := st.unwritable(); err != nil {
			return err
		}
		if st.timedOut {
			st.torn = true
			c.stopWaiting(st)
			return errClientGone
		}
		if t := st.tunnel; t != nil && (t.write.passed || t.closed) {
			c.stopWaiting(st)
			return os.ErrDeadlineExceeded
		}
		c.mu.Unlock()
		<-st.sendWake
		c.mu.Lock()
	}
	if !end || !st.localDone {
		return st.unwritable()
	}
	return nil
}

// unwritable says why nothing can be sent any more, nil where it can.
func (st *serverStream) unwritable() error {
	if st.gone || st.localDone || st.c.dead || st.torn || st.lost && !st.timedOut {
		return errClientGone
	}
	return nil
}

// awaitRoom waits until out has room for a head. The caller holds mu.
func (c *session) awaitRoom(st *serverStream) error {
	for len(c.out) >= outHigh {
		c.flush()
		if len(c.out) < outHigh {
			break
		}
		if err := st.unwritable(); err != nil {
			return err
		}
		c.roomless = append(c.roomless, st.sendWake)
		c.mu.Unlock()
		<-st.sendWake
		c.mu.Lock()
	}
	return st.unwritable()
}
