package tls

import (
	ctls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/router"
)

// Bounds of what a cluster remembers: sessions to resume, and configurations by server name.
const (
	maxSessions = 256
	maxNames    = 512
)

var (
	errEndpointName = errors.New("the endpoint's certificate has none of subjectAltNames")
	errNoName       = errors.New("there is no name to verify the endpoint's certificate by: set sni or subjectAltNames")
)

// client is how a cluster's endpoints are spoken to by one ClientTLS. All with the same
// settings share it.
type client struct {
	spec        *router.ClientTLS
	credential  *credential
	authorities *authorities
	generation  uint64
	made        clientInputs
	state       atomic.Pointer[clientState]
}

// clientInputs are what changes under a client.
type clientInputs struct {
	certificate *certificate
	trust       *trust
	missing     string
}

// clientState is what handshakes use. Sessions are resumed only under the certificate and the
// authorities under which they began.
type clientState struct {
	base *ctls.Config
	spec *router.ClientTLS
	// trust is nil where nothing is verified.
	trust *trust
	clock func() time.Time
	err   error

	mu     sync.RWMutex
	byName map[clientName]*ctls.Config
}

// clientName is what configurations of one cluster differ in.
type clientName struct{ server, protocols string }

// client returns the entry of t. known is the one that it had before, nil for none.
func (s *Store) client(t *router.ClientTLS, known *client, user string) *client {
	e := known
	if e == nil {
		key := fingerprint(t)
		if e = s.clients[key]; e == nil {
			e = &client{spec: t}
			s.clients[key] = e
		}
	}
	e.generation = s.generation
	if t.Certificate != nil {
		e.credential = s.credential(*t.Certificate, user)
	}
	if !t.SkipVerify {
		e.authorities = s.authorities(t.Authorities)
	}
	return e
}

// refresh makes the client anew if what it is made from has changed.
func (e *client) refresh(s *Store) {
	var in clientInputs
	if c := e.credential; c != nil {
		if in.certificate = c.good; in.certificate == nil {
			in.missing = fmt.Sprintf("there is no certificate to present: %s: %v", c.name, c.err)
		}
	}
	if a := e.authorities; a != nil {
		if in.trust = a.good; in.trust == nil {
			in.missing = fmt.Sprintf("endpoints cannot be verified: %s: %v", a.name, a.err)
		}
	}
	if e.state.Load() != nil && in == e.made {
		return
	}
	e.made = in
	e.state.Store(e.build(s, in))
}

func (e *client) build(s *Store, in clientInputs) *clientState {
	state := &clientState{spec: e.spec, trust: in.trust, clock: s.options.Clock, byName: map[clientName]*ctls.Config{}}
	if in.missing != "" {
		state.err = errors.New(in.missing)
		return state
	}
	state.base = &ctls.Config{
		Time:                        s.options.Clock,
		MinVersion:                  ctls.VersionTLS12,
		DynamicRecordSizingDisabled: true,
		ClientSessionCache:          ctls.NewLRUClientSessionCache(maxSessions),
		// Names are compared in ways that crypto/tls does not know: verify does it all.
		InsecureSkipVerify: true,
	}
	if in.certificate != nil {
		state.base.Certificates = []ctls.Certificate{in.certificate.tls}
	}
	return state
}

// Client returns the configuration for a handshake with an endpoint of a cluster. It is to
// be asked for at each dial, and not changed. The serverName counts where t has none and
// AutoServerName. protocols are offered by ALPN where t has none.
func (s *Store) Client(t *router.ClientTLS, serverName string, protocols ...string) (*ctls.Config, error) {
	p := s.published.Load()
	e := p.clients[t]
	if e == nil {
		e = p.formerClients[t]
	}
	if e == nil {
		return nil, errUnknown
	}
	state := e.state.Load()
	if state.err != nil {
		return nil, state.err
	}
	switch {
	case t.ServerName != "":
		serverName = t.ServerName
	case !t.AutoServerName:
		serverName = ""
	}
	if len(t.Protocols) > 0 {
		protocols = t.Protocols
	}
	return state.config(normalServerName(serverName), protocols)
}

// config returns the configuration for a server name.
func (s *clientState) config(serverName string, protocols []string) (*ctls.Config, error) {
	key := clientName{serverName, strings.Join(protocols, "\x00")}
	s.mu.RLock()
	config := s.byName[key]
	s.mu.RUnlock()
	if config != nil {
		return config, nil
	}
	config = s.base.Clone()
	config.ServerName = serverName
	config.NextProtos = append([]string(nil), protocols...)
	if s.trust != nil {
		// The mesh's root vouches for workloads only, whose names are not hosts.
		if serverName == "" && len(s.spec.SubjectAltNames) == 0 && !s.spec.Authorities.Mesh {
			return nil, errNoName
		}
		config.VerifyConnection = func(cs ctls.ConnectionState) error { return s.verify(cs, serverName) }
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byName) >= maxNames {
		// Requests bring names along: any of them makes room.
		for old := range s.byName {
			delete(s.byName, old)
			break
		}
	}
	s.byName[key] = config
	return config, nil
}

// verify checks an endpoint's certificate, in resumed sessions too.
func (s *clientState) verify(cs ctls.ConnectionState, serverName string) error {
	certs := cs.PeerCertificates
	if len(certs) == 0 {
		return errUnverified
	}
	if err := s.verifyChain(certs, serverName); err != nil {
		return &ctls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
	}
	return nil
}

func (s *clientState) verifyChain(certs []*x509.Certificate, serverName string) error {
	leaf, now := certs[0], s.clock()
	options := x509.VerifyOptions{Roots: s.trust.pool, CurrentTime: now, Intermediates: x509.NewCertPool()}
	for _, cert := range certs[1:] {
		options.Intermediates.AddCert(cert)
	}
	if len(s.spec.SubjectAltNames) == 0 && !s.spec.Authorities.Mesh {
		options.DNSName = serverName
	}
	chains, err := leaf.Verify(options)
	if err != nil {
		return err
	}
	if wanted := s.spec.SubjectAltNames; len(wanted) > 0 {
		names, err := namesOf(leaf)
		if err != nil {
			return err
		}
		if !names.matchAny(leaf, wanted) {
			return errEndpointName
		}
	}
	return s.trust.revoked(chains, now)
}
