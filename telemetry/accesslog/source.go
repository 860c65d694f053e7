package accesslog

import (
	"net/netip"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// source is what a line tells of: an exchange, or a connection whose bytes were carried.
type source struct {
	ex *proxy.Exchange // nil for a connection
	st *proxy.Stream   // nil for an exchange
}

func ofExchange(ex *proxy.Exchange) source { return source{ex: ex} }
func ofStream(st *proxy.Stream) source     { return source{st: st} }

// start is when it began, by the wall clock.
func (s source) start() time.Time {
	if s.ex != nil {
		return proxy.Wall(s.ex.Start)
	}
	return proxy.Wall(s.st.Start)
}

// connection returns the client's; nil where it is not known.
func (s source) connection() *proxy.Connection {
	if s.ex != nil {
		return s.ex.Connection
	}
	return s.st.Connection
}

// tls returns what is known of the client's TLS, nil where there is none.
func (s source) tls() *proxy.TLSState {
	if c := s.connection(); c != nil {
		return c.TLS
	}
	return nil
}

// peer returns the client's certificate, nil where there is none.
func (s source) peer() *proxy.PeerCertificate {
	if t := s.tls(); t != nil {
		return t.Peer
	}
	return nil
}

// remote is the caller's address: the connection's, or with port 0 the one that a trusted hop
// vouched for, as Envoy prints it.
func (s source) remote() netip.AddrPort {
	switch {
	case s.ex == nil && s.st.Connection == nil:
		return netip.AddrPort{}
	case s.ex == nil:
		return s.st.Connection.Remote
	case s.ex.Client.IsValid() && s.ex.Client.Unmap() != s.ex.Remote.Addr().Unmap():
		return netip.AddrPortFrom(s.ex.Client, 0)
	}
	return s.ex.Remote
}

// direct is who is really at the other end of the client's socket.
func (s source) direct() netip.AddrPort {
	if c := s.connection(); c != nil && c.Peer.IsValid() {
		return c.Peer
	}
	if s.ex != nil {
		return s.ex.Remote
	}
	return s.remote()
}

// local is our side of the client's connection.
func (s source) local() netip.AddrPort {
	if s.ex != nil {
		return s.ex.Local
	}
	if s.st.Connection == nil {
		return netip.AddrPort{}
	}
	return s.st.Connection.Local
}

func (s source) serverName() string {
	if s.ex != nil && s.ex.ServerName != "" {
		return s.ex.ServerName
	}
	if t := s.tls(); t != nil {
		return t.ServerName
	}
	return ""
}

// route is the name of the route that was taken.
func (s source) route() string {
	switch {
	case s.ex == nil:
		return s.st.Route
	case s.ex.Decision.Route == nil:
		return ""
	}
	return s.ex.Decision.Route.Name
}

// cluster is the one that was picked, "outbound|9080||reviews.default.svc.cluster.local".
func (s source) cluster() string {
	switch {
	case s.ex == nil:
		return s.st.Cluster
	case s.ex.Destination == nil:
		return ""
	}
	return s.ex.Destination.Cluster.Name
}

func (s source) upstreamHost() string {
	if s.ex != nil {
		return s.ex.UpstreamHost
	}
	return s.st.UpstreamHost
}

// endpoint is the one that was tried last, nil where there was none.
func (s source) endpoint() *router.Endpoint {
	if s.ex != nil {
		return s.ex.Endpoint
	}
	return s.st.Endpoint
}

func (s source) upstreamFailure() string {
	if s.ex != nil {
		return s.ex.UpstreamFailure
	}
	return s.st.UpstreamFailure
}

func (s source) termination() string {
	if s.ex != nil {
		return s.ex.Termination
	}
	return s.st.Termination
}

func (s source) flags() proxy.Flags {
	if s.ex != nil {
		return s.ex.Flags
	}
	return s.st.Flags
}

// bytes are those of bodies, or of a connection.
func (s source) bytes() (received, sent int64) {
	if s.ex != nil {
		return s.ex.BytesReceived, s.ex.BytesSent
	}
	return s.st.BytesReceived, s.st.BytesSent
}

// heads are the bytes of heads and trailers.
func (s source) heads() (received, sent int64) {
	if s.ex != nil {
		return s.ex.HeadReceived, s.ex.HeadSent
	}
	return 0, 0
}

func (s source) attempts() int {
	if s.ex != nil {
		return s.ex.Attempts
	}
	return s.st.Attempts
}

func (s source) duration() time.Duration {
	if s.ex != nil {
		return time.Duration(max(0, s.ex.End-s.ex.Start))
	}
	return time.Duration(max(0, s.st.End-s.st.Start))
}
