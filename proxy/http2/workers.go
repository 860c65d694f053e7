package http2

import (
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// worker runs exchanges of one session, one after the other, so that its stack, which a
// request needs some of, is there already for the next.
type worker struct {
	// work is the next stream to serve; nil ends the worker.
	work chan *serverStream
}

// workerPool has a session's workers. It is guarded by the session's mu.
type workerPool struct {
	// idle workers wait for work; the last is taken first.
	idle []*worker
	// busy counts the exchanges in progress, those included whose stream was reset.
	busy int
	// queue has streams that wait because too many are in progress.
	queue []*serverStream
	gone  bool
}

// serve has a worker serve a stream, as soon as one may. The caller holds mu.
func (p *workerPool) serve(c *session, st *serverStream) {
	switch n := len(p.idle); {
	case p.busy >= c.options.MaxConcurrentStreams:
		p.queue = append(p.queue, st)
		return
	case n > 0:
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.busy++
		w.work <- st
	default:
		p.busy++
		w := &worker{work: make(chan *serverStream, 1)}
		go w.run(c, st)
	}
}

// dismiss ends the workers that have nothing to do, and lets no more become idle. The caller
// holds mu.
func (p *workerPool) dismiss() {
	p.gone = true
	p.thin()
}

// thin ends the workers that have nothing to do now. The caller holds mu.
func (p *workerPool) thin() {
	for i, w := range p.idle {
		w.work <- nil
		p.idle[i] = nil
	}
	p.idle = p.idle[:0]
}

func (w *worker) run(c *session, st *serverStream) {
	for st != nil {
		serveStream(c, st)
		var more bool
		if st, more = w.next(c, st); !more {
			return
		}
		if st == nil {
			st = <-w.work
		}
	}
}

func serveStream(c *session, st *serverStream) {
	if perr := st.head.rejection; perr != nil {
		c.options.observe(proxy.ConnRejected)
		r := proxy.Rejection{Status: perr.Status, Detail: perr.Detail}
		if st.head.redirect {
			// Named in full: a path of "//host" alone would lead elsewhere.
			req := &st.ex.Request
			r.Location = st.ex.Keep(req.Scheme, "://", req.Authority, req.Path)
		}
		c.options.Handler.Reject(&st.ex, st, r)
		return
	}
	c.options.Handler.Serve(&st.ex, st)
}

// next ends the exchange of a stream, and returns the next one from the queue, if there is
// one, else nil. more is false where the worker ends.
func (w *worker) next(c *session, done *serverStream) (st *serverStream, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(done)
	p := &c.workers
	for len(p.queue) > 0 && st == nil {
		st = p.queue[0]
		p.queue = p.queue[:copy(p.queue, p.queue[1:])]
		if st.gone {
			c.drop(st)
			st = nil
		}
	}
	if st != nil {
		c.flushLater()
		return st, true
	}
	p.busy--
	c.flushTogether()
	c.maybeDone()
	if p.busy == 0 {
		c.ended.Broadcast()
	}
	if p.gone {
		return nil, false
	}
	p.idle = append(p.idle, w)
	return nil, true
}

// settle ends an exchange whose handler has returned. The caller holds mu.
func (c *session) settle(st *serverStream) {
	switch {
	case st.gone:
	case !st.localDone:
		// The client must not take what it got for a whole response.
		c.reset(st, codeInternal)
	case !st.remoteDone:
		c.answered(st)
		return
	}
	c.forget(st)
	c.drop(st)
}

// unreadWait is how long the rest of a request is waited for that was answered already.
const unreadWait = time.Second

// answered lets a stream go on for a moment whose request nobody wants the rest of: clients
// fare better with that than with a reset (RFC 9113 section 8.1), which comes when the
// window is used up, or the moment over. The caller holds mu.
func (c *session) answered(st *serverStream) {
	if c.credit(st.bw - st.br); st.body != nil {
		putBuffer(st.body)
		st.body, st.br, st.bw = nil, 0, 0
	}
	if st.inWindow.left <= 0 || c.dead {
		c.reset(st, codeNone)
		c.forget(st)
		c.drop(st)
		return
	}
	st.phase, st.since, st.aborter = streamAnswered, proxy.Now(), nil
}
