package tls

import (
	"cmp"
	"slices"
)

// Certificates tells of the certificates that the configuration names, by name. Those that
// ACME issues are not among them.
func (s *Store) Certificates() []CertificateStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]CertificateStatus, 0, len(s.credentials))
	for _, c := range s.credentials {
		list = append(list, c.status())
	}
	slices.SortFunc(list, func(a, b CertificateStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.NotAfter.Compare(b.NotAfter))
	})
	return list
}

func (c *credential) status() CertificateStatus {
	status := CertificateStatus{Name: c.name, Chains: slices.Clone(c.users)}
	slices.Sort(status.Chains)
	status.Chains = slices.Compact(status.Chains)
	if c.err != nil {
		status.Err = c.err.Error()
	}
	if c.good == nil {
		return status
	}
	leaf := c.good.leaf
	status.Subject = distinguishedName(leaf.RawSubject)
	status.Issuer = distinguishedName(leaf.RawIssuer)
	status.Serial = serial(leaf)
	status.Key = describeKey(leaf.PublicKey)
	status.NotBefore, status.NotAfter = leaf.NotBefore, leaf.NotAfter
	// A proxy's own certificate may have names that a client's may not.
	if names, err := namesOf(leaf); err == nil {
		status.Names = names.all()
	}
	return status
}

// Problems tells what cannot be used as configured, by credential.
func (s *Store) Problems() []Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.list()
}
