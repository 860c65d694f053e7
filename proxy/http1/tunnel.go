package http1

import (
	"io"
	"net"
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
	// The server's watcher and drain have no say any more; the deadlines they may have
	// set have. Nobody sets another but to end the tunnel.
	client.SetDeadline(time.Time{})
	c.conn.SetDeadline(time.Time{})
	if c.Aborted() {
		return
	}
	t := &tunnel{client: client, upstream: c.conn, idle: idle}
	t.watch()
	defer t.end()
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
	client, upstream net.Conn
	idle             time.Duration
	moved            atomic.Int64
	// timedOut: it ends because nothing moved for as long as idle.
	timedOut atomic.Bool

	mu    sync.Mutex
	timer *time.Timer
	// over: the connections are not the tunnel's any more.
	over bool
}

// watch ends the tunnel when nothing has moved for too long.
func (t *tunnel) watch() {
	t.moved.Store(proxy.Now())
	if t.idle <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(t.idle, t.look)
}

// look interrupts whoever waits in a tunnel that has been idle: for bytes, or for a side to take
// them.
func (t *tunnel) look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	if left := t.idle - time.Duration(proxy.Now()-t.moved.Load()); left > 0 {
		t.timer.Reset(left)
		return
	}
	t.timedOut.Store(true)
	past := time.Unix(1, 0)
	t.client.SetDeadline(past)
	t.upstream.SetDeadline(past)
}

// end ends the watch.
func (t *tunnel) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// copy moves bytes from one side to the other until the end, which it passes on. It returns
// how many.
func (t *tunnel) copy(to, from net.Conn) (moved int64) {
	var s socket.Socket
	var failed error
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
			if err != nil && err != io.EOF {
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
	s.Thorough()
	if err := s.Run(); err != nil || failed != nil {
		// The other direction must not wait for a side that is gone.
		to.Close()
		from.Close()
		return moved
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	} else {
		to.Close()
	}
	return moved
}
