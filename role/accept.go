package role

import (
	"net"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
)

// newServer returns the server of one socket.
func (p *process) newServer(b Bind) *listener.Server {
	count := p.telemetry.ConnectionEvents(b.Listener, proxy.ConnEventNames)
	observe := func(e proxy.ConnEvent) { count(int(e)) }
	return listener.NewServer(listener.Options{
		Name:      b.Listener,
		HTTP:      p.httpSessions(b, observe),
		HasChains: func() bool { return p.engine.Table().HasChains(b.Listener) },
		Chain: func(serverName string, tls bool, alpn []string) *router.CompiledChain {
			return p.engine.Table().Chain(b.Listener, serverName, tls, alpn)
		},
		MaxConnections:      p.o.Limits.MaxConnections,
		MaxConnectionsPerIP: p.o.Limits.MaxConnectionsPerIP,
		Budget:              p.budget,
		Observe:             observe,
		Failed: func(info *proxy.Connection, err error) {
			p.o.Logger.Debug("connection came to nothing", "listener", info.Listener, "client", info.Remote.String(), "error", err.Error())
		},
	})
}

// httpSessions returns what serves the requests of a socket's connections.
func (p *process) httpSessions(b Bind, observe func(proxy.ConnEvent)) func(net.Conn, []byte, *proxy.Connection) proxy.Session {
	o := http1.Options{
		Engine:            p.engine,
		Pressure:          p.pressure.now,
		PortFromAuthority: b.PortFromAuthority,
		Limits:            p.o.Limits.Head,
		Timeouts:          p.o.Limits.Timeouts,
		MinBodyRate:       p.o.Limits.MinBodyRate,
		Policy:            p.o.Policy,
		Observe:           observe,
	}.WithDefaults()
	return func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		return http1.NewSession(conn, early, info, o)
	}
}
