package role

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// crowd are clients that call as fast as they can, half of them with a connection for each
// request, until nobody listens any more.
type crowd struct {
	address, want string
	// fresh counts connections from before they are opened until their first response: a server
	// that closes has to have patience with those alone.
	fresh, served atomic.Int64
	sync.WaitGroup
}

// call starts so many clients, and waits until they have been served for a while.
func (c *crowd) call(t *testing.T, clients int) {
	t.Helper()
	for i := range clients {
		c.Go(func() {
			for c.connect(t, i%2 == 1) {
			}
		})
	}
	for c.served.Load() < 500 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
}

// settled waits until every client that has connected has been answered.
func (c *crowd) settled(ctx context.Context) {
	for c.fresh.Load() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

// connect calls over one connection, and tells whether to go on with another.
func (c *crowd) connect(t *testing.T, keepAlive bool) bool {
	c.fresh.Add(1)
	first := sync.OnceFunc(func() { c.fresh.Add(-1) })
	defer first()
	conn, err := net.Dial("tcp", c.address)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return false
	}
	if err != nil {
		t.Errorf("a connection is lost: %v", err)
		return false
	}
	defer conn.Close()
	k := &client{conn, bufio.NewReader(conn)}
	for reused := false; ; reused = true {
		err := k.send("/")
		if err == nil {
			_, err = k.r.Peek(1)
		}
		if err != nil && reused {
			return true // it was idle, and may be closed
		}
		if err != nil {
			t.Errorf("a request is lost: %v", err)
			return false
		}
		if body, err := k.receive(); err != nil || body != c.want {
			t.Errorf("a response is lost: %q, %v", body, err)
			return false
		}
		first()
		c.served.Add(1)
		if !keepAlive {
			return true
		}
	}
}
