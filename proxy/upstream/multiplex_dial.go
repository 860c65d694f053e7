package upstream

import (
	"slices"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/http2"
)

// eldestFor is how long an endpoint that did not agree to HTTP/2 is not asked again.
const eldestFor = int64(time.Minute)

// expand makes the connections that are wanted by those who wait, as far as
// Pool.MaxConnections lets it: idle ones that cannot serve them are closed for their sake.
// reclaims allows that for other endpoints; the caller must then not hold the state's lock. It
// tells false where there was no room.
func (c *Cluster) expand(e *Endpoint, reclaims bool) bool {
	m, s := &e.shared, c.state
	for {
		m.mu.Lock()
		id := m.short(c)
		if id != nil {
			m.dialing(id)
		}
		m.mu.Unlock()
		if id == nil {
			return true
		}
		for !s.room(e, int64(c.Spec.Pool.MaxConnections)) && (s.makeRoom(e, id) || reclaims && s.reclaim(e)) {
		}
		switch {
		case s.enter(c, e, id):
			go c.dialShared(e, id)
		// Whoever left one idle in between took those who wait for served, by this dial.
		case !s.makeRoom(e, id):
			return false
		}
	}
}

// enter reserves room for a dial that counts as one to e for id. Where there is none, the dial
// counts no more, e is dealt with when there is room again, and enter tells false.
func (s *clusterState) enter(c *Cluster, e *Endpoint, id *identity) bool {
	limit := int64(c.Spec.Pool.MaxConnections)
	if limit <= 0 {
		s.reserve(e)
		return true
	}
	s.queue.starving.Add(1)
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	if s.room(e, limit) {
		s.queue.starving.Add(-1)
		s.reserve(e)
		return true
	}
	// Under the queue's lock: feed must not find e before the dial is out of the count, or it
	// takes those who wait for served, and nobody looks after them any more.
	e.shared.mu.Lock()
	e.shared.undial(id)
	e.shared.mu.Unlock()
	if slices.Contains(s.queue.starved, e) {
		s.queue.starving.Add(-1)
	} else {
		s.queue.starved = append(s.queue.starved, e)
	}
	return false
}

// feed lets endpoints have connections for which there was no room before.
func (s *clusterState) feed() {
	s.queue.mu.Lock()
	starved := s.queue.starved
	s.queue.starved = nil
	s.queue.starving.Add(-int64(len(starved)))
	s.queue.mu.Unlock()
	for _, e := range starved {
		s.current.Load().expand(e, false)
	}
}

// dialShared makes a connection for all who wait for its kind, for which room is reserved. It
// belongs to none of them: those who leave do not end it.
func (c *Cluster) dialShared(e *Endpoint, id *identity) {
	m := &e.shared
	p := patience{aborter: proxy.NewWaiter(), id: id}
	conn, protocol, err := c.connect(&p, e)
	switch {
	case err != nil:
		err = c.missed(e, &p, err)
		m.mu.Lock()
		m.undial(id)
		m.giveAll(id, func(int) streamGrant { return streamGrant{err: err} })
		m.mu.Unlock()
		return
	case protocol == protocolHTTP2:
		c.Count(CxTotal)
		e.dialed.Add(1)
		x := &shared{id: id, e: e, c: c, counted: true}
		made := http2.NewConn(conn, http2.ConnOptions{Limits: c.manager.options.Limits, Changed: x.changed})
		m.mu.Lock()
		x.conn, made.For = made, x
		m.undial(id)
		if !made.State().Closed {
			m.conns = append(m.conns, x)
			if m.alive == nil {
				m.alive = make(map[*shared]struct{})
			}
			m.alive[x] = struct{}{}
		}
		m.serve(c.state.current.Load())
		if m.retired {
			m.end(x)
		}
		m.mu.Unlock()
		x.changed(made)
		return
	}
	// The endpoint agreed to HTTP/1.1 only. Everybody is to have a connection of their own.
	c.Count(CxTotal)
	e.dialed.Add(1)
	m.eldest.Store(proxy.Now() + eldestFor)
	own := *id
	own.http1 = true
	made := http1.NewConn(conn, c.manager.options.Limits)
	made.Opened, made.For = proxy.Now(), &own
	m.mu.Lock()
	m.undial(id)
	taken := false
	m.giveAll(id, func(n int) streamGrant {
		if n > 0 {
			return streamGrant{again: true}
		}
		taken = true
		return streamGrant{conn: made}
	})
	m.mu.Unlock()
	if !taken {
		c.keep(e, made, 0)
	}
}

// changed is called when a connection may take more exchanges than before, none any more, or
// has closed.
func (x *shared) changed(conn *http2.Conn) {
	state := conn.State()
	m, s := &x.e.shared, x.c.state
	current := s.current.Load()
	m.mu.Lock()
	if state.Ending {
		m.conns = slices.DeleteFunc(m.conns, func(other *shared) bool { return other == x })
	}
	over := state.Closed && x.counted
	if state.Closed {
		x.counted = false
		delete(m.alive, x)
	}
	m.serve(current)
	m.mu.Unlock()
	if over {
		s.unreserve(x.e)
		s.freed(x.e, 1)
	}
	current.expand(x.e, true)
}
