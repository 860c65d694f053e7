package listener

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
)

// connection is a client's connection: first while it opens, then with its session.
type connection struct {
	server *Server
	conn   net.Conn
	info   *proxy.Connection
	// behindProxy: the peer must tell by the PROXY protocol who its client is.
	behindProxy bool
	// counted is the address that the connection counts for; the server's lock guards it.
	counted netip.Addr
	// at is where the server's list has the connection; the server's lock guards it.
	at int
	// review is the watch's.
	review review

	mu sync.Mutex
	// session is nil while the connection opens; whoever serves it reads it without the lock.
	session proxy.Session
	killed  bool
}

func newConnection(s *Server, conn net.Conn) *connection {
	c := &connection{server: s, conn: conn}
	peer := addrPort(conn.RemoteAddr())
	c.info = &proxy.Connection{Listener: s.options.Name, Inbound: s.options.Inbound, Local: addrPort(conn.LocalAddr()), Remote: peer, Peer: peer}
	for _, p := range s.options.TrustedProxies {
		c.behindProxy = c.behindProxy || p.Contains(peer.Addr())
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

// parker is a session that needs no goroutine while nothing comes from its client.
type parker interface {
	proxy.Session
	// ServeUntilParked is Serve, but it returns true when the connection waits in the lot.
	// The resumer is then told when to call it again.
	ServeUntilParked(lot *socket.Lot, r socket.Resumer) (parked bool)
}

// serve serves the connection until it ends, or is parked.
func (c *connection) serve() {
	if c.session != nil {
		c.proceed(c.session) // It was parked.
		return
	}
	session := c.open()
	if session == nil {
		c.conn.Close()
		c.server.unregister(c)
		return
	}
	c.mu.Lock()
	c.session = session
	killed := c.killed
	c.mu.Unlock()
	if killed {
		session.Kill()
	}
	c.proceed(session)
}

// Resume implements socket.Resumer.
func (c *connection) Resume() { c.server.crew.do(c.serve) }

// proceed serves the session until it ends, or is parked: then another goroutine may be
// serving it already.
func (c *connection) proceed(session proxy.Session) {
	if p, ok := session.(parker); !ok {
		session.Serve()
	} else if p.ServeUntilParked(&c.server.lot, c) {
		return
	}
	c.server.unregister(c)
}

// open returns the connection's session, or nil where there is none to be had.
func (c *connection) open() proxy.Session {
	o := &c.server.options
	chains := c.server.hasChains()
	if !chains && !c.behindProxy {
		return o.HTTP(c.conn, nil, c.info)
	}
	var early []byte
	if c.behindProxy {
		var ok bool
		if early, ok = c.readProxyHeader(); !ok {
			return nil
		}
	}
	if !chains {
		return o.HTTP(c.conn, early, c.info)
	}
	return c.enter(early)
}

// reset ends the connection with a RST, as for a port that nobody serves.
func (c *connection) reset() {
	if tcp, ok := c.conn.(interface{ SetLinger(sec int) error }); ok {
		tcp.SetLinger(0)
	}
}

func (c *connection) sessionNow() proxy.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// check has the session enforce its timeouts, and ends it where what is asked of its client has
// outgrown what that has shown, or its server has gone. An opening connection has a deadline.
func (c *connection) check(now int64, demands uint64) {
	s := c.sessionNow()
	if s == nil {
		return
	}
	s.Check(now)
	if demands != c.review.seen || c.review.ending != 0 || c.review.gone {
		c.examine(s, now, demands)
	}
}

// closeIdle lets the session end when that loses nothing. An opening connection may become
// one whose client has much to lose.
func (c *connection) closeIdle() {
	if s := c.sessionNow(); s != nil {
		s.CloseIdle()
	}
}

// kill ends the connection at once.
func (c *connection) kill() {
	c.mu.Lock()
	c.killed = true
	s := c.session
	c.mu.Unlock()
	if s != nil {
		s.Kill()
		return
	}
	c.conn.SetDeadline(past)
}

// bound says until when a connection may take to open: no longer than until it is killed.
func (c *connection) bound(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed {
		until = past
	}
	c.conn.SetDeadline(until)
}

// opening is a connection while its first bytes are read, and while the last of a failed handshake
// are: no longer than until it is killed.
type opening struct {
	net.Conn
	of *connection
}

func (o opening) SetReadDeadline(until time.Time) error {
	err := o.Conn.SetReadDeadline(until)
	o.of.mu.Lock()
	killed := o.of.killed
	o.of.mu.Unlock()
	if killed {
		return o.Conn.SetReadDeadline(past)
	}
	return err // A kill from now on sets its deadline after this one.
}

var past = time.Unix(1, 0)
