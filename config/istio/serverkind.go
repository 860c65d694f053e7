package istio

import (
	networking "istio.io/api/networking/v1alpha3"
)

// serverKind is what a Gateway's server makes of a connection.
type serverKind uint8

const (
	// plainHTTP routes requests in the clear.
	plainHTTP serverKind = iota
	// terminatedHTTP ends TLS and routes the requests in it.
	terminatedHTTP
	// plainTCP routes connections.
	plainTCP
	// terminatedTCP ends TLS and routes the bytes in it.
	terminatedTCP
	// passedThrough routes connections by their TLS server name, and leaves the TLS alone.
	passedThrough
	// autoPassthrough does so without rules: the name says which cluster is meant.
	autoPassthrough
)

// overTLS says whether clients begin with TLS.
func (k serverKind) overTLS() bool { return k != plainHTTP && k != plainTCP }

// routesRequests says whether http rules are for the server.
func (k serverKind) routesRequests() bool { return k == plainHTTP || k == terminatedHTTP }

// routesBytes says whether tcp rules are.
func (k serverKind) routesBytes() bool { return k == plainTCP || k == terminatedTCP }

// routesNames says whether tls rules are.
func (k serverKind) routesNames() bool { return k == passedThrough }

// serverKindOf returns a server's kind; not ok where there is no server for its protocol.
func serverKindOf(s *networking.Server) (serverKind, bool) {
	protocol := parseProtocol(s.GetPort().GetProtocol())
	mode := s.GetTls().GetMode()
	switch {
	case protocol == httpProtocol:
		return plainHTTP, true
	case protocol == tcpProtocol:
		return plainTCP, true
	case protocol != httpsProtocol && protocol != tlsProtocol:
		return 0, false
	case mode == networking.ServerTLSSettings_PASSTHROUGH:
		return passedThrough, true
	case mode == networking.ServerTLSSettings_AUTO_PASSTHROUGH:
		return autoPassthrough, true
	case protocol == tlsProtocol:
		return terminatedTCP, true
	}
	return terminatedHTTP, true
}
