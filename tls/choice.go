package tls

import (
	ctls "crypto/tls"
	"errors"
	"slices"
)

var errNoneIssued = errors.New("no certificate is issued for this server name")

// choose returns what picks the certificate of a handshake: of those that the client
// supports, the first that holds for its server name, else the first. The chain was chosen by
// the server name before, so a certificate for another name is still presented, as Envoy
// does. Where the client supports none, it gets the first and says so itself.
func (e *server) choose(s *Store, certificates []*certificate) func(*ctls.ClientHelloInfo) (*ctls.Certificate, error) {
	issue, hosts := s.options.ACME, e.acme
	// The order of the settings: nil is ACME's turn.
	var order []*certificate
	for _, c := range e.credentials {
		if c == nil {
			order = append(order, nil)
		} else if c.good != nil {
			order = append(order, c.good)
		}
	}
	return func(hello *ctls.ClientHelloInfo) (*ctls.Certificate, error) {
		name := normalServerName(hello.ServerName)
		// With its server name the hello would not support a mesh's certificate.
		anyName := *hello
		anyName.ServerName = ""
		var fallback *certificate
		failed := errNoneIssued
		for _, c := range order {
			if c == nil {
				if issue == nil || !slices.Contains(hosts, name) {
					continue
				}
				cert, err := issue(hello, hosts)
				if err == nil {
					return cert, nil
				}
				failed = err
				continue
			}
			if anyName.SupportsCertificate(&c.tls) != nil {
				continue
			}
			if name == "" || c.covers.host(name) {
				return &c.tls, nil
			}
			if fallback == nil {
				fallback = c
			}
		}
		switch {
		case fallback != nil:
			return &fallback.tls, nil
		case len(certificates) > 0:
			return &certificates[0].tls, nil
		}
		return nil, failed
	}
}

// presented returns the certificates of which one was presented on a connection, as far as
// can be told: those that hold for its server name, where any does, with the kind of key
// that its cipher suite asks for. issued tells that it may have been one of ACME's.
func (state *serverState) presented(cs *ctls.ConnectionState) (list []*certificate, issued bool) {
	name := normalServerName(cs.ServerName)
	issued = slices.Contains(state.issued, name)
	for _, c := range state.certificates {
		if name != "" && c.covers.host(name) && suits(c, cs) {
			list = append(list, c)
		}
	}
	if len(list) > 0 || issued {
		return list, issued
	}
	for _, c := range state.certificates {
		if suits(c, cs) {
			list = append(list, c)
		}
	}
	return list, false
}
