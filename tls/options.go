package tls

import (
	ctls "crypto/tls"
	"log/slog"
	"time"
)

// Options are what a Store needs from outside. The zero value works.
type Options struct {
	// Logger gets a line for each certificate that is replaced, breaks or recovers; nil is
	// silent.
	Logger *slog.Logger
	// Clock is the time by which certificates, revocation lists and tickets are judged; nil
	// is time.Now. Handshakes call it.
	Clock func() time.Time
	// MeshDir holds the workload's own certificate, as Istio's agent writes it:
	// cert-chain.pem, key.pem and root-cert.pem.
	MeshDir string
	// TicketKeys is a file of keys for session tickets, which replicas share so that each
	// resumes the others' sessions; see [ParseTicketKeys]. Without it keys are random, a
	// fresh one each day, seven kept.
	TicketKeys string
	// Poll is how often files are looked at besides being watched; 0 means 10 s.
	Poll time.Duration
	// ACME returns the certificate that answers a hello for one of the hosts, and the
	// challenge's where the hello offers "acme-tls/1" alone (RFC 8737). It may wait for
	// the network, and is called from handshakes. nil where there is no ACME.
	ACME func(hello *ctls.ClientHelloInfo, hosts []string) (*ctls.Certificate, error)
	// Observe is told of each certificate that is loaded or fails to. It must not wait,
	// nor call the Store.
	Observe func(Event)
}

// Event is a change of a source of certificates.
type Event struct {
	// Source names it: "secret default/shop", "file /etc/certs/tls.crt", "mesh".
	Source string
	// Err says why the source could not be taken; empty where it was.
	Err string
}

// Problem is a source that cannot be used, or of which an older version is in force.
type Problem struct {
	// Credential names the source: "secret default/shop", "file /etc/certs/tls.crt", "mesh".
	Credential string
	// Err says what is wrong and what became of it. It holds no key.
	Err string
	// Since is when it was first noticed.
	Since time.Time
}

// CertificateStatus is a certificate that is named by the configuration.
type CertificateStatus struct {
	// Name is its source: "secret default/shop", "file /etc/certs/tls.crt", "mesh".
	Name string
	// Subject and Issuer are RFC 2253 names, Serial is hexadecimal, Key is such as
	// "RSA-2048" or "ECDSA-P-256". All are empty where no version was ever good.
	Subject, Issuer, Serial, Key string
	// Names are its subject alternative names.
	Names               []string
	NotBefore, NotAfter time.Time
	// Chains are those that present it; clusters are named "cluster NAME".
	Chains []string
	// Err is why the last reload failed; empty where it did not.
	Err string
}

const (
	defaultPoll = 10 * time.Second
	// challengeProtocol is the ALPN protocol of TLS-ALPN-01 (RFC 8737).
	challengeProtocol = "acme-tls/1"
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Poll <= 0 {
		o.Poll = defaultPoll
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	return o
}
