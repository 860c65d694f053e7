package tls

import (
	"bytes"
	ctls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// mutual is simple for clients with a certificate.
func mutual(auth router.ClientAuth, names ...string) *router.ServerTLS {
	t := simple("shop")
	t.ClientAuth, t.Authorities, t.SubjectAltNames = auth, router.Authorities{Secrets: []string{"default/shop"}}, names
	return t
}

// A connection meets what is asked for by now if its handshake would come about again.
func TestMeets(t *testing.T) {
	t.Parallel()
	const none, optional, required = router.NoClientCertificate, router.OptionalClientCertificate, router.RequireClientCertificate
	clients, others := newRoot(t, "clients"), newRoot(t, "others")
	renewed := (&pair{}).issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "clients"}, IsCA: true, SubjectKeyId: clients.cert.SubjectKeyId}, clients.key)
	anna, host := clients.client(t, "anna"), newRoot(t, "servers").host(t, "shop.example.com")
	soon := time.Now().Add(time.Hour)
	name := "spiffe://cluster.local/ns/default/sa/anna"
	with := func(crl []byte, authorities ...*pair) *router.Secret {
		s := secretOf("shop", host, authorities...)
		s.CRL = crl
		return s
	}
	one := secretOf("shop", host, clients)
	for _, tt := range []struct {
		name   string
		before *router.ServerTLS
		shown  *pair
		after  *router.ServerTLS
		secret *router.Secret
		want   bool
	}{
		{"nothing, none asked for", mutual(none), nil, mutual(none), one, true},
		{"nothing, now optional", mutual(none), nil, mutual(optional), one, true},
		{"nothing, now required", mutual(none), nil, mutual(required), one, false},
		{"nothing, required of what was optional", mutual(optional), nil, mutual(required), one, false},
		{"nothing, required by authorities that are not there", mutual(optional), nil, mutual(required), secretOf("shop", host), false},
		{"shown, now required", mutual(optional), anna, mutual(required), one, true},
		{"shown, none asked for any more", mutual(required), anna, mutual(none), one, true},
		{"its name", mutual(required), anna, mutual(required, name), one, true},
		{"another name", mutual(required), anna, mutual(required, "bert.example.com"), one, false},
		{"another server's certificate", mutual(required), anna, mutual(required), secretOf("shop", newRoot(t, "x").host(t, "shop.example.com"), clients), true},
		{"one authority more", mutual(required), anna, mutual(required), with(nil, clients, others), true},
		{"its authority renewed", mutual(required), anna, mutual(required), with(nil, renewed), true},
		{"other authorities", mutual(required), anna, mutual(required), with(nil, others), false},
		{"a list of revoked ones without it", mutual(required), anna, mutual(required), with(clients.revoke(t, soon), clients), true},
		{"revoked", mutual(required), anna, mutual(required), with(clients.revoke(t, soon, anna), clients), false},
		{"revoked, its authority renewed", mutual(required), anna, mutual(required), with(clients.revoke(t, soon, anna), renewed), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, Options{})
			s.Update(serverSpec(tt.before, one))
			client := &ctls.Config{InsecureSkipVerify: true}
			if tt.shown != nil {
				client.Certificates = []ctls.Certificate{tt.shown.tls()}
			}
			r := s.shake(tt.before, client)
			must(t, r.err())
			state, demands := s.State(tt.before, r.server), s.Demands()
			if !state.Meets(tt.before) {
				t.Error("the demand of its own handshake is not met")
			}
			s.Update(serverSpec(tt.after, tt.secret))
			if got := state.Meets(tt.after); got != tt.want {
				t.Errorf("Meets is %v, want %v", got, tt.want)
			}
			if s.Demands() == demands && (tt.before.ClientAuth != tt.after.ClientAuth || !bytes.Equal(one.CA, tt.secret.CA)) {
				t.Error("the change is not counted")
			}
		})
	}
}

// A client that comes just as more is asked for is not taken for one that has shown it.
func TestMeetsAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t, Options{})
	settings := mutual(router.NoClientCertificate)
	secret := secretOf("shop", newRoot(t, "servers").host(t, "shop.example.com"), newRoot(t, "clients"))
	s.Update(serverSpec(settings, secret))
	r := s.shake(settings, &ctls.Config{InsecureSkipVerify: true})
	must(t, r.err())
	more := mutual(router.RequireClientCertificate)
	s.Update(serverSpec(more, secret))
	if state := s.State(more, r.server); state.Policy != staleDemand || state.Meets(more) {
		t.Errorf("the policy of a connection without a certificate is %q, and it meets the demand: %v", state.Policy, state.Meets(more))
	}
}

// Connections are looked at with each table, by the thousand, and those of clients whose authority
// was renewed may be old: they are verified anew once for each demand, not each time.
func TestMeetsOnce(t *testing.T) {
	s := newStore(t, Options{})
	settings := mutual(router.RequireClientCertificate)
	clients, host := newRoot(t, "clients"), newRoot(t, "servers").host(t, "shop.example.com")
	renew := func() *pair {
		return (&pair{}).issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "clients"}, IsCA: true, SubjectKeyId: clients.cert.SubjectKeyId}, clients.key)
	}
	s.Update(serverSpec(settings, secretOf("shop", host, clients)))
	r := s.shake(settings, &ctls.Config{InsecureSkipVerify: true, Certificates: []ctls.Certificate{clients.client(t, "anna").tls()}})
	must(t, r.err())
	state := s.State(settings, r.server)
	for range 2 {
		s.Update(serverSpec(settings, secretOf("shop", host, renew())))
		if !state.Meets(settings) {
			t.Fatal("the demand is not met")
		}
		if n := testing.AllocsPerRun(10, func() { state.Meets(settings) }); n > 3 {
			t.Errorf("another look allocates %v times", n)
		}
	}
	s.Update(serverSpec(settings, secretOf("shop", host, newRoot(t, "others"))))
	for range 2 {
		if state.Meets(settings) {
			t.Error("the demand of other authorities is met")
		}
	}
}
