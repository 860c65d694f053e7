package upstream

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/http2"
)

// defaultStreams bounds the exchanges on a connection where router.HTTP2 does not.
const defaultStreams = 100

// multiplex are an endpoint's connections of HTTP/2, which several exchanges share, and
// those who wait for one.
type multiplex struct {
	mu sync.Mutex
	// conns take exchanges. alive are all that have not closed.
	conns []*shared
	alive map[*shared]struct{}
	// kinds are the connections that are wanted, or made; waiting is how many wait for one.
	kinds   []*wanted
	waiting atomic.Int64
	retired bool
	// eldest is until when the endpoint is taken to know HTTP/1.1 only, of proxy.Now: it
	// agreed to no more.
	eldest atomic.Int64
}

// shared is a connection of HTTP/2.
type shared struct {
	conn *http2.Conn
	id   *identity
	e    *Endpoint
	c    *Cluster
	// requests counts the exchanges so far. counted: it still counts as one of the cluster's
	// connections. The lock of the endpoint's multiplex guards both.
	requests int64
	counted  bool
}

// wanted is a kind of connection that is waited for, or being made.
type wanted struct {
	id *identity
	// list are those who wait, first come, first served.
	list []*streamWaiter
	// dials are in progress: each serves as many of the list as will have room.
	dials int
}

// streamWaiter waits for a stream.
type streamWaiter struct {
	id      *identity
	granted bool
	grant   chan streamGrant
}

// streamGrant is what a streamWaiter gets, once: a stream; a connection of HTTP/1.1, where
// the endpoint agreed to no more; again, where another such is to be made; or an error.
type streamGrant struct {
	stream *http2.ConnStream
	conn   *http1.Conn
	again  bool
	err    error
}

// take takes a stream of the least busy connection that was made for id, or returns nil.
// reused tells that the connection has served others. The caller holds mu.
func (m *multiplex) take(c *Cluster, id *identity) (s *http2.ConnStream, reused bool) {
	limit := streamLimit(c)
	for s == nil {
		x := m.least(c, id, limit)
		if x == nil {
			return nil, false
		}
		// It may have been closed meanwhile: then it has no room any more.
		if s = x.conn.Acquire(limit); s != nil {
			x.requests++
			reused = x.requests > 1
		}
		if most := int64(c.Spec.Pool.MaxRequestsPerConnection); most > 0 && x.requests >= most {
			c.Count(CxMaxRequests)
			m.end(x)
		}
	}
	return s, reused
}

// streamLimit returns how many exchanges may share a connection.
func streamLimit(c *Cluster) uint32 { return cmp.Or(c.Spec.HTTP2.MaxConcurrentStreams, defaultStreams) }

// least returns the connection for id that has the fewest exchanges, and room for one more.
// Those that are too old, or outdated, are ended.
func (m *multiplex) least(c *Cluster, id *identity, limit uint32) *shared {
	var best *shared
	busy := 0
	for i := 0; i < len(m.conns); i++ {
		x := m.conns[i]
		if x.id != id && *x.id != *id {
			continue
		}
		if age := proxy.Now() - x.conn.Opened; age >= c.times.age {
			c.Count(CxMaxDuration)
			m.end(x)
			i--
			continue
		}
		if active, room := x.conn.Load(limit); room > 0 && (best == nil || active < busy) {
			best, busy = x, active
		}
	}
	return best
}

// remove takes a connection out of those that take exchanges. The caller holds mu.
func (m *multiplex) remove(x *shared) {
	if i := slices.Index(m.conns, x); i >= 0 {
		m.conns = slices.Delete(m.conns, i, i+1)
	}
}

// end lets a connection take no more exchanges. The caller holds mu.
func (m *multiplex) end(x *shared) {
	m.remove(x)
	x.conn.Retire()
}

// want returns a kind of connection, which is wanted from now on. The caller holds mu.
func (m *multiplex) want(id *identity) *wanted {
	for _, k := range m.kinds {
		if k.id == id || *k.id == *id {
			return k
		}
	}
	k := &wanted{id: id}
	m.kinds = append(m.kinds, k)
	return k
}

// tidy forgets kinds of connections that nobody wants any more. The caller holds mu.
func (m *multiplex) tidy() {
	m.kinds = slices.DeleteFunc(m.kinds, func(k *wanted) bool { return len(k.list) == 0 && k.dials == 0 })
}

// serve gives streams to those who wait, as far as there are any. The caller holds mu.
func (m *multiplex) serve(c *Cluster) {
	for _, k := range m.kinds {
		for len(k.list) > 0 {
			s, _ := m.take(c, k.id)
			if s == nil {
				break
			}
			m.give(k, streamGrant{stream: s})
		}
	}
	m.tidy()
}

// give grants something to the first of those who wait for a kind. The caller holds mu.
func (m *multiplex) give(k *wanted, g streamGrant) {
	w := k.list[0]
	k.list[0] = nil
	k.list = k.list[1:]
	m.waiting.Add(-1)
	w.granted = true
	w.grant <- g
}

// join has somebody wait. The caller holds mu.
func (m *multiplex) join(w *streamWaiter) {
	k := m.want(w.id)
	k.list = append(k.list, w)
	m.waiting.Add(1)
}

// leave takes out one who waits no longer. The caller holds mu.
func (m *multiplex) leave(w *streamWaiter) {
	k := m.want(w.id)
	at := slices.Index(k.list, w)
	k.list = slices.Delete(k.list, at, at+1)
	m.waiting.Add(-1)
	m.tidy()
}

// giveAll grants to all who wait for id what each grant says of the nth of them. The caller
// holds mu.
func (m *multiplex) giveAll(id *identity, grant func(n int) streamGrant) {
	k := m.want(id)
	for n := 0; len(k.list) > 0; n++ {
		m.give(k, grant(n))
	}
	m.tidy()
}

// dialing counts a connection that is about to be made. The caller holds mu.
func (m *multiplex) dialing(id *identity) { m.want(id).dials++ }

// undial ends the count of a dial. The caller holds mu.
func (m *multiplex) undial(id *identity) {
	m.want(id).dials--
	m.tidy()
}

// short returns for whom another connection is wanted, because more wait for it than those
// that are being made will take; nil for nobody. The caller holds mu.
func (m *multiplex) short(c *Cluster) *identity {
	limit := int(streamLimit(c))
	if most := c.Spec.Pool.MaxRequestsPerConnection; most > 0 {
		limit = min(limit, most)
	}
	for _, k := range m.kinds {
		if len(k.list) > k.dials*limit {
			return k.id
		}
	}
	return nil
}

// idle returns how many connections wait for an exchange.
func (m *multiplex) idle() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.conns {
		if x.conn.State().Active == 0 {
			n++
		}
	}
	return n
}

// retire lets all connections end with the exchanges on them, and takes no more in.
func (m *multiplex) retire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retired = true
	for len(m.conns) > 0 {
		m.end(m.conns[0])
	}
}

// reclaim ends a connection that waits for an exchange, and was not made for id, and tells false
// where there is none. It does not count as one any more: that is left to the caller.
func (m *multiplex) reclaim(id *identity) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.conns {
		if x.counted && (id == nil || *x.id != *id) && x.conn.State().Active == 0 {
			x.counted = false
			m.end(x)
			return true
		}
	}
	return false
}

// sweep ends connections that have been idle or open for too long, or were made on other
// terms, and looks whether the others answer.
func (m *multiplex) sweep(c *Cluster, now int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.conns) - 1; i >= 0; i-- {
		x := m.conns[i]
		s := x.conn.State()
		switch {
		case x.id.terms != c.terms:
		case s.Active == 0 && now-s.IdleSince > c.times.idle:
			c.Count(CxIdleTimeout)
		case now-x.conn.Opened >= c.times.age:
			c.Count(CxMaxDuration)
		default:
			continue
		}
		m.end(x)
	}
	for x := range m.alive {
		x.conn.Check(now, c.Spec.HTTP2.KeepaliveInterval, c.Spec.HTTP2.KeepaliveTimeout)
	}
}
