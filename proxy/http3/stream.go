package http3

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

const (
	// maxWaitedBody is the size of a body up to which the request is forwarded only when it
	// has arrived, and smallBodyWait how long that may take.
	maxWaitedBody = 32 << 10
	smallBodyWait = time.Second
	// endWait is how long the end of a request is waited for that says nothing of a body.
	endWait = 20 * time.Millisecond
	// maxKept bounds what is kept of a body for another try.
	maxKept = 64 << 10
)

var errShortBody = &http1.ProtocolError{Status: http.StatusBadRequest, Detail: "http3.body_shorter_than_content_length"}

// stream is one exchange, and its Downstream.
type stream struct {
	server  *Server
	ex      proxy.Exchange
	r       *http.Request
	w       http.ResponseWriter
	control *http.ResponseController

	// ahead is what was read of the body before the exchange began; done, that its end was
	// read.
	ahead   []byte
	done    bool
	bodyErr error
	// kept is what ReadBody returned, while keep asks for it; from it, again bytes were read
	// again.
	keep  bool
	kept  []byte
	again int
	// reading: ReadBody was called. spoilt: what it has returned cannot be read again. Others
	// than who reads look at them.
	reading, spoilt atomic.Bool

	bodyless bool
	// answered: a response has begun; open: and not ended. cut: it is not to be completed.
	answered, open, cut bool
	// got is how much of the body has come, and waited how long that was waited for.
	got, waited int64

	mu       sync.Mutex
	stop     func() bool
	idle     idle
	timedOut bool
	// unwanted: CloseBody was called. slow: what is waited for is bounded by the least rate.
	unwanted, slow bool
}

// serve serves one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	if c == nil {
		panic(http.ErrAbortHandler)
	}
	c.active.Add(1)
	defer c.active.Add(-1)
	info := s.info(c)
	if info == nil {
		panic(http.ErrAbortHandler)
	}
	if s.examine(c, info) {
		refuse(w)
		return
	}
	s.active.Add(1)
	defer s.active.Add(-1)
	defer func() { c.quiet.Store(proxy.Now()) }()
	st := &stream{server: s, r: r, w: w, control: http.NewResponseController(w)}
	defer func() {
		early := !st.answered || st.open && proxy.Now()-st.ex.Start < int64(s.options.ShortLife)
		if early && r.Context().Err() != nil {
			s.abandoned(c)
		}
	}()
	ex := &st.ex
	ex.Start, ex.HeadReceived = proxy.Now(), requestSize(r)
	ex.Connection, ex.Local, ex.Remote, ex.Client = info, info.Local, info.Remote, info.Remote.Addr()
	ex.ServerName, ex.Protocol, ex.ResponseServiceTime = info.TLS.ServerName, "HTTP/3", -1
	ex.Request.Listener, ex.Request.Chain = info.Listener, info.Chain
	if rejection := st.take(r); rejection != nil {
		st.reject(rejection)
	} else if st.readAhead(); st.bodyErr == errShortBody {
		st.reject(errShortBody)
	} else {
		s.options.HTTP.Engine.Serve(ex, st)
	}
	if st.cut || st.open {
		panic(http.ErrAbortHandler)
	}
}

// readAhead waits for a small body, so that the request can be sent again.
func (st *stream) readAhead() {
	ex, n := &st.ex, st.r.ContentLength
	announced := len(st.r.Trailer) > 0
	switch {
	case n == 0 && !announced:
		ex.Buffered, st.done = true, true
		return
	case n > 0 && !announced:
		ex.Body = proxy.Body{Kind: proxy.BodyLength, Length: n}
	default:
		ex.Body = proxy.Body{Kind: proxy.BodyStream}
	}
	wait := smallBodyWait
	if n < 0 {
		wait = endWait
	}
	if n > maxWaitedBody || ex.Expect100 {
		return
	}
	st.control.SetReadDeadline(time.Now().Add(wait))
	for !st.done && st.bodyErr == nil && len(st.ahead) <= maxWaitedBody {
		buf := make([]byte, 4<<10)
		read, err := st.more(buf)
		st.ahead = append(st.ahead, buf[:read]...)
		st.done = err == io.EOF
		if err != nil && !st.done {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				st.bodyErr = err
				st.spoilt.Store(true)
			}
			break
		}
		if n < 0 && read > 0 {
			break // It streams.
		}
	}
	st.control.SetReadDeadline(time.Time{})
	if !st.done {
		return
	}
	ex.Buffered, ex.Payload, ex.BytesReceived = true, st.ahead, int64(len(st.ahead))
	switch trailers := len(st.Trailers()) > 0; {
	case trailers:
		ex.Body = proxy.Body{Kind: proxy.BodyStream}
	case len(st.ahead) == 0 && n <= 0:
		ex.Body = proxy.Body{}
	case n >= 0:
		ex.Body = proxy.Body{Kind: proxy.BodyLength, Length: n}
	}
}

// ReadBody implements proxy.Downstream.
func (st *stream) ReadBody(p []byte) (int, error) {
	st.reading.Store(true)
	if st.again < len(st.kept) {
		n := copy(p, st.kept[st.again:])
		st.again += n
		return n, nil
	}
	n, err := st.readBody(p)
	if n > 0 {
		st.move()
	}
	st.ex.BytesReceived += int64(n)
	if st.keep && !st.spoilt.Load() {
		if len(st.kept)+n <= maxKept {
			st.kept = append(st.kept, p[:n]...)
			st.again = len(st.kept)
		} else {
			st.spoilt.Store(true)
		}
	}
	return n, err
}

func (st *stream) readBody(p []byte) (int, error) {
	switch {
	case len(st.ahead) > 0:
		n := copy(p, st.ahead)
		st.ahead = st.ahead[n:]
		return n, nil
	case st.bodyErr != nil:
		return 0, st.bodyErr
	case st.done:
		return 0, io.EOF
	}
	st.boundRead()
	n, err := st.more(p)
	switch {
	case err == io.EOF:
		st.done = true
	case errors.Is(err, os.ErrDeadlineExceeded) && !st.late():
		// Nobody wants the body; perhaps somebody will want it anew.
	case err != nil:
		st.bodyErr = err
		st.spoilt.Store(true)
	}
	return n, err
}

// boundRead bounds the wait for more of a body, unless nobody wants it.
func (st *stream) boundRead() {
	limit := st.idleTimeout()
	left, rated := st.rateTimeout()
	slow := rated && (limit <= 0 || left < limit)
	if slow {
		limit = max(left, time.Millisecond)
	}
	if limit <= 0 {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.slow = slow
	if !st.unwanted {
		st.control.SetReadDeadline(time.Now().Add(limit))
	}
}

// rateTimeout returns how long more of a body of known length may take to come, so that all of it
// comes at the least rate; rated is false where there is none.
func (st *stream) rateTimeout() (left time.Duration, rated bool) {
	o := st.server.options.HTTP
	if o.MinBodyRate <= 0 || st.r.ContentLength <= 0 {
		return 0, false
	}
	may := time.Duration(st.got/int64(o.MinBodyRate)+1) * time.Second
	return max(may, o.MinBodyGrace) - time.Duration(st.waited), true
}

// boundWrite bounds how long the client may leave no room for what is sent.
func (st *stream) boundWrite() {
	if limit := st.idleTimeout(); limit > 0 {
		st.control.SetWriteDeadline(time.Now().Add(limit))
	}
}

func (st *stream) idleTimeout() time.Duration {
	return st.ex.IdleTimeout(st.server.options.HTTP.Timeouts.Stream)
}

// late notes that the client has sent nothing for too long. It tells false where that was not
// why a read ended.
func (st *stream) late() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.unwanted {
		return false
	}
	st.timedOut = true
	if st.slow {
		st.server.observe(proxy.ConnSlowBody)
	} else {
		st.server.observe(proxy.ConnStreamTimeout)
	}
	return true
}

// more reads what comes of the body, and fails where it ends before its declared length (RFC 9114
// section 4.1.2).
func (st *stream) more(p []byte) (int, error) {
	began := proxy.Now()
	n, err := st.r.Body.Read(p)
	st.waited += proxy.Now() - began
	st.got += int64(n)
	switch err {
	case io.ErrUnexpectedEOF:
		err = errShortBody
	case io.EOF:
		st.ex.HeadReceived += requestTrailersSize(st.r.Trailer)
	}
	return n, err
}

// CloseBody implements proxy.Downstream.
func (st *stream) CloseBody() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.unwanted = true
	st.control.SetReadDeadline(time.Unix(1, 0))
}

// KeepBody implements proxy.Downstream.
func (st *stream) KeepBody() { st.keep = true }

// Rewindable implements proxy.Downstream.
func (st *stream) Rewindable() bool { return !st.reading.Load() || st.keep && !st.spoilt.Load() }

// Rewind implements proxy.Downstream.
func (st *stream) Rewind() bool {
	if !st.Rewindable() {
		return false
	}
	st.again = 0
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.unwanted {
		st.unwanted = false
		st.control.SetReadDeadline(time.Time{})
	}
	return true
}

// Trailers implements proxy.Downstream.
func (st *stream) Trailers() []router.Header {
	var list []router.Header
	for name, values := range st.r.Trailer {
		for _, value := range values {
			list = appendTrailer(list, name, value)
		}
	}
	return list
}

// Interim implements proxy.Downstream.
func (st *stream) Interim(r *proxy.Response) error {
	if r.Status == http.StatusContinue {
		st.ex.Expect100 = false
	}
	header := st.w.Header()
	addFields(header, "", r.Headers)
	st.ex.HeadSent += responseSize(r.Status, header)
	st.boundWrite()
	st.w.WriteHeader(r.Status)
	clear(header)
	return nil
}

// Respond implements proxy.Downstream.
func (st *stream) Respond(ex *proxy.Exchange, r *proxy.Response, body []byte, end bool) error {
	ex.Status = r.Status
	header := st.w.Header()
	addFields(header, "", r.Headers)
	if header["Date"] == nil {
		header["Date"] = nil // None is to be made up.
	}
	if header["Content-Type"] == nil {
		header["Content-Type"] = nil
	}
	st.bodyless = ex.Request.Method == http.MethodHead || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified
	switch {
	case st.bodyless && r.Status != http.StatusNoContent && r.DeclaredLength >= 0:
		header.Set("Content-Length", strconv.FormatInt(r.DeclaredLength, 10))
	case !st.bodyless && r.Body.Kind == proxy.BodyLength:
		header.Set("Content-Length", strconv.FormatInt(r.Body.Length, 10))
	case !st.bodyless && r.Body.Kind == proxy.BodyNone:
		header.Set("Content-Length", "0")
	}
	ex.HeadSent += responseSize(r.Status, header)
	st.answered, st.open = true, true
	st.boundWrite()
	st.w.WriteHeader(r.Status)
	err := st.WriteBody(body, nil, end)
	if err == nil && !end {
		ex.ResponseFlushed = proxy.Now()
	}
	return err
}

// WriteBody implements proxy.Downstream.
func (st *stream) WriteBody(p []byte, trailers []router.Header, end bool) error {
	st.boundWrite()
	if len(p) > 0 && !st.bodyless {
		if _, err := st.w.Write(p); err != nil {
			return err
		}
		st.move()
		st.ex.BytesSent += int64(len(p))
	}
	st.ex.HeadSent += trailersSize(trailers)
	addFields(st.w.Header(), http.TrailerPrefix, trailers)
	if end {
		st.open = false // The handler's return ends the stream.
		return nil
	}
	return st.control.Flush()
}

// Splice implements proxy.Downstream: the kernel knows nothing of streams.
func (st *stream) Splice(net.Conn, int64) (written int64, ok bool, err error) { return 0, false, nil }

// Cut implements proxy.Downstream: the stream is reset.
func (st *stream) Cut() { st.cut = true }

// Tunnel implements proxy.Downstream. No request asks for one.
func (st *stream) Tunnel() (early []byte, conn net.Conn) { return nil, nil }

// Attach implements proxy.Downstream.
func (st *stream) Attach(a *proxy.Aborter) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.stop != nil {
		st.stop()
		st.stop = nil
	}
	if a != nil {
		st.stop = context.AfterFunc(st.r.Context(), func() { st.abort(a) })
	}
	st.watch(a)
	return st.r.Context().Err() == nil
}

// abort ends an upstream's part of the exchange, unless that is over: what it aborts may be at
// work for somebody else by then.
func (st *stream) abort(a *proxy.Aborter) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.idle.aborter == a {
		a.Abort()
	}
}

// Lost implements proxy.Downstream.
func (st *stream) Lost() (lost, timeout bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.timedOut || st.r.Context().Err() != nil, st.timedOut
}
