package forward_test

import (
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// contend keeps every processor busy until the test ends, so that goroutines run late and
// several edges of a socket fall together. slice is how long each busy goroutine runs before
// it lets others.
func contend(t testing.TB, slice time.Duration) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !stop.Load() {
				for began := time.Now(); time.Since(began) < slice && !stop.Load(); {
				}
				runtime.Gosched()
			}
		}()
	}
	t.Cleanup(func() { stop.Store(true); wg.Wait() })
}

// A response and the end of its connection may have arrived together: no further edge
// will tell of the end.
func TestEndBehindDataIsSeen(t *testing.T) {
	o := startOrigin(t, func(c *originConn) {
		if _, err := c.head(); err == nil {
			c.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
		}
	})
	g := start(t, toOrigin(o.addr), func(s *setup) { s.quiet = true })
	contend(t, time.Second)
	var wg sync.WaitGroup
	for range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 8 {
				conn, err := net.Dial("tcp", g.addr)
				if err != nil {
					t.Error(err)
					return
				}
				conn.SetDeadline(time.Now().Add(patience))
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				if _, err := io.ReadAll(conn); err != nil {
					t.Errorf("stalled: %v", err)
					conn.Close()
					return
				}
				conn.Close()
			}
		}()
	}
	wg.Wait()
}
