package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/socket"
	"github.com/sluicegate/sluice/router"
)

// Options configure a Server. Name and HTTP are required; a listener with chains wants the
// others that they speak of.
type Options struct {
	// Name is the router.Listener's.
	Name string
	// Inbound says that the connections are calls to a sidecar's own workload.
	Inbound bool
	// HTTP returns the session of a connection that carries requests, Bytes of one that
	// does not. early is what was read of it already.
	HTTP, Bytes func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session
	// HasChains tells whether the listener has chains, in the newest table; nil where it
	// never does. Chain finds the one that takes a connection: see router.Table.Chain.
	HasChains func() bool
	Chain     func(serverName string, tls bool, alpn []string) *router.CompiledChain
	// ServerTLS returns the configuration of a handshake, and TLSState what is told of it
	// afterwards.
	ServerTLS func(t *router.ServerTLS, hello *tls.ClientHelloInfo) (*tls.Config, error)
	TLSState  func(t *router.ServerTLS, state tls.ConnectionState) *proxy.TLSState
	// Demands counts the changes of what servers ask of clients' certificates, and Meets tells
	// whether a connection's client has shown enough for what is asked now. One of which it has
	// not ends as in a drain, and after Grace at once. nil where nothing is ever asked.
	Demands func() uint64
	Meets   func(info *proxy.Connection) bool
	Grace   time.Duration
	// Serves tells whether the server that a connection was made to is there yet; it is asked
	// whenever Demands has changed. Where it is not, the connection ends as soon as that loses
	// nothing, but is never cut: its client would be told with each request that there is no such
	// server, of which a new connection may find another. nil where servers never go.
	Serves func(info *proxy.Connection) bool
	// TrustedProxies are the peers that must begin a connection with a header of the PROXY
	// protocol; that of others is not looked for.
	TrustedProxies []netip.Prefix
	// MaxConnections bounds the open connections; above it a client is answered 503 and
	// closed. 0 means 10,000. MaxConnectionsPerIP does so per client address; 0 means
	// no such bound. Budget, where not nil, bounds those of all the Servers that share it.
	MaxConnections      int
	MaxConnectionsPerIP int
	Budget              *Budget
	// OpenTimeout bounds the PROXY protocol's header and the TLS handshake: 10 s.
	OpenTimeout time.Duration
	// Observe is told what happens to connections, for metrics, and Failed why one did not
	// come to a session, for people; they may be nil.
	Observe func(proxy.ConnEvent)
	Failed  func(info *proxy.Connection, err error)
}

// Server serves clients of one listener, on one or more sockets. Its methods are safe for
// concurrent use.
type Server struct {
	options  Options
	draining atomic.Bool
	open     atomic.Int64

	mu        sync.Mutex
	conns     []*connection
	perIP     map[netip.Addr]int
	listeners map[net.Listener]struct{}
	closed    bool
	watching  bool
	// wg counts the connections, and the calls of Serve, which may yet bring one.
	wg sync.WaitGroup

	crew crew
	// lot has the idle connections that no goroutine serves.
	lot socket.Lot

	// hello is what every handshake begins with, until its chain is known.
	hello *tls.Config
}

// NewServer returns a Server that serves nothing yet.
func NewServer(o Options) *Server {
	if o.MaxConnections == 0 {
		o.MaxConnections = 10000
	}
	if o.OpenTimeout == 0 {
		o.OpenTimeout = 10 * time.Second
	}
	s := &Server{
		options:   o,
		perIP:     make(map[netip.Addr]int),
		listeners: make(map[net.Listener]struct{}),
	}
	s.hello = &tls.Config{GetConfigForClient: s.configure}
	return s
}

// Serve accepts connections until l is closed, and then returns net.ErrClosed's wrapper, or
// nil where Drain closed it.
func (s *Server) Serve(l net.Listener) error {
	if !s.addListener(l) {
		l.Close()
		return nil
	}
	defer s.removeListener(l)
	wait := time.Duration(0)
	for {
		conn, err := l.Accept()
		if err != nil {
			if s.draining.Load() {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of descriptors or memory: others may close theirs.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			time.Sleep(wait)
			continue
		}
		wait = 0
		s.accept(conn)
	}
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.listeners[l] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) removeListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	s.wg.Done()
}

// accept starts a connection, or turns it away.
func (s *Server) accept(conn net.Conn) {
	c := newConnection(s, conn)
	if refused := s.register(c); refused != proxy.ConnOpened {
		s.observe(refused)
		go s.refuse(conn)
		return
	}
	s.observe(proxy.ConnOpened)
	s.count()
	s.crew.do(c.serve)
}

// register adds a connection, and returns ConnOpened, or why it is one too many.
func (s *Server) register(c *connection) proxy.ConnEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := c.info.Remote.Addr()
	counted := s.options.MaxConnectionsPerIP > 0 && !c.behindProxy
	switch {
	case s.closed || len(s.conns) >= s.options.MaxConnections:
		return proxy.ConnRefused
	case counted && s.perIP[ip] >= s.options.MaxConnectionsPerIP:
		return proxy.ConnRefusedPerIP
	case !s.options.Budget.Take():
		return proxy.ConnRefusedTotal
	}
	c.at = len(s.conns)
	s.conns = append(s.conns, c)
	s.wg.Add(1)
	if counted {
		s.perIP[ip]++
		c.counted = ip
	}
	s.open.Add(1)
	if !s.watching {
		s.watching = true
		go s.watch()
	}
	return proxy.ConnOpened
}

// countClient counts a connection for the client that the PROXY protocol told of, and tells
// whether it is one too many.
func (s *Server) countClient(c *connection) bool {
	if s.options.MaxConnectionsPerIP <= 0 {
		return true
	}
	ip := c.info.Remote.Addr()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perIP[ip] >= s.options.MaxConnectionsPerIP {
		return false
	}
	s.perIP[ip]++
	c.counted = ip
	return true
}

func (s *Server) unregister(c *connection) {
	s.mu.Lock()
	last := len(s.conns) - 1
	s.conns[c.at] = s.conns[last]
	s.conns[c.at].at = c.at
	s.conns[last] = nil
	s.conns = s.conns[:last]
	if c.counted.IsValid() {
		if s.perIP[c.counted] > 1 {
			s.perIP[c.counted]--
		} else {
			delete(s.perIP, c.counted)
		}
	}
	s.mu.Unlock()
	// Whoever sees that a connection has gone finds its place free.
	s.options.Budget.Give()
	s.open.Add(-1)
	s.observe(proxy.ConnClosed)
	s.wg.Done()
}

// refuse turns a connection away that is one too many; a client of plaintext HTTP is told.
func (s *Server) refuse(conn net.Conn) {
	if !s.hasChains() {
		conn.SetDeadline(time.Now().Add(time.Second))
		conn.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"))
	}
	conn.Close()
}

func (s *Server) hasChains() bool { return s.options.HasChains != nil && s.options.HasChains() }

func (s *Server) observe(e proxy.ConnEvent) {
	if s.options.Observe != nil {
		s.options.Observe(e)
	}
}

// Connections returns the number of open connections.
func (s *Server) Connections() int { return int(s.open.Load()) }

// Parked returns how many of them are idle, and have no goroutine.
func (s *Server) Parked() int { return s.lot.Parked() }

// Drain stops accepting, closes idle connections, ends every other one with what is in
// progress, and waits for that. When ctx ends it closes what is left and returns ctx's
// error. The Server serves nothing afterwards.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	s.mu.Lock()
	for l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	// A connection can turn idle between two looks, so the look is repeated.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var list []*connection
	for {
		list = s.each(list, (*connection).closeIdle)
		select {
		case <-done:
			s.shut()
			return nil
		case <-ctx.Done():
			s.shut()
			s.each(list, (*connection).kill)
			<-done
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (s *Server) shut() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.crew.dismiss()
}

// atOnce is how many connections are dealt with before those that were woken thereby get their
// turn: thousands at once would need thousands of stacks.
const atOnce = 128

// each calls f for every open connection, without holding the server's lock. It returns the
// list of them, emptied, that may be passed to another call.
func (s *Server) each(list []*connection, f func(*connection)) []*connection {
	s.mu.Lock()
	list = append(list, s.conns...)
	s.mu.Unlock()
	for i, c := range list {
		f(c)
		if i%atOnce == atOnce-1 {
			runtime.Gosched()
		}
	}
	clear(list)
	return list[:0]
}
