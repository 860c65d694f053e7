package role

import (
	"net"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/http2"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/proxy/tcp"
	"github.com/sluicegate/sluice/router"
)

// newServer returns the server of one socket.
func (p *process) newServer(b Bind, headers func() []router.Header) *listener.Server {
	o := p.listenerOptions(b)
	o.HTTP = p.requests(p.http(b, o.Observe), headers)
	o.Bytes = p.bytes(o.Observe)
	return listener.NewServer(o)
}

// newDatagramServer returns the server of one UDP socket.
func (p *process) newDatagramServer(b Bind) DatagramServer {
	o := p.listenerOptions(b)
	return p.o.HTTP3(o, p.http(b, o.Observe), p.o.TLS.responseHeaders(b))
}

// listenerOptions are what all servers of a listener's sockets have in common.
func (p *process) listenerOptions(b Bind) listener.Options {
	count := p.telemetry.ConnectionEvents(b.Listener, proxy.ConnEventNames[:])
	return listener.Options{
		Name:      b.Listener,
		Inbound:   b.Inbound,
		HasChains: func() bool { return p.engine.Table().HasChains(b.Listener) },
		Chain: func(serverName string, tls bool, alpn []string) *router.CompiledChain {
			return p.engine.Table().Chain(b.Listener, serverName, tls, alpn)
		},
		ServerTLS:           p.certificates.Server,
		TLSState:            p.certificates.State,
		Demands:             p.demands,
		Meets:               p.meets,
		Serves:              p.serves,
		Grace:               p.o.Drain,
		TrustedProxies:      p.o.ProxyProtocol.at(b.ProxyPort),
		MaxConnections:      p.o.Limits.MaxConnections,
		MaxConnectionsPerIP: p.o.Limits.MaxConnectionsPerIP,
		Budget:              p.budget,
		Observe:             func(e proxy.ConnEvent) { count(int(e)) },
		Failed: func(info *proxy.Connection, err error) {
			p.o.Logger.Debug("connection came to nothing", "listener", info.Listener, "client", info.Remote.String(), "error", err.Error())
		},
	}
}

// http are what the codecs of a socket have in common.
func (p *process) http(b Bind, observe func(proxy.ConnEvent)) *http1.Options {
	return http1.Options{
		Engine:            p.engine,
		Pressure:          p.pressure.now,
		PortFromAuthority: b.PortFromAuthority,
		Limits:            p.o.Limits.Head,
		Timeouts:          p.o.Limits.Timeouts,
		MinBodyRate:       p.o.Limits.MinBodyRate,
		Policy:            p.o.Policy,
		Observe:           observe,
	}.WithDefaults()
}

// session begins a codec's part of a connection.
type session = func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session

// requests returns what serves the connections of a socket that carry requests: those inside
// TLS by the protocol that was agreed on, others by how the client begins. Responses inside
// TLS have the headers too.
func (p *process) requests(single *http1.Options, headers func() []router.Header) session {
	multiplexed := http2.Options{
		Handler:           single.Engine,
		Pressure:          single.Pressure,
		PortFromAuthority: single.PortFromAuthority,
		Limits:            single.Limits,
		Timeouts:          single.Timeouts,
		MinBodyRate:       single.MinBodyRate,
		Policy:            single.Policy,
		Observe:           single.Observe,
	}.WithDefaults()
	single.HTTP2 = func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		single.Observe(proxy.ConnHTTP2)
		return http2.NewSession(conn, early, info, multiplexed)
	}
	return func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		if info.TLS != nil {
			info.Headers = headers()
			if info.TLS.Protocol == "h2" {
				return single.HTTP2(conn, early, info)
			}
		}
		return http1.NewSession(conn, early, info, single)
	}
}

// bytes returns what serves the connections that carry bytes.
func (p *process) bytes(observe func(proxy.ConnEvent)) session {
	o := &tcp.Options{
		Route: p.engine.Stream, Observe: observe,
		OnOpen: p.telemetry.OpenStream, OnMoved: p.telemetry.StreamMoved, OnComplete: p.telemetry.CompleteStream,
	}
	return func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		return tcp.NewSession(conn, early, info, o)
	}
}
