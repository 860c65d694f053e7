package http2

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(connPatience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// waiting returns how many streams wait for the connection's window, or for room.
func (c *Conn) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue.blocked)
}

// A stream that waited for the connection's window, and has nothing to send any more, does not
// get the turn of one that has.
func TestConnTurnIsNotLost(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{}, setting{settingInitialWindowSize, 1 << 20})
	<-c.settled
	// The first stream's client takes nothing of its response for the time being.
	slow := newClient()
	gate := make(chan struct{})
	slow.slow = gate
	first := c.Acquire(100)
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer first.Release()
		first.RoundTrip(withPayload(connExchange("POST", "/"), strings.Repeat("x", defaultWindow+10)), slow, slow)
	}()
	defer func() { close(gate); <-over }()
	for n := 0; n < defaultWindow; {
		n += f.next(frameData).length
	}
	eventually(t, "the first stream to wait", func() bool { return c.waiting() == 1 })
	done := make(chan proxy.Result, 1)
	go func() { done <- do(t, c, withPayload(connExchange("POST", "/"), "body"), newClient()) }()
	eventually(t, "the second stream to wait", func() bool { return c.waiting() == 2 })

	f.write(join(rawHead(1, true, ":status", "200"), appendReset(nil, 1, codeNone)))
	eventually(t, "the first body's end", func() bool { return len(first.pump.done) == 1 })
	f.write(appendWindowUpdate(nil, 0, 100))
	if r := f.next(frameData); r.stream != 3 || r.length != len("body") {
		t.Errorf("%d bytes of stream %d", r.length, r.stream)
	}
	f.write(rawHead(3, true, ":status", "200"))
	if res := <-done; res.Failure != proxy.FailNone {
		t.Errorf("%+v", res)
	}
}

// A tunnel whose endpoint takes no more of the client's bytes ends when nothing moves, and when
// it is aborted; also where the endpoint has ended its own side.
func TestConnTunnelUnread(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ends bool
		idle time.Duration
	}{
		"idle": {false, 200 * time.Millisecond}, "aborted": {false, time.Hour},
		"ended, idle": {true, 200 * time.Millisecond}, "ended, aborted": {true, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := fakePair(t, ConnOptions{}, setting{settingEnableConnectProtocol, 1}, setting{settingInitialWindowSize, 10})
			go func() {
				f.request()
				f.write(rawHead(1, false, ":status", "200"))
				f.write(rawData(1, test.ends, "bye"))
			}()
			ex := connExchange("GET", "/ws")
			ex.Request.Upgrade = "websocket"
			down := newClient()
			near, far := tcpPair(t)
			down.tunnel = far
			s := c.Acquire(1)
			down.Attach(s.Aborter())
			if res := s.RoundTrip(ex, down, down); !res.Upgraded {
				t.Fatalf("%+v", res)
			}
			near.Write(make([]byte, 100))
			over := make(chan struct{})
			go func() { defer close(over); s.Tunnel(down, test.idle) }()
			if _, err := io.ReadFull(near, make([]byte, len("bye"))); err != nil {
				t.Error(err)
			}
			if test.ends {
				if n, err := near.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("%d bytes, %v", n, err)
				}
			}
			eventually(t, "the window to be used up", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return s.window == 0
			})
			if test.idle == time.Hour {
				down.leave()
			}
			select {
			case <-over:
			case <-time.After(connPatience):
				t.Fatal("the tunnel goes on")
			}
			s.Release()
		})
	}
}

// A connection whose numbers are used up ends with its last exchange, so that another can take
// its place.
func TestConnNumbersEnd(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	c, f := fakePair(t, ConnOptions{Changed: func(c *Conn) {
		if c.State().Closed {
			close(closed)
		}
	}})
	<-c.settled
	c.mu.Lock()
	c.next = lastStream - 2
	c.mu.Unlock()
	for _, id := range []uint32{lastStream - 2, lastStream} {
		go func() {
			if r := f.request(); r.stream != id {
				t.Errorf("stream %d, want %d", r.stream, id)
			}
			f.write(rawHead(id, true, ":status", "200"))
		}()
		if res := do(t, c, connExchange("GET", "/"), newClient()); res.Failure != proxy.FailNone {
			t.Fatalf("%+v", res)
		}
	}
	if c.Acquire(100) != nil {
		t.Error("it takes another")
	}
	select {
	case <-closed:
	case <-time.After(connPatience):
		t.Error("it stays")
	}
}
