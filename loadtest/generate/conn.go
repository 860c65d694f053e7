package generate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/loadtest/work"
)

// conn is a connection of the client's, which is made again where it was closed.
type conn struct {
	loop  *loop
	index int
	// lanes are those who use it.
	lanes []*lane
	codec codec

	socket *socket // nil while it is closed
	tls    *tls.Conn
	// age counts how often it was opened, so that events of one before are known.
	age int32
	// left is what was read and not used, out what is to be written.
	left, out []byte
	// fresh says that it is new, and that TLS may hold bytes of which no event tells.
	fresh bool
	// queued says that out will be written at the end of this turn of the loop.
	queued bool
}

// codec is a protocol as spoken on one connection; each has a new one.
type codec interface {
	// begin is called on a new connection, which waits while it reads and writes.
	begin(c *conn) error
	// request appends the lane's request to c.out.
	request(c *conn, l *lane)
	// read uses what has arrived, tells the loop of answers, and returns how much it used: it
	// is given the rest again, with what follows. An error ends the connection.
	read(c *conn, p []byte) (used int, err error)
	// skip is how many bytes that follow need only be counted, which skipped then does.
	skip() int
	skipped(c *conn, n int)
	// eof is called when the peer closes.
	eof(c *conn)
	// finish is called when all is done, and says whether there is an end to wait for.
	finish(c *conn) (wait bool)
}

// plain has what most protocols do not need.
type plain struct{}

func (plain) begin(*conn) error  { return nil }
func (plain) skip() int          { return 0 }
func (plain) skipped(*conn, int) {}
func (plain) eof(*conn)          {}
func (plain) finish(*conn) bool  { return false }

// open makes the connection. What takes a round trip before the first request is waited for.
func (c *conn) open() error {
	s, err := dial(c.loop.addr)
	if err != nil {
		return err
	}
	c.socket, c.tls, c.codec = s, nil, c.loop.newCodec()
	c.age++
	c.left, c.out = c.left[:0], c.out[:0]
	if err := c.begin(); err != nil {
		c.close()
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(c.index), Pad: c.age}
	if err := unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_ADD, s.fd, &event); err != nil {
		c.close()
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func (c *conn) begin() error {
	if c.loop.Protocol == work.HTTP1Close && !c.loop.TLS {
		return nil // the request waits for the connection, not we
	}
	if err := c.socket.connected(); err != nil {
		return err
	}
	c.socket.patient = true
	if c.loop.TLS {
		c.tls = tls.Client(c.socket, c.loop.tls)
		if err := c.tls.Handshake(); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
		if want := c.loop.tls.NextProtos; len(want) > 0 && want[0] == "h2" && c.tls.ConnectionState().NegotiatedProtocol != "h2" {
			return errors.New("HTTP/2 was not agreed on")
		}
	}
	if err := c.codec.begin(c); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	c.socket.patient, c.socket.drained, c.fresh = false, false, c.tls != nil
	return nil
}

// close closes the connection and leaves its lanes alone.
func (c *conn) close() {
	switch {
	case c.socket == nil:
		return
	case c.tls != nil:
		c.tls.Close()
	default:
		c.socket.Close()
	}
	c.socket = nil
}

// broken closes a connection on which something came that must not: a failure, even where
// nothing was asked.
func (c *conn) broken(err error) {
	if !slices.ContainsFunc(c.lanes, func(l *lane) bool { return l.busy }) {
		c.loop.failed(1, err.Error())
	}
	c.fail(err.Error())
}

// fail closes the connection; what was asked on it has failed.
func (c *conn) fail(problem string) {
	c.close()
	for _, l := range c.lanes {
		if l.busy {
			c.loop.done(l, problem)
		}
	}
}

// send writes a request, on a new connection where there is none.
func (c *conn) send(l *lane) {
	if c.socket == nil {
		if err := c.open(); err != nil {
			c.loop.done(l, "connecting: "+err.Error())
			return
		}
	}
	c.codec.request(c, l)
	c.queue()
}

// queue has what is in out written soon, with whatever else comes until then.
func (c *conn) queue() {
	if !c.queued && len(c.out) > 0 {
		c.queued = true
		c.loop.unsent = append(c.loop.unsent, c)
	}
}

func (c *conn) flush() error {
	c.queued = false
	if c.socket == nil || len(c.out) == 0 {
		return nil
	}
	var err error
	if c.tls != nil {
		_, err = c.tls.Write(c.out)
	} else {
		_, err = c.socket.Write(c.out)
	}
	c.out = c.out[:0]
	return err
}

func (c *conn) read(p []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Read(p)
	}
	return c.socket.Read(p)
}

// ready does what an event allows.
func (c *conn) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 && len(c.socket.pending) > 0 {
		if err := c.socket.push(); err != nil {
			c.fail("writing: " + err.Error())
			return
		}
	}
	if events&^unix.EPOLLOUT == 0 && !c.fresh {
		return
	}
	c.fresh = false
	hangup := events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	c.socket.drained = false
	for c.socket != nil {
		more, err := c.receive()
		switch {
		case c.socket == nil:
		case err == io.EOF:
			c.codec.eof(c)
			c.fail("the connection was closed before the answer was complete")
		case err != nil:
			c.broken(err)
		case !more:
			return
		case hangup:
			c.socket.drained = false // no other event tells of the end
		}
	}
}

// receive reads once, and says whether there may be more.
func (c *conn) receive() (more bool, err error) {
	if n := c.codec.skip(); n > 0 && c.tls == nil {
		n, err := c.socket.discard(c.loop.room[:min(n, len(c.loop.room))])
		if err == unix.EAGAIN {
			return false, nil
		}
		if err == nil {
			c.codec.skipped(c, n)
		}
		return true, err
	}
	p := c.loop.room
	n, err := c.read(p)
	if errors.Is(err, unix.EAGAIN) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p = p[:n]
	if len(c.left) > 0 {
		c.left = append(c.left, p...)
		p = c.left
	}
	age := c.age
	used, err := c.codec.read(c, p)
	if c.age != age {
		return true, err // the rest was of the connection before
	}
	c.left = append(c.left[:0], p[used:]...)
	return true, err
}
