package tls

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// trust is what verifies peers. It never changes.
type trust struct {
	// pool is nil for the system's roots.
	pool *x509.CertPool
	// roots are the authorities in the pool, by their DER.
	roots map[string]bool
	// naming is how many bytes it takes to name the authorities to clients.
	naming int
	crls   revocations
	// id tells trusts of different content apart.
	id string
}

// parseTrust reads authorities and revocation lists. system stands for the system's roots in
// place of authorities; no revocation list is asked for where crl is nil.
func parseTrust(ca, crl []byte, system bool) (*trust, error) {
	t := new(trust)
	parts := []string{"system"}
	if !system {
		certs, err := parseCertificates(ca)
		if err != nil {
			return nil, fmt.Errorf("authorities: %w", err)
		}
		t.pool = x509.NewCertPool()
		t.roots = make(map[string]bool, len(certs))
		parts = nil
		for _, cert := range certs {
			t.pool.AddCert(cert)
			if !t.roots[string(cert.Raw)] {
				t.naming += 2 + len(cert.RawSubject)
			}
			t.roots[string(cert.Raw)] = true
			parts = append(parts, digest(cert.Raw))
		}
	}
	if crl != nil {
		var err error
		if t.crls, err = parseRevocations(crl); err != nil {
			return nil, fmt.Errorf("revocation list: %w", err)
		}
		for _, list := range t.crls {
			parts = append(parts, "crl "+digest(list.list.Raw))
		}
	}
	t.id = digestOf(parts)
	return t, nil
}

// revoked returns why none of the verified chains holds; nil if one does.
func (t *trust) revoked(chains [][]*x509.Certificate, now time.Time) error {
	if len(t.crls) == 0 {
		return nil
	}
	var first error
	for _, chain := range chains {
		err := t.crls.check(chain, now)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		return errUnverified
	}
	return first
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// digestOf identifies a set of texts: their order and how often each is there do not matter.
func digestOf(parts []string) string {
	parts = slices.Clone(parts)
	slices.Sort(parts)
	parts = slices.Compact(parts)
	return digest([]byte(strings.Join(parts, "\x00")))
}
