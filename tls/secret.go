package tls

import (
	"bytes"

	"github.com/sluicegate/sluice/router"
)

// take notes what the configuration has of the Secret now, nil for nothing.
func (s *secret) take(spec *router.Secret, version *uint64) {
	was := s.spec
	s.spec = spec
	if was == spec || was != nil && spec != nil && sameSecret(was, spec) {
		return
	}
	*version++
	s.version = *version
}

func sameSecret(a, b *router.Secret) bool {
	return bytes.Equal(a.Certificate, b.Certificate) && bytes.Equal(a.Key, b.Key) &&
		bytes.Equal(a.CA, b.CA) && bytes.Equal(a.CRL, b.CRL) && bytes.Equal(a.OCSPStaple, b.OCSPStaple)
}
