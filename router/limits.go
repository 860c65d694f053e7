package router

import (
	"net/netip"
	"time"
)

// MaxLimits is how many Limits a route may have; further ones are not heeded.
const MaxLimits = 8

// LocalLimit bounds what one client may ask of the routes that share it, as this process
// alone counts. A client is an address of IPv4, or a network of IPv6 (/64): whoever has one
// address of that has all of them.
type LocalLimit struct {
	// Name identifies the counters. Routes whose limits have the same name share them, and
	// they outlive every change of the configuration.
	Name string
	// Requests is how many requests a client may make in each Period; 0 for any number. They
	// are thought of as evenly spread, and Burst is how many the client may be ahead of that.
	Requests int
	Period   time.Duration
	Burst    int
	// Concurrent is how many requests of a client may be in progress; 0 for any number.
	Concurrent int
	// Exempt are clients that are not counted.
	Exempt []netip.Prefix
}

// Interval is the time between two requests that are evenly spread; 0 where there is no rate.
func (l *LocalLimit) Interval() time.Duration {
	if l.Requests <= 0 || l.Period <= 0 {
		return 0
	}
	return max(l.Period/time.Duration(l.Requests), 1)
}

// Exempts tells whether a client is not counted. It allocates nothing.
func (l *LocalLimit) Exempts(client netip.Addr) bool {
	if len(l.Exempt) == 0 || !client.IsValid() {
		return false
	}
	client = client.Unmap().WithZone("")
	for _, p := range l.Exempt {
		if p.Contains(client) {
			return true
		}
	}
	return false
}
