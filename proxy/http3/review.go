package http3

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sluicegate/sluice/proxy"
)

// watchEvery is how often it is looked whether servers ask for more of clients' certificates than
// when these connected.
const watchEvery = 100 * time.Millisecond

// endQuiet is how long the last request must be over before connections are closed: what was
// sent last may be under way, or lost and sent again, and clients drop what they have not read
// when they hear that a connection is closed (RFC 9000 section 10.2).
const endQuiet = time.Second

// review is what is known of whether a connection's client has shown what its server asks for.
type review struct {
	// seen is the count of demands at which that was last looked at.
	seen atomic.Uint64
	// ending is since when the connection is being ended, because the client has not; 0 where
	// it has.
	ending atomic.Int64
}

// watch has the connections that are looked after, while there are any.
type watch struct {
	mu       sync.Mutex
	conns    map[*connection]struct{}
	watching bool
}

// follow looks after a connection, if its server may ever ask for more.
func (s *Server) follow(c *connection) {
	if s.options.Demands == nil {
		return
	}
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns == nil {
		w.conns = make(map[*connection]struct{})
	}
	w.conns[c] = struct{}{}
	if !w.watching {
		w.watching = true
		go s.look()
	}
}

func (w *watch) leave(c *connection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// list appends the connections to list. Where there are none, the next one begins another watch.
func (w *watch) list(list []*connection) []*connection {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		list = append(list, c)
	}
	w.watching = len(list) > 0
	return list
}

func (s *Server) look() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var list []*connection
	for range tick.C {
		if list = s.watch.list(list[:0]); len(list) == 0 {
			return
		}
		now := proxy.Now()
		for _, c := range list {
			if info := c.state.Load(); info != nil && s.examine(c, info) {
				c.end(now, s.options.Grace)
			}
		}
		clear(list)
	}
}

// examine tells whether a connection is being ended, because its server asks for more by now than
// its client has shown.
func (s *Server) examine(c *connection, info *proxy.Connection) bool {
	if s.options.Demands == nil {
		return false
	}
	if demands := s.options.Demands(); c.review.seen.Swap(demands) != demands && !s.options.Meets(info) {
		if c.review.ending.CompareAndSwap(0, proxy.Now()) {
			s.observe(proxy.ConnUnproven)
		}
	}
	return c.review.ending.Load() != 0
}

// end closes a connection that is being ended, when its last request has been over for long
// enough, or it has had its time for them.
func (c *connection) end(now int64, grace time.Duration) {
	over := c.active.Load() == 0 && time.Duration(now-c.quiet.Load()) >= c.endQuiet()
	if over || time.Duration(now-c.review.ending.Load()) >= grace {
		c.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
}

// endQuiet returns endQuiet, or three times the time after which packets count as lost (RFC 9002
// section 6.2.1) where the way to the client is that long.
func (c *connection) endQuiet() time.Duration {
	stats := c.conn.ConnectionStats()
	return max(endQuiet, 3*(stats.SmoothedRTT+4*stats.MeanDeviation))
}

// refuse tells a client that its request was not dealt with, so that it may send it again on
// another connection (RFC 9114 section 4.1.1).
func refuse(w http.ResponseWriter) {
	stream, err := w.(http3.HTTPStreamer).HTTPStream()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
	stream.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
}
