package http1

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// parkAfter is how long a connection is idle before it is parked: the next request pays for
// that. Where the lot is crowded it is parkSoon, but for a connection that turned out to be
// in use then; and new ones are parked at once.
const (
	parkAfter = time.Second
	parkSoon  = 200 * time.Millisecond
)

// parking is what a serverConn needs to do without a goroutine while its client is silent. The
// serverConn's mu guards it.
type parking struct {
	// lot takes the connection while it is parked; nil where that cannot be.
	lot *socket.Lot
	// resumer is told that the connection is to be served again.
	resumer socket.Resumer
	// wanted: the connection has been idle for long enough to be parked. parked: it is, and
	// no goroutine serves it. lively: it was parked soon, and that was too soon.
	wanted, parked, lively bool
}

// ServeUntilParked is Serve, but it returns true as soon as the connection has nothing in
// progress and waits in the lot. The resumer is then told, once, when the connection is to be
// served again, by another call; that can be before this one has returned.
func (c *serverConn) ServeUntilParked(lot *socket.Lot, r socket.Resumer) (parked bool) {
	c.mu.Lock()
	c.lot, c.resumer = lot, r
	c.mu.Unlock()
	if c.serve() {
		return true
	}
	c.end()
	return false
}

// wantParked interrupts the wait for a request of a connection that has been idle for long
// enough to be parked. The caller holds mu.
func (c *serverConn) wantParked(now int64) {
	if c.lot == nil || c.parked || c.woken {
		return
	}
	patience := parkAfter
	if c.lot.Crowded() && !c.lively {
		patience = parkSoon
	}
	if now-c.since > int64(patience) {
		c.wanted = true
		c.wake()
	}
}

// parkNew tells whether the connection, of which nothing was read yet, is to be parked at once.
// The caller is its goroutine.
func (c *serverConn) parkNew() bool {
	if c.spoken || c.lot == nil || !c.lot.Crowded() {
		return false
	}
	c.mu.Lock()
	c.wanted = true
	c.mu.Unlock()
	c.leave = leavePark
	return true
}

// park leaves the connection to the lot, if that is wanted and there is nothing to do for it.
func (c *serverConn) park() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.wanted {
		return false
	}
	c.wanted = false
	if c.phase != phaseIdle && c.phase != phaseNew || c.r != c.w || c.woken || c.lost || c.draining.Load() {
		return false
	}
	c.rest()
	if c.parked = c.lot.Park(&c.sock, c); !c.parked {
		c.lot = nil
	}
	return c.parked
}

// Wake implements socket.Sleeper.
func (c *serverConn) Wake() {
	c.mu.Lock()
	if c.parked && c.phase == phaseIdle {
		c.lively = proxy.Now()-c.since < int64(parkAfter)
	}
	c.unpark()
	c.mu.Unlock()
}

// unpark has the connection served again if it is parked. The caller holds mu.
func (c *serverConn) unpark() {
	if c.parked {
		c.parked = false
		c.lot.Leave(&c.sock, c)
		c.resumer.Resume()
	}
}
