package tls

import (
	ctls "crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/router"
)

var (
	errUnknown  = errors.New("the TLS settings are not part of the configuration")
	errNoClient = errors.New("clients are to be verified, but no authorities are named")
)

// server is how TLS of clients ends by one ServerTLS. All with the same settings share it.
type server struct {
	spec *router.ServerTLS
	// credentials are in the spec's order; nil stands for ACME's.
	credentials []*credential
	authorities *authorities
	// acme are the hosts for which certificates are issued.
	acme []string
	// users are the names of the chains.
	users      []string
	generation uint64
	// made is what the state was made from.
	made  serverInputs
	state atomic.Pointer[serverState]
}

// serverInputs are what changes under a server.
type serverInputs struct {
	certificates []*certificate
	trust        *trust
	// missing says what is not there.
	missing string
}

// serverState is what handshakes use. It never changes.
type serverState struct {
	config *ctls.Config
	// challenge answers ACME's challenges.
	challenge    *ctls.Config
	certificates []*certificate
	// issued are the hosts for which certificates are issued.
	issued []string
	demand *demand
	policy string
	err    error
}

// server returns the entry of t. known is the one that it had before, nil for none.
func (s *Store) server(t *router.ServerTLS, known *server, user string) *server {
	e := known
	if e == nil {
		key := fingerprint(t)
		if e = s.servers[key]; e == nil {
			e = &server{spec: t}
			s.servers[key] = e
		}
	}
	if e.generation == s.generation {
		e.users = append(e.users, user)
	} else {
		e.generation, e.users = s.generation, []string{user}
	}
	e.credentials, e.acme, e.authorities = nil, nil, nil
	for _, c := range t.Certificates {
		if c.ACME {
			e.credentials = append(e.credentials, nil)
			for _, host := range c.Hosts {
				e.acme = append(e.acme, normalServerName(host))
			}
			continue
		}
		e.credentials = append(e.credentials, s.credential(c, user))
	}
	if t.ClientAuth != router.NoClientCertificate && named(t.Authorities) {
		e.authorities = s.authorities(t.Authorities)
	}
	return e
}

// named tells whether authorities, or a revocation list, are named at all.
func named(a router.Authorities) bool {
	return a.Mesh || a.CAFile != "" || a.CRLFile != "" || len(a.Secrets) > 0
}

// name is what problems of the settings themselves are told under.
func (e *server) name() string { return "chain " + e.users[0] }

// inputs collects what the server is to be made from.
func (e *server) inputs() serverInputs {
	var in serverInputs
	var missing []string
	for _, c := range e.credentials {
		switch {
		case c == nil:
		case c.good != nil:
			in.certificates = append(in.certificates, c.good)
		default:
			missing = append(missing, fmt.Sprintf("%s: %v", c.name, c.err))
		}
	}
	in.missing = strings.Join(missing, "; ")
	if a := e.authorities; a != nil {
		if in.trust = a.good; in.trust == nil {
			in.missing = fmt.Sprintf("%s: %v", a.name, a.err)
		}
	}
	return in
}

// refresh makes the server anew if what it is made from has changed.
func (e *server) refresh(s *Store) {
	in := e.inputs()
	if e.state.Load() == nil || in.trust != e.made.trust || in.missing != e.made.missing || !slices.Equal(in.certificates, e.made.certificates) {
		state, err := e.build(s, in)
		if err != nil {
			state = &serverState{err: err}
		}
		e.made = in
		e.state.Store(state)
		s.demands.Add(1)
	}
	// What is missing is told under its own name.
	err := e.state.Load().err
	if in.missing != "" {
		err = nil
	}
	s.ledger.note(e.name(), "settings", err, s.options.Clock())
}

func (e *server) build(s *Store, in serverInputs) (*serverState, error) {
	t := e.spec
	acme := len(e.acme) > 0 && s.options.ACME != nil
	switch {
	case t.ClientAuth != router.NoClientCertificate && e.authorities == nil:
		return nil, errNoClient
	case t.ClientAuth != router.NoClientCertificate && in.trust == nil:
		return nil, fmt.Errorf("clients cannot be verified: %s", in.missing)
	case len(in.certificates) == 0 && !acme:
		return nil, fmt.Errorf("there is no certificate: %s", in.missing)
	case t.MaxVersion != 0 && t.MaxVersion < minVersion(t):
		return nil, errors.New("maxProtocolVersion is below minProtocolVersion")
	}
	d, err := newDemand(t, in.trust, s.options.Clock)
	if err != nil {
		return nil, err
	}
	state := &serverState{certificates: in.certificates, demand: d, policy: d.policy}
	state.config = &ctls.Config{
		Time:                        s.options.Clock,
		NextProtos:                  t.Protocols,
		MinVersion:                  minVersion(t),
		MaxVersion:                  t.MaxVersion,
		CipherSuites:                cipherSuites(t),
		WrapSession:                 s.tickets.wrap(d.policy),
		UnwrapSession:               s.tickets.unwrap(d.policy),
		DynamicRecordSizingDisabled: true,
	}
	d.apply(state.config)
	if acme {
		state.issued = e.acme
		state.challenge = challenge(s.options.ACME, e.acme, s.options.Clock)
	}
	if len(in.certificates) == 1 && !acme {
		state.config.Certificates = []ctls.Certificate{in.certificates[0].tls}
	} else {
		state.config.GetCertificate = e.choose(s, in.certificates)
	}
	return state, nil
}

// strongSuites are the suites of TLS 1.2 with forward secrecy and an AEAD (RFC 9325 section
// 4.2). What crypto/tls has on beside them is CBC with SHA-1.
var strongSuites = []uint16{
	ctls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ctls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	ctls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, ctls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	ctls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, ctls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// cipherSuites are those asked for, or the strong ones; what only TLS 1.1 can use is on where
// that is.
func cipherSuites(t *router.ServerTLS) []uint16 {
	if len(t.CipherSuites) > 0 || minVersion(t) < ctls.VersionTLS12 {
		return t.CipherSuites
	}
	return strongSuites
}

func minVersion(t *router.ServerTLS) uint16 {
	if t.MinVersion == 0 {
		return ctls.VersionTLS12
	}
	return t.MinVersion
}

// challenge answers TLS-ALPN-01 (RFC 8737): nothing else is spoken on such a connection.
func challenge(issue func(*ctls.ClientHelloInfo, []string) (*ctls.Certificate, error), hosts []string, clock func() time.Time) *ctls.Config {
	return &ctls.Config{
		Time:                   clock,
		NextProtos:             []string{challengeProtocol},
		MinVersion:             ctls.VersionTLS12,
		SessionTicketsDisabled: true,
		GetCertificate: func(hello *ctls.ClientHelloInfo) (*ctls.Certificate, error) {
			return issue(hello, hosts)
		},
	}
}

// Server returns the configuration for the handshake of a client with a chain; it must not be
// changed. Errors say why there is none. A hello that offers "acme-tls/1" alone gets the
// answer to ACME's challenge if t has certificates issued for its server name: the
// connection is to be closed after the handshake.
func (s *Store) Server(t *router.ServerTLS, hello *ctls.ClientHelloInfo) (*ctls.Config, error) {
	e := s.published.Load().server(t)
	if e == nil {
		return nil, errUnknown
	}
	state := e.state.Load()
	if hello != nil && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol && state.challenge != nil {
		if !slices.Contains(state.issued, normalServerName(hello.ServerName)) {
			return nil, fmt.Errorf("no certificate is issued for %q", hello.ServerName)
		}
		return state.challenge, nil
	}
	return state.config, state.err
}

// Policy identifies what is asked of the clients' certificates by t as it is now: the Policy
// of a State is the same where the same is asked. It is empty, as no State's is, while t
// cannot serve.
func (s *Store) Policy(t *router.ServerTLS) string {
	if e := s.published.Load().server(t); e != nil {
		return e.state.Load().policy
	}
	return ""
}

func (p *published) server(t *router.ServerTLS) *server {
	if e := p.servers[t]; e != nil {
		return e
	}
	return p.formerServers[t]
}
