package proxy

import (
	"net/netip"
	"time"

	"github.com/sluicegate/sluice/router"
)

// Connection is what is known of a client's connection apart from its requests. It does not
// change once a codec has it.
type Connection struct {
	// Listener is the router.Listener's name.
	Listener string
	// Inbound says that the connection is a call to a sidecar's own workload.
	Inbound bool
	// Chain is the name of the router.Chain that took the connection; empty on a listener
	// without chains.
	Chain string
	// Local and Remote are its addresses, as the PROXY protocol tells them where that is
	// believed. Peer is who is really at the other end of the socket.
	Local, Remote, Peer netip.AddrPort
	// TLS is nil on plaintext. Where TLS is passed through, only its ServerName is known.
	TLS *TLSState
	// Headers are added to every response that does not have them (strict-transport-security,
	// alt-svc).
	Headers []router.Header
}

// TLSState is what a handshake with a client came to.
type TLSState struct {
	// ServerName is the client's SNI, normalised; empty where it sent none.
	ServerName string
	// Version and CipherSuite are as in crypto/tls; Protocol is what ALPN agreed on.
	Version, CipherSuite uint16
	Protocol             string
	// Resumed tells that the session was resumed.
	Resumed bool
	// Policy identifies what was asked of the client's certificate: two chains with the
	// same Policy ask for the same.
	Policy string
	// Covers tells whether the certificate that was presented holds for a host.
	Covers func(host string) bool
	// Meets tells whether what the client has shown is enough for what a server asks of its
	// clients' certificates now, which may have changed since. nil where TLS is passed through.
	Meets func(t *router.ServerTLS) bool
	// Peer is the client's certificate; nil where it presented none.
	Peer *PeerCertificate
}

// PeerCertificate is a client's verified certificate, as headers and logs tell of it.
type PeerCertificate struct {
	// Subject and Issuer are RFC 2253 names; Serial, and Hash (SHA-256), hexadecimal.
	Subject, Issuer, Serial, Hash string
	// URIs and DNSNames are its subject alternative names.
	URIs, DNSNames []string
	// Forwarded is the value of x-forwarded-client-cert (Envoy), ready to send.
	Forwarded string
}

// Session is a client's connection as its codec serves it. Check, CloseIdle and Kill may be
// called from any goroutine, before and after Serve has returned too.
type Session interface {
	// Serve serves the connection until it ends, and closes it.
	Serve()
	// Check enforces the timeouts, given the time of Now. It is called about ten times a
	// second.
	Check(now int64)
	// CloseIdle ends the connection as soon as that loses nothing: no request is in
	// progress, and the client knows that none will be served. It is called again and
	// again during a drain.
	CloseIdle()
	// Kill ends it at once.
	Kill()
}

// Upstream is an endpoint's side of one exchange: a connection of HTTP/1, or a stream of
// HTTP/2. It is not safe for concurrent use.
type Upstream interface {
	// RoundTrip sends the exchange's request and relays the response to down, as filter
	// allows.
	RoundTrip(ex *Exchange, filter ResponseFilter, down Downstream) Result
	// Tunnel moves bytes both ways after a RoundTrip that was Upgraded, until both sides
	// have ended, either fails, or nothing has moved for idle (0 for no bound).
	Tunnel(down Downstream, idle time.Duration)
	// Aborter ends the exchange from another goroutine.
	Aborter() *Aborter
	// Bound lets the exchange take so long from now; 0 means no bound.
	Bound(within time.Duration)
	// Addresses returns the connection's, as text; peer is remote where that
	// is an IP address.
	Addresses() (local, remote string, peer netip.AddrPort)
}
