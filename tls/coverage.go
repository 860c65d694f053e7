package tls

import (
	"crypto/x509"
	"strings"
)

// coverage answers which hosts a certificate holds for, as x509.Certificate.VerifyHostname
// does (RFC 6125: subject alternative names only, one whole label for a wildcard), without
// allocating for hosts of the ordinary form.
type coverage struct {
	leaf *x509.Certificate
	// exact and wild are lower case; wild lacks the "*.".
	exact, wild map[string]struct{}
}

func newCoverage(leaf *x509.Certificate) coverage {
	c := coverage{leaf: leaf, exact: map[string]struct{}{}, wild: map[string]struct{}{}}
	for _, name := range leaf.DNSNames {
		name = strings.ToLower(name)
		if rest, ok := strings.CutPrefix(name, "*."); ok && plainHost(rest) {
			c.wild[rest] = struct{}{}
		} else if plainHost(name) {
			c.exact[name] = struct{}{}
		}
	}
	return c
}

// host tells whether the certificate holds for a DNS name or an IP address.
func (c coverage) host(host string) bool {
	if !plainHost(host) {
		return c.leaf.VerifyHostname(host) == nil
	}
	if _, ok := c.exact[host]; ok {
		return true
	}
	_, rest, ok := strings.Cut(host, ".")
	if !ok {
		return false
	}
	_, ok = c.wild[rest]
	return ok
}

// plainHost tells whether a host is of the ordinary form: lower case labels, the last of
// which does not end in a digit, since that could be an IP address.
func plainHost(host string) bool {
	start := 0
	for i := 0; i < len(host); i++ {
		switch b := host[i]; {
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '_':
		case b == '-' && i > start:
		case b == '.' && i > start:
			start = i + 1
		default:
			return false
		}
	}
	return start < len(host) && (host[len(host)-1] < '0' || host[len(host)-1] > '9')
}
