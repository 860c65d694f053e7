package upstream

import (
	"context"
	ctls "crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/proxyproto"
	"github.com/sluicegate/sluice/proxy/socket"
	"github.com/sluicegate/sluice/router"
)

// The protocols that a connection may speak, by their names in ALPN.
const (
	protocolHTTP1 = "http/1.1"
	protocolHTTP2 = "h2"
)

// Need says what a connection must be like for an exchange or a session, beyond where it
// goes. The zero value is for a cluster that asks for none of it.
type Need struct {
	// Authority is what the endpoint is asked for, for a cluster whose TLS has
	// AutoServerName.
	Authority string
	// HTTP2 tells that the client speaks it, for a cluster of ProtocolDownstream and for Connect.
	HTTP2 bool
	// Upgrade tells that the client wants to switch protocols, for a cluster of ProtocolAuto:
	// endpoints are then spoken to in HTTP/1.1.
	Upgrade bool
	// Source and Destination are the addresses of the client's connection, for a cluster of
	// ProxyProtocol.
	Source, Destination netip.AddrPort
	// Now is the time, of the clock of proxy.Now, or 0 where it is not known. Acquire leaves in
	// it the time at which it was done: a clock that need not be read twice.
	Now int64
}

// pass sets Now after a wait.
func (n *Need) pass() { n.Now = proxy.Now() }

// NeedOf returns what an exchange needs. It aliases the exchange's strings.
func NeedOf(ex *proxy.Exchange) Need {
	return Need{
		Authority:   ex.UpstreamAuthority,
		HTTP2:       ex.Protocol == "HTTP/2" || ex.Protocol == "HTTP/3",
		Upgrade:     ex.Request.Upgrade != "",
		Source:      ex.Remote,
		Destination: ex.Local,
	}
}

// connect makes a connection to e: the dial, the PROXY protocol's header and the handshake
// of TLS, all within the cluster's ConnectTimeout. p.id says for whom. protocol is what is to
// be spoken: "h2", "http/1.1", or "" for bytes.
//
// An error of the handshake is a *TLSError.
func (c *Cluster) connect(p *patience, e *Endpoint) (conn net.Conn, protocol string, err error) {
	id := p.id
	until := time.Now().Add(p.left(c.ConnectTimeout))
	d := net.Dialer{Deadline: until, KeepAliveConfig: c.times.keepalive}
	conn, err = c.reach(p, &d, e)
	if err != nil {
		return nil, "", err
	}
	raw := conn
	defer func() {
		if err != nil {
			raw.Close()
		}
	}()
	if c.Spec.ProxyProtocol != 0 || c.Spec.TLS != nil {
		conn.SetDeadline(until)
		defer raw.SetDeadline(time.Time{})
	}
	if c.Spec.ProxyProtocol != 0 {
		header := proxyproto.Append(nil, c.Spec.ProxyProtocol, id.source, id.destination)
		if _, err := conn.Write(header); err != nil {
			return nil, "", err
		}
	}
	protocols := id.protocols()
	if c.Spec.TLS != nil {
		return c.handshake(p, conn, id, protocols)
	}
	if len(protocols) == 0 {
		return conn, "", nil
	}
	// Without TLS nothing is agreed on: what is offered last is what any endpoint speaks.
	return conn, protocols[len(protocols)-1], nil
}

// protocols returns what may be spoken with an endpoint, the best first.
func (id *identity) protocols() []string {
	switch id.terms.protocol {
	case router.ProtocolTCP:
		return nil
	case router.ProtocolHTTP2:
		return []string{protocolHTTP2}
	case router.ProtocolAuto:
		if id.http1 {
			break
		}
		return []string{protocolHTTP2, protocolHTTP1}
	}
	if id.http2 {
		return []string{protocolHTTP2}
	}
	return []string{protocolHTTP1}
}

var errNoTLS = errors.New("this proxy was started without what TLS to endpoints needs")

// handshake wraps conn in TLS. What the endpoint sent before belongs to no response: there
// it is a record of TLS, or ends the handshake.
func (c *Cluster) handshake(ctx context.Context, conn net.Conn, id *identity, protocols []string) (net.Conn, string, error) {
	t, name := c.Spec.TLS, c.Spec.TLS.ServerName
	if c.terms.autoServerName() {
		name = id.serverName
	}
	if c.manager.options.TLS == nil {
		return nil, "", &TLSError{ServerName: name, Err: errNoTLS}
	}
	config, err := c.manager.options.TLS(t, name, protocols...)
	if err != nil {
		return nil, "", &TLSError{ServerName: name, Err: err}
	}
	secure := socket.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, "", &TLSError{ServerName: name, Err: err}
	}
	return secure, spoken(secure.ConnectionState(), protocols), nil
}

// spoken returns what is spoken after a handshake. An endpoint that knows nothing of ALPN
// speaks what the cluster says, or the eldest of several.
func spoken(state ctls.ConnectionState, protocols []string) string {
	switch {
	case len(protocols) == 0:
		return ""
	case state.NegotiatedProtocol == "":
		return protocols[len(protocols)-1]
	case state.NegotiatedProtocol == protocolHTTP2 || state.NegotiatedProtocol == "istio-h2":
		return protocolHTTP2
	}
	return protocolHTTP1
}
