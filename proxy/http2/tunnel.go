package http2

import (
	"io"
	"net"
	"os"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// tunnelConn is a stream that was upgraded, as the connection that it stands for (RFC 8441
// section 5). Reads and writes may be called from one goroutine each; the rest from any, also
// when the exchange is over.
type tunnelConn struct {
	c *session
	// st serves another exchange once the connection is closed: then it is left alone.
	st *serverStream
	// The rest is guarded by the session's mu.
	read, write deadline
	closed      bool
}

// deadline is when reads, or writes, of a tunnel end.
type deadline struct {
	timer  *time.Timer
	passed bool
}

// set sets the deadline, at which whoever waits is woken. The caller holds mu.
func (d *deadline) set(c *session, at time.Time, waiting chan struct{}) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer, d.passed = nil, false
	if at.IsZero() {
		return
	}
	left := time.Until(at)
	if left <= 0 {
		d.passed = true
		wake(waiting)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if d.timer == timer {
			d.passed = true
			wake(waiting)
		}
	})
	d.timer = timer
}

// Tunnel implements proxy.Downstream.
func (st *serverStream) Tunnel() (early []byte, conn net.Conn) {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	st.tunnel = &tunnelConn{c: c, st: st}
	return nil, st.tunnel
}

// Read implements net.Conn.
func (t *tunnelConn) Read(p []byte) (int, error) {
	st, c := t.st, t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for t.closed || st.br == st.bw {
		switch {
		case t.closed:
			return 0, net.ErrClosed
		case t.read.passed:
			return 0, os.ErrDeadlineExceeded
		case st.remoteDone && !st.lost:
			return 0, io.EOF
		case st.lost || st.gone:
			return 0, errClientGone
		}
		c.mu.Unlock()
		<-st.bodyWake
		c.mu.Lock()
	}
	n, err := st.readBody(p)
	st.ex.BytesReceived += int64(n)
	return n, err
}

// Write implements net.Conn.
func (t *tunnelConn) Write(p []byte) (int, error) {
	st, c := t.st, t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case t.closed:
		return 0, net.ErrClosed
	case t.write.passed:
		return 0, os.ErrDeadlineExceeded
	}
	if err := c.send(st, p, false); err != nil {
		return 0, err
	}
	st.ex.BytesSent += int64(len(p))
	c.flushLater()
	return len(p), nil
}

// CloseWrite ends what is sent.
func (t *tunnelConn) CloseWrite() error {
	st, c := t.st, t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	if err := c.send(st, nil, true); err != nil {
		return err
	}
	c.flushLater()
	return nil
}

// Close implements net.Conn. What was not ended is reset, as a closed connection would be.
func (t *tunnelConn) Close() error {
	st, c := t.st, t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	t.closed = true
	t.read.set(c, time.Time{}, nil)
	t.write.set(c, time.Time{}, nil)
	if !st.localDone || !st.remoteDone {
		c.reset(st, codeCancel)
	}
	c.stopWaiting(st)
	c.forget(st)
	c.flushLater()
	return nil
}

// TunnelEnded implements proxy.TunnelEnder. The bytes were counted as they moved.
func (st *serverStream) TunnelEnded(_, _ int64, timedOut bool) {
	if timedOut {
		st.c.options.observe(proxy.ConnTunnelTimeout)
	}
}

// LocalAddr implements net.Conn.
func (t *tunnelConn) LocalAddr() net.Addr { return t.c.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (t *tunnelConn) RemoteAddr() net.Addr { return t.c.conn.RemoteAddr() }

// SetDeadline implements net.Conn.
func (t *tunnelConn) SetDeadline(at time.Time) error {
	t.SetReadDeadline(at)
	return t.SetWriteDeadline(at)
}

// SetReadDeadline implements net.Conn.
func (t *tunnelConn) SetReadDeadline(at time.Time) error {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	t.read.set(c, at, t.st.bodyWake)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (t *tunnelConn) SetWriteDeadline(at time.Time) error {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	t.write.set(c, at, t.st.sendWake)
	return nil
}

var _ proxy.Downstream = (*serverStream)(nil)
