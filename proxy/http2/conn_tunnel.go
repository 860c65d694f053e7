package http2

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
	"github.com/sluicegate/sluice/router"
)

// upgrade answers the client's Upgrade with the endpoint's answer to the extended CONNECT
// (RFC 8441 section 5): a 2xx there is a 101 here.
func (s *ConnStream) upgrade(early []byte) {
	h, r := &s.in.head, &s.resp
	*r = proxy.Response{Status: 101, Headers: h.headers, DeclaredLength: -1, Upgrade: s.ex.Request.Upgrade}
	if key, ok := s.ex.Request.Header("sec-websocket-key"); ok {
		r.Headers = append(r.Headers, router.Header{Name: "sec-websocket-accept", Value: websocketAccept(key)})
	}
	relay := s.filter.FilterResponse(s.ex, r)
	h.list.fields = r.Headers[:0]
	if !relay {
		s.fail(proxy.FailRefused, nil)
		return
	}
	s.res.Responded, s.res.Upgraded = true, true
	s.early = early
	if err := s.down.Respond(s.ex, r, nil, true); err != nil {
		s.fail(proxy.FailDownstream, err)
		return
	}
	s.done = true
}

// websocketAccept returns what a server of HTTP/1 answers a Sec-WebSocket-Key with (RFC 6455
// section 4.2.2), which over HTTP/2 nobody does.
func websocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Tunnel implements proxy.Upstream: what the client sends goes in DATA frames.
func (s *ConnStream) Tunnel(down proxy.Downstream, idle time.Duration) {
	early, client := down.Tunnel()
	defer client.Close()
	client.SetDeadline(time.Time{})
	t := &streamTunnel{s: s, client: client, idle: idle}
	t.moved.Store(proxy.Now())
	if idle > 0 {
		t.watch = time.AfterFunc(idle, t.look)
		defer t.watch.Stop()
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		t.send(early)
	}()
	t.receive()
	if t.whole {
		t.outlast(sent)
	}
	// The sender must not wait for a client, or a window, that is not needed any more.
	// It is told before the close, which waits until it has left the socket's callback.
	s.c.mu.Lock()
	s.stopped = true
	s.wakeSender()
	s.c.mu.Unlock()
	client.Close()
	<-sent
	putBuffer(s.early)
	s.early = nil
	if e, ok := down.(proxy.TunnelEnder); ok {
		e.TunnelEnded(t.received, t.sent, t.timedOut.Load())
	}
}

// streamTunnel is the state that both directions share.
type streamTunnel struct {
	s        *ConnStream
	client   net.Conn
	idle     time.Duration
	moved    atomic.Int64
	watch    *time.Timer
	timedOut atomic.Bool
	// received came from the client, for its sender's goroutine; sent went to it.
	received, sent int64
	// whole: the endpoint has ended as it should, and the client may go on.
	whole bool
}

// look ends a tunnel through which nothing has moved for too long.
func (t *streamTunnel) look() {
	left := t.idle - time.Duration(proxy.Now()-t.moved.Load())
	if left > 0 {
		t.watch.Reset(left)
		return
	}
	t.timedOut.Store(true)
	t.client.SetDeadline(time.Unix(1, 0))
	t.s.wakeUp()
}

// send moves what the client sends to the endpoint.
func (t *streamTunnel) send(early []byte) {
	t.received = int64(len(early))
	if len(early) > 0 && !t.s.sendBody(early, false) {
		return
	}
	var failed bool
	var ended bool
	var sock socket.Socket
	sock = socket.New(t.client, func() bool {
		for {
			buf := getBuffer(readBuffer)
			n, again, err := sock.Read(buf)
			if n > 0 {
				t.moved.Store(proxy.Now())
				t.received += int64(n)
				failed = !t.s.sendBody(buf[:n], false)
			}
			putBuffer(buf)
			switch {
			case failed:
				return true
			case err != nil:
				ended, failed = err == io.EOF, err != io.EOF
				return true
			case again:
				return false
			}
		}
	})
	sock.Thorough() // The client's end may come together with its last bytes.
	err := sock.Run()
	if ended && err == nil && !failed && t.s.sendBody(nil, true) {
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || err != nil || failed {
		t.s.aborter.Abort()
	}
}

// receive moves what the endpoint sends to the client, until it ends or either fails.
func (t *streamTunnel) receive() {
	s := t.s
	data := s.early
	s.early = nil
	for {
		if len(data) > 0 {
			t.moved.Store(proxy.Now())
			n := len(data)
			t.sent += int64(n)
			_, err := t.client.Write(data)
			putBuffer(data)
			if err != nil {
				return
			}
			s.open(n)
		}
		s.mu.Lock()
		data = s.in.data
		s.in.data = nil
		ended, failed := s.in.ended, s.in.failure != proxy.FailNone
		s.mu.Unlock()
		switch {
		case s.aborter.Aborted(), failed && len(data) == 0, t.timedOut.Load():
			putBuffer(data)
			return
		case len(data) > 0:
			continue
		case ended:
			t.endClient()
			return
		}
		<-s.wake
	}
}

// outlast waits until the client has ended, too, or the tunnel is to end without that.
func (t *streamTunnel) outlast(sent <-chan struct{}) {
	for !t.s.aborter.Aborted() && !t.timedOut.Load() {
		select {
		case <-sent:
			return
		case <-t.s.wake:
		}
	}
}

// endClient passes the endpoint's end on.
func (t *streamTunnel) endClient() {
	if half, ok := t.client.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		t.whole = true
	}
}
