package upstream

import (
	"math"
	"os"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http2"
)

// knowsHTTP1 tells whether the endpoint is known to agree to nothing but HTTP/1.1.
func (m *multiplex) knowsHTTP1() bool {
	until := m.eldest.Load()
	return until != 0 && proxy.Now() < until
}

// acquireShared acquires a stream of a connection that several exchanges share; or a
// connection of HTTP/1.1, where the endpoint agrees to no more.
func (c *Cluster) acquireShared(e *Endpoint, id *identity, need *Need, within time.Duration, down proxy.Downstream) (up proxy.Upstream, reused bool, err error) {
	m := &e.shared
	m.mu.Lock()
	if m.waiting.Load() == 0 {
		if s, reused := m.take(c, id); s != nil {
			m.mu.Unlock()
			return s, reused, nil
		}
	}
	m.mu.Unlock()
	defer need.pass()
	p, err := c.wait(id, within, down)
	if err != nil {
		return nil, false, err
	}
	defer c.endWait(down)
	g := c.awaitStream(e, p)
	switch {
	case g.err != nil:
		return nil, false, g.err
	case g.stream != nil:
		return g.stream, false, nil
	case g.conn != nil:
		return g.conn, false, nil
	}
	own := *p.id
	own.http1 = true
	p.id = &own
	return c.obtain(e, false, p)
}

// awaitStream waits until another has given back a stream, or a connection was made.
func (c *Cluster) awaitStream(e *Endpoint, p *patience) streamGrant {
	m := &e.shared
	w := &streamWaiter{id: p.id, grant: make(chan streamGrant, 1)}
	m.mu.Lock()
	m.join(w)
	m.serve(c)
	m.mu.Unlock()
	if !c.expand(e, true) {
		c.Count(CxOverflow)
	}
	var expired <-chan time.Time
	if p.until != 0 {
		timer := time.NewTimer(p.left(math.MaxInt64))
		defer timer.Stop()
		expired = timer.C
	}
	err := errGone
	select {
	case g := <-w.grant:
		return g
	case <-p.Done():
	case <-expired:
		err = os.ErrDeadlineExceeded
	}
	m.mu.Lock()
	granted := w.granted
	if !granted {
		m.leave(w)
	}
	m.mu.Unlock()
	if granted {
		switch g := <-w.grant; {
		case g.stream != nil:
			c.giveBackStream(e, g.stream)
		case g.conn != nil:
			c.keep(e, g.conn, 0)
		}
	}
	return streamGrant{err: err}
}

// giveBackStream ends a stream, and serves those who wait for one.
func (c *Cluster) giveBackStream(e *Endpoint, s *http2.ConnStream) {
	s.Release()
	m := &e.shared
	if m.waiting.Load() == 0 || e.waiting.Load() > 0 {
		// A connection that is idle now makes room for one of HTTP/1.1, or elsewhere.
		c.state.freed(e, 1)
	}
	if m.waiting.Load() == 0 {
		return
	}
	current := c.state.current.Load()
	m.mu.Lock()
	m.serve(current)
	m.mu.Unlock()
	current.expand(e, true)
}
