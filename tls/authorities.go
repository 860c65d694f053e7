package tls

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// authorities are what the configuration names to verify peers by.
type authorities struct {
	held[trust]
	name string
	// system: the system's roots, since nothing else is named.
	system  bool
	secrets []*secret
	// ca and crl are nil where no file is named.
	ca, crl    *file
	generation uint64
}

func authoritiesKey(a router.Authorities) string {
	return strings.Join(append([]string{a.CAFile, a.CRLFile, fmt.Sprint(a.Mesh)}, a.Secrets...), "\x00")
}

// authorities returns those that a names.
func (s *Store) authorities(a router.Authorities) *authorities {
	key := authoritiesKey(a)
	e := s.trusts[key]
	if e == nil {
		e = new(authorities)
		s.trusts[key] = e
	}
	if e.generation == s.generation {
		return e
	}
	e.generation, e.secrets = s.generation, nil
	switch {
	case a.Mesh:
		e.name, e.ca = "mesh authorities", s.meshFile(meshRoot)
	case len(a.Secrets) > 0:
		e.name = "authorities of secret " + strings.Join(a.Secrets, " or ")
		for _, name := range a.Secrets {
			e.secrets = append(e.secrets, s.secret(name))
		}
	case a.CAFile != "":
		e.name, e.ca = "file "+a.CAFile, s.files.open(a.CAFile, s.generation)
	default:
		e.name, e.system = "system authorities", true
	}
	if a.CRLFile != "" {
		e.crl = s.files.open(a.CRLFile, s.generation)
		if e.system {
			e.name = "file " + a.CRLFile
		}
	}
	return e
}

func (a *authorities) version() uint64 {
	version := uint64(1)
	for _, f := range []*file{a.ca, a.crl} {
		if f != nil {
			version = max(version, f.version)
		}
	}
	for _, s := range a.secrets {
		version = max(version, s.version)
	}
	return version
}

// evaluate parses what has changed.
func (a *authorities) evaluate(s *Store) outcome {
	o := a.take(a.version(), len(a.secrets) == 0, func() (*trust, error) {
		ca, crl, err := a.read()
		if err != nil {
			return nil, err
		}
		return parseTrust(ca, crl, a.system)
	})
	s.settled(a.name, o, a.err, a.good != nil)
	now := s.options.Clock()
	var late error
	if a.good != nil {
		if l := a.good.crls.expired(now); l != nil {
			late = fmt.Errorf("the revocation list of %s is not in force: certificates that it stands for are refused", distinguishedName(l.list.RawIssuer))
		}
	}
	s.ledger.note(a.name, "revocation", late, now)
	return o
}

// read returns the authorities, and the revocation lists: nil where none are named.
func (a *authorities) read() (ca, crl []byte, err error) {
	for _, f := range []*file{a.ca, a.crl} {
		if f != nil && f.err != nil {
			return nil, nil, fmt.Errorf("%s %w", f.path, f.err)
		}
	}
	if a.ca != nil {
		ca = a.ca.data
	}
	exists := slices.ContainsFunc(a.secrets, func(s *secret) bool { return s.spec != nil })
	for _, s := range a.secrets {
		if s.spec == nil {
			continue
		}
		if ca == nil && len(s.spec.CA) > 0 {
			ca = s.spec.CA
		}
		if crl == nil && len(s.spec.CRL) > 0 {
			crl = s.spec.CRL
		}
	}
	if a.crl != nil {
		crl = append([]byte{}, a.crl.data...)
	}
	switch {
	case len(a.secrets) > 0 && !exists:
		return nil, nil, errNoSecret
	case len(a.secrets) > 0 && ca == nil:
		return nil, nil, errors.New("has neither ca.crt nor cacert")
	}
	return ca, crl, nil
}
