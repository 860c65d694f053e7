package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
)

// Options configure a Server. Name, Handler, Chain, ServerTLS and TLSState are required.
type Options struct {
	// Name is the router.Listener's.
	Name string
	// Handler serves the exchanges.
	Handler proxy.Handler
	// Chain, ServerTLS and TLSState are as in listener.Options.
	Chain     func(serverName string, tls bool, alpn []string) *router.CompiledChain
	ServerTLS func(t *router.ServerTLS, hello *tls.ClientHelloInfo) (*tls.Config, error)
	TLSState  func(t *router.ServerTLS, state tls.ConnectionState) *proxy.TLSState
	// Headers are added to every response that does not have them.
	Headers  []router.Header
	Limits   http1.Limits
	Policy   http1.Policy
	Timeouts http1.Timeouts
	// MaxConcurrentStreams bounds the requests that a client may have in progress: 100.
	MaxConcurrentStreams int
	// MaxConnections bounds the open connections: 10,000. Budget, where not nil, bounds those
	// of all servers that share it.
	MaxConnections int
	Budget         *listener.Budget
	// Pressure, where not nil, says how short of memory the process is: at
	// proxy.PressureHigh, no connection is taken any more.
	Pressure func() proxy.Pressure
	// Observe is told what happens to connections, for metrics; it may be nil.
	Observe func(proxy.ConnEvent)
}

const (
	// connectionWindow and streamWindow bound what a client may send of bodies before we
	// have dealt with it.
	streamWindow     = 256 << 10
	connectionWindow = 1 << 20
	// handshakeTimeout bounds a handshake in which the client says nothing.
	handshakeTimeout = 5 * time.Second
)

// Server serves HTTP/3 at one UDP socket. Its methods are safe for concurrent use.
type Server struct {
	options Options
	quic    *http3.Server
	open    atomic.Int64
}

var (
	errNoChain     = errors.New("no server takes this TLS server name with HTTP/3")
	errConnections = errors.New("there are too many connections")
)

// NewServer returns a Server that serves nothing yet.
func NewServer(o Options) *Server {
	o.Limits = o.Limits.WithDefaults()
	o.Timeouts = o.Timeouts.WithDefaults()
	if o.MaxConcurrentStreams == 0 {
		o.MaxConcurrentStreams = 100
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = 10_000
	}
	s := &Server{options: o}
	s.quic = &http3.Server{
		Handler:        http.HandlerFunc(s.serve),
		TLSConfig:      &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: s.configure},
		MaxHeaderBytes: o.Limits.HeadBytes,
		IdleTimeout:    max(o.Timeouts.Idle, 0),
		ConnContext:    s.connected,
		QUICConfig: &quic.Config{
			GetConfigForClient:             s.admit,
			HandshakeIdleTimeout:           handshakeTimeout,
			MaxIdleTimeout:                 max(o.Timeouts.Idle, 0),
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

// Serve serves conn until it is closed or the Server has drained.
func (s *Server) Serve(conn net.PacketConn) error {
	if err := s.quic.Serve(conn); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Connections returns the number of open connections.
func (s *Server) Connections() int { return int(s.open.Load()) }

// Drain tells clients that no further request is served, lets those in progress finish, and
// cuts what is left when ctx ends; then it returns ctx's error.
func (s *Server) Drain(ctx context.Context) error {
	err := s.quic.Shutdown(ctx)
	s.quic.Close()
	return err
}

func (s *Server) observe(e proxy.ConnEvent) {
	if s.options.Observe != nil {
		s.options.Observe(e)
	}
}

// admit turns connections away that are too many.
func (s *Server) admit(*quic.ClientInfo) (*quic.Config, error) {
	if s.options.Pressure != nil && s.options.Pressure() >= proxy.PressureHigh || s.open.Load() >= int64(s.options.MaxConnections) {
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

type connectionKey struct{}

// connection is what all requests of a QUIC connection share.
type connection struct {
	conn  *quic.Conn
	state atomic.Pointer[proxy.Connection]
}

// connected notes a new connection, and when it ends.
func (s *Server) connected(ctx context.Context, conn *quic.Conn) context.Context {
	if !s.options.Budget.Take() {
		s.observe(proxy.ConnRefusedTotal)
		conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "")
		return ctx
	}
	s.open.Add(1)
	s.observe(proxy.ConnOpened)
	context.AfterFunc(conn.Context(), func() {
		s.open.Add(-1)
		s.options.Budget.Give()
		s.observe(proxy.ConnClosed)
	})
	return context.WithValue(ctx, connectionKey{}, &connection{conn: conn})
}

// info returns what is known of a connection, nil where the handshake came to nothing. Clients
// cannot ask before that is over: there is no 0-RTT.
func (s *Server) info(ctx context.Context) *proxy.Connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	if c == nil {
		return nil
	}
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
		Listener: s.options.Name, Chain: chain.Name, TLS: s.options.TLSState(chain.TLS, state), Headers: s.options.Headers,
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
