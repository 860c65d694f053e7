package http2

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/socket"
)

const (
	// connWindow is the window of a whole connection. It is opened again as soon as bytes
	// have come: what they may use of memory the streams' windows bound, and a slow client
	// must not hold up the others.
	connWindow = 1 << 20
	// streamWindow is a stream's, which is opened again when its client has taken the bytes.
	streamWindow = 64 << 10
	// lastStream is the number with which a connection takes no more streams: it leaves enough
	// for those that were taken by then, and have no number yet.
	lastStream = maxStreamID - 1<<20
)

// ConnOptions configure a connection to an endpoint.
type ConnOptions struct {
	// Limits bound a response's head, and its trailers.
	Limits http1.Limits
	// Changed is called when the connection can take more exchanges than before, none any
	// more, or has Closed. It must not wait. It may be nil.
	Changed func(*Conn)
}

// Conn is a connection to an endpoint, which carries many exchanges at a time. It is safe
// for concurrent use.
//
// One goroutine reads it, and hands what comes to the streams; it never waits for one of
// them, nor for the socket to take something. Whoever has something to send queues it, and
// writes what is queued, by whomever, unless somebody is at it already: frames of several
// streams leave in one write.
type Conn struct {
	options       ConnOptions
	limits        http1.Limits
	conn          net.Conn
	sock          socket.Socket
	local, remote string
	peer          netip.AddrPort
	// Opened is when it was made, of the clock of proxy.Now. For is for the pool that keeps
	// the connection: whom it was made for.
	Opened int64
	For    any

	// These belong to the goroutine that reads: in[r:w] is what was read and not dealt with
	// yet; block is the header block in progress; news are the streams that were handed
	// something since the last read.
	in       []byte
	r, w     int
	dec      decoder
	block    responseBlock
	head     responseHead
	received receiveWindow
	news     []*ConnStream
	fault    *connError
	idleData int

	// heard is when something last came.
	heard atomic.Int64
	// settled is closed when the endpoint's SETTINGS are there, or none will come.
	settled chan struct{}

	mu      sync.Mutex
	quiet   sync.Cond
	streams map[uint32]*ConnStream
	next    uint32
	// active counts the streams that are taken, requests those that ever were.
	active   int
	requests int64
	// idleSince is when the last stream was given back.
	idleSince int64
	window    sendWindow
	settings  peerSettings
	told      bool
	enc       encoder
	queue     outQueue
	// retired: it takes no more streams, and ends with the last. refusing: the endpoint
	// takes none (GOAWAY). leaving: the last stream has ended. closing: nothing more is
	// written. closed: all is over, and why.
	retired, refusing, leaving, closing, closed bool
	why                                         error
	pingSent                                    int64
}

var (
	errGoAway    = errors.New("http2: the endpoint takes no more requests on this connection (GOAWAY)")
	errUnwritten = errors.New("http2: the endpoint does not read what it is sent")
	errKeepalive = errors.New("http2: no answer to PING within keepaliveTimeout")
	errClosed    = errors.New("http2: the connection was closed")
)

// NewConn begins HTTP/2 on an established connection.
func NewConn(conn net.Conn, o ConnOptions) *Conn {
	c := &Conn{
		options: o, limits: o.Limits.WithDefaults(), conn: conn,
		local: conn.LocalAddr().String(), remote: conn.RemoteAddr().String(), peer: addrPortOf(conn.RemoteAddr()),
		Opened: proxy.Now(), received: newReceiveWindow(connWindow), settled: make(chan struct{}),
		streams: make(map[uint32]*ConnStream), next: 1,
		window: defaultWindow, settings: defaultPeerSettings(), enc: newEncoder(),
	}
	c.quiet.L = &c.mu
	c.dec = newDecoder(&c.limits)
	c.sock = socket.New(conn, c.step)
	c.idleSince = c.Opened
	c.heard.Store(c.Opened)
	c.mu.Lock()
	out := append(c.queue.room(len(preface)+64), preface...)
	out = appendSettings(out,
		setting{settingEnablePush, 0},
		setting{settingInitialWindowSize, streamWindow},
		setting{settingMaxHeaderListSize, uint32(c.limits.HeadBytes)})
	c.queue.out = appendWindowUpdate(out, 0, connWindow-defaultWindow)
	go c.read()
	c.send()
	return c
}

func addrPortOf(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Acquire takes a stream for one exchange, which is to be given back with Release. It
// returns nil where the connection, or its endpoint, takes no more, or where there are limit
// exchanges already.
func (c *Conn) Acquire(limit uint32) *ConnStream {
	c.mu.Lock()
	if c.room(limit) <= 0 {
		c.mu.Unlock()
		return nil
	}
	c.active++
	c.requests++
	c.mu.Unlock()
	s := newConnStream()
	s.mu.Lock()
	s.c = c
	s.mu.Unlock()
	return s
}

// room returns how many more streams could be taken. The caller holds mu.
func (c *Conn) room(limit uint32) int {
	if c.retired || c.refusing || c.closing {
		return 0
	}
	return int(min(limit, c.settings.maxConcurrentStreams)) - c.active
}

// Load returns how many exchanges are in progress, and how many more Acquire would take with
// this limit.
func (c *Conn) Load(limit uint32) (active, room int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active, max(c.room(limit), 0)
}

// ConnState is a look at a connection.
type ConnState struct {
	// Active exchanges are in progress.
	Active int
	// Requests counts the exchanges so far. IdleSince is when the last ended, or when the
	// connection was made.
	Requests, IdleSince int64
	// Ending: it takes no more exchanges, and ends by itself. Closed: it has.
	Ending, Closed bool
}

// State returns a look at the connection.
func (c *Conn) State() ConnState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ConnState{
		Active: c.active, Requests: c.requests, IdleSince: c.idleSince,
		Ending: c.retired || c.refusing || c.closing, Closed: c.closed,
	}
}

// Retire lets the connection take no more exchanges, and end with the last of them.
func (c *Conn) Retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	c.endIfDone()
}

// Close ends the connection, and all exchanges on it.
func (c *Conn) Close() { c.kill(errClosed) }

// endIfDone ends a connection that takes no more streams, when it has none. The caller holds
// mu.
func (c *Conn) endIfDone() {
	if c.active == 0 && !c.closing && !c.leaving && (c.retired || c.refusing) {
		c.leaving = true
		go c.leave()
	}
}

// leave ends a connection that nobody uses, with a word to the endpoint where it does not
// know. What is being written, such as the answer to a SETTINGS, comes first.
func (c *Conn) leave() {
	c.mu.Lock()
	if !c.refusing && !c.closing {
		c.conn.SetWriteDeadline(time.Now().Add(farewellTime))
	}
	for c.queue.writing && !c.closing && !c.refusing {
		c.quiet.Wait()
	}
	if c.closing || c.refusing {
		c.mu.Unlock()
		c.kill(errClosed)
		return
	}
	c.queue.out = appendGoAway(c.queue.room(32), 0, codeNone, "")
	c.send()
	c.kill(errClosed)
}

// kill has the reading goroutine end the connection.
func (c *Conn) kill(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.closing, c.why = true, why
	c.sock.StopWrites()
	c.conn.SetDeadline(time.Unix(1, 0))
}

// read reads until the connection ends, and closes it. Nobody else does: a descriptor must
// not be closed while another goroutine writes to it.
func (c *Conn) read() {
	err := c.sock.Run()
	c.mu.Lock()
	wasClosing := c.closing
	c.closing = true
	if !wasClosing {
		c.why = err
		if c.fault != nil {
			c.why = c.fault
		}
	}
	why := c.why
	switch {
	case !c.queue.writing:
	case c.fault != nil && !wasClosing:
		c.conn.SetWriteDeadline(time.Now().Add(farewellTime))
	default:
		c.sock.StopWrites()
		c.conn.SetDeadline(time.Unix(1, 0))
	}
	for c.queue.writing {
		c.quiet.Wait()
	}
	if c.fault != nil && !wasClosing {
		c.farewell(c.fault.code)
	}
	c.closed = true
	failure := connFailure(why)
	for _, s := range c.streams {
		s.end(failure, why)
	}
	c.queue.drop()
	if !c.told {
		c.told = true
		close(c.settled)
	}
	c.mu.Unlock()
	c.conn.Close()
	putBuffer(c.in)
	c.in = nil
	if c.options.Changed != nil {
		c.options.Changed(c)
	}
}

// farewellTime bounds the attempt to tell a faulty endpoint why its connection ends.
const farewellTime = time.Second

// farewell tells the endpoint why the connection ends. The caller holds mu, which is released
// meanwhile, and has seen to it that nobody else writes.
func (c *Conn) farewell(code errCode) {
	c.conn.SetWriteDeadline(time.Now().Add(farewellTime))
	out := appendGoAway(c.queue.room(32), 0, code, "")
	c.queue.out = nil
	c.mu.Unlock()
	c.sock.Write(out)
	putBuffer(out)
	c.mu.Lock()
}
