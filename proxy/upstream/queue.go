package upstream

import (
	"container/list"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// queue is where requests wait for a connection of a cluster that may have no more of
// them. waiting is their number, and may be read without the lock: whoever frees something
// first frees it and then reads waiting, and whoever waits first counts as waiting and then
// looks for what is free, so that one of the two sees the other.
type queue struct {
	waiting atomic.Int64
	mu      sync.Mutex
	list    list.List
	// starved are endpoints that want another connection of HTTP/2, for which there is no
	// room; starving is their number, and is to be read as waiting is.
	starved  []*Endpoint
	starving atomic.Int64
}

// waiter is a request in the queue. grant carries what it gets, once: a connection, or nil
// for the room to make one.
type waiter struct {
	endpoint *Endpoint
	id       *identity
	fresh    bool
	granted  bool
	grant    chan *http1.Conn
}

// reserve counts a connection that is about to be made.
func (s *clusterState) reserve(e *Endpoint) {
	e.open.Add(1)
	s.counters[CxActive].Add(1)
}

// unreserve ends the count of a connection.
func (s *clusterState) unreserve(e *Endpoint) {
	e.open.Add(-1)
	s.counters[CxActive].Add(-1)
}

// drop closes a connection, and leaves it to the caller to say that there is room now.
func (s *clusterState) drop(e *Endpoint, conn *http1.Conn) {
	conn.Close()
	s.unreserve(e)
}

// discard closes a connection.
func (s *clusterState) discard(e *Endpoint, conn *http1.Conn) {
	s.drop(e, conn)
	s.freed(e, 1)
}

// freed gives to those who wait what became free: n connections of e that are idle, or
// that there is room for again.
func (s *clusterState) freed(e *Endpoint, n int) {
	if s.queue.waiting.Load() > 0 {
		s.queue.mu.Lock()
		s.serve(e, n)
		s.queue.mu.Unlock()
	}
	if s.queue.starving.Load() > 0 {
		s.feed()
		if e != nil && s.yield(e) {
			s.freed(e, 1)
		}
	}
}

// yield closes a connection that e leaves idle where other endpoints want another one of HTTP/2,
// and tells false where there is none, or that would make no room.
func (s *clusterState) yield(e *Endpoint) bool {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	wanted := slices.ContainsFunc(s.queue.starved, func(other *Endpoint) bool { return other != e })
	return wanted && s.spare(e)
}

// spare closes an idle connection of e, if that makes room for one of another endpoint, and tells
// whether it did.
func (s *clusterState) spare(e *Endpoint) bool {
	return !over(s.counters[CxActive].Load(), s.current.Load().Spec.Pool.MaxConnections) && s.closeIdle(e)
}

// closeIdle closes an idle connection of e, and tells false where there is none.
func (s *clusterState) closeIdle(e *Endpoint) bool {
	if conn := e.pop(nil); conn != nil {
		s.drop(e, conn)
		return true
	}
	if e.shared.reclaim(nil) {
		s.unreserve(e)
		return true
	}
	return false
}

// serve gives up to n things to those who wait, first come, first served: idle connections
// of e, and room. The caller holds the queue's lock.
func (s *clusterState) serve(e *Endpoint, n int) {
	current := s.current.Load()
	limit := int64(current.Spec.Pool.MaxConnections)
	for at := s.queue.list.Front(); at != nil && n > 0; {
		w := at.Value.(*waiter)
		next := at.Next()
		var conn *http1.Conn
		if w.endpoint == e {
			for conn = e.pop(w.id); conn != nil && !current.good(conn, proxy.Now(), quietFor); conn = e.pop(w.id) {
				s.drop(e, conn)
				n++
			}
			if conn != nil && w.fresh {
				s.drop(e, conn)
				conn = nil
			}
			if conn == nil && !s.room(e, limit) {
				s.makeRoom(e, w.id)
			}
		}
		if conn != nil || s.room(w.endpoint, limit) {
			s.grant(at, conn)
			n--
		}
		at = next
	}
	// What e still leaves idle is of use to those who wait for other endpoints only: they looked
	// for such a connection when they came, and found none.
	for e != nil && n > 0 && s.queue.list.Len() > 0 && s.spare(e) {
		s.grant(s.queue.list.Front(), nil)
		n--
	}
}

// grant gives one who waits a connection, or, where that is nil, room, which is reserved. The
// caller holds the queue's lock.
func (s *clusterState) grant(at *list.Element, conn *http1.Conn) {
	w := at.Value.(*waiter)
	if conn == nil {
		s.reserve(w.endpoint)
	}
	s.leave(at, w)
	w.granted = true
	w.grant <- conn
}

// room tells whether another connection to e may be made. An endpoint may always have one:
// else its requests would wait for something that never comes.
func (s *clusterState) room(e *Endpoint, limit int64) bool {
	return limit <= 0 || s.counters[CxActive].Load() < limit || e.open.Load() == 0
}

// leave takes a waiter out of the queue, whose lock the caller holds.
func (s *clusterState) leave(at *list.Element, w *waiter) {
	s.queue.list.Remove(at)
	s.queue.waiting.Add(-1)
	w.endpoint.waiting.Add(-1)
}

// admit lets in those for whom there is room now that the limit may have changed.
func (s *clusterState) admit() { s.freed(nil, math.MaxInt) }

// queue waits until a connection is released, which it returns, or there is room for a new
// one, which is then reserved: nil.
func (c *Cluster) queue(e *Endpoint, fresh bool, p *patience) (*http1.Conn, error) {
	s := c.state
	w := &waiter{endpoint: e, id: p.id, fresh: fresh, grant: make(chan *http1.Conn, 1)}
	for !s.room(e, int64(c.Spec.Pool.MaxConnections)) && (s.makeRoom(e, p.id) || s.reclaim(e)) {
	}
	s.queue.mu.Lock()
	at := s.queue.list.PushBack(w)
	s.queue.waiting.Add(1)
	e.waiting.Add(1)
	s.serve(e, 1)
	if !w.granted {
		c.Count(CxOverflow)
	}
	s.queue.mu.Unlock()

	var expired <-chan time.Time
	if p.until != 0 {
		timer := time.NewTimer(p.left(math.MaxInt64))
		defer timer.Stop()
		expired = timer.C
	}
	err := errGone
	select {
	case conn := <-w.grant:
		return conn, nil
	case <-p.Done():
	case <-expired:
		err = os.ErrDeadlineExceeded
	}
	s.queue.mu.Lock()
	granted := w.granted
	if !granted {
		s.leave(at, w)
	}
	s.queue.mu.Unlock()
	if granted {
		if conn := <-w.grant; conn != nil {
			c.keep(e, conn, 0)
		} else {
			s.unreserve(e)
			s.freed(e, 1)
		}
	}
	return nil, err
}

// makeRoom closes an idle connection of e that cannot serve id, so that id can have one. It
// tells false where there is none. The caller may hold the queue's lock.
func (s *clusterState) makeRoom(e *Endpoint, id *identity) bool {
	// Any of HTTP/1.1 serves everybody, but those who want HTTP/2.
	if id != &id.terms.everybody || id.shares() {
		if conn := e.pop(nil); conn != nil {
			s.drop(e, conn)
			return true
		}
	}
	if e.shared.reclaim(id) {
		s.unreserve(e)
		return true
	}
	return false
}

// mostReclaimed bounds how many connections are closed for the sake of one request. A cluster may
// have far more than its limit, one for each endpoint: they are not all closed for a second one.
const mostReclaimed = 32

// reclaim closes an idle connection of another endpoint than e, so that there is room for e:
// an endpoint that is out of use must not keep the others from having connections. It tells
// false where there is none, or too many would have to be closed.
func (s *clusterState) reclaim(e *Endpoint) bool {
	if limit := int64(s.current.Load().Spec.Pool.MaxConnections); limit > 0 && s.counters[CxActive].Load()-limit >= mostReclaimed {
		return false
	}
	if own := s.current.Load().terms.protocol == router.ProtocolHTTP1; own && s.counters[CxActive].Load() <= s.counters[RqActive].Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.endpoints {
		if other == e {
			continue
		}
		if s.closeIdle(other) {
			return true
		}
	}
	return false
}
