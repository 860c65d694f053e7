package apiserver

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// road is a way to the API server that can be closed, so that a gateway cannot reach it
// while the test can.
type road struct {
	port, to int

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
}

// newRoad opens a way to a server.
func newRoad(t testing.TB, s *server) *road {
	t.Helper()
	r := &road{port: freePort(), to: s.port, conns: map[net.Conn]bool{}}
	r.open(t)
	t.Cleanup(r.close)
	return r
}

func (r *road) url() string { return fmt.Sprintf("https://127.0.0.1:%d", r.port) }

func (r *road) open(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.listener = l
	r.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.carry(c)
		}
	}()
}

// close refuses new connections and cuts those that are open.
func (r *road) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener.Close()
	for c := range r.conns {
		c.Close()
	}
	clear(r.conns)
}

// carry passes bytes both ways until either side ends.
func (r *road) carry(down net.Conn) {
	up, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.to))
	if err != nil {
		down.Close()
		return
	}
	r.mu.Lock()
	r.conns[down], r.conns[up] = true, true
	r.mu.Unlock()
	go func() {
		io.Copy(up, down)
		up.Close()
	}()
	io.Copy(down, up)
	down.Close()
}
