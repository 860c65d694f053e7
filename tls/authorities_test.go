package tls

import (
	ctls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// Authorities and revocation lists in files are followed; broken ones keep the last good
// version, and open nothing.
func TestAuthorityFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, crl := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "crl.pem")
	old, next := newRoot(t, "old"), newRoot(t, "next")
	alice, bob := old.client(t, "alice"), next.client(t, "bob")
	tomorrow := time.Now().Add(24 * time.Hour)
	lists := append(old.revoke(t, tomorrow), next.revoke(t, tomorrow)...)
	write(t, ca, pemOf(old.cert))
	write(t, crl, lists)
	settings := simple("shop")
	settings.ClientAuth = router.RequireClientCertificate
	settings.Authorities = router.Authorities{CAFile: ca, CRLFile: crl}
	s := newStore(t, Options{Poll: time.Hour})
	s.Update(serverSpec(settings, secretOf("shop", newRoot(t, "servers").host(t, "shop.example.com"))))
	as := func(p *pair) error {
		cert := p.tls()
		return s.shake(settings, &ctls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*ctls.CertificateRequestInfo) (*ctls.Certificate, error) {
			return &cert, nil
		}}).serverErr
	}
	expect(t, as(alice), "")
	expect(t, as(bob), "unknown authority")
	write(t, ca, append(pemOf(old.cert), pemOf(next.cert)...))
	eventually(t, "both authorities", func() bool { return as(bob) == nil && as(alice) == nil })
	policy := s.Policy(settings)
	write(t, ca, pemOf(next.cert)[:200])
	eventually(t, "a problem", func() bool { return len(s.Problems()) == 1 })
	if p := s.Problems()[0]; p.Credential != "file "+ca || !strings.Contains(p.Err, "cut off") || s.Policy(settings) != policy {
		t.Fatalf("problem is %+v", p)
	}
	expect(t, as(alice), "")
	write(t, ca, pemOf(next.cert))
	eventually(t, "the authority to go", func() bool { return as(alice) != nil })
	expect(t, as(bob), "")
	write(t, crl, next.revoke(t, tomorrow, bob))
	eventually(t, "the revocation", func() bool { return as(bob) != nil })
	expect(t, as(bob), "is revoked")
	write(t, crl, []byte("no list"))
	eventually(t, "a problem", func() bool { return len(s.Problems()) == 1 })
	expect(t, as(bob), "is revoked")
	write(t, crl, next.revoke(t, time.Now().Add(-time.Minute)))
	eventually(t, "another problem", func() bool {
		p := s.Problems()
		return len(p) == 1 && strings.Contains(p[0].Err, "the revocation list of CN=next is not in force")
	})
	expect(t, as(bob), "not in force")
}

// Two chains have the same Policy exactly where they ask for the same.
func TestPolicy(t *testing.T) {
	t.Parallel()
	root, other := newRoot(t, "a"), newRoot(t, "b")
	sum := strings.Repeat("ab", 32)
	base := func(change func(*router.ServerTLS)) *router.ServerTLS {
		settings := simple("shop")
		settings.ClientAuth = router.RequireClientCertificate
		settings.Authorities.Secrets = []string{"default/one"}
		settings.SubjectAltNames = []string{"x", "y"}
		settings.Hashes = []string{sum}
		if change != nil {
			change(settings)
		}
		return settings
	}
	chains := []*router.ServerTLS{
		base(nil),
		base(func(s *router.ServerTLS) { slices.Reverse(s.SubjectAltNames) }),
		base(func(s *router.ServerTLS) { s.Protocols, s.MinVersion = nil, ctls.VersionTLS13 }),
		base(func(s *router.ServerTLS) { s.Hashes = []string{strings.ToUpper("AB:" + sum[2:]), sum} }),
		base(func(s *router.ServerTLS) { s.Authorities.Secrets = []string{"default/same"} }),
		// Those that differ.
		base(func(s *router.ServerTLS) { s.ClientAuth = router.OptionalClientCertificate }),
		base(func(s *router.ServerTLS) { s.ClientAuth = router.NoClientCertificate }),
		base(func(s *router.ServerTLS) { s.SubjectAltNames = []string{"x"} }),
		base(func(s *router.ServerTLS) { s.Hashes = nil }),
		base(func(s *router.ServerTLS) { s.Hashes = []string{strings.Repeat("ac", 32)} }),
		base(func(s *router.ServerTLS) { s.Authorities.Secrets = []string{"default/both"} }),
		base(func(s *router.ServerTLS) { s.Authorities.Secrets = []string{"default/listed"} }),
		base(func(s *router.ServerTLS) { s.Authorities.Secrets = []string{"default/none"} }),
	}
	listed := secretOf("listed", nil, root)
	listed.CRL = root.revoke(t, time.Now().Add(time.Hour))
	spec := &router.Spec{Listeners: []*router.Listener{{}}, Secrets: []*router.Secret{
		secretOf("shop", root.host(t, "shop.example.com")),
		secretOf("one", nil, root), secretOf("same", nil, root, root), secretOf("both", nil, root, other), listed,
	}}
	for _, settings := range chains {
		spec.Listeners[0].Chains = append(spec.Listeners[0].Chains, &router.Chain{Name: fingerprint(settings), TLS: settings})
	}
	s := newStore(t, Options{})
	s.Update(spec)
	seen := map[string]int{}
	for i, settings := range chains {
		policy := s.Policy(settings)
		if i < 5 {
			if policy != s.Policy(chains[0]) || policy == "" {
				t.Errorf("chain %d asks for the same, but has policy %q", i, policy)
			}
			continue
		}
		if before, ok := seen[policy]; ok || policy == s.Policy(chains[0]) {
			t.Errorf("chain %d asks for something else than %d, and has its policy %q", i, before, policy)
		}
		seen[policy] = i
	}
}

// Authorities whose names are more than a handshake can tell clients of are not told; who is let
// in stays the same.
func TestManyAuthorities(t *testing.T) {
	t.Parallel()
	host, known := newRoot(t, "servers"), newRoot(t, "clients")
	bundle := []*pair{known}
	for i := range 1000 {
		bundle = append(bundle, newRoot(t, strings.Repeat("authority ", 6)+strconv.Itoa(i)))
	}
	settings := simple("shop")
	settings.ClientAuth = router.RequireClientCertificate
	settings.Authorities.Secrets = []string{"default/ca"}
	s := newStore(t, Options{})
	s.Update(serverSpec(settings, secretOf("shop", host.host(t, "shop.example.com")), secretOf("ca", nil, bundle...)))
	late := known.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "late"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	for _, version := range []uint16{ctls.VersionTLS12, ctls.VersionTLS13} {
		as := func(p *pair, sessions ctls.ClientSessionCache) result {
			client := &ctls.Config{RootCAs: pool(host), ServerName: "shop.example.com", MaxVersion: version, ClientSessionCache: sessions}
			if p != nil {
				client.Certificates = []ctls.Certificate{p.tls()}
			}
			return s.shake(settings, client)
		}
		good, sessions := known.client(t, "good"), ctls.NewLRUClientSessionCache(1)
		for i := range 2 {
			r := as(good, sessions)
			expect(t, r.err(), "")
			if r.server.DidResume != (i == 1) {
				t.Errorf("visit %d: resumed %t", i, r.server.DidResume)
			}
			state := s.State(settings, r.server)
			if state.Peer == nil || state.Peer.Subject != "CN=good" || state.Policy != s.Policy(settings) || !state.Meets(settings) {
				t.Errorf("visit %d: state is %+v", i, state)
			}
		}
		expect(t, as(newRoot(t, "elsewhere").client(t, "good"), nil).serverErr, "unknown authority")
		expect(t, as(late, nil).serverErr, "expired")
		expect(t, as(nil, nil).serverErr, "didn't provide a certificate")
	}
}

// A list that has run out beside a fresh one of the same issuer locks nobody out, and is no problem.
func TestFormerRevocationList(t *testing.T) {
	t.Parallel()
	root, server := newRoot(t, "clients"), newRoot(t, "servers").host(t, "shop.example.com")
	settings := simple("shop")
	settings.ClientAuth = router.RequireClientCertificate
	settings.Authorities.Secrets = []string{"default/ca"}
	ca := secretOf("ca", nil, root)
	ca.CRL = append(root.revoke(t, time.Now().Add(-time.Minute)), root.revoke(t, time.Now().Add(time.Hour))...)
	s := newStore(t, Options{})
	s.Update(serverSpec(settings, secretOf("shop", server), ca))
	expect(t, s.shake(settings, &ctls.Config{InsecureSkipVerify: true, Certificates: []ctls.Certificate{root.client(t, "good").tls()}}).err(), "")
	if p := s.Problems(); len(p) != 0 {
		t.Errorf("problems are %+v", p)
	}
}
