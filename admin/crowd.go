package admin

import (
	"net"
	"net/http"
	"sync"
)

// maxConnections bounds those of one server. The status server may be open to everybody, and the
// files that a process may open are few and for those whom it serves.
const maxConnections = 256

// crowd keeps the connections of a server from becoming too many: for a new one it closes the one
// that has been idle for longest, or, where none is, that has been at it for longest. To refuse
// the new one would let a crowd that says nothing keep out the kubelet.
type crowd struct {
	mu      sync.Mutex
	visits  map[net.Conn]*visit
	counter uint64
}

// visit is a connection's.
type visit struct {
	busy bool
	// since numbers the moments at which connections came or became idle.
	since uint64
}

// note takes the state of a connection (http.Server.ConnState).
func (c *crowd) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.visits[conn]
	switch {
	case state == http.StateNew:
		if len(c.visits) >= maxConnections {
			c.dismiss()
		}
		c.counter++
		c.visits[conn] = &visit{since: c.counter}
	case v == nil: // it was sent away
	case state == http.StateActive:
		v.busy = true
	case state == http.StateIdle:
		c.counter++
		v.busy, v.since = false, c.counter
	default:
		delete(c.visits, conn)
	}
}

// dismiss closes a connection.
func (c *crowd) dismiss() {
	var leaves net.Conn
	var worst *visit
	for conn, v := range c.visits {
		if worst == nil || worst.busy && !v.busy || worst.busy == v.busy && v.since < worst.since {
			leaves, worst = conn, v
		}
	}
	delete(c.visits, leaves)
	leaves.Close()
}
