package http2

import (
	"net/netip"
	"sync"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// maxInterim bounds the 1xx responses before a final one.
const maxInterim = 8

// ConnStream is a stream of a Conn: one exchange. It is not safe for concurrent use, but for
// its Aborter.
type ConnStream struct {
	c       *Conn
	aborter *proxy.Aborter
	timer   *time.Timer
	// wake wakes the exchange's goroutine, sendWake the one that sends its request's body.
	wake, sendWake chan struct{}

	// The connection's mu guards these. id is 0 until the request's head was queued. stopped:
	// nothing more is to be sent; reset: nor need the endpoint be told so.
	id      uint32
	window  sendWindow
	sentEnd bool
	stopped bool
	reset   bool
	blocked bool

	// in is what has come; mu guards it. It may be taken while the connection's is held.
	mu sync.Mutex
	in inbox
	// served counts the exchanges that are over.
	served uint32

	// These belong to the exchange.
	ex     *proxy.Exchange
	filter proxy.ResponseFilter
	down   proxy.Downstream
	resp   proxy.Response
	res    proxy.Result
	pump   bodyPump
	// headed: the response's head was dealt with; bodyless: it has no body, whatever comes;
	// done: the exchange is over.
	headed, bodyless, done bool
	// connects: the request is an extended CONNECT. early is what came right behind its answer.
	connects bool
	early    []byte
}

// inbox is what has come of a response and was not dealt with yet.
type inbox struct {
	interim []responseHead
	head    responseHead
	// headed: head is there. data is what has come of the body; got counts all of it, of
	// want bytes, or -1.
	headed    bool
	data      []byte
	got, want int64
	window    receiveWindow
	trailers  fieldList
	// ended: all has come. failure says why no more will.
	ended   bool
	failure proxy.Failure
	err     error
	// noBody: the request was a HEAD, whose response has no body though it tells of one.
	noBody bool
	// interims counts the 1xx responses.
	interims int
	// until is when the exchange's time is up, by proxy.Now; 0 for never. late: it was.
	until int64
	late  bool
	// bodyErr is a fault of the client's in the request's body.
	bodyErr error
}

var connStreams = sync.Pool{New: func() any {
	s := &ConnStream{wake: make(chan struct{}, 1), sendWake: make(chan struct{}, 1)}
	s.pump.done = make(chan struct{}, 1)
	s.aborter = proxy.NewCanceler(s.interrupt)
	return s
}}

func newConnStream() *ConnStream {
	s := connStreams.Get().(*ConnStream)
	s.in.window = newReceiveWindow(streamWindow)
	return s
}

var _ proxy.Upstream = (*ConnStream)(nil)

// Conn returns the stream's connection.
func (s *ConnStream) Conn() *Conn { return s.c }

// Aborter implements proxy.Upstream.
func (s *ConnStream) Aborter() *proxy.Aborter { return s.aborter }

// Addresses implements proxy.Upstream.
func (s *ConnStream) Addresses() (local, remote string, peer netip.AddrPort) {
	return s.c.local, s.c.remote, s.c.peer
}

// Bound implements proxy.Upstream.
func (s *ConnStream) Bound(within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if within <= 0 {
		s.in.until = 0
		if s.timer != nil {
			s.timer.Stop()
		}
		return
	}
	s.in.until = proxy.Now() + int64(within)
	s.wait(within)
}

// expire ends the exchange when its time is up. The timer may have been set for an earlier
// one.
func (s *ConnStream) expire() {
	s.mu.Lock()
	late := s.in.until != 0 && proxy.Now() >= s.in.until
	s.in.late = s.in.late || late
	c, served := s.c, s.served
	s.mu.Unlock()
	if late {
		s.leave(c, served)
	}
}

// interrupt ends what the exchange waits for. Where that is a connection which takes nothing,
// it ends the connection: else the exchange would go on waiting.
func (s *ConnStream) interrupt() {
	s.mu.Lock()
	c, served := s.c, s.served
	s.mu.Unlock()
	s.leave(c, served)
}

// leave is interrupt for the exchange behind so many others, on c.
func (s *ConnStream) leave(c *Conn, served uint32) {
	var again time.Duration
	if c != nil {
		again = c.unstick()
	}
	s.wakeUp()
	if again == 0 {
		return
	}
	// It may be that very write which the exchange waits for.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.served != served {
		return
	}
	s.in.until = proxy.Now()
	s.wait(again)
}

// wait has expire called after a while. The caller holds mu.
func (s *ConnStream) wait(d time.Duration) {
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.expire)
		return
	}
	s.timer.Reset(d)
}

// wakeUp wakes the exchange's goroutine. It may be woken for nothing.
func (s *ConnStream) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *ConnStream) wakeSender() {
	select {
	case s.sendWake <- struct{}{}:
	default:
	}
}

// end notes that nothing more will come, nor be taken. The caller holds the connection's mu.
func (s *ConnStream) end(f proxy.Failure, err error) {
	s.stopped, s.reset = true, true
	s.wakeSender()
	s.mu.Lock()
	if !s.in.ended && s.in.failure == proxy.FailNone {
		s.in.failure, s.in.err = f, err
	}
	s.mu.Unlock()
	s.wakeUp()
}

// Release gives the stream back. Where the endpoint is still at it, it is told to stop.
func (s *ConnStream) Release() {
	c := s.c
	c.mu.Lock()
	s.mu.Lock()
	open := s.id != 0 && !s.reset && !(s.sentEnd && s.in.ended)
	data := s.in.data
	s.mu.Unlock()
	if s.id != 0 {
		delete(c.streams, s.id)
	}
	if open && !c.closing {
		c.queueReset(s.id, codeCancel)
	}
	if s.blocked {
		c.unblock(s)
	}
	c.active--
	c.idleSince = proxy.Now()
	c.endIfDone()
	c.send()
	putBuffer(data)
	s.recycle()
}

// recycle lets the stream serve another exchange, on any connection. Nobody else knows it by
// now, but for those who may wake it.
func (s *ConnStream) recycle() {
	s.mu.Lock()
	s.served++
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.aborter.Aborted() {
		s.mu.Unlock()
		return
	}
	in := &s.in
	*in = inbox{head: in.head, trailers: in.trailers}
	in.head.reset()
	in.trailers.reset()
	s.c = nil
	s.mu.Unlock()
	s.id, s.window = 0, 0
	s.sentEnd, s.stopped, s.reset, s.blocked = false, false, false, false
	s.headed, s.bodyless, s.done, s.connects = false, false, false, false
	s.res, s.resp = proxy.Result{}, proxy.Response{}
	s.pump.finished, s.pump.fault = false, nil
	connStreams.Put(s)
}

// unblock takes a stream out of those that wait. The caller holds mu.
func (c *Conn) unblock(s *ConnStream) {
	s.blocked = false
	for i, other := range c.queue.blocked {
		if other == s {
			c.queue.blocked = append(c.queue.blocked[:i], c.queue.blocked[i+1:]...)
			return
		}
	}
}

// responseHead is the head of a response, as it was decoded.
type responseHead struct {
	list   fieldList
	status int
	length int64
	// headers are those to relay, of list.
	headers []router.Header
}

func (h *responseHead) reset() {
	h.list.reset()
	h.status, h.length, h.headers = 0, -1, nil
}
