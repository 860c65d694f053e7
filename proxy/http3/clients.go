package http3

import (
	"net/netip"
	"sync"
)

// clients counts connections by the address of their client, as far as these are bounded.
type clients struct {
	mu   sync.Mutex
	open map[netip.Addr]int
}

// enter counts a connection, unless its client has as many as it may have; 0 is any number.
func (c *clients) enter(client netip.Addr, most int) bool {
	if most <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[client] >= most {
		return false
	}
	if c.open == nil {
		c.open = make(map[netip.Addr]int)
	}
	c.open[client]++
	return true
}

// leave takes a connection back.
func (c *clients) leave(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[client] > 1 {
		c.open[client]--
	} else {
		delete(c.open, client)
	}
}
