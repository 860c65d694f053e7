package forward

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// direct settles which chain's routes serve a request that came inside TLS. Browsers use one
// connection for all hosts that its certificate covers (RFC 9113 section 9.1.1), so a request
// may be for another server than the one that the handshake was with. Where that one would
// have presented a certificate that this connection's stands in for, and asks clients for
// nothing more, its routes serve the request. Else direct tells false: the client must come
// anew (421).
func (e *Engine) direct(ex *proxy.Exchange, table *router.Table) bool {
	info, r := ex.Connection, &ex.Request
	host := hostOf(r.Authority)
	if host == info.TLS.ServerName {
		return true
	}
	own := table.NamedChain(info.Listener, info.Chain)
	serving := table.Chain(info.Listener, host, true, nil)
	if serving == nil || own != nil && serving.Name == own.Name {
		return true
	}
	if serving.TLS == nil || serving.Table == nil || !info.TLS.Covers(host) {
		return false
	}
	if serving.TLS.ClientAuth != router.NoClientCertificate && e.options.ClientPolicy(serving.TLS) != info.TLS.Policy {
		return false
	}
	r.Chain = serving.Name
	return true
}

// hostOf returns the host of an authority that is known to be valid, without its port.
func hostOf(authority string) string {
	for i := len(authority) - 1; i >= 0; i-- {
		switch c := authority[i]; {
		case c == ':':
			return authority[:i]
		case c < '0' || c > '9':
			return authority
		}
	}
	return authority
}

// misdirected answers a request that does not belong on its connection (RFC 9110 section
// 15.5.20).
func (e *Engine) misdirected(ex *proxy.Exchange, down proxy.Downstream) {
	ex.Flags |= proxy.FlagNoRoute
	e.reply(ex, down, reply{status: 421, details: "misdirected_request",
		body: "421: this connection was made to another server; make one to the host that is asked for\n"})
}

// addConnectionHeaders adds what every response of the connection says (Connection.Headers),
// unless the response says it itself.
func addConnectionHeaders(ex *proxy.Exchange, r *proxy.Response) {
	for _, h := range ex.Connection.Headers {
		if !hasHeader(r.Headers, h.Name) {
			r.Headers = append(r.Headers, h)
		}
	}
}

func hasHeader(headers []router.Header, name string) bool {
	for i := range headers {
		if headers[i].Name == name {
			return true
		}
	}
	return false
}

// addClientCertificate tells the upstream who the client proved to be, in Envoy's
// x-forwarded-client-cert.
func (e *Engine) addClientCertificate(ex *proxy.Exchange) {
	tls := ex.Connection.TLS
	if tls == nil || tls.Peer == nil || tls.Peer.Forwarded == "" {
		return
	}
	value := tls.Peer.Forwarded
	if before, ok := ex.Request.Header(clientCertHeader); ok && !e.options.Mesh && e.options.TrustedHops > 0 {
		value = ex.Keep(before, ",", value)
	}
	setHeader(&ex.Request.Headers, clientCertHeader, value)
}

const clientCertHeader = "x-forwarded-client-cert"
