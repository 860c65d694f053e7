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
func (p *process) newServer(b Bind) *listener.Server {
	count := p.telemetry.ConnectionEvents(b.Listener, proxy.ConnEventNames)
	observe := func(e proxy.ConnEvent) { count(int(e)) }
	return listener.NewServer(listener.Options{
		Name:      b.Listener,
		HTTP:      p.requests(b, observe),
		Bytes:     p.bytes(observe),
		HasChains: func() bool { return p.engine.Table().HasChains(b.Listener) },
		Chain: func(serverName string, tls bool, alpn []string) *router.CompiledChain {
			return p.engine.Table().Chain(b.Listener, serverName, tls, alpn)
		},
		ServerTLS:           p.certificates.Server,
		TLSState:            p.certificates.State,
		TrustedProxies:      p.o.ProxyProtocol.at(b.Port),
		MaxConnections:      p.o.Limits.MaxConnections,
		MaxConnectionsPerIP: p.o.Limits.MaxConnectionsPerIP,
		Budget:              p.budget,
		Observe:             observe,
		Failed: func(info *proxy.Connection, err error) {
			p.o.Logger.Debug("connection came to nothing", "listener", info.Listener, "client", info.Remote.String(), "error", err.Error())
		},
	})
}

// session begins a codec's part of a connection.
type session = func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session

// requests returns what serves the connections of a socket that carry requests.
func (p *process) requests(b Bind, observe func(proxy.ConnEvent)) session {
	o := http1.Options{
		Engine:            p.engine,
		Pressure:          p.pressure.now,
		PortFromAuthority: b.PortFromAuthority,
		Limits:            p.o.Limits.Head,
		Timeouts:          p.o.Limits.Timeouts,
		MinBodyRate:       p.o.Limits.MinBodyRate,
		Policy:            p.o.Policy,
		Observe:           observe,
	}
	multiplexed := http2.Options{
		Handler:           p.engine,
		Pressure:          p.pressure.now,
		PortFromAuthority: b.PortFromAuthority,
		Limits:            p.o.Limits.Head,
		Timeouts:          p.o.Limits.Timeouts,
		MinBodyRate:       p.o.Limits.MinBodyRate,
		Policy:            p.o.Policy,
		Observe:           observe,
	}.WithDefaults()
	o.HTTP2 = func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		observe(proxy.ConnHTTP2)
		return http2.NewSession(conn, early, info, multiplexed)
	}
	single := o.WithDefaults()
	inside := p.o.TLS.responseHeaders()
	return func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		if info.TLS != nil {
			info.Headers = inside
			if info.TLS.Protocol == "h2" {
				return o.HTTP2(conn, early, info)
			}
		}
		return http1.NewSession(conn, early, info, single)
	}
}

// bytes returns what serves the connections that carry bytes.
func (p *process) bytes(observe func(proxy.ConnEvent)) session {
	o := &tcp.Options{Route: p.engine.Stream, OnComplete: p.telemetry.CompleteStream, Observe: observe}
	return func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		return tcp.NewSession(conn, early, info, o)
	}
}
