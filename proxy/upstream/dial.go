package upstream

import (
	"context"
	ctls "crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
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
	// HTTP2 tells that the client speaks it, for a cluster of ProtocolDownstream.
	HTTP2 bool
	// Source and Destination are the addresses of the client's connection, for a cluster of
	// ProxyProtocol.
	Source, Destination netip.AddrPort
}

// NeedOf returns what an exchange needs. It aliases the exchange's strings.
func NeedOf(ex *proxy.Exchange) Need {
	return Need{
		Authority:   ex.UpstreamAuthority,
		HTTP2:       ex.Protocol == "HTTP/2" || ex.Protocol == "HTTP/3",
		Source:      ex.Remote,
		Destination: ex.Local,
	}
}

// identity is what a connection was made for, where it is not good for everybody: it may be
// used again only for those of the same identity. The zero value is everybody's.
type identity struct {
	serverName          string
	source, destination netip.AddrPort
}

// identity returns what a connection to the cluster must have been made for. With
// AutoServerName that is the name that its endpoint has shown a certificate for. With
// ProxyProtocol it is one client's connection, whose requests follow each other.
func (c *Cluster) identity(need *Need) (id identity) {
	if c.autoServerName() {
		id.serverName = router.NormalizeHost(need.Authority)
	}
	if c.Spec.ProxyProtocol != 0 {
		id.source, id.destination = need.Source, need.Destination
	}
	return id
}

func (c *Cluster) autoServerName() bool {
	t := c.Spec.TLS
	return t != nil && t.AutoServerName && t.ServerName == ""
}

// dedicated tells whether the cluster's connections have an identity.
func (c *Cluster) dedicated() bool { return c.Spec.ProxyProtocol != 0 || c.autoServerName() }

// connect makes a connection to e: the dial, the PROXY protocol's header and the handshake
// of TLS, all within the cluster's ConnectTimeout. protocol is what is to be spoken: "h2",
// "http/1.1", or "" for bytes.
//
// An error of the handshake is a *TLSError.
func (c *Cluster) connect(p *patience, e *Endpoint, need *Need) (conn net.Conn, protocol string, err error) {
	until := time.Now().Add(p.left(c.ConnectTimeout))
	d := net.Dialer{Deadline: until, KeepAliveConfig: c.times.keepalive}
	conn, err = c.manager.dial(&d, p, e.network, e.target)
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
		header := proxyproto.Append(nil, c.Spec.ProxyProtocol, need.Source, need.Destination)
		if _, err := conn.Write(header); err != nil {
			return nil, "", err
		}
	}
	protocols := c.protocols(need)
	if c.Spec.TLS != nil {
		return c.handshake(p, conn, need, protocols)
	}
	if len(protocols) == 0 {
		return conn, "", nil
	}
	// Without TLS nothing is agreed on: what is offered last is what any endpoint speaks.
	return conn, protocols[len(protocols)-1], nil
}

// protocols returns what may be spoken with the cluster's endpoints, the best first.
func (c *Cluster) protocols(need *Need) []string {
	switch c.Spec.Protocol {
	case router.ProtocolTCP:
		return nil
	case router.ProtocolHTTP2:
		return []string{protocolHTTP2}
	case router.ProtocolAuto:
		return []string{protocolHTTP2, protocolHTTP1}
	case router.ProtocolDownstream:
		if need.HTTP2 {
			return []string{protocolHTTP2}
		}
	}
	return []string{protocolHTTP1}
}

var errNoTLS = errors.New("this proxy was started without what TLS to endpoints needs")

// handshake wraps conn in TLS. What the endpoint sent before belongs to no response: there
// it is a record of TLS, or ends the handshake.
func (c *Cluster) handshake(ctx context.Context, conn net.Conn, need *Need, protocols []string) (net.Conn, string, error) {
	t := c.Spec.TLS
	name := t.ServerName
	if c.autoServerName() {
		name = strings.Trim(router.NormalizeHost(need.Authority), "[]")
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
