package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// Tunnel moves bytes both ways between the client and the upstream of an upgraded
// exchange, until both have ended, either fails, or nothing has moved for idle (0 for no
// bound). It closes both connections. No buffer is held while nothing moves.
func (c *Conn) Tunnel(down proxy.Downstream, idle time.Duration) {
	early, client := down.Tunnel()
	defer client.Close()
	defer c.conn.Close()
	t := &tunnel{idle: idle, aborted: c.Aborted}
	t.moved.Store(proxy.Now())
	// The server's watcher and drain have no say any more; the deadlines they may have
	// set have.
	client.SetDeadline(time.Time{})
	c.conn.SetDeadline(time.Time{})
	if c.Aborted() {
		return
	}
	late := c.in[c.r:c.w]
	received, sent := int64(len(early)), int64(len(late))
	if _, err := c.conn.Write(early); err != nil {
		return
	}
	if _, err := client.Write(late); err != nil {
		return
	}
	if c.in != nil {
		putBuffer(c.in)
		c.in, c.r, c.w = nil, 0, 0
	}
	var both sync.WaitGroup
	both.Add(1)
	go func() {
		defer both.Done()
		received += t.copy(c.conn, client)
	}()
	sent += t.copy(client, c.conn)
	both.Wait()
	if e, ok := down.(proxy.TunnelEnder); ok {
		e.TunnelEnded(received, sent, t.timedOut.Load())
	}
}

// TunnelEnded implements proxy.TunnelEnder.
func (st *stream) TunnelEnded(received, sent int64, timedOut bool) {
	st.ex.BytesReceived += received
	st.ex.BytesSent += sent
	if timedOut {
		st.c.options.observe(proxy.ConnTunnelTimeout)
	}
}

// tunnel is the state that both directions share.
type tunnel struct {
	idle    time.Duration
	moved   atomic.Int64
	aborted func() bool
	// timedOut: it ends because nothing moved for as long as idle.
	timedOut atomic.Bool
}

// copy moves bytes from one side to the other until the end, which it passes on. It returns
// how many.
func (t *tunnel) copy(to, from net.Conn) (moved int64) {
	var s socket.Socket
	var failed, waited error
	w := socket.NewWriter(to)
	s = socket.New(from, func() bool {
		for {
			buf := getLarge()
			n, again, err := s.Read(buf)
			if n > 0 {
				t.moved.Store(proxy.Now())
				_, failed = w.Write(buf[:n])
				moved += int64(n)
			}
			putBuffer(buf)
			switch {
			case err == nil, err == io.EOF:
			case errors.Is(err, os.ErrDeadlineExceeded):
				waited = err // ordinary reads say here what the poller says to Run
			default:
				failed = err
			}
			switch {
			case failed != nil, err != nil:
				return true
			case again:
				return false
			}
		}
	})
	for {
		t.arm(from)
		waited = nil
		err := s.Run()
		if err == nil {
			err = waited
		}
		if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && !t.expired() && !t.aborted() {
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !t.aborted() {
			t.timedOut.Store(true)
		}
		if err != nil || failed != nil {
			// The other direction must not wait for a side that is gone.
			to.Close()
			from.Close()
			return moved
		}
		break
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	} else {
		to.Close()
	}
	return moved
}

// arm sets the deadline at which a direction looks whether the tunnel has been idle.
func (t *tunnel) arm(from net.Conn) {
	if t.idle > 0 {
		left := t.idle - time.Duration(proxy.Now()-t.moved.Load())
		from.SetReadDeadline(time.Now().Add(max(left, time.Millisecond)))
	}
}

func (t *tunnel) expired() bool {
	return t.idle > 0 && proxy.Now()-t.moved.Load() >= int64(t.idle)
}
