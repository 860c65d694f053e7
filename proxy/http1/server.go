package http1

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// Options configure a Server. The zero value of every field but Engine is usable.
type Options struct {
	// Engine serves the exchanges.
	Engine proxy.Handler
	// Listener is the router.Listener's name, by which requests find their table.
	Listener string
	// PortFromAuthority takes the port that a request is for from its authority (a
	// sidecar's plain outbound listener); 80 where it names none.
	PortFromAuthority bool
	Limits            Limits
	Policy            Policy
	Timeouts          Timeouts
	// MaxConnections bounds the open connections; above it a client is answered 503 and
	// closed. 0 means 10,000. MaxConnectionsPerIP does so per client address; 0 means
	// no such bound.
	MaxConnections      int
	MaxConnectionsPerIP int
	// MinBodyRate is the least average rate, in bytes a second, at which a request body of
	// known length must arrive once it has taken MinBodyGrace, 30 s by default; then 408. 0
	// means 64; negative means no such bound. Bodies that stream in chunks may pause as long as Timeouts.Stream
	// lets them.
	MinBodyRate  int
	MinBodyGrace time.Duration
	// Pressure, where not nil, says how short of memory the process is. It is asked at each
	// response: from proxy.PressureHigh on, connections are not kept alive.
	Pressure func() proxy.Pressure
	// Budget, where not nil, bounds the connections of all the Servers that share it.
	Budget *ConnectionBudget
	// Observe is told of connections, for metrics; it may be nil.
	Observe func(ConnEvent)
}

// Timeouts bound how long a client may take. A zero field takes its default, a negative one
// means no bound. They are kept with a precision of a tenth of a second.
type Timeouts struct {
	// Head is for a request's head, from its first byte: 10 s. Then 408.
	Head time.Duration
	// Idle is for the time between requests on a connection: 1 h.
	Idle time.Duration
	// Stream is for the time in which nothing of an exchange moves, in either direction:
	// 300 s. It does not count for upgraded connections.
	Stream time.Duration
	// Tunnel is for the time in which nothing moves through an upgraded connection: 1 h.
	Tunnel time.Duration
}

// WithDefaults returns t with its zero fields filled in.
func (t Timeouts) WithDefaults() Timeouts {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&t.Head, 10 * time.Second}, {&t.Idle, time.Hour}, {&t.Stream, 300 * time.Second}, {&t.Tunnel, time.Hour}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	return t
}

// ConnEvent is something that happened to a downstream connection.
type ConnEvent uint8

const (
	// ConnOpened and ConnClosed frame a connection's life.
	ConnOpened ConnEvent = iota
	ConnClosed
	// ConnRefused: over MaxConnections.
	ConnRefused
	// ConnIdleTimeout, ConnHeadTimeout and ConnStreamTimeout: closed by Timeouts.
	ConnIdleTimeout
	ConnHeadTimeout
	ConnStreamTimeout
	// ConnRejected: a request that the codec refused.
	ConnRejected
	// ConnRefusedPerIP and ConnRefusedTotal: over MaxConnectionsPerIP, over Budget.
	ConnRefusedPerIP
	ConnRefusedTotal
	// ConnSlowBody: a request's body came at less than MinBodyRate.
	ConnSlowBody
	// ConnTunnelTimeout: an upgraded connection in which nothing moved for
	// Timeouts.Tunnel.
	ConnTunnelTimeout
)

// Server serves HTTP/1 clients of one listener, on one or more sockets. Its methods are
// safe for concurrent use.
type Server struct {
	options  Options
	draining atomic.Bool
	open     atomic.Int64

	mu        sync.Mutex
	conns     map[*serverConn]struct{}
	perIP     map[netip.Addr]int
	listeners map[net.Listener]struct{}
	closed    bool
	watching  bool
	wg        sync.WaitGroup
}

// NewServer returns a Server that serves nothing yet.
func NewServer(o Options) *Server {
	o.Limits = o.Limits.WithDefaults()
	o.Timeouts = o.Timeouts.WithDefaults()
	if o.MaxConnections == 0 {
		o.MaxConnections = 10000
	}
	if o.MinBodyRate == 0 {
		o.MinBodyRate = 64
	}
	if o.MinBodyGrace == 0 {
		o.MinBodyGrace = 30 * time.Second
	}
	return &Server{
		options:   o,
		conns:     make(map[*serverConn]struct{}),
		perIP:     make(map[netip.Addr]int),
		listeners: make(map[net.Listener]struct{}),
	}
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
	return true
}

func (s *Server) removeListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// accept starts a connection, or turns it away.
func (s *Server) accept(conn net.Conn) {
	c := newServerConn(s, conn)
	if refused := s.register(c); refused != ConnOpened {
		s.observe(refused)
		go refuse(conn)
		return
	}
	s.observe(ConnOpened)
	go c.serve()
}

// register adds a connection, and returns ConnOpened, or why it is one too many.
func (s *Server) register(c *serverConn) ConnEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := c.remote.Addr()
	switch {
	case s.closed || len(s.conns) >= s.options.MaxConnections:
		return ConnRefused
	case s.options.MaxConnectionsPerIP > 0 && s.perIP[ip] >= s.options.MaxConnectionsPerIP:
		return ConnRefusedPerIP
	case !s.options.Budget.take():
		return ConnRefusedTotal
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	if s.options.MaxConnectionsPerIP > 0 {
		s.perIP[ip]++
	}
	s.open.Add(1)
	if !s.watching {
		s.watching = true
		go s.watch()
	}
	return ConnOpened
}

func (s *Server) unregister(c *serverConn) {
	s.mu.Lock()
	delete(s.conns, c)
	if s.options.MaxConnectionsPerIP > 0 {
		if ip := c.remote.Addr(); s.perIP[ip] > 1 {
			s.perIP[ip]--
		} else {
			delete(s.perIP, ip)
		}
	}
	s.mu.Unlock()
	s.open.Add(-1)
	s.options.Budget.give()
	s.observe(ConnClosed)
	s.wg.Done()
}

// refuse answers a connection that is one too many.
func refuse(conn net.Conn) {
	conn.SetDeadline(time.Now().Add(time.Second))
	conn.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"))
	conn.Close()
}

func (s *Server) observe(e ConnEvent) {
	if s.options.Observe != nil {
		s.options.Observe(e)
	}
}

// Connections returns the number of open connections.
func (s *Server) Connections() int { return int(s.open.Load()) }

// Drain stops accepting, closes idle connections, ends every other one with the response
// in progress, and waits for that. When ctx ends it closes what is left and returns ctx's
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
	for {
		s.each((*serverConn).closeIdle)
		select {
		case <-done:
			s.shut()
			return nil
		case <-ctx.Done():
			s.shut()
			s.each((*serverConn).kill)
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
}

// each calls f for every open connection, without holding the server's lock.
func (s *Server) each(f func(*serverConn)) {
	s.mu.Lock()
	conns := make([]*serverConn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		f(c)
	}
}

// watchEvery is how often connections are looked at for timeouts and for clients that have
// gone.
const watchEvery = 100 * time.Millisecond

// watch enforces Timeouts, and cancels exchanges whose client has gone, for as long as
// there are connections. That one look at all of them costs less than timers for each.
func (s *Server) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for range tick.C {
		s.mu.Lock()
		if len(s.conns) == 0 {
			s.watching = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		now := proxy.Now()
		s.each(func(c *serverConn) { c.check(now) })
	}
}
