package tls

import (
	ctls "crypto/tls"
	"errors"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Store holds the certificates that a configuration names. It is safe for concurrent use.
type Store struct{ options Options }

var errUnknown = errors.New("not part of the configuration")

// New returns a Store without any configuration. Close ends what it runs.
func New(options Options) (*Store, error) { return &Store{options: options.withDefaults()}, nil }

// Close ends the watching of files. What was handed out stays usable.
func (s *Store) Close() {}

// Update takes a configuration that is about to be in force.
func (s *Store) Update(spec *router.Spec) {}

// Server returns the configuration for the handshake of a client with a chain.
func (s *Store) Server(t *router.ServerTLS, hello *ctls.ClientHelloInfo) (*ctls.Config, error) {
	return nil, errUnknown
}

// State tells what a handshake came to.
func (s *Store) State(t *router.ServerTLS, cs ctls.ConnectionState) *proxy.TLSState {
	return &proxy.TLSState{}
}

// Policy identifies what is asked of the clients' certificates by t as it is now: the Policy
// of a State is the same where the same is asked.
func (s *Store) Policy(t *router.ServerTLS) string { return "" }

// Client returns the configuration for a handshake with an endpoint of a cluster. It is to
// be asked for at each dial, and not changed. The serverName counts where t has none and
// AutoServerName. protocols are offered by ALPN where t has none.
func (s *Store) Client(t *router.ClientTLS, serverName string, protocols ...string) (*ctls.Config, error) {
	return nil, errUnknown
}

// Certificates tells of the certificates that the configuration names, by name.
func (s *Store) Certificates() []CertificateStatus { return nil }

// Problems tells what cannot be used as configured, by credential.
func (s *Store) Problems() []Problem { return nil }

// ParseTicketKeys reads keys for session tickets.
func ParseTicketKeys(text []byte) ([]router.Sensitive, error) { return nil, nil }
