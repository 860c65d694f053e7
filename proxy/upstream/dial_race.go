package upstream

import (
	"context"
	"net"
	"time"
)

// headStart is how long an address is tried before the next is, too (RFC 8305 section 5).
const headStart = 250 * time.Millisecond

// reach makes a connection to an endpoint: to its address, or to the first of those that
// its name stands for that lets it.
func (c *Cluster) reach(ctx context.Context, d *net.Dialer, e *Endpoint) (net.Conn, error) {
	targets := e.targets.Load()
	if targets == nil {
		return c.manager.dial(d, ctx, e.network, e.target)
	}
	return race(ctx, *targets, func(ctx context.Context, address string) (net.Conn, error) {
		return c.manager.dial(d, ctx, e.network, address)
	})
}

type raced struct {
	conn net.Conn
	err  error
}

// race tries addresses, each a head start after the one before, or as soon as that has
// failed. The first connection wins. The error is that of the first address.
func race(ctx context.Context, addresses []string, dial func(context.Context, string) (net.Conn, error)) (net.Conn, error) {
	if len(addresses) == 1 {
		return dial(ctx, addresses[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	results := make(chan raced)
	start := func(address string) {
		conn, err := dial(ctx, address)
		select {
		case results <- raced{conn, err}:
		case <-over:
			if err == nil {
				conn.Close()
			}
		}
	}
	var failure error
	next, running := 0, 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next < len(addresses) || running > 0 {
		select {
		case <-timer.C:
			if next < len(addresses) {
				go start(addresses[next])
				next++
				running++
				timer.Reset(headStart)
			}
		case r := <-results:
			running--
			if r.err == nil {
				return r.conn, nil
			}
			if failure == nil {
				failure = r.err
			}
			timer.Reset(0)
		}
	}
	return nil, failure
}
