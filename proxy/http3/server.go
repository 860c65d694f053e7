package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
)

// Options configure a Server.
type Options struct {
	// Options are those of the listener whose TLS clients are served over QUIC too: of them,
	// Name, Chain, ServerTLS, TLSState, Demands, Meets, Grace, MaxConnections,
	// MaxConnectionsPerIP, Budget and Observe count.
	listener.Options
	// HTTP are those of the other codecs: of them, Engine, Limits, Policy, Timeouts,
	// MinBodyRate, MinBodyGrace and Pressure count. At proxy.PressureHigh, no connection is taken any more.
	HTTP *http1.Options
	// Headers are added to every response that does not have them.
	Headers []router.Header
	// MaxConcurrentStreams bounds the requests that a client may have in progress: 100.
	MaxConcurrentStreams int
	// Resets bounds the requests that a client leaves within ResetPeriod (10 s) before they
	// are answered, or amid their response but sooner than ShortLife (1 s): 100. A connection
	// that passes it is closed.
	Resets      int
	ResetPeriod time.Duration
	ShortLife   time.Duration
}

const (
	// connectionWindow and streamWindow bound what a client may send of bodies before we
	// have dealt with it.
	streamWindow     = 256 << 10
	connectionWindow = 1 << 20
	// handshakeTimeout bounds a handshake in which the client says nothing.
	handshakeTimeout = 5 * time.Second
	// trustedHandshakes is how many handshakes may be in progress before clients must show
	// that they are at the address which their packets name (RFC 9000 section 8.1.2). Else
	// packets with forged addresses could take the place of all connections.
	trustedHandshakes = 128
)

// Server serves HTTP/3 at one UDP socket. Its methods are safe for concurrent use.
type Server struct {
	options Options
	quic    *http3.Server
	open    atomic.Int64
	// active counts the exchanges in progress, opening the handshakes.
	active, opening atomic.Int64
	// clients counts the connections by client address.
	clients clients
	watch   watch
	// drained is closed when Drain has ended.
	drained chan struct{}
	once    sync.Once
}

var (
	errNoChain     = errors.New("no server takes this TLS server name with HTTP/3")
	errConnections = errors.New("there are too many connections")
)

// NewServer returns a Server that serves nothing yet.
func NewServer(o Options) *Server {
	if o.MaxConcurrentStreams == 0 {
		o.MaxConcurrentStreams = 100
	}
	if o.Resets == 0 {
		o.Resets = 100
	}
	if o.ResetPeriod == 0 {
		o.ResetPeriod = 10 * time.Second
	}
	if o.ShortLife == 0 {
		o.ShortLife = time.Second
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = 10_000
	}
	s := &Server{options: o, drained: make(chan struct{})}
	s.quic = &http3.Server{
		Handler:        http.HandlerFunc(s.serve),
		TLSConfig:      &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: s.configure},
		MaxHeaderBytes: o.HTTP.Limits.HeadBytes,
		IdleTimeout:    max(o.HTTP.Timeouts.Idle, 0),
		ConnContext:    s.connected,
		QUICConfig: &quic.Config{
			GetConfigForClient:             s.admit,
			HandshakeIdleTimeout:           handshakeTimeout,
			MaxIdleTimeout:                 max(o.HTTP.Timeouts.Idle, 0),
			InitialStreamReceiveWindow:     streamWindow,
			MaxStreamReceiveWindow:         streamWindow,
			InitialConnectionReceiveWindow: connectionWindow,
			MaxConnectionReceiveWindow:     connectionWindow,
			MaxIncomingStreams:             int64(o.MaxConcurrentStreams),
			MaxIncomingUniStreams:          8,
		},
	}
	return s
}

// Serve serves conn until it is closed or the Server has drained: the connections in progress
// need it until then.
func (s *Server) Serve(conn net.PacketConn) error {
	transport := &quic.Transport{Conn: conn, ConnContext: s.begins, VerifySourceAddress: func(net.Addr) bool { return s.opening.Load() >= trustedHandshakes }}
	defer transport.Close()
	l, err := transport.ListenEarly(http3.ConfigureTLSConfig(s.quic.TLSConfig), s.quic.QUICConfig)
	if err != nil {
		return err
	}
	err = s.quic.ServeListener(l)
	l.Close()
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-s.drained
	return nil
}

// Connections returns the number of open connections.
func (s *Server) Connections() int { return int(s.open.Load()) }

// Drain tells clients that no further request is served, lets those in progress finish, and
// cuts what is left when ctx ends; then it returns ctx's error.
func (s *Server) Drain(ctx context.Context) error {
	defer s.once.Do(func() { close(s.drained) })
	ended := make(chan error, 1)
	go func() { ended <- s.quic.Shutdown(ctx) }()
	// Clients are to close their connections when they hear of the end, but not all do. A request
	// that was sent before its client heard of it is still served.
	keep := endQuiet
	if deadline, ok := ctx.Deadline(); ok {
		// Waiting must not use up what time there is: nothing is cut then.
		keep = min(keep, max(time.Until(deadline)/4, 0))
	}
	tick := time.NewTicker(max(keep/10, time.Millisecond))
	defer tick.Stop()
	for quiet := proxy.Now(); ; {
		select {
		case err := <-ended:
			s.quic.Close()
			return err
		case <-tick.C:
		}
		if s.active.Load() > 0 {
			quiet = proxy.Now()
		} else if proxy.Now()-quiet > int64(keep) {
			s.quic.Close()
			<-ended
			return nil
		}
	}
}

func (s *Server) observe(e proxy.ConnEvent) {
	if s.options.Observe != nil {
		s.options.Observe(e)
	}
}

// admit turns connections away that are too many.
func (s *Server) admit(*quic.ClientInfo) (*quic.Config, error) {
	if s.options.HTTP.Pressure != nil && s.options.HTTP.Pressure() >= proxy.PressureHigh || s.open.Load() >= int64(s.options.MaxConnections) {
		s.observe(proxy.ConnRefused)
		return nil, errConnections
	}
	return s.quic.QUICConfig, nil
}

// configure finds the chain of a connection by the client's first message.
func (s *Server) configure(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	chain := s.options.Chain(hello.ServerName, true, hello.SupportedProtos)
	if chain == nil || chain.TLS == nil || chain.Table == nil {
		s.observe(proxy.ConnNoChain)
		return nil, errNoChain
	}
	return s.options.ServerTLS(chain.TLS, hello)
}

type handshakeKey struct{}

// begins counts a handshake from its first packet on, until it is over: for that, the context
// has what tells so.
func (s *Server) begins(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	s.opening.Add(1)
	over := sync.OnceFunc(func() { s.opening.Add(-1) })
	context.AfterFunc(ctx, over)
	return context.WithValue(ctx, handshakeKey{}, over), nil
}

type connectionKey struct{}

// connection is what all requests of a QUIC connection share.
type connection struct {
	conn  *quic.Conn
	state atomic.Pointer[proxy.Connection]
	// active counts its requests in progress, quiet tells since when there are none, 0 before
	// the first.
	active, quiet atomic.Int64
	review        review
	left          left
}

// connected notes a new connection, and when it ends.
func (s *Server) connected(ctx context.Context, conn *quic.Conn) context.Context {
	client := addrPort(conn.RemoteAddr()).Addr()
	if refused := s.enter(client); refused != proxy.ConnOpened {
		s.observe(refused)
		conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "")
		return ctx
	}
	s.open.Add(1)
	s.observe(proxy.ConnOpened)
	if over, ok := conn.Context().Value(handshakeKey{}).(func()); ok {
		go func() {
			select {
			case <-conn.HandshakeComplete():
				over()
			case <-conn.Context().Done():
			}
		}()
	}
	c := &connection{conn: conn}
	s.follow(c)
	context.AfterFunc(conn.Context(), func() {
		s.watch.leave(c)
		s.clients.leave(client)
		s.open.Add(-1)
		s.options.Budget.Give()
		s.observe(proxy.ConnClosed)
	})
	return context.WithValue(ctx, connectionKey{}, c)
}

// enter counts a client's connection, and returns ConnOpened, or why it is one too many.
func (s *Server) enter(client netip.Addr) proxy.ConnEvent {
	switch {
	case !s.clients.enter(client, s.options.MaxConnectionsPerIP):
		return proxy.ConnRefusedPerIP
	case !s.options.Budget.Take():
		s.clients.leave(client)
		return proxy.ConnRefusedTotal
	}
	return proxy.ConnOpened
}

// info returns what is known of a connection, nil where the handshake came to nothing. Clients
// cannot ask before that is over: there is no 0-RTT.
func (s *Server) info(c *connection) *proxy.Connection {
	if info := c.state.Load(); info != nil {
		return info
	}
	select {
	case <-c.conn.HandshakeComplete():
	case <-c.conn.Context().Done():
		return nil
	}
	state := c.conn.ConnectionState().TLS
	chain := s.options.Chain(state.ServerName, true, nil)
	if chain == nil || chain.TLS == nil {
		return nil
	}
	info := &proxy.Connection{
		Listener: s.options.Name, Inbound: s.options.Inbound, Chain: chain.Name, TLS: s.options.TLSState(chain.TLS, state), Headers: s.options.Headers,
		Local: addrPort(c.conn.LocalAddr()), Remote: addrPort(c.conn.RemoteAddr()), Peer: addrPort(c.conn.RemoteAddr()),
	}
	if c.state.CompareAndSwap(nil, info) {
		s.observe(proxy.ConnHandshake)
		if state.DidResume {
			s.observe(proxy.ConnResumed)
		}
	}
	return c.state.Load()
}

func addrPort(a net.Addr) netip.AddrPort {
	if udp, ok := a.(*net.UDPAddr); ok {
		ap := udp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
