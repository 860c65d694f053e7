package router

import (
	"fmt"
	"net/netip"
	"time"
)

// Chain says what becomes of a connection to a listener (Envoy's FilterChain): whether TLS
// ends here, and whether requests or bytes are routed. Exactly one of Table and Streams is
// set.
type Chain struct {
	// Name is unique in its listener and stable across configurations:
	// "https.443.https-shop.shop-gateway.default", the table's where it has one.
	Name string
	// ServerNames are the TLS server names that it takes: exact, "*.example.com", or "*" for
	// any, none included. A chain without any takes connections that do not begin with TLS.
	// Of two chains, the one with the exact name is taken, then the longer wildcard; of two
	// that claim the same name, the first.
	ServerNames []string
	// TLS ends the client's TLS here. nil hands the bytes on as they come.
	TLS *ServerTLS
	// Table routes requests: those of TLS clients, or of plaintext ones.
	Table *RouteTable
	// Streams route connections, the first that matches.
	Streams []*StreamRoute
	// Port is the one that callers address, of a chain with Streams, as RouteTable.Port is
	// of a chain with a Table. 0 is not known.
	Port uint16
	// IstioALPN takes connections only that offer one of Istio's protocols ("istio",
	// "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"), as
	// AUTO_PASSTHROUGH asks.
	IstioALPN bool
	Origin    Origin
}

// CalledPort is the port that callers address.
func (c *Chain) CalledPort() uint16 {
	if c.Table != nil {
		return c.Table.Port
	}
	return c.Port
}

// StreamRoute is where the bytes of a connection go (Istio TCPRoute, TLSRoute).
type StreamRoute struct {
	Name   string
	Origin Origin
	// Subnets are those of the address that the client connected to; empty for any.
	Subnets      []netip.Prefix
	Destinations []Destination
	// IdleTimeout ends a connection through which nothing has moved for so long: 0 means
	// an hour, negative never.
	IdleTimeout time.Duration
}

// Credential names where a certificate comes from: one of Secret, Files, Mesh and ACME is
// set.
type Credential struct {
	// Secret is "namespace/name" of one in Spec.Secrets, or of one that does not exist yet.
	Secret string
	// CertificateFile and KeyFile are PEM.
	CertificateFile, KeyFile string
	// Mesh is the workload's own certificate, and its root.
	Mesh bool
	// ACME has it issued, for the exact names among Hosts.
	ACME  bool
	Hosts []string
}

// Authorities name the certificates by which a peer's is verified. The zero value stands for
// the system's roots, where verification is asked for.
type Authorities struct {
	// Secret is "namespace/name"; the CA is in "ca.crt" or "cacert", the revocation list in
	// "ca.crl" or "crl". Secrets that do not exist are tried in order.
	Secrets []string
	// CAFile and CRLFile are PEM.
	CAFile, CRLFile string
	// Mesh is the mesh's root.
	Mesh bool
}

// ClientAuth says what is asked of a TLS client.
type ClientAuth uint8

const (
	// NoClientCertificate asks for none (SIMPLE).
	NoClientCertificate ClientAuth = iota
	// OptionalClientCertificate verifies one that is presented (OPTIONAL_MUTUAL).
	OptionalClientCertificate
	// RequireClientCertificate refuses clients without one (MUTUAL, ISTIO_MUTUAL).
	RequireClientCertificate
)

// ServerTLS is how TLS of clients ends (Istio ServerTLSSettings).
type ServerTLS struct {
	// Certificates are tried in order: the first that the client supports is presented.
	Certificates []Credential
	ClientAuth   ClientAuth
	Authorities  Authorities
	// A client's certificate must have one of SubjectAltNames, and be in SPKIs (base64 of
	// SHA-256) or Hashes (hexadecimal SHA-256, with or without colons), unless they are empty:
	// of the last two, either will do (Istio verifyCertificateSpki).
	SubjectAltNames, SPKIs, Hashes []string
	// MinVersion and MaxVersion are as in crypto/tls; 0 means 1.2 and the newest.
	MinVersion, MaxVersion uint16
	// CipherSuites are crypto/tls's, for TLS 1.2; empty means those with forward secrecy and an
	// AEAD or, where MinVersion is below 1.2, crypto/tls's default ones.
	CipherSuites []uint16
	// Protocols are offered by ALPN, in order; empty for none.
	Protocols []string
}

// ClientTLS is how a cluster's endpoints are spoken to (Istio ClientTLSSettings).
type ClientTLS struct {
	// Certificate is presented, nil for none.
	Certificate *Credential
	Authorities Authorities
	// SubjectAltNames: the endpoint's certificate must have one of them. Empty means the
	// ServerName.
	SubjectAltNames []string
	// ServerName is sent as SNI and must be in the certificate; empty takes the request's
	// authority where AutoServerName, else none is sent.
	ServerName     string
	AutoServerName bool
	// SkipVerify takes any certificate.
	SkipVerify bool
	// Protocols are offered by ALPN; empty means what the cluster's Protocol asks for.
	Protocols []string
}

// Secret is a Kubernetes Secret's TLS material, in PEM.
type Secret struct {
	// Name is "namespace/name".
	Name        string
	Certificate []byte
	Key         Sensitive
	// CA and CRL verify peers; OCSPStaple is DER.
	CA, CRL, OCSPStaple []byte
	Origin              Origin
}

// Sensitive is bytes that nobody must see: it prints, and marshals, as "[redacted]".
type Sensitive []byte

const redacted = "[redacted]"

// String returns "[redacted]".
func (Sensitive) String() string { return redacted }

// GoString returns "[redacted]".
func (Sensitive) GoString() string { return redacted }

// Format prints "[redacted]", whatever is asked for.
func (Sensitive) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }

// MarshalText returns "[redacted]".
func (Sensitive) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes what MarshalText wrote: the bytes themselves are not there.
func (s *Sensitive) UnmarshalText([]byte) error {
	*s = nil
	return nil
}

// Protocol is what a cluster's endpoints speak.
type Protocol uint8

const (
	// ProtocolHTTP1 is HTTP/1.1.
	ProtocolHTTP1 Protocol = iota
	// ProtocolHTTP2 is HTTP/2, with prior knowledge where there is no TLS.
	ProtocolHTTP2
	// ProtocolDownstream is what the client speaks (useClientProtocol).
	ProtocolDownstream
	// ProtocolAuto is HTTP/2 where the endpoint agrees to it by ALPN, else HTTP/1.1.
	ProtocolAuto
	// ProtocolTCP is bytes.
	ProtocolTCP
)

// HTTP2 bounds a cluster's HTTP/2 connections.
type HTTP2 struct {
	// MaxConcurrentStreams bounds the streams of a connection: 0 means 100, never more than the endpoint
	// allows.
	MaxConcurrentStreams uint32
	// KeepaliveInterval sends a PING when nothing has come for so long, 0 never; a
	// connection without an answer within KeepaliveTimeout (20 s) ends.
	KeepaliveInterval, KeepaliveTimeout time.Duration
}
