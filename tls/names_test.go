package tls

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"testing"
)

func TestSubjectAltNames(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "names")
	leaf := root.issue(t, &x509.Certificate{
		Subject:        pkix.Name{CommonName: "common.example.com"},
		DNSNames:       []string{"exact.example.com", "*.wild.example.com", "f*.part.example.com", "*.*.two.example.com"},
		URIs:           []*url.URL{spiffe("good"), {Scheme: "urn", Opaque: "uuid:1"}},
		IPAddresses:    []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("2001:db8::1")},
		EmailAddresses: []string{"ops@example.com"},
	})
	n, err := namesOf(leaf.cert)
	must(t, err)
	for name, want := range map[string]bool{
		"exact.example.com":         true,
		"EXACT.example.com":         true,
		"exact.example.com.":        true,
		"xexact.example.com":        false,
		"a.wild.example.com":        true,
		"wild.example.com":          false,
		"a.b.wild.example.com":      false,
		"*.wild.example.com":        true,
		"*.example.com":             false,
		"foo.part.example.com":      false,
		"a.b.two.example.com":       false,
		"common.example.com":        false,
		"":                          false,
		"*":                         false,
		"a.wild.example.com\x00.eu": false,
		"spiffe://cluster.local/ns/default/sa/good":  true,
		"spiffe://cluster.local/ns/default/sa/good/": false,
		"spiffe://cluster.local/ns/default/sa/goo":   false,
		"SPIFFE://cluster.local/ns/default/sa/good":  false,
		"spiffe://Cluster.local/ns/default/sa/good":  false,
		"urn:uuid:1":      true,
		"10.0.0.1":        true,
		"::ffff:10.0.0.1": true,
		"10.0.0.2":        false,
		"2001:db8:0::1":   true,
		"ops@example.com": true,
		"opx@example.com": false,
	} {
		if got := n.match(leaf.cert, name); got != want {
			t.Errorf("match(%q) = %v", name, got)
		}
	}
}
