package http1

import (
	"net"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// Options are what sessions of a listener have in common. The zero value of every field but
// Engine is usable, see WithDefaults.
type Options struct {
	// Engine serves the exchanges.
	Engine proxy.Handler
	// PortFromAuthority takes the port that a request is for from its authority (a
	// sidecar's plain outbound listener); 80 where it names none.
	PortFromAuthority bool
	Limits            Limits
	Policy            Policy
	Timeouts          Timeouts
	// MinBodyRate is the least average rate, in bytes a second, at which a request body of
	// known length must arrive once it has taken MinBodyGrace, 30 s by default; then 408. 0
	// means 64; negative means no such bound. Bodies that stream in chunks may pause as long as Timeouts.Stream
	// lets them.
	MinBodyRate  int
	MinBodyGrace time.Duration
	// ParkAfter is how long a connection is idle before it is left to the listener's lot, if
	// that has one, so that no goroutine's stack is kept for it: 1 s by default, and never
	// more than 0.1 s where the lot is crowded. The next request costs some microseconds
	// more then. Negative means never.
	ParkAfter time.Duration
	// Pressure, where not nil, says how short of memory the process is. It is asked at each
	// response: from proxy.PressureHigh on, connections are not kept alive.
	Pressure func() proxy.Pressure
	// HTTP2, where not nil, takes over a plaintext connection whose client begins with
	// HTTP/2's preface (RFC 9113 section 3.3). early is what was read of it.
	HTTP2 func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session
	// Observe is told what happens to connections, for metrics; it may be nil.
	Observe func(proxy.ConnEvent)
}

// Timeouts bound how long a client may take. A zero field takes its default, a negative one
// means no bound. They are kept with a precision of a tenth of a second.
type Timeouts struct {
	// Head is for a request's head, from its first byte: 10 s. Then 408.
	Head time.Duration
	// Idle is for the time between requests on a connection: 1 h.
	Idle time.Duration
	// Stream is for the time in which nothing of an exchange moves, in either direction:
	// 300 s. It does not count for upgraded connections.
	Stream time.Duration
	// Tunnel is for the time in which nothing moves through an upgraded connection: 1 h.
	Tunnel time.Duration
}

// WithDefaults returns t with its zero fields filled in.
func (t Timeouts) WithDefaults() Timeouts {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&t.Head, 10 * time.Second}, {&t.Idle, time.Hour}, {&t.Stream, 300 * time.Second}, {&t.Tunnel, time.Hour}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	return t
}

// WithDefaults returns o with its zero fields filled in. Sessions want such Options.
func (o Options) WithDefaults() *Options {
	o.Limits = o.Limits.WithDefaults()
	o.Timeouts = o.Timeouts.WithDefaults()
	if o.MinBodyRate == 0 {
		o.MinBodyRate = 64
	}
	if o.MinBodyGrace == 0 {
		o.MinBodyGrace = 30 * time.Second
	}
	if o.ParkAfter == 0 {
		o.ParkAfter = time.Second
	}
	return &o
}

func (o *Options) observe(e proxy.ConnEvent) {
	if o.Observe != nil {
		o.Observe(e)
	}
}

// watchEvery is how often a session's Check is expected to be called.
const watchEvery = 100 * time.Millisecond
