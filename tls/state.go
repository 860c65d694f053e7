package tls

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	ctls "crypto/tls"
	"crypto/x509"
	"strings"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// State tells what a handshake with a chain came to. Where a chain has several certificates
// that may have been presented, Covers is true of hosts that all of them hold for.
func (s *Store) State(t *router.ServerTLS, cs ctls.ConnectionState) *proxy.TLSState {
	state := &proxy.TLSState{
		ServerName:  normalServerName(cs.ServerName),
		Version:     cs.Version,
		CipherSuite: cs.CipherSuite,
		Protocol:    cs.NegotiatedProtocol,
		Resumed:     cs.DidResume,
		Policy:      staleDemand,
		Covers:      func(string) bool { return false },
	}
	state.Meets = s.meets(state, cs.PeerCertificates, cs.VerifiedChains)
	e := s.published.Load().server(t)
	if e == nil || cs.NegotiatedProtocol == challengeProtocol {
		return state
	}
	now := e.state.Load()
	if now.demand != nil && now.demand.holds(cs.PeerCertificates, cs.VerifiedChains) {
		state.Policy = now.policy
	}
	presented, issued := now.presented(&cs)
	state.Covers = covers(presented, issued, state.ServerName)
	// Where authorities are not named to clients it is the demand alone that verifies.
	verified := len(cs.VerifiedChains) > 0 || state.Policy == now.policy && now.policy != noDemand
	if len(cs.PeerCertificates) > 0 && verified {
		var by []string
		if len(presented) > 0 {
			if own, err := namesOf(presented[0].leaf); err == nil {
				by = own.uris
			}
		}
		state.Peer = describePeer(cs.PeerCertificates[0], by)
	}
	return state
}

// covers tells of the hosts that the presented certificate holds for. One of ACME's is known
// to hold for the server name alone.
func covers(presented []*certificate, issued bool, serverName string) func(host string) bool {
	return func(host string) bool {
		if len(presented) == 0 && !issued || issued && host != serverName {
			return false
		}
		for _, c := range presented {
			if !c.covers.host(host) {
				return false
			}
		}
		return true
	}
}

// suits tells whether a certificate may have been presented on a connection: below TLS 1.3 a
// cipher suite stands for a kind of key.
func suits(c *certificate, cs *ctls.ConnectionState) bool {
	if cs.Version >= ctls.VersionTLS13 {
		return true
	}
	ecdsaSuite := strings.Contains(ctls.CipherSuiteName(cs.CipherSuite), "_ECDSA_")
	switch c.leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		return !ecdsaSuite
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return ecdsaSuite
	}
	return true
}

// describePeer tells of a client's verified certificate. by are the URIs of the proxy's own.
func describePeer(leaf *x509.Certificate, by []string) *proxy.PeerCertificate {
	// Verification has refused malformed names.
	n, _ := namesOf(leaf)
	p := &proxy.PeerCertificate{
		Subject:  distinguishedName(leaf.RawSubject),
		Issuer:   distinguishedName(leaf.RawIssuer),
		Serial:   serial(leaf),
		Hash:     digest(leaf.Raw),
		URIs:     n.uris,
		DNSNames: n.dns,
	}
	p.Forwarded = forwarded(p, leaf, by)
	return p
}

func serial(cert *x509.Certificate) string { return cert.SerialNumber.Text(16) }
