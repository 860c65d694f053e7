package http1

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// phase is what a server's connection is waiting for.
type phase uint8

const (
	phaseNew      phase = iota // the first byte
	phaseIdle                  // the next request
	phaseHead                  // the rest of a head
	phaseBody                  // the rest of a small body
	phaseExchange              // the exchange in progress
	phaseTunnel                // nothing: the connection was upgraded
)

// smallBodyWait is how long a small body is waited for before its request is forwarded
// without it.
const smallBodyWait = time.Second

// maxFirstByte bounds the wait for a new connection's first byte.
const maxFirstByte = time.Minute

// leave says why a connection leaves its socket's callback.
type leave uint8

const (
	leaveClose leave = iota
	// leaveLinger: close, after the client had a chance to read the last response.
	leaveLinger
	// leaveServe: serve the parsed request with ordinary reads.
	leaveServe
	// leaveGone: the connection is somebody else's.
	leaveGone
	// leaveSuccessor: it speaks HTTP/2.
	leaveSuccessor
	// leavePark: nobody is in a hurry.
	leavePark
)

// serverConn is a client's connection. All but what mu guards belongs to its goroutine.
type serverConn struct {
	options *Options
	info    *proxy.Connection
	conn    net.Conn
	sock    socket.Socket

	// in[r:w] is what was read and not dealt with yet; the first scanned bytes of it hold
	// no end of a head. need, if not 0, is how long it must be before another look.
	in      []byte
	r, w    int
	scanned int
	need    int
	// hurry says that a body was waited for long enough.
	hurry  bool
	stream *stream
	leave  leave
	// draining: the connection ends with the response in progress, or the next one.
	draining atomic.Bool
	// spoken: the first bytes were looked at. successor has taken the connection over.
	spoken    bool
	successor atomic.Pointer[proxy.Session]

	mu    sync.Mutex
	phase phase
	// since is when the phase began, or when something last moved in it.
	since int64
	// nextLook is when to look again whether the client of an exchange is still there.
	nextLook int64
	moved    int64
	// idle is how long nothing may move in the exchange.
	idle    time.Duration
	aborter *proxy.Aborter
	// body is what has come of a body of known length, from since on: when its first bytes
	// were read. since is 0 where none is being read.
	body struct{ since, bytes int64 }
	// woken: a read deadline in the past was set to interrupt the wait for a request.
	// looked: this wait has been looked at once.
	woken, looked bool
	// lost: the client has gone. timedOut: it was given up on.
	lost, timedOut bool
	closed         bool
	parking
}

// NewSession returns the session of a client's connection, of which early was read already.
// The options must be complete (Options.WithDefaults).
func NewSession(conn net.Conn, early []byte, info *proxy.Connection, o *Options) proxy.Session {
	c := &serverConn{options: o, info: info, conn: conn, since: proxy.Now()}
	c.sock = socket.New(conn, c.step)
	if len(early) > 0 {
		c.room(len(early))
		c.w = copy(c.in, early)
	}
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Serve implements proxy.Session.
func (c *serverConn) Serve() { c.ServeUntilParked(nil, nil) }

// serve serves the connection until it ends, or, where it returns true, is parked: then it
// may be with another goroutine already.
func (c *serverConn) serve() (parked bool) {
	for {
		if err := c.sock.Run(); err != nil {
			switch {
			case !c.interrupted(err):
				return false
			case c.park():
				return true
			}
			continue
		}
		switch c.leave {
		case leaveServe:
			c.serveStreaming()
			if c.leave != leaveServe {
				if c.leave == leaveLinger {
					c.linger()
				}
				return false
			}
		case leaveLinger:
			c.linger()
			return false
		case leaveSuccessor:
			c.succeed()
			return false
		case leavePark:
			if c.park() {
				return true
			}
		default:
			return false
		}
	}
}

// end closes the connection and gives back what it holds.
func (c *serverConn) end() {
	if c.stream != nil {
		c.stream.release()
		c.stream = nil
	}
	if c.in != nil {
		putBuffer(c.in)
		c.in = nil
	}
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	if c.leave != leaveGone {
		c.conn.Close()
	}
}

// interrupted acts on the watcher's waking of a connection that waits for a request, and
// tells whether to go on.
func (c *serverConn) interrupted(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	p, over, timedOut := c.phase, c.lost, c.timedOut
	c.timedOut = false
	c.clearWake()
	c.mu.Unlock()
	switch {
	case over:
		return false
	case timedOut && p == phaseHead:
		c.reject(errHeadTimeout)
		c.linger()
		return false
	case timedOut && p == phaseBody:
		c.hurry, c.need = true, 0
		return true
	case timedOut:
		return false
	case p == phaseHead || p == phaseBody:
		return true
	}
	// A request may have come just as the idle connection was to be closed.
	return !c.draining.Load() || c.sock.Peek() == socket.Data
}

var errHeadTimeout = &ProtocolError{Status: 408, Detail: "http1.request_head_timeout"}

// step is called when the socket may have news; see socket.Socket.Run. It serves every request
// that is whole in the buffer, and returns true to leave the callback.
func (c *serverConn) step() bool {
	short := false
	for {
		if n := c.w - c.r; n > 0 && n >= c.need {
			done, more := c.next()
			if done {
				return true
			}
			if !more {
				continue
			}
		}
		if short {
			c.rest()
			return c.leaves()
		}
		c.room(max(1, c.need-(c.w-c.r)))
		room := len(c.in) - c.w
		n, again, err := c.sock.Read(c.in[c.w:])
		if again {
			c.rest()
			return c.leaves()
		}
		if err != nil {
			c.leave = leaveClose
			return true
		}
		c.w += n
		short = c.sock.Short(n, room)
	}
}

// next looks at what is in the buffer. done leaves the callback; more says that it holds
// no whole request.
func (c *serverConn) next() (done, more bool) {
	if !c.spoken && c.options.HTTP2 != nil && c.info.TLS == nil {
		switch b := c.in[c.r:c.w]; {
		case !beginsPreface(b):
		case len(b) < len(preface):
			return false, true
		default:
			c.leave = leaveSuccessor
			return true, false
		}
	}
	first := !c.spoken
	c.spoken = true
	if c.stream == nil {
		c.stream = newStream(c)
	}
	verdict, perr := c.stream.parse()
	switch {
	case perr != nil && first && c.options.HTTP2 != nil && c.info.TLS == nil && noHTTP(c.in[c.r:c.w]):
		// Neither protocol's client: an answer in either would be noise.
		c.options.observe(proxy.ConnRejected)
		c.leave = leaveClose
		return true, false
	case perr != nil:
		c.reject(perr)
		c.leave = leaveLinger
		return true, false
	case verdict == parsedPart:
		return false, true
	case verdict == parsedStreaming:
		c.leave = leaveServe
		return true, false
	}
	c.enter()
	c.options.Engine.Serve(&c.stream.ex, c.stream)
	if !c.settle() {
		return true, false
	}
	return false, c.r == c.w
}

// enter begins the exchange of the parsed request. Until it ends, nothing is read into what is
// free of the connection's buffer.
func (c *serverConn) enter() {
	start := c.stream.ex.Start
	c.stream.ex.Room = c.in[c.w:c.w]
	c.mu.Lock()
	c.phase, c.since, c.timedOut, c.wanted = phaseExchange, start, false, false
	c.nextLook, c.moved, c.body.since = start+int64(watchEvery), 0, 0
	c.idle = c.options.Timeouts.Stream
	// The request can have come just as the wait for it was interrupted.
	c.clearWake()
	c.mu.Unlock()
}

// settle ends an exchange, and tells whether the connection goes on in the callback.
func (c *serverConn) settle() bool {
	st := c.stream
	switch {
	case st.tunneled:
		c.leave = leaveGone
		return false
	case !st.finished:
		st.Cut()
		c.leave = leaveClose
		return false
	case st.closeAfter:
		c.leave = leaveLinger
		if st.silent() {
			c.leave = leaveClose
		}
		return false
	}
	if st.stopped {
		c.conn.SetReadDeadline(time.Time{})
	}
	now := st.ex.End
	if now == 0 {
		now = proxy.Now()
	}
	st.release()
	c.stream = nil
	c.mu.Lock()
	c.phase, c.since, c.looked = phaseIdle, now, false
	lost := c.lost
	c.mu.Unlock()
	if lost {
		c.leave = leaveClose
		return false
	}
	return true
}

// serveStreaming serves a request whose body had not arrived with its head, or that wants
// to switch protocols, with ordinary reads. It leaves c.leave at leaveServe where the
// connection goes on.
func (c *serverConn) serveStreaming() {
	c.enter()
	st := c.stream
	c.options.Engine.Serve(&st.ex, st)
	if st.finished && !st.closeAfter && !st.tunneled {
		st.drain()
	}
	if len(st.surplus) > 0 {
		// The exchange is over: nothing aliases the buffer any more.
		c.room(len(st.surplus))
		c.w += copy(c.in[c.w:], st.surplus)
	}
	if c.settle() {
		c.leave = leaveServe
	}
}

// rest is called before the connection waits: it holds no buffer where nothing is in it.
func (c *serverConn) rest() {
	if c.r == c.w {
		if c.in != nil {
			putBuffer(c.in)
			c.in, c.r, c.w, c.scanned, c.need = nil, 0, 0, 0, 0
		}
		if c.stream != nil {
			c.stream.release()
			c.stream = nil
		}
		return
	}
	p := phaseHead
	if c.need > 0 {
		p = phaseBody
	}
	c.mu.Lock()
	if c.phase != p {
		c.phase, c.since, c.looked = p, proxy.Now(), false
	}
	c.mu.Unlock()
}

// room makes room in the buffer for n more bytes. Nothing may alias the buffer.
func (c *serverConn) room(n int) {
	if c.in == nil {
		c.r, c.w = 0, 0
		if c.in = getSmall(); n <= smallBuffer {
			return
		}
	}
	if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	if want := c.w + n; want > len(c.in) {
		var grown []byte
		if want <= largeBuffer {
			grown = getLarge()
		} else {
			grown = make([]byte, want+smallBuffer)
		}
		copy(grown, c.in[:c.w])
		putBuffer(c.in)
		c.in = grown
	}
}

// reject answers a request that was refused; the connection ends with it.
func (c *serverConn) reject(perr *ProtocolError) {
	if c.stream == nil {
		c.stream = newStream(c)
	}
	st := c.stream
	st.begin()
	if st.ex.HeadReceived == 0 {
		st.ex.HeadReceived = int64(c.w - c.r)
	}
	st.closeAfter = true
	c.enter()
	c.options.observe(proxy.ConnRejected)
	r := proxy.Rejection{Status: perr.Status, Detail: perr.Detail}
	if perr == errPathRedirect {
		// Named in full: a path of "//host" alone would lead elsewhere.
		r.Location = st.ex.Keep(st.ex.Request.Scheme, "://", st.ex.Request.Authority, st.ex.Request.Path)
	}
	c.options.Engine.Reject(&st.ex, st, r)
}

// silent tells whether the client has nothing to send any more: it asked for the end of the
// connection, and all that it sent, which may be its own end, is read. Then a close cannot reset the connection.
func (st *stream) silent() bool {
	asked := st.head.closes || st.head.http10 && !st.head.keeps
	return asked && st.bodyDone.Load() && !st.stopped && len(st.surplus) == 0 && st.c.r == st.c.w && st.c.sock.Drained()
}

const (
	// lingerBytes and lingerTime bound what is read, and thrown away, from a client that
	// still sends while it is answered for the last time; a close before would reset the
	// connection and could cost it the answer.
	lingerBytes = 64 << 10
	lingerTime  = time.Second
)

// linger closes the connection's sending side, and waits a moment for the client's.
func (c *serverConn) linger() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	buf := getSmall()
	defer putBuffer(buf)
	for n := 0; n < lingerBytes; {
		m, err := c.conn.Read(buf)
		if err != nil {
			return
		}
		n += m
	}
}
