package http1

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// connState is where in an exchange a Conn stands.
type connState uint8

const (
	connSend connState = iota
	connHead
	connBody
	connSplice
	connDone
)

// bodyMode is how the response's body in progress is delimited.
type bodyMode uint8

const (
	bodyLength bodyMode = iota
	bodyChunked
	bodyUntilClose
)

const (
	// spliceFrom is the size of a rest of a body from which moving it inside the kernel
	// pays for the extra system calls.
	spliceFrom = 256 << 10
	// maxInterim bounds the 1xx responses before a final one.
	maxInterim = 8
)

// Conn is a connection to an endpoint, for one exchange at a time. It is not safe for
// concurrent use.
type Conn struct {
	aborter *proxy.Aborter
	conn    net.Conn
	sock    socket.Socket
	limits  Limits

	// local and remote are the connection's addresses, as text; peer is remote where that is
	// an IP address.
	local, remote string
	peer          netip.AddrPort
	// For is for the pool that keeps the connection: whom it was made for.
	For any
	// Requests counts the exchanges so far. Opened and IdleSince, of the clock of
	// proxy.Now, are for the pool that keeps the connection.
	Requests          int64
	Opened, IdleSince int64
	// LookedAt is when Look last found the idle connection to be quiet.
	LookedAt int64
	// unspliced says that the downstream codec must see the bytes of this body.
	unspliced bool
	// suspect says that something may have come behind the last response, such as a body that
	// it must not have, so that the connection wants a look before it is used again. emptied
	// tells that the last read left nothing behind.
	suspect, emptied bool

	state   connState
	mode    bodyMode
	interim int
	scanned int
	left    int64
	in      []byte
	r, w    int
	head    responseHead
	resp    proxy.Response
	chunks  chunkDecoder
	pump    *bodyPump

	ex     *proxy.Exchange
	filter proxy.ResponseFilter
	down   proxy.Downstream
	res    proxy.Result
}

var _ proxy.Upstream = (*Conn)(nil)

// NewConn makes a Conn of an established connection.
func NewConn(conn net.Conn, limits Limits) *Conn {
	c := &Conn{
		aborter: proxy.NewAborter(conn),
		conn:    conn,
		limits:  limits.WithDefaults(),
		local:   conn.LocalAddr().String(),
		remote:  conn.RemoteAddr().String(),
		peer:    addrPort(conn.RemoteAddr()),
	}
	c.sock = socket.New(conn, c.step)
	c.sock.Thorough()
	return c
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// NetConn returns the connection beneath.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Aborter implements proxy.Upstream.
func (c *Conn) Aborter() *proxy.Aborter { return c.aborter }

// Aborted tells whether the exchange was ended by its Aborter. The connection is then of no
// more use.
func (c *Conn) Aborted() bool { return c.aborter.Aborted() }

// Addresses implements proxy.Upstream.
func (c *Conn) Addresses() (local, remote string, peer netip.AddrPort) {
	return c.local, c.remote, c.peer
}

// Bound implements proxy.Upstream.
func (c *Conn) Bound(within time.Duration) {
	if within <= 0 {
		c.conn.SetDeadline(time.Time{})
		return
	}
	c.conn.SetDeadline(time.Now().Add(within))
	if c.Aborted() {
		// The bound must not undo what has happened.
		c.aborter.Abort()
	}
}

// Suspect tells that the connection should be looked at (Quiet) before it is used again.
func (c *Conn) Suspect() bool { return c.suspect }

// MaxLook is how many connections Look takes at once.
const MaxLook = socket.MaxPeek

// Look looks at idle connections, with one system call for all of them, and notes in
// LookedAt that those which are as they should be (Quiet) were so now. A connection that is
// Suspect is not noted. The caller must own them.
func Look(conns []*Conn, now int64) {
	var quiet [MaxLook]bool
	var socks [MaxLook]*socket.Socket
	conns = conns[:min(len(conns), MaxLook)]
	for i, c := range conns {
		socks[i] = &c.sock
	}
	socket.PeekAll(socks[:len(conns)], &quiet)
	for i, c := range conns {
		if quiet[i] && !c.suspect {
			c.LookedAt = now
		}
	}
}

// Quiet tells whether the idle connection is still good: open, and with nothing to read.
// The caller must own the connection.
func (c *Conn) Quiet() bool { return c.sock.Peek() == socket.Quiet }

// RoundTrip sends the exchange's request and relays the response to down, as filter allows.
// The connection must be kept only if the result says Reusable.
func (c *Conn) RoundTrip(ex *proxy.Exchange, filter proxy.ResponseFilter, down proxy.Downstream) proxy.Result {
	c.ex, c.filter, c.down = ex, filter, down
	c.state, c.res, c.interim, c.scanned = connSend, proxy.Result{}, 0, 0
	c.suspect, c.unspliced = false, false
	c.Requests++
	if err := c.sock.Run(); err != nil && c.state != connDone {
		c.fail(classify(err), err)
	}
	if c.state == connSplice {
		c.splice()
	}
	if c.pump != nil {
		c.endPump()
	}
	if c.in != nil && !c.res.Upgraded {
		putBuffer(c.in)
		c.in = nil
	}
	c.r, c.w = 0, c.keepUpgraded()
	c.ex, c.filter, c.down = nil, nil, nil
	return c.res
}

// keepUpgraded leaves what came behind a 101 in the buffer, for the tunnel.
func (c *Conn) keepUpgraded() int {
	if !c.res.Upgraded || c.in == nil {
		return 0
	}
	return copy(c.in, c.in[c.r:c.w])
}

// step is called when the socket may have news; see socket.Socket.Run.
func (c *Conn) step() bool {
	if c.state == connSend {
		if err := c.send(); err != nil {
			c.fail(sendFailure(err), err)
			return true
		}
		c.state = connHead
		return false
	}
	for {
		if c.in == nil {
			c.in, c.r, c.w = getLarge(), 0, 0
		}
		room := len(c.in) - c.w
		n, again, err := c.sock.Read(c.in[c.w:])
		if again {
			c.release()
			return false
		}
		if err != nil {
			c.ended(err)
			return true
		}
		c.w += n
		c.emptied = c.sock.Short(n, room)
		c.res.Received = true
		// A response that is not whole yet is read on until nothing is there: its end
		// may have come with the data, and would make no further edge.
		if c.consume() {
			return true
		}
	}
}

// release gives the buffer back while there is nothing in it.
func (c *Conn) release() {
	if c.r == c.w && c.in != nil {
		putBuffer(c.in)
		c.in, c.r, c.w = nil, 0, 0
	}
}

// consume deals with what is in the buffer, and tells whether the exchange is over (or
// leaves the callback).
func (c *Conn) consume() bool {
	for c.state == connHead {
		end, perr := c.parseHead(c.in[c.r:c.w])
		if perr != nil {
			c.fail(proxy.FailProtocol, perr)
			return true
		}
		if end == 0 {
			c.scanned = c.w - c.r
			c.w, c.r = copy(c.in, c.in[c.r:c.w]), 0
			return false
		}
		c.r += end
		c.scanned = 0
		if c.gotHead() {
			return true
		}
	}
	return c.forward()
}

// parseHead parses the head that b, which is the buffer, begins with and returns the index behind
// it, or 0 if b holds no whole head yet.
func (c *Conn) parseHead(b []byte) (end int, perr *ProtocolError) {
	if c.scanned == 0 {
		// Nearly always all of it is there: then one pass is enough.
		if end, perr := c.head.parse(b, &c.limits); perr == nil {
			return end, nil
		}
	}
	end, perr = headEnd(b, c.scanned)
	switch {
	case perr != nil:
		return 0, perr
	case end > 0:
		return c.head.parse(b[:end], &c.limits)
	case !beginsStatusLine(b):
		return 0, errStatusLine
	case len(b) >= min(c.limits.HeadBytes, len(c.in)):
		return 0, errHeadTooLarge
	}
	return 0, nil
}

// gotHead acts on a response's head, and tells whether the exchange is over.
func (c *Conn) gotHead() bool {
	if c.head.status < 200 {
		return c.gotInterim()
	}
	r := &c.resp
	*r = proxy.Response{
		Status:         c.head.status,
		Reason:         c.head.reason,
		Headers:        c.head.headers,
		Body:           c.head.body(c.ex.Request.Method),
		DeclaredLength: c.head.length,
	}
	relay := c.filter.FilterResponse(c.ex, r)
	c.head.headers = r.Headers[:0]
	c.state = connBody
	c.chunks.reset()
	switch {
	case r.Body.Kind == proxy.BodyNone:
		c.suspect = true
		c.mode, c.left = bodyLength, 0
	case c.head.chunked:
		c.mode = bodyChunked
	case r.Body.Kind == proxy.BodyLength:
		c.mode, c.left = bodyLength, r.Body.Length
	default:
		c.mode = bodyUntilClose
	}
	data, end, perr := c.take()
	if !relay {
		return c.refuse(end)
	}
	if perr != nil {
		// Nothing was answered yet: the client can still be told.
		c.fail(proxy.FailProtocol, perr)
		return true
	}
	trailers, perr := c.responseTrailers(end)
	if perr != nil {
		c.fail(proxy.FailProtocol, perr)
		return true
	}
	c.res.Responded = true
	err := c.down.Respond(c.ex, r, data, end && trailers == nil)
	if err == nil && trailers != nil {
		err = c.down.WriteBody(nil, trailers, true)
	}
	if err != nil {
		c.fail(proxy.FailDownstream, err)
		return true
	}
	return c.advance(end)
}

// refuse ends an exchange whose response the filter did not want. A connection that has
// brought all of it may be used again.
func (c *Conn) refuse(end bool) bool {
	if end {
		c.finish()
	}
	reusable := c.res.Reusable
	c.fail(proxy.FailRefused, nil)
	c.res.Reusable = reusable && c.res.Failure == proxy.FailRefused
	return true
}

// gotInterim relays a 1xx response, or switches protocols.
func (c *Conn) gotInterim() bool {
	c.resp = proxy.Response{Status: c.head.status, Reason: c.head.reason, Headers: c.head.headers, DeclaredLength: -1}
	if c.head.status == 101 {
		return c.gotUpgrade()
	}
	if c.interim++; c.interim > maxInterim {
		c.fail(proxy.FailProtocol, errStatusLine)
		return true
	}
	if c.head.status == 100 && !c.ex.Expect100 {
		return false
	}
	if err := c.down.Interim(&c.resp); err != nil {
		c.fail(proxy.FailDownstream, err)
		return true
	}
	return false
}

// gotUpgrade checks that a 101 is the answer to what was asked, and passes it on.
func (c *Conn) gotUpgrade() bool {
	if c.ex.Request.Upgrade == "" || !c.head.upgradeSeen || !strings.EqualFold(c.head.upgrade, c.ex.Request.Upgrade) {
		c.fail(proxy.FailProtocol, errUnsolicited101)
		return true
	}
	c.resp.Upgrade = c.head.upgrade
	if !c.filter.FilterResponse(c.ex, &c.resp) {
		c.fail(proxy.FailRefused, nil)
		return true
	}
	c.res.Responded, c.res.Upgraded = true, true
	if err := c.down.Respond(c.ex, &c.resp, nil, true); err != nil {
		c.fail(proxy.FailDownstream, err)
		return true
	}
	c.state = connDone
	return true
}

// take returns the body's bytes that are in the buffer, decoded and in one piece, and
// whether they are the last.
func (c *Conn) take() (data []byte, end bool, perr *ProtocolError) {
	switch c.mode {
	case bodyLength:
		n := min(int64(c.w-c.r), c.left)
		data = c.in[c.r : c.r+int(n)]
		c.r += int(n)
		c.left -= n
		return data, c.left == 0, nil
	case bodyUntilClose:
		data = c.in[c.r:c.w]
		c.r = c.w
		return data, false, nil
	}
	start, to := c.r, c.r
	for c.r < c.w {
		piece, used, done, err := c.chunks.next(c.in[c.r:c.w], &c.limits)
		c.r += used
		if err != nil {
			return nil, false, err
		}
		if len(piece) > 0 {
			to += copy(c.in[to:], piece)
		}
		if done {
			end = true
			break
		}
	}
	return c.in[start:to], end, nil
}

// forward relays what the buffer holds of the body.
func (c *Conn) forward() bool {
	if c.r == c.w {
		return false
	}
	data, end, perr := c.take()
	if perr != nil {
		c.fail(proxy.FailProtocol, perr)
		return true
	}
	if len(data) == 0 && !end {
		return c.advance(end)
	}
	trailers, perr := c.responseTrailers(end)
	if perr != nil {
		c.fail(proxy.FailProtocol, perr)
		return true
	}
	if err := c.down.WriteBody(data, trailers, end); err != nil {
		c.fail(proxy.FailDownstream, err)
		return true
	}
	return c.advance(end)
}

// advance goes on after some body was relayed.
func (c *Conn) advance(end bool) bool {
	if end {
		c.finish()
		return true
	}
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if _, plain := c.conn.(*net.TCPConn); plain && !c.unspliced && c.mode == bodyLength && c.left >= spliceFrom && c.r == c.w {
		c.state = connSplice
		return true
	}
	return false
}

// finish ends an exchange whose response is complete. Bytes that follow it belong to no
// request: their connection is not used again.
func (c *Conn) finish() {
	c.state = connDone
	c.suspect = c.suspect || !c.emptied
	c.res.Reusable = c.r == c.w && c.ex.Request.Upgrade == "" && c.head.keepsAlive(c.ex.Request.Method) && !c.Aborted()
}

// splice moves the rest of the body, inside the kernel where the downstream codec lets it.
func (c *Conn) splice() {
	n, ok, err := c.down.Splice(c.conn, c.left)
	c.left -= n
	c.emptied = false
	switch {
	case !ok:
		c.state, c.unspliced = connBody, true
		if err := c.sock.Run(); err != nil && c.state != connDone {
			c.fail(classify(err), err)
		}
	case err != nil || c.left > 0:
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		c.fail(c.spliceFailure(err), err)
	default:
		c.finish()
	}
}

// ended acts on the end of what the upstream sends.
func (c *Conn) ended(err error) {
	if c.state == connBody && c.mode == bodyUntilClose && err == io.EOF {
		if err := c.down.WriteBody(nil, nil, true); err != nil {
			c.fail(proxy.FailDownstream, err)
			return
		}
		c.state = connDone
		return
	}
	c.fail(classify(err), err)
}

// fail ends the exchange without a whole response.
func (c *Conn) fail(f proxy.Failure, err error) {
	if c.Aborted() {
		f = proxy.FailDownstream
	}
	c.res.Failure, c.res.Err, c.res.Reusable = f, err, false
	c.state = connDone
	if c.res.Responded && f != proxy.FailDownstream {
		c.down.Cut()
	}
}

// classify turns a socket's error into a Failure.
func classify(err error) proxy.Failure {
	switch {
	case err == io.EOF:
		return proxy.FailClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return proxy.FailTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return proxy.FailReset
	default:
		return proxy.FailClosed
	}
}

// sendFailure is the Failure of a request that could not be written.
func sendFailure(err error) proxy.Failure {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return proxy.FailTimeout
	}
	return proxy.FailSend
}

// spliceFailure tells whose fault ended a splice, which has both sides' errors.
func (c *Conn) spliceFailure(err error) proxy.Failure {
	lost, _ := c.down.Lost()
	switch {
	case lost, c.left == 0, errors.Is(err, syscall.EPIPE):
		return proxy.FailDownstream
	case errors.Is(err, syscall.ECONNRESET) && c.sock.Peek() != socket.Closed:
		return proxy.FailDownstream
	}
	return classify(err)
}
