package http2

import (
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
