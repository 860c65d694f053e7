package http2

import (
	"slices"
	"sync"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// maxWaitedBody is the size of a request body up to which the request is forwarded only when
// the body has arrived, so that it can be sent again.
const maxWaitedBody = 32 << 10

// streamPhase is where a stream stands on its way to a worker, and behind it.
type streamPhase uint8

const (
	// streamFresh: its body may come with what was read already. It is in the session's list
	// of such, and belongs to the reading goroutine.
	streamFresh streamPhase = 1 + iota
	// streamWaiting: its body is small and waited for.
	streamWaiting
	// streamServed: a worker has it, or will.
	streamServed
	// streamAnswered: no worker has it any more, but its request has not ended.
	streamAnswered
)

// serverStream is one exchange on a session, and its Downstream. It belongs to the reading
// goroutine until it is served, then to its worker, which releases it.
type serverStream struct {
	c    *session
	id   uint32
	next *serverStream
	ex   proxy.Exchange
	list fieldList
	head requestHead

	// What follows is guarded by c.mu.

	phase streamPhase
	// remoteDone: the request has ended; localDone: the response has. gone: the stream is
	// closed, and not in the session's table any more.
	remoteDone, localDone, gone bool
	// lost: the client has gone, or was given up on, timedOut, for standing still.
	lost, timedOut bool
	// answered: the response's head was sent.
	answered bool
	// torn: a piece of the response was given up, so that nothing may follow it.
	torn bool
	// since is when something last moved.
	since int64
	// idle is how long nothing may move.
	idle    time.Duration
	aborter *proxy.Aborter

	window   sendWindow
	inWindow receiveWindow
	// body[br:bw] is what has come of the body and was not read; received is all that came.
	body     []byte
	br, bw   int
	received int64
	// bodySince is when the first bytes of a body of known length came; 0 where none is
	// being read.
	bodySince int64
	// stopped: CloseBody was called. bodyErr is the client's mistake in the body.
	stopped     bool
	bodyErr     error
	trailerList fieldList
	// trailerBytes are those of the trailers' frames, until the exchange has counted them.
	trailerBytes int

	// pending is what a writer that waits has left to send; then comes the end, where
	// pendingEnd. queued: the stream is in the session's ready list.
	pending    []byte
	pendingEnd bool
	queued     bool
	// tunnel, where the exchange was upgraded, is what it became.
	tunnel *tunnelConn

	// bodyWake and sendWake tell who waits to look again.
	bodyWake, sendWake chan struct{}

	// The rest is the worker's.

	// responded: the response's head was sent; bodyless: it has no body, whatever comes.
	responded, bodyless bool
	// reading: ReadBody was called. replay is what it has returned, where keep asks for it
	// and it is not too much; of it, replayed bytes have been read again.
	reading  bool
	keep     bool
	replay   []byte
	replayed int
	pathBuf  []byte
}

// maxKept is the size of memory for heads up to which a stream keeps it for its next use.
const maxKept = 16 << 10

// trim gives up memory that few blocks need.
func (l *fieldList) trim() {
	if cap(l.bytes) > maxKept {
		l.bytes = nil
		clear(l.fields[:cap(l.fields)]) // They lie in it.
	}
}

var serverStreams = sync.Pool{New: func() any {
	return &serverStream{
		list:     fieldList{fields: make([]router.Header, 0, 24), bytes: make([]byte, 0, 512)},
		ex:       proxy.Exchange{Scratch: make([]byte, 0, 512)},
		bodyWake: make(chan struct{}, 1), sendWake: make(chan struct{}, 1),
	}
}}

func newServerStream(c *session, id uint32) *serverStream {
	st := serverStreams.Get().(*serverStream)
	st.c, st.id, st.since, st.idle = c, id, c.now, c.options.Timeouts.Stream
	st.inWindow = newReceiveWindow(c.options.StreamWindow)
	st.list.reset()
	return st
}

// release gives the stream back. Nobody may know it any more.
func (st *serverStream) release() {
	if st.replay != nil {
		putBuffer(st.replay)
	}
	if st.body != nil {
		putBuffer(st.body)
	}
	drainWake(st.bodyWake)
	drainWake(st.sendWake)
	left := st.ex.Leave()
	list, trailers := st.list, st.trailerList
	if grown := st.ex.Request.Headers; cap(grown) > cap(list.fields) {
		list.fields = grown
	}
	list.trim()
	trailers.trim()
	// The next exchange may be another client's, and have none.
	trailers.reset()
	*st = serverStream{
		list: list, trailerList: trailers, pathBuf: st.pathBuf[:0],
		bodyWake: st.bodyWake, sendWake: st.sendWake,
	}
	st.ex.Begin(left)
	serverStreams.Put(st)
}

func drainWake(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// begin begins a stream's exchange, or waits for its body. The caller holds mu.
func (c *session) begin(st *serverStream) {
	if st.remoteDone || st.head.rejection != nil || st.ex.Request.Upgrade != "" {
		c.settleBody(st, false)
		return
	}
	st.phase = streamFresh
	c.fresh = append(c.fresh, st)
}

// settleBody decides how a request's body reaches its upstream: with the request where it has
// come whole, later where it has not; or that a small one is waited for, unless hurry. The
// caller holds mu.
func (c *session) settleBody(st *serverStream, hurry bool) {
	ex, h := &st.ex, &st.head
	switch {
	case ex.Request.Upgrade != "":
		ex.Buffered = true
	case st.remoteDone:
		ex.Buffered, ex.Payload = true, st.body[st.br:st.bw]
		ex.BytesReceived = int64(len(ex.Payload))
		st.countTrailers()
		switch {
		case ex.Body.Kind == proxy.BodyLength && len(st.Trailers()) > 0:
			ex.Body = proxy.Body{Kind: proxy.BodyStream}
		// A body that is here has a length, which upstreams of HTTP/1 like better.
		case ex.Body.Kind == proxy.BodyStream && !ex.WantsTrailers && len(st.trailerList.fields) == 0:
			ex.Body = proxy.Body{Kind: proxy.BodyLength, Length: ex.BytesReceived}
			if ex.BytesReceived == 0 {
				ex.Body = proxy.Body{}
			}
		}
	case h.length > 0 && h.length <= maxWaitedBody && !h.expect && !hurry && h.rejection == nil:
		if st.phase == streamFresh {
			c.notFresh(st)
			st.phase = streamWaiting
			c.watch.waiting++
		}
		return
	default:
		ex.Expect100 = h.expect && st.received == 0
	}
	switch st.phase {
	case streamFresh:
		c.notFresh(st)
	case streamWaiting:
		c.watch.waiting--
	}
	st.phase = streamServed
	c.workers.serve(c, st)
}

// notFresh takes a stream from the list of fresh ones: it may be released any moment then.
func (c *session) notFresh(st *serverStream) {
	if i := slices.Index(c.fresh, st); i >= 0 {
		c.fresh = slices.Delete(c.fresh, i, i+1)
	}
}

// lose tells a stream that its client has gone. The caller holds mu.
func (c *session) lose(st *serverStream) {
	st.lost = true
	st.torn = st.torn || len(st.pending) > 0
	c.stopWaiting(st)
	if st.aborter != nil {
		st.aborter.Abort()
	}
}

// stopWaiting lets nothing of the stream wait any more. The caller holds mu.
func (c *session) stopWaiting(st *serverStream) {
	st.pending = nil
	c.unqueue(st)
	wake(st.bodyWake)
	wake(st.sendWake)
}

// forget ends a stream: it is not open any more. The caller holds mu.
func (c *session) forget(st *serverStream) {
	if st.gone {
		return
	}
	st.gone = true
	c.streams.remove(st)
	if c.streams.n == 0 {
		c.watch.since = proxy.Now()
	}
	c.stopWaiting(st)
	switch st.phase {
	case streamFresh:
		c.notFresh(st)
		c.drop(st)
	case streamWaiting:
		c.watch.waiting--
		c.drop(st)
	case streamAnswered:
		c.drop(st)
	}
	c.maybeDone()
}

// drop gives back a stream that nobody serves, or will. The caller holds mu.
func (c *session) drop(st *serverStream) {
	c.credit(st.bw - st.br)
	c.headBytes -= st.list.size + st.trailerList.size
	st.release()
}

// reset sends RST_STREAM. The caller holds mu.
func (c *session) reset(st *serverStream, code errCode) {
	if st.gone {
		return
	}
	c.reserve(frameHeaderLen + 4)
	c.out = appendReset(c.out, st.id, code)
	c.refused.add(st.id)
	st.localDone, st.remoteDone = true, true
}

// Attach implements proxy.Downstream.
func (st *serverStream) Attach(a *proxy.Aborter) bool {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	st.aborter = a
	st.idle = st.ex.IdleTimeout(c.options.Timeouts.Stream)
	return !st.lost
}

// Lost implements proxy.Downstream.
func (st *serverStream) Lost() (lost, timeout bool) {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	return st.lost, st.timedOut
}
