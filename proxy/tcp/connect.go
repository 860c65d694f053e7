package tcp

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// maxAttempts bounds the endpoints that are tried. Envoy tries one (max_connect_attempts);
// but as nothing was sent, another one does as well, and a client need not see that one of
// several has gone.
const maxAttempts = 3

// connect routes the connection and returns one to an endpoint, or nil where there is none
// to be had.
func (s *session) connect() net.Conn {
	st := &s.stream
	stream, destination, cluster := s.options.Route(st.Connection)
	if stream == nil {
		st.Flags |= proxy.FlagNoRoute
		return nil
	}
	st.Route = stream.Name
	if destination != nil {
		st.Cluster = destination.Cluster.Name
	}
	if cluster == nil {
		if destination != nil {
			st.Missing = &destination.Cluster
		}
		st.Flags |= proxy.FlagNoCluster
		return nil
	}
	s.cluster, st.Target = cluster, cluster.Spec
	s.idle = int64(idleTimeout(stream.StreamRoute, cluster.Spec))
	choice := s.choice()
	var tried [maxAttempts]*upstream.Endpoint
	for n := range tried {
		choice.Random = s.options.random()
		e := cluster.Pick(&choice)
		if e == nil && cluster.AwaitFor(0, s.aborter) {
			e = cluster.Pick(&choice)
		}
		switch {
		case e == nil:
			st.Flags |= proxy.FlagNoHealthyUpstream
			if err := cluster.Unresolved(); err != nil {
				st.UpstreamFailure = err.Error()
			}
			return nil
		case slices.Contains(choice.Tried, e):
			return nil
		}
		conn, again := s.try(e)
		if conn != nil || !again {
			return conn
		}
		tried[n] = e
		choice.Tried = tried[:n+1]
	}
	return nil
}

// choice returns what the balancer looks at.
func (s *session) choice() (c upstream.Choice) {
	spec, info := s.cluster.Spec, s.stream.Connection
	if spec.Resolution == router.ResolutionOriginal {
		c.Target = originalTarget(spec, info)
	}
	if spec.Hash != nil {
		// Of a connection no more is known than where it comes from.
		c.Hash, c.Hashed = upstream.RequestHash(spec.Hash, &router.Request{}, info.Remote.Addr())
	}
	return c
}

// originalTarget returns the address that the connection itself names: by TLS, or else the
// one that it was made to.
func originalTarget(spec *router.Cluster, info *proxy.Connection) string {
	if info.TLS != nil && info.TLS.ServerName != "" {
		port := spec.Port
		if port == 0 {
			port = info.Local.Port()
		}
		return net.JoinHostPort(info.TLS.ServerName, strconv.Itoa(int(port)))
	}
	return info.Local.String()
}

// try returns a connection to an endpoint. Without one, again tells whether another endpoint
// may be tried.
func (s *session) try(e *upstream.Endpoint) (conn net.Conn, again bool) {
	st := &s.stream
	info := st.Connection
	need := upstream.Need{Source: info.Remote, Destination: info.Local}
	if info.TLS != nil {
		need.Authority = info.TLS.ServerName
	}
	st.Attempts++
	st.UpstreamHost, st.Endpoint = e.Address, e.Spec()
	conn, err := s.cluster.Connect(e, &need, s.aborter)
	switch {
	case errors.Is(err, upstream.ErrOverflow):
		st.Flags |= proxy.FlagUpstreamOverflow
		return nil, false
	case err != nil && s.aborter.Aborted():
		return nil, false
	case err != nil:
		st.Flags |= proxy.FlagUpstreamConnectFailure
		st.UpstreamFailure = err.Error()
		return nil, true
	}
	remote := addrPort(conn.RemoteAddr())
	if s.loops(remote) {
		s.cluster.Disconnect(e, conn)
		st.Flags |= proxy.FlagUpstreamConnectFailure
		st.UpstreamFailure = errLoop.Error()
		return nil, false
	}
	st.Flags &^= proxy.FlagUpstreamConnectFailure
	st.UpstreamFailure = ""
	s.peer = e
	st.UpstreamLocal = addrPort(conn.LocalAddr())
	if _, err := netip.ParseAddrPort(e.Address); err != nil && remote.IsValid() {
		// The endpoint is a name, which stands for several.
		st.UpstreamHost = remote.String()
	}
	return conn, false
}

// loops tells whether an endpoint is where the connection came in: at our own socket, or at
// that of the proxy that told of its client.
func (s *session) loops(remote netip.AddrPort) bool {
	info := s.stream.Connection
	told := info.Peer != info.Remote && remote == info.Local
	return remote.IsValid() && (told || remote == addrPort(s.client.conn.LocalAddr()))
}

var errLoop = errors.New("the destination is the listener that the connection came in by")

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
