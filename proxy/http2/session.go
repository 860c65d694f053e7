package http2

import (
	"errors"
	"net"
	"os"
	"sync"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// session is a client's connection. One goroutine, Serve's, reads frames and deals with them;
// it never waits for anything but the client's next bytes. Exchanges run in workers, see
// worker; what they write collects in out, and whichever of them is first writes it for all,
// see flush. What mu does not guard belongs to the reading goroutine.
type session struct {
	options *Options
	info    *proxy.Connection
	conn    net.Conn
	sock    socket.Socket

	// in[r:w] is what was read and not dealt with yet.
	in   []byte
	r, w int
	// whole: a frame has come whole since the last wait.
	whole bool
	// greeted: the preface has come; settled: the SETTINGS behind it.
	greeted, settled bool
	dec              decoder
	block            headerBlock
	discard          fieldList
	guard            guard
	// now is the time of the last read.
	now int64
	// fresh are streams that have just opened and whose body may come with the same read.
	fresh []*serverStream
	// failure ends the connection.
	failure *connError

	mu      sync.Mutex
	enc     encoder
	peer    peerSettings
	streams streamTable
	// headBytes is what the heads and trailers of requests in progress hold.
	headBytes int
	// last is the highest stream that was opened. refused are streams that we reset, whose
	// frames may still be on their way.
	last    uint32
	refused resetRing

	// clock is the time of the last read or write. moved is that of the last that let DATA go, of
	// which the client has taken enough since the time before; taken is what it took since.
	clock    int64
	moved    int64
	taken    int
	out      []byte
	flushing bool
	control  int // frames in out that answer or reset
	dataSent int
	window   sendWindow
	inWindow receiveWindow
	ready    []*serverStream // have something to send and a window of their own
	roomless []chan struct{} // wait for room in out
	workers  workerPool
	drain    drain
	watch    watch
	dead     bool // nothing more can be written
	closed   bool
	ended    sync.Cond // running has become 0
	// killed: it ends at once. failing: it ends when all was written; lingering: all was.
	killed, failing, lingering bool
}

func newSession(conn net.Conn, early []byte, info *proxy.Connection, o *Options) *session {
	c := &session{options: o, info: info, conn: conn, now: proxy.Now()}
	c.dec = newDecoder(&o.Limits)
	c.enc = newEncoder()
	c.peer = defaultPeerSettings()
	c.window = defaultWindow
	c.inWindow = newReceiveWindow(o.ConnectionWindow)
	c.ended.L = &c.mu
	c.watch.since = c.now
	c.watch.opened = c.now
	c.sock = socket.New(conn, c.step)
	if len(early) > 0 {
		c.in = getBuffer(max(len(early), readBuffer))
		c.w = copy(c.in, early)
	}
	return c
}

// Serve implements proxy.Session.
func (c *session) Serve() {
	defer c.end()
	if c.sock.Write(c.greeting()) != nil {
		return
	}
	for {
		err := c.sock.Run()
		switch {
		case c.failure != nil:
			c.goAway(c.failure)
			c.linger()
			return
		case err == nil || !errors.Is(err, os.ErrDeadlineExceeded):
			return
		case !c.interrupted():
			return
		}
	}
}

// greeting is what the server says first: its settings, and how much larger the connection's
// window is than everybody's.
func (c *session) greeting() []byte {
	o := c.options
	b := appendSettings(nil,
		setting{settingMaxConcurrentStreams, uint32(o.MaxConcurrentStreams)},
		setting{settingInitialWindowSize, uint32(o.StreamWindow)},
		setting{settingMaxHeaderListSize, uint32(o.Limits.HeadBytes)},
		setting{settingEnableConnectProtocol, 1},
		setting{settingNoRFC7540Priorities, 1},
	)
	if more := o.ConnectionWindow - defaultWindow; more > 0 {
		b = appendWindowUpdate(b, 0, more)
	}
	return b
}

// step is called when the socket may have news; see socket.Socket.Run. It deals with every
// frame that is whole in the buffer, and returns true when the connection ends.
func (c *session) step() bool {
	short := false
	for {
		if c.w > c.r {
			if c.failure = c.frames(); c.failure != nil {
				return true
			}
			c.endBatch()
		}
		if short {
			c.rest()
			return false
		}
		c.room()
		room := len(c.in) - c.w
		n, again, err := c.sock.Read(c.in[c.w:])
		if again {
			c.rest()
			return false
		}
		if err != nil {
			return true
		}
		c.w += n
		c.now = proxy.Now()
		short = c.sock.Short(n, room)
	}
}

// room makes room in the buffer for at least what a whole frame needs.
func (c *session) room() {
	if c.in == nil {
		c.in, c.r, c.w = getBuffer(readBuffer), 0, 0
		return
	}
	if c.r > 0 && len(c.in)-c.w < frameHeaderLen+minFrameSize {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
}

// rest is called before the connection waits: it holds no buffer where nothing is in it.
func (c *session) rest() {
	if c.r == c.w && c.in != nil {
		putBuffer(c.in)
		c.in, c.r, c.w = nil, 0, 0
	}
	// What a frame of DATA is late with is its stream's to wait for, while it has one.
	late, data, whole := !c.settled || c.block.open, uint32(0), c.whole
	if n := c.w - c.r; n > 0 {
		if n >= frameHeaderLen && frameType(c.in[c.r+3]) == frameData {
			data = parseFrameHeader(c.in[c.r:]).stream
		}
		late = late || data == 0
	}
	c.whole = false
	c.mu.Lock()
	w := &c.watch
	w.data = data
	switch {
	case !late && !c.waitsInVain():
		w.late = 0
	case w.late == 0 || !late && whole:
		w.late = c.now
	}
	w.rested, w.looked = c.now, false
	c.mu.Unlock()
}

// endBatch begins the exchanges whose body was waited for until all that had been read was
// dealt with, and sends what answers it.
func (c *session) endBatch() {
	c.mu.Lock()
	c.clock = c.now
	for len(c.fresh) > 0 {
		c.settleBody(c.fresh[0], false)
	}
	if len(c.out) > 0 && !c.flushing {
		// Not here: the client may read nothing before we have read on.
		c.flushing = true
		go c.flushLoop()
	}
	c.mu.Unlock()
}
