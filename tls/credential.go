package tls

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sluicegate/sluice/router"
)

// secret is a Secret as the configuration has it now. It outlives the Secret while a
// credential names it.
type secret struct {
	name string
	// spec is nil where there is no such Secret.
	spec       *router.Secret
	version    uint64
	generation uint64
}

var errNoSecret = errors.New("does not exist")

var errNoMesh = errors.New("is not there: the proxy was started without a folder of mesh certificates")

// Files of a workload's own certificate (Istio's agent, and SPIFFE credentials on VMs).
const (
	meshChain = "cert-chain.pem"
	meshKey   = "key.pem"
	meshRoot  = "root-cert.pem"
)

// credential is a certificate that the configuration names, ACME's apart.
type credential struct {
	held[certificate]
	name string
	// Either secret is set, or chain and key.
	secret     *secret
	chain, key *file
	// users are the chains and clusters that present it.
	users      []string
	generation uint64
	// warned is what is wrong with the certificate in force: an OCSP staple.
	warned error
}

// credentialKey identifies a credential.
func credentialKey(c router.Credential) string {
	switch {
	case c.Mesh:
		return "mesh"
	case c.Secret != "":
		return "secret\x00" + c.Secret
	}
	return "file\x00" + c.CertificateFile + "\x00" + c.KeyFile
}

// credential returns the one that c names.
func (s *Store) credential(c router.Credential, user string) *credential {
	key := credentialKey(c)
	e := s.credentials[key]
	if e == nil {
		e = new(credential)
		s.credentials[key] = e
	}
	if e.generation != s.generation {
		e.generation, e.users = s.generation, nil
		switch {
		case c.Mesh:
			e.name = "mesh"
			e.chain, e.key = s.meshFile(meshChain), s.meshFile(meshKey)
		case c.Secret != "":
			e.name = "secret " + c.Secret
			e.secret = s.secret(c.Secret)
		default:
			e.name = "file " + c.CertificateFile
			e.chain, e.key = s.files.open(c.CertificateFile, s.generation), s.files.open(c.KeyFile, s.generation)
		}
	}
	if n := len(e.users); n == 0 || e.users[n-1] != user {
		e.users = append(e.users, user)
	}
	return e
}

func (s *Store) meshFile(name string) *file {
	if s.options.MeshDir == "" {
		return &file{path: name, err: errNoMesh, version: 1}
	}
	return s.files.open(filepath.Join(s.options.MeshDir, name), s.generation)
}

// secret returns the entry of a Secret, which may not exist.
func (s *Store) secret(name string) *secret {
	e := s.secrets[name]
	if e == nil {
		s.files.version++
		e = &secret{name: name, version: s.files.version}
		s.secrets[name] = e
	}
	e.generation = s.generation
	return e
}

func (c *credential) version() uint64 {
	if c.secret != nil {
		return c.secret.version
	}
	return max(c.chain.version, c.key.version)
}

// evaluate parses what has changed.
func (c *credential) evaluate(s *Store) outcome {
	now := s.options.Clock()
	// A staple that has run out has to go, also where the certificate is an older version that stays.
	if g := c.good; g != nil && !g.stapled.IsZero() && !now.Before(g.stapled) {
		c.good, c.warned = g.bare(), leftOut(heldUntil(g.stapled))
		s.ledger.note(c.name, "staple", c.warned, now)
	}
	if g := c.good; g != nil && !g.early.IsZero() && !now.Before(g.early) && c.err == nil {
		c.seen = 0
	}
	o := c.take(c.version(), c.secret == nil, func() (*certificate, error) { return c.parse(now) })
	s.settled(c.name, o, c.err, c.good != nil)
	if o == loaded || o == replaced {
		s.ledger.note(c.name, "staple", c.warned, now)
	}
	return o
}

func (c *credential) parse(now time.Time) (*certificate, error) {
	chain, key, staple, err := c.read()
	if err != nil {
		return nil, err
	}
	cert, err := parsePair(chain, key)
	if err != nil {
		if c.chain != nil {
			err = fmt.Errorf("%s, %s: %w", c.chain.path, c.key.path, err)
		}
		return nil, err
	}
	c.warned = nil
	if len(staple) > 0 {
		if err := cert.staple(staple, now); err != nil {
			c.warned = leftOut(err)
		}
	}
	return cert, nil
}

func (c *credential) read() (chain []byte, key router.Sensitive, staple []byte, err error) {
	if c.secret != nil {
		s := c.secret.spec
		if s == nil {
			return nil, nil, nil, errNoSecret
		}
		return s.Certificate, s.Key, s.OCSPStaple, nil
	}
	for _, f := range []*file{c.chain, c.key} {
		if f.err != nil {
			return nil, nil, nil, fmt.Errorf("%s %w", f.path, f.err)
		}
	}
	return c.chain.data, c.key.data, nil, nil
}
