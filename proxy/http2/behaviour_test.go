package http2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// TestSmallBodiesAreWaitedFor: a body that is announced to be small comes with its request,
// so that it can be sent again; one that does not come is not waited for long.
func TestSmallBodiesAreWaitedFor(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 100)
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		begun <- struct{}{}
		describe(ex, down)
	})})
	p := s.greet()
	for id := uint32(3); ; id += 2 {
		began := time.Now()
		p.headers(id, false, with(post, "content-length", "6")...)
		p.WriteData(id, false, []byte("abc"))
		p.WritePing(false, [8]byte{1}) // Its answer tells that the rest was read.
		for {
			f, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if f.Header().Type == http2.FramePing {
				break
			}
		}
		p.WriteData(id, true, []byte("def"))
		a := p.await(id)
		<-begun
		if time.Since(began) >= smallBodyWait && id < 20 {
			continue // The machine stood still, and the rest may have come too late.
		}
		if a.headers["x-buffered"] != "true" || !bytes.HasSuffix(a.body, []byte("\n\nabcdef")) {
			t.Errorf("%s %s %q", a, a.headers, a.body)
		}
		break
	}
	p.headers(101, false, with(post, "content-length", "6")...)
	p.WriteData(101, false, []byte("abc"))
	<-begun
	p.WriteData(101, true, []byte("def"))
	if a := p.await(101); a.headers["x-buffered"] != "false" || !bytes.HasSuffix(a.body, []byte("\n\nabcdef")) {
		t.Errorf("%s %s %q", a, a.headers, a.body)
	}
}

// TestTrailers: those of a request are kept where they may be, and asked for.
func TestTrailers(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	p := s.greet()
	for i, tc := range []struct {
		fields []string
		want   string
	}{
		{with(post, "te", "trailers"), "trailer x-sum: 1\n\nbody"},
		{with(post, "trailer", "x-sum"), "trailer x-sum: 1\n\nbody"},
		{post, "/\n\nbody"},
	} {
		id := uint32(2*i + 1)
		p.headers(id, false, tc.fields...)
		p.WriteData(id, false, []byte("body"))
		p.headers(id, true, "x-sum", "1", "content-length", "7", "host", "other", "authorization", "x", "x-forwarded-for", "1.2.3.4")
		if a := p.await(id); !strings.HasSuffix(string(a.body), tc.want) {
			t.Errorf("%s %q, want %q", a, a.body, tc.want)
		}
	}
}

// TestTrailersAreTheirRequests: what one client has sent behind its body is in no request of another.
func TestTrailersAreTheirRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	one, other := s.greet(), s.greet()
	for id := uint32(1); id < 100; id += 2 {
		one.headers(id, false, with(post, "te", "trailers")...)
		one.headers(id, true, "x-session", "of the one")
		one.await(id)
		other.headers(id, true, with(post, "te", "trailers")...)
		if a := other.await(id); strings.Contains(string(a.body), "x-session") {
			t.Fatalf("the other's request: %q", a.body)
		}
	}
}

// TestCookieCrumbs are joined in their place.
func TestCookieCrumbs(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	p := s.greet()
	p.headers(1, true, with(get, "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3", "cookie", "d=4")...)
	if a := p.await(1); !strings.Contains(string(a.body), "cookie: a=1; b=2; c=3; d=4\nx: y\n") {
		t.Errorf("%s %q", a, a.body)
	}
}

// TestRewind: what was kept of a body can be read again, what was not cannot.
func TestRewind(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		down.KeepBody()
		first, err := readAll(down)
		down.CloseBody()
		if !down.Rewind() {
			respond(ex, down, 200, "cannot")
			return
		}
		second, err2 := readAll(down)
		respond(ex, down, 200, fmt.Sprint(err, err2, string(first) == string(second), len(second)))
	})})
	p := s.greet()
	p.headers(1, false, post...)
	for range 4 {
		p.WriteData(1, false, make([]byte, 10000))
	}
	p.WriteData(1, true, nil)
	if a := p.await(1); string(a.body) != "<nil> <nil> true 40000" {
		t.Errorf("%s %q", a, a.body)
	}
	p.headers(3, false, post...)
	for range 20 {
		p.WriteData(3, false, make([]byte, 3000))
	}
	sent := 20 * 3000
	for sent < 90000 {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if w, ok := f.(*http2.WindowUpdateFrame); ok && w.StreamID == 3 {
			p.WriteData(3, false, make([]byte, 16000))
			sent += 16000
		}
	}
	p.WriteData(3, true, nil)
	if a := p.await(3); string(a.body) != "cannot" {
		t.Errorf("%s %q", a, a.body)
	}
}

// TestClientLeaves: a reset, or the end of the connection, ends what the exchange waits for.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(p *peer){
		"reset":  func(p *peer) { p.WriteRSTStream(1, http2.ErrCodeCancel) },
		"closed": func(p *peer) { p.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := make(chan bool, 1)
			began := make(chan struct{})
			s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
				close(began)
				wait(ex, down)
				lost, timeout := down.Lost()
				over <- lost && !timeout
			})})
			p := s.greet()
			p.headers(1, true, get...)
			<-began
			leave(p)
			select {
			case ok := <-over:
				if !ok {
					t.Error("not told that the client is lost")
				}
			case <-time.After(patience):
				t.Error("the exchange goes on")
			}
		})
	}
}

// TestEarlyAnswer: an answer that does not wait for its request's body is whole, and only
// then the rest is refused.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) { respond(ex, down, 413, "no") })})
	p := s.greet()
	p.headers(1, false, with(post, "content-length", "1000000")...)
	if a := p.await(1); a.status != "413" || string(a.body) != "no" || a.wasReset {
		t.Fatal(a)
	}
	for range 4 {
		p.WriteData(1, false, make([]byte, 16<<10))
	}
	if a := p.await(1); !a.wasReset || a.reset != http2.ErrCodeNo {
		t.Fatal(a)
	}
	p.headers(3, false, with(post, "content-length", "10")...)
	p.WriteData(3, true, make([]byte, 10))
	if a := p.await(3); a.status != "413" {
		t.Fatal(a)
	}
}

// TestDrain: the end is announced; what is sent before the client knows is served, what is in
// progress ends, and then the connection does.
func TestDrain(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		<-finish
		respond(ex, down, 200, "ok")
	})})
	// A client that says nothing to the announcement is not waited for long.
	s.unwatched.Store(true)
	p := s.greet()
	p.headers(1, true, get...)
	p.WritePing(false, [8]byte{1})
	stage := ""
	for stage != "pong goaway(2147483647) ping " {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err, stage)
		}
		switch f := f.(type) {
		case *http2.PingFrame:
			if f.IsAck() {
				stage += "pong "
				s.each(func(one proxy.Session) { one.CloseIdle(); one.CloseIdle() })
				continue
			}
			stage += "ping "
			p.headers(3, true, get...)
			p.WritePing(true, f.Data)
		case *http2.GoAwayFrame:
			stage += fmt.Sprintf("goaway(%d) ", f.LastStreamID)
		}
	}
	for {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			if g.LastStreamID != 3 || g.ErrCode != http2.ErrCodeNo {
				t.Fatal(g)
			}
			break
		}
	}
	p.headers(5, true, get...)
	close(finish)
	done := map[uint32]bool{}
	for {
		f, err := p.ReadFrame()
		if err != nil {
			break
		}
		if d, ok := f.(*http2.DataFrame); ok && d.StreamEnded() {
			done[d.StreamID] = true
		}
	}
	if !done[1] || !done[3] || done[5] {
		t.Errorf("served: %v", done)
	}
}

// TestPressure: a client is sent elsewhere when memory is short.
func TestPressure(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Pressure: func() proxy.Pressure { return proxy.PressureHigh }})
	p := s.greet()
	p.headers(1, true, get...)
	if a := p.await(1); a.status != "200" {
		t.Error(a)
	}
	p.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := p.ReadFrame(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestExtendedConnect: a WebSocket over a stream, both ways, with its ends.
func TestExtendedConnect(t *testing.T) {
	t.Parallel()
	waited := make(chan struct{})
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		key, _ := ex.Request.Header("sec-websocket-key")
		if ex.Request.Method != "GET" || ex.Request.Upgrade != "websocket" || ex.Request.Connection != "Upgrade" || len(key) != 24 {
			respond(ex, down, 500, "")
			return
		}
		if ex.Request.Path == "/refused" {
			respond(ex, down, 403, "no")
			return
		}
		if ex.Request.Path == "/200" {
			respond(ex, down, 200, "no tunnel")
			return
		}
		down.Respond(ex, &proxy.Response{Status: 101, Upgrade: "websocket", Headers: []router.Header{{Name: "sec-websocket-accept", Value: "x"}}}, nil, true)
		early, conn := down.Tunnel()
		defer conn.Close()
		conn.SetDeadline(time.Time{})
		conn.Write(early)
		conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); err != nil && !os.IsTimeout(err) {
			conn.Write([]byte(err.Error()))
		}
		close(waited)
		conn.SetReadDeadline(time.Time{})
		io.Copy(conn, onlyReader{conn})
		conn.(interface{ CloseWrite() error }).CloseWrite()
	})})
	p := s.greet()
	connect := func(path string) []string {
		return []string{":method", "CONNECT", ":scheme", "https", ":authority", "host.test", ":path", path, ":protocol", "websocket", "sec-websocket-version", "13"}
	}
	p.headers(1, false, connect("/")...)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		<-waited
		p.WriteData(1, false, []byte("hello"))
		for range 10 {
			p.WriteData(1, false, make([]byte, 5000))
		}
		p.WriteData(1, true, []byte("bye"))
	}()
	a := p.await(1)
	<-sent
	if a.status != "200" || a.headers["sec-websocket-accept"] != "" || a.wasReset {
		t.Fatal(a, a.headers, a.reset, string(a.body))
	}
	if len(a.body) != 50008 || !bytes.HasPrefix(a.body, []byte("hello")) || !bytes.HasSuffix(a.body, []byte("bye")) {
		t.Errorf("%d bytes came back", len(a.body))
	}
	p.headers(3, false, connect("/refused")...)
	if a := p.await(3); a.status != "403" || string(a.body) != "no" {
		t.Error(a)
	}
	p.headers(5, false, connect("/200")...)
	if a := p.await(5); a.status != "502" || len(a.body) != 0 {
		t.Error(a)
	}
}

type onlyReader struct{ net.Conn }

func (r onlyReader) Read(p []byte) (int, error) { return r.Conn.Read(p) }

// TestTunnelOutlived: whoever still holds a tunnel's connection when its exchange is over, as
// a timer may, comes to nothing by it.
func TestTunnelOutlived(t *testing.T) {
	t.Parallel()
	tunnels := make(chan net.Conn, 1)
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		if ex.Request.Upgrade == "" {
			respond(ex, down, 200, "")
			return
		}
		down.Respond(ex, &proxy.Response{Status: 101, Upgrade: "websocket"}, nil, true)
		_, conn := down.Tunnel()
		conn.Close()
		tunnels <- conn
	})})
	p := s.greet()
	p.headers(1, false, ":method", "CONNECT", ":scheme", "https", ":authority", "host.test", ":path", "/", ":protocol", "websocket", "sec-websocket-version", "13")
	conn := <-tunnels
	p.headers(3, true, get...)
	p.await(3)
	s.each(func(one proxy.Session) {
		c := one.(*session)
		eventually(t, "the exchanges to end", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.workers.busy == 0
		})
	})
	if err := conn.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetDeadline: %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("CloseWrite: %v", err)
	}
	if conn.RemoteAddr() == nil || conn.LocalAddr() == nil || conn.Close() == nil {
		t.Error("the connection's own are lost")
	}
}
