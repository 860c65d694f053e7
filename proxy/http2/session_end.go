package http2

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// interrupted acts on a read that was interrupted, and tells whether to go on.
func (c *session) interrupted() bool {
	c.mu.Lock()
	done := c.drain.done
	if done && !c.killed && !c.dead {
		c.mu.Unlock()
		c.linger()
		return false
	}
	over := c.killed || c.dead
	late := c.watch.expired
	c.watch.woken = false
	if !over {
		c.conn.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
	if late && !over {
		c.failure = errTooSlow
		c.goAway(c.failure)
		c.linger()
		return false
	}
	return !over
}

var errTooSlow = &connError{codeEnhanceYourCalm, "a preface, settings or a header block took too long"}

// goAway tells the client why the connection ends.
func (c *session) goAway(e *connError) {
	if e.code != codeNone {
		c.options.observe(proxy.ConnHTTP2Error)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	c.failing = true
	c.conn.SetWriteDeadline(time.Now().Add(lingerTime))
	c.reserve(frameHeaderLen + 8 + len(e.detail))
	c.out = appendGoAway(c.out, c.last, e.code, e.detail)
	c.flush()
	for c.flushing && !c.dead {
		c.ended.Wait()
	}
}

const (
	// lingerBytes and lingerTime bound what is read, and thrown away, from a client that
	// still sends; a close before would reset the connection and could cost it our last
	// words.
	lingerBytes = 64 << 10
	lingerTime  = time.Second
)

// linger closes the connection's sending side, and waits a moment for the client's.
func (c *session) linger() {
	c.mu.Lock()
	c.lingering = true
	c.loseAll()
	c.mu.Unlock()
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	c.mu.Lock()
	if c.killed {
		c.conn.SetDeadline(time.Unix(1, 0))
	}
	c.mu.Unlock()
	buf := getBuffer(smallBuffer)
	defer putBuffer(buf)
	for n := 0; n < lingerBytes; {
		m, err := c.conn.Read(buf)
		if err != nil {
			return
		}
		n += m
	}
}

// end closes the connection, and returns when nothing uses it any more.
func (c *session) end() {
	c.mu.Lock()
	c.dead, c.closed = true, true
	c.loseAll()
	c.workers.dismiss()
	// A descriptor must not be closed while a worker writes to it.
	c.sock.StopWrites()
	c.conn.SetDeadline(time.Unix(1, 0))
	for c.flushing {
		c.ended.Wait()
	}
	c.mu.Unlock()
	c.conn.Close()
	c.mu.Lock()
	for c.workers.busy > 0 || c.flushing {
		c.ended.Wait()
	}
	if c.out != nil {
		putBuffer(c.out)
		c.out = nil
	}
	c.mu.Unlock()
	if c.in != nil {
		putBuffer(c.in)
		c.in = nil
	}
}

// loseAll tells every stream that its client has gone. The caller holds mu.
func (c *session) loseAll() {
	c.streams.each(func(st *serverStream) { c.lose(st) })
	for _, st := range c.workers.queue {
		c.lose(st)
	}
}
