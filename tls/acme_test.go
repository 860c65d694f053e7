package tls

import (
	ctls "crypto/tls"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// ACME's certificates and challenges are for the hosts of the settings alone.
func TestACME(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "acme")
	issued, answer, plain := root.host(t, "shop.example.com"), root.host(t, "shop.example.com"), root.host(t, "static.example.com")
	var asked []string
	options := Options{ACME: func(hello *ctls.ClientHelloInfo, hosts []string) (*ctls.Certificate, error) {
		asked = append(asked, hello.ServerName+" of "+strings.Join(hosts, " "))
		cert := issued.tls()
		if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == "acme-tls/1" {
			cert = answer.tls()
		}
		return &cert, nil
	}}
	s := newStore(t, options)
	settings := simple()
	settings.ClientAuth = router.RequireClientCertificate
	settings.Authorities.Secrets = []string{"default/ca"}
	settings.Certificates = []router.Credential{{ACME: true, Hosts: []string{"shop.example.com"}}, {Secret: "default/static"}}
	s.Update(serverSpec(settings, secretOf("static", plain), secretOf("ca", nil, root)))
	client := root.client(t, "good").tls()

	r := s.shake(settings, &ctls.Config{RootCAs: pool(root), ServerName: "shop.example.com", Certificates: []ctls.Certificate{client}})
	expect(t, r.err(), "")
	if !r.client.PeerCertificates[0].Equal(issued.cert) {
		t.Error("the issued certificate was not presented")
	}
	if state := s.State(settings, r.server); !state.Covers("shop.example.com") || state.Covers("static.example.com") {
		t.Error("an issued certificate covers its server name, and nothing else")
	}
	r = s.shake(settings, &ctls.Config{RootCAs: pool(root), ServerName: "static.example.com", Certificates: []ctls.Certificate{client}})
	expect(t, r.err(), "")
	if !r.client.PeerCertificates[0].Equal(plain.cert) {
		t.Error("the Secret's certificate was not presented")
	}
	// The challenge needs no client certificate.
	r = s.shake(settings, &ctls.Config{RootCAs: pool(root), ServerName: "shop.example.com", NextProtos: []string{"acme-tls/1"}})
	expect(t, r.err(), "")
	if !r.client.PeerCertificates[0].Equal(answer.cert) || r.client.NegotiatedProtocol != "acme-tls/1" {
		t.Error("the challenge was not answered")
	}
	if state := s.State(settings, r.server); state.Policy != staleDemand || state.Covers("shop.example.com") {
		t.Errorf("a challenge's state is %+v", state)
	}
	r = s.shake(settings, &ctls.Config{RootCAs: pool(root), ServerName: "stranger.example.com", NextProtos: []string{"acme-tls/1"}})
	expect(t, r.serverErr, `no certificate is issued for "stranger.example.com"`)
	if got := strings.Join(asked, ","); got != "shop.example.com of shop.example.com,shop.example.com of shop.example.com" {
		t.Errorf("asked for %s", got)
	}
}
