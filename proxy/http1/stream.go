package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// maxWaitedBody is the size of a request body up to which the request is forwarded only
// when the body has arrived: it then costs no goroutine, and can be sent again.
const maxWaitedBody = 32 << 10

// maxDrain is the size of a rest of a request body up to which it is read, after an answer
// that did not want it, to keep the connection.
const maxDrain = 64 << 10

// verdict is what a look at a connection's buffer finds.
type verdict uint8

const (
	// parsedPart: no whole request yet.
	parsedPart verdict = iota
	// parsedWhole: a request and all of its body.
	parsedWhole
	// parsedStreaming: a request whose body is to be read, or that may become a tunnel.
	parsedStreaming
)

// stream is one exchange on a server's connection, and its Downstream.
type stream struct {
	c    *serverConn
	ex   proxy.Exchange
	head head

	// early is the part of the body that came with the head. left counts the bytes of
	// a body of known length that are still to be read, and rest those that were to be when
	// the exchange began.
	early      []byte
	left, rest int64
	// bodyDone is set when the body's end was read; reading, when ReadBody was called,
	// from when on left and early belong to whoever calls it.
	bodyDone atomic.Bool
	reading  atomic.Bool
	bodyErr  error
	chunks   chunkDecoder
	trailers []router.Header
	// surplus is what was read behind the body: the next request.
	surplus []byte
	pathBuf []byte
	tail    []byte

	// mode is how the response's body is delimited; responded, that its head was sent;
	// finished, that all of it was.
	mode       bodyMode
	responded  bool
	finished   bool
	closeAfter bool
	tunneled   bool
	bodyless   bool
	stopped    bool // CloseBody was called

	// replay is what ReadBody has returned, where keep asks for it; from it, replayed bytes
	// have been read again. spoilt: it was too much, or the body is bad.
	keep     bool
	replay   []byte
	replayed int
	spoilt   atomic.Bool
}

var streams = sync.Pool{New: func() any {
	return &stream{head: head{headers: make([]router.Header, 0, 24)}, ex: proxy.Exchange{Scratch: make([]byte, 0, 512)}}
}}

func newStream(c *serverConn) *stream {
	st := streams.Get().(*stream)
	st.c = c
	return st
}

func (st *stream) release() {
	if st.replay != nil {
		putBuffer(st.replay)
	}
	left := st.ex.Leave()
	headers := st.head.headers
	if grown := st.ex.Request.Headers; cap(grown) > cap(headers) {
		headers = grown
	}
	connection, trailers := st.head.connection[:0], st.chunks.trailers[:0]
	surplus, path, tail := st.surplus[:0], st.pathBuf[:0], st.tail[:0]
	*st = stream{} // By itself, it is cleared in place; with fields it would be copied whole.
	st.head.headers, st.head.connection, st.chunks.trailers = headers[:0], connection, trailers
	st.surplus, st.pathBuf, st.tail = surplus, path, tail
	st.ex.Begin(left)
	streams.Put(st)
}

// begin sets what the exchange knows of itself before its request is understood.
func (st *stream) begin() {
	ex := &st.ex
	if ex.Start == 0 {
		ex.Start = proxy.Now()
	}
	info := st.c.info
	ex.Connection = info
	ex.Local, ex.Remote, ex.Client = info.Local, info.Remote, info.Remote.Addr()
	ex.ResponseServiceTime = -1
	ex.Protocol = "HTTP/1.1"
	if st.head.http10 {
		ex.Protocol = "HTTP/1.0"
	}
	r := &ex.Request
	r.Listener, r.Chain = info.Listener, info.Chain
	r.Method, r.Authority, r.Path = st.head.method, st.head.authority, st.head.path
	r.Scheme = "http"
	if tls := info.TLS; tls != nil {
		r.Scheme, ex.ServerName = "https", tls.ServerName
	}
	r.Headers = st.head.headers
}

// parse looks for a request in the connection's buffer and takes it out if it is there.
func (st *stream) parse() (verdict, *ProtocolError) {
	c, o := st.c, st.c.options
	b := c.in[c.r:c.w]
	end, perr := st.parseHead(b)
	if perr != nil || end == 0 {
		return parsedPart, perr
	}
	rest := b[end:]
	if n := st.head.length; n > int64(len(rest)) && n <= maxWaitedBody && !c.hurry && st.head.expect == "" && st.head.upgrade == "" {
		c.need = end + int(n)
		return parsedPart, nil
	}
	c.r += end
	c.scanned, c.need, c.hurry = 0, 0, false
	st.begin()
	if perr := st.normalize(o); perr != nil {
		return parsedPart, perr
	}
	return st.takeBody(rest)
}

// parseHead parses the head that b begins with and returns the index behind it, or 0 if b holds
// no whole head yet.
func (st *stream) parseHead(b []byte) (end int, perr *ProtocolError) {
	c, o := st.c, st.c.options
	if c.scanned == 0 {
		// Nearly always all of it is there, and nothing is wrong with it: then one pass is
		// enough.
		if end, perr := st.head.parse(b, &o.Limits, &o.Policy); perr == nil && end <= o.Limits.HeadBytes {
			st.ex.HeadReceived = int64(end)
			return end, nil
		}
		// What there is of a part is not to be told: the buffer may move, and its place be
		// another connection's, before the rest comes.
		st.head.reset()
	}
	end, perr = headEnd(b, c.scanned)
	switch {
	case perr != nil:
		return 0, perr
	case end > o.Limits.HeadBytes:
		st.ex.HeadReceived = int64(end)
		return 0, errHeadTooLarge
	case end > 0:
		st.ex.HeadReceived = int64(end)
		return st.head.parse(b[:end], &o.Limits, &o.Policy)
	}
	c.scanned = len(b)
	if len(b) >= o.Limits.HeadBytes {
		return 0, errHeadTooLarge
	}
	if len(b) > o.Limits.TargetBytes {
		return 0, longTarget(b, o.Limits.TargetBytes)
	}
	return 0, nil
}

// normalize settles the exchange's path and port.
func (st *stream) normalize(o *Options) *ProtocolError {
	r := &st.ex.Request
	path, buf, redirect, perr := normalizePath(st.pathBuf[:0], r.Path, o.Policy.EscapedSlashes)
	if perr != nil {
		return perr
	}
	r.Path, st.head.path, st.pathBuf = path, path, buf
	if redirect && r.Authority == "" {
		return errPathSlash // There is no full name to redirect to.
	}
	if redirect {
		return errPathRedirect
	}
	if o.PortFromAuthority {
		r.Port = authorityPort(r.Authority)
	}
	return nil
}

// authorityPort returns the port of an authority that is known to be valid, or 80.
func authorityPort(a string) uint16 {
	for i := len(a) - 1; i >= 0; i-- {
		switch {
		case a[i] == ':':
			if n, err := strconv.ParseUint(a[i+1:], 10, 16); err == nil {
				return uint16(n)
			}
			return 80
		case a[i] < '0' || a[i] > '9':
			return 80
		}
	}
	return 80
}

// longTarget tells a head that never ended because of its target from one with too many
// fields.
func longTarget(b []byte, limit int) *ProtocolError {
	for _, c := range b[:limit+1] {
		if c == '\n' {
			return nil
		}
	}
	return errTargetTooLong
}

// takeBody takes what rest holds of the body.
func (st *stream) takeBody(rest []byte) (verdict, *ProtocolError) {
	c, ex, h := st.c, &st.ex, &st.head
	ex.WantsTrailers = h.teTrailers
	if h.upgrade != "" {
		ex.Request.Upgrade, ex.Request.Connection = h.upgrade, h.connection[0].Value
	}
	switch {
	case h.chunked:
		ex.Body = proxy.Body{Kind: proxy.BodyStream}
		st.chunks.reset()
		data, used, done, perr := st.decode(rest)
		if perr != nil {
			return parsedPart, perr
		}
		c.r += used
		if done {
			st.bodyDone.Store(true)
			ex.Buffered, ex.Payload = true, data
			if perr := st.takeTrailers(); perr != nil {
				return parsedPart, perr
			}
			break
		}
		st.early = data
	case h.length >= 0:
		ex.Body = proxy.Body{Kind: proxy.BodyLength, Length: h.length}
		n := min(int64(len(rest)), h.length)
		c.r += int(n)
		if n == h.length {
			st.bodyDone.Store(true)
			ex.Buffered, ex.Payload = true, rest[:n]
			break
		}
		st.early, st.left, st.rest = rest[:n], h.length-n, h.length-n
	default:
		st.bodyDone.Store(true)
		ex.Buffered = true
	}
	ex.BytesReceived = int64(len(ex.Payload))
	if !ex.Buffered {
		ex.Expect100 = h.expect != "" && len(st.early) == 0
		return parsedStreaming, nil
	}
	if ex.Request.Upgrade != "" {
		return parsedStreaming, nil
	}
	return parsedWhole, nil
}

// decode decodes b in place and returns the data in it, in one piece.
func (st *stream) decode(b []byte) (data []byte, used int, done bool, perr *ProtocolError) {
	to := 0
	for used < len(b) && !done {
		var piece []byte
		var n int
		piece, n, done, perr = st.chunks.next(b[used:], &st.c.options.Limits)
		used += n
		if perr != nil {
			return nil, used, false, perr
		}
		to += copy(b[to:], piece)
	}
	return b[:to], used, done, nil
}

func (st *stream) takeTrailers() *ProtocolError {
	trailers, perr := st.chunks.fields(&st.c.options.Limits)
	if perr != nil {
		return perr
	}
	st.ex.HeadReceived += int64(len(st.chunks.trailers))
	if st.head.hasTrailer || st.head.teTrailers {
		st.trailers = trailers
	}
	return nil
}

// ReadBody implements proxy.Downstream.
func (st *stream) ReadBody(p []byte) (int, error) {
	st.reading.Store(true)
	if st.replayed < len(st.replay) {
		n := copy(p, st.replay[st.replayed:])
		st.replayed += n
		return n, nil
	}
	n, err := st.readBody(p)
	st.ex.BytesReceived += int64(n)
	st.remember(p[:n])
	if n > 0 {
		st.c.arrived(n, !st.head.chunked && !st.bodyDone.Load())
	}
	return n, err
}

func (st *stream) readBody(p []byte) (int, error) {
	if len(st.early) > 0 {
		n := copy(p, st.early)
		st.early = st.early[n:]
		return n, nil
	}
	if st.bodyErr != nil {
		return 0, st.bodyErr
	}
	if st.bodyDone.Load() {
		return 0, io.EOF
	}
	n, err := 0, error(nil)
	if st.head.chunked {
		n, err = st.readChunked(p)
	} else {
		n, err = st.readLength(p)
	}
	if err != nil && err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded) {
		st.bodyErr = err
		st.spoilt.Store(true)
	}
	return n, err
}

func (st *stream) readLength(p []byte) (int, error) {
	if int64(len(p)) > st.left {
		p = p[:st.left]
	}
	n, err := st.c.conn.Read(p)
	st.left -= int64(n)
	if st.left == 0 {
		st.bodyDone.Store(true)
		return n, io.EOF
	}
	if err == io.EOF {
		err = errBodyCut
	}
	return n, err
}

func (st *stream) readChunked(p []byte) (int, error) {
	for {
		n, err := st.c.conn.Read(p)
		data, used, done, perr := st.decode(p[:n])
		switch {
		case perr != nil:
			return 0, perr
		case done:
			// With bad trailers the body never ends, and neither does the connection go on.
			if perr := st.takeTrailers(); perr != nil {
				return 0, perr
			}
			st.surplus = append(st.surplus, p[used:n]...)
			st.bodyDone.Store(true)
			return len(data), io.EOF
		case err == io.EOF:
			return len(data), errBodyCut
		case err != nil || len(data) > 0:
			return len(data), err
		}
	}
}

// Trailers implements proxy.Downstream.
func (st *stream) Trailers() []router.Header { return st.trailers }

// remember keeps a part of the body for another try. A body that is too large is not kept
// at all.
func (st *stream) remember(p []byte) {
	if !st.keep || len(p) == 0 || st.spoilt.Load() {
		return
	}
	if len(st.replay)+len(p) > largeBuffer {
		st.spoilt.Store(true)
		return
	}
	if st.replay == nil {
		st.replay = getLarge()[:0]
	}
	st.replay = append(st.replay, p...)
	st.replayed = len(st.replay)
}

// KeepBody implements proxy.Downstream.
func (st *stream) KeepBody() { st.keep = true }

// Rewindable implements proxy.Downstream. It is asked while the body is read, too.
func (st *stream) Rewindable() bool { return !st.reading.Load() || st.keep && !st.spoilt.Load() }

// Rewind implements proxy.Downstream.
func (st *stream) Rewind() bool {
	if !st.reading.Load() {
		return true
	}
	if !st.Rewindable() {
		return false
	}
	st.replayed = 0
	if st.stopped {
		st.stopped = false
		st.c.conn.SetReadDeadline(time.Time{})
	}
	return true
}

// CloseBody implements proxy.Downstream.
func (st *stream) CloseBody() {
	st.stopped = true
	st.c.conn.SetReadDeadline(time.Unix(1, 0))
}

// Attach implements proxy.Downstream.
func (st *stream) Attach(a *proxy.Aborter) bool {
	c, idle := st.c, st.ex.IdleTimeout(st.c.options.Timeouts.Stream)
	c.mu.Lock()
	c.aborter, c.idle = a, idle
	lost := c.lost
	c.mu.Unlock()
	return !lost
}

// Lost implements proxy.Downstream.
func (st *stream) Lost() (lost, timeout bool) {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost, c.timedOut
}

// Tunnel implements proxy.Downstream.
func (st *stream) Tunnel() (early []byte, conn net.Conn) {
	c := st.c
	st.tunneled = true
	c.mu.Lock()
	c.phase = phaseTunnel
	c.mu.Unlock()
	early = c.in[c.r:c.w]
	c.r = c.w
	return early, c.conn
}

// drain reads the rest of a request body that nobody wanted.
func (st *stream) drain() {
	if st.bodyDone.Load() {
		return
	}
	if st.left > maxDrain || st.stopped {
		st.closeAfter = true
		return
	}
	st.ex.End = 0 // The connection is not idle from then on, but from when this is done.
	st.c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	buf := getSmall()
	defer putBuffer(buf)
	for n := 0; n <= maxDrain; {
		m, err := st.readBody(buf)
		n += m
		if err == io.EOF {
			st.c.conn.SetReadDeadline(time.Time{})
			return
		}
		if err != nil {
			break
		}
	}
	st.closeAfter = true
}
