package http1

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// parkSoon is how long a connection is idle before it is parked where the lot is crowded, but
// for one that turned out to be in use then; and new ones, and those that come out of the lot for
// a request, are parked at once.
const parkSoon = 100 * time.Millisecond

// parking is what a serverConn needs to do without a goroutine while its client is silent. The
// serverConn's mu guards it.
type parking struct {
	// lot takes the connection while it is parked; nil where that cannot be.
	lot *socket.Lot
	// resumer is told that the connection is to be served again.
	resumer socket.Resumer
	// brief: the connection came out of the lot for a request, and may go back behind it. It
	// belongs to the goroutine.
	brief bool
	// wanted: the connection has been idle for long enough to be parked. parked: it is, and
	// no goroutine serves it. lively: it was parked soon, and that was too soon.
	wanted, parked, lively bool
}

// ServeUntilParked is Serve, but it returns true as soon as the connection has nothing in
// progress and waits in the lot. The resumer is then told, once, when the connection is to be
// served again, by another call; that can be before this one has returned.
func (c *serverConn) ServeUntilParked(lot *socket.Lot, r socket.Resumer) (parked bool) {
	if c.options.ParkAfter < 0 {
		lot = nil
	}
	c.mu.Lock()
	c.lot, c.resumer = lot, r
	c.brief = !c.lively
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
	patience := c.options.ParkAfter
	if c.lot.Crowded() && !c.lively {
		patience = min(patience, parkSoon)
	}
	if now-c.since > int64(patience) {
		c.wanted = true
		c.wake()
	}
}

// leaves tells whether the connection, which is about to wait, is to be parked at once. The
// caller is its goroutine.
func (c *serverConn) leaves() bool {
	if !c.brief || c.r != c.w || c.lot == nil || !c.lot.Crowded() || c.draining.Load() {
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
		c.lively = proxy.Now()-c.since < int64(c.options.ParkAfter)
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
