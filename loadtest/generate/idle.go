package generate

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// idleRate is how many requests a second are made on connections that are idle then.
const idleRate = 5000

// Idle opens so many connections, makes one request on each, which any body answers, and leaves
// them idle until close is called. The error says if any was refused, or closed meanwhile.
func Idle(ctx context.Context, t Target, n int) (closeAll func(), err error) {
	load := Load{Target: t, Connections: n, Rate: idleRate, Want: -1}
	load.Duration = time.Duration(float64(n) / idleRate * float64(time.Second))
	if err := load.check(); err != nil {
		return nil, err
	}
	p, err := newLoop(load, true)
	if err != nil {
		return nil, err
	}
	p.total = n
	if err := p.connect(ctx); err != nil {
		p.close()
		return nil, err
	}
	res, err := p.run(ctx)
	switch open := p.open(); {
	case err != nil:
	case res.Failed > 0:
		err = fmt.Errorf("%d of %d requests failed: %s", res.Failed, n, res.Problem)
	case open < n:
		err = fmt.Errorf("%d of %d connections were closed", n-open, n)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p.close, nil
}

// open counts the connections that the peer has not closed.
func (p *loop) open() (n int) {
	var b [1]byte
	for _, c := range p.conns {
		if c.socket == nil {
			continue
		}
		if got, _, err := unix.Recvfrom(c.socket.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); err == unix.EAGAIN || got > 0 {
			n++
		}
	}
	return n
}
