package tls

import (
	ctls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

func clusterSpec(t *router.ClientTLS, secrets ...*router.Secret) *router.Spec {
	return &router.Spec{Clusters: []*router.Cluster{{Name: "outbound|443||up", TLS: t}}, Secrets: secrets}
}

// dial does a handshake with an endpoint that presents a certificate.
func (s *Store) dial(t *router.ClientTLS, name string, endpoint *ctls.Config) result {
	config, err := s.Client(t, name, "h2")
	if err != nil {
		return result{clientErr: err}
	}
	return shake(endpoint, config)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	root, stranger := newRoot(t, "endpoints"), newRoot(t, "strangers")
	up := root.host(t, "up.example.com", "*.wild.example.com")
	workload := root.client(t, "up")
	address := root.issue(t, &x509.Certificate{IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}})
	expired := root.issue(t, &x509.Certificate{DNSNames: []string{"up.example.com"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	clientOnly := root.issue(t, &x509.Certificate{DNSNames: []string{"up.example.com"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	common := root.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "up.example.com"}})
	ca := router.Authorities{Secrets: []string{"default/ca"}}
	crl := router.Authorities{Secrets: []string{"default/crl"}}
	revoking := secretOf("crl", nil, root)
	revoking.CRL = root.revoke(t, time.Now().Add(time.Hour), expired, up)

	for _, tt := range []struct {
		name     string
		settings router.ClientTLS
		asked    string
		endpoint *pair
		sni      string
		want     string
	}{
		{name: "server name", settings: router.ClientTLS{Authorities: ca, ServerName: "up.example.com"}, endpoint: up, sni: "up.example.com"},
		{name: "server name of a wildcard", settings: router.ClientTLS{Authorities: ca, ServerName: "a.wild.example.com"}, endpoint: up, sni: "a.wild.example.com"},
		{name: "server name of another", settings: router.ClientTLS{Authorities: ca, ServerName: "down.example.com"}, endpoint: up, want: "not down.example.com"},
		{name: "common names count for nothing", settings: router.ClientTLS{Authorities: ca, ServerName: "up.example.com"}, endpoint: common, want: "Common Name"},
		{name: "fixed name beats the request's", settings: router.ClientTLS{Authorities: ca, ServerName: "up.example.com", AutoServerName: true}, asked: "evil.example.com", endpoint: up, sni: "up.example.com"},
		{name: "the request's name", settings: router.ClientTLS{Authorities: ca, AutoServerName: true}, asked: "UP.example.com.", endpoint: up, sni: "up.example.com"},
		{name: "the request's name, not asked for", settings: router.ClientTLS{Authorities: ca}, asked: "up.example.com", endpoint: up, want: "no name to verify"},
		{name: "address", settings: router.ClientTLS{Authorities: ca, ServerName: "127.0.0.1"}, endpoint: address},
		{name: "another address", settings: router.ClientTLS{Authorities: ca, ServerName: "127.0.0.2"}, endpoint: address, want: "127.0.0.2"},
		{name: "SPIFFE", settings: router.ClientTLS{Authorities: ca, ServerName: "outbound_.80_._.up", SubjectAltNames: []string{spiffe("up").String()}}, endpoint: workload, sni: "outbound_.80_._.up"},
		{name: "SPIFFE of another", settings: router.ClientTLS{Authorities: ca, SubjectAltNames: []string{spiffe("u").String()}}, endpoint: workload, want: "none of subjectAltNames"},
		{name: "names beat the server name", settings: router.ClientTLS{Authorities: ca, ServerName: "up.example.com", SubjectAltNames: []string{"other.example.com"}}, endpoint: up, want: "none of subjectAltNames"},
		{name: "one of the names", settings: router.ClientTLS{Authorities: ca, SubjectAltNames: []string{"x", "a.wild.example.com"}}, endpoint: up},
		{name: "stranger", settings: router.ClientTLS{Authorities: ca, ServerName: "up.example.com"}, endpoint: stranger.host(t, "up.example.com"), want: "unknown authority"},
		{name: "the system's roots", settings: router.ClientTLS{ServerName: "up.example.com"}, endpoint: up, want: "unknown authority"},
		{name: "expired", settings: router.ClientTLS{Authorities: ca, ServerName: "up.example.com"}, endpoint: expired, want: "expired"},
		{name: "for clients only", settings: router.ClientTLS{Authorities: ca, ServerName: "up.example.com"}, endpoint: clientOnly, want: "incompatible key usage"},
		{name: "revoked", settings: router.ClientTLS{Authorities: crl, ServerName: "up.example.com"}, endpoint: up, want: "is revoked"},
		{name: "not revoked", settings: router.ClientTLS{Authorities: crl, ServerName: "127.0.0.1"}, endpoint: address},
		{name: "anything", settings: router.ClientTLS{SkipVerify: true, Authorities: crl}, endpoint: expired},
		{name: "no authorities", settings: router.ClientTLS{Authorities: router.Authorities{Secrets: []string{"default/none"}}, ServerName: "up.example.com"}, endpoint: up, want: "endpoints cannot be verified"},
		{name: "no certificate", settings: router.ClientTLS{Authorities: ca, ServerName: "up.example.com", Certificate: &router.Credential{Secret: "default/none"}}, endpoint: up, want: "no certificate to present"},
	} {
		for _, version := range []uint16{ctls.VersionTLS12, ctls.VersionTLS13} {
			t.Run(tt.name+"/"+ctls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				s := newStore(t, Options{})
				s.Update(clusterSpec(&tt.settings, secretOf("ca", nil, root), revoking))
				endpoint := &ctls.Config{Certificates: []ctls.Certificate{tt.endpoint.tls()}, MaxVersion: version, NextProtos: []string{"h2"}}
				r := s.dial(&tt.settings, tt.asked, endpoint)
				expect(t, r.clientErr, tt.want)
				if tt.want != "" {
					return
				}
				if r.server.ServerName != tt.sni || r.server.NegotiatedProtocol != "h2" {
					t.Fatalf("sent %q, %q", r.server.ServerName, r.server.NegotiatedProtocol)
				}
				// Once more: the session is resumed, and verified as well.
				r = s.dial(&tt.settings, tt.asked, endpoint)
				expect(t, r.err(), "")
			})
		}
	}
}

// Sessions with endpoints are resumed, and not under another certificate or authority.
func TestEndpointSessions(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "endpoints")
	settings := &router.ClientTLS{
		Authorities: router.Authorities{Secrets: []string{"default/ca"}}, ServerName: "up.example.com",
		Certificate: &router.Credential{Secret: "default/client"}, Protocols: []string{"http/1.1"},
	}
	ca, alice, bob := secretOf("ca", nil, root), root.client(t, "alice"), root.client(t, "bob")
	s := newStore(t, Options{})
	endpoint := &ctls.Config{
		Certificates: []ctls.Certificate{root.host(t, "up.example.com").tls()}, NextProtos: []string{"http/1.1"},
		ClientAuth: ctls.RequireAndVerifyClientCert, ClientCAs: pool(root),
	}
	check := func(what string, resumed bool, client *pair) {
		t.Helper()
		r := s.dial(settings, "", endpoint)
		expect(t, r.err(), "")
		if r.client.DidResume != resumed || !r.server.PeerCertificates[0].Equal(client.cert) || r.client.NegotiatedProtocol != "http/1.1" {
			t.Fatalf("%s: resumed %v as %v by %q", what, r.client.DidResume, r.server.PeerCertificates[0].URIs, r.client.NegotiatedProtocol)
		}
	}
	s.Update(clusterSpec(settings, ca, secretOf("client", alice)))
	check("first", false, alice)
	check("again", true, alice)
	s.Update(clusterSpec(settings, ca, secretOf("client", alice)))
	check("after an update without a change", true, alice)
	s.Update(clusterSpec(settings, ca, secretOf("client", bob)))
	check("as another", false, bob)
	check("as another again", true, bob)
	stranger := newRoot(t, "strangers")
	s.Update(clusterSpec(settings, secretOf("ca", nil, stranger), secretOf("client", bob)))
	expect(t, s.dial(settings, "", endpoint).clientErr, "unknown authority")
}

// The mesh's certificate and root come from the agent's folder, in either direction.
func TestMesh(t *testing.T) {
	t.Parallel()
	root, dir := newRoot(t, "mesh"), t.TempDir()
	place := func(p *pair) {
		write(t, filepath.Join(dir, meshKey), p.keyPEM())
		write(t, filepath.Join(dir, meshChain), p.chain())
	}
	write(t, filepath.Join(dir, meshRoot), pemOf(root.cert))
	own, next := root.client(t, "gateway"), root.client(t, "gateway")
	place(own)
	server := &router.ServerTLS{
		Certificates: []router.Credential{{Mesh: true}}, ClientAuth: router.RequireClientCertificate,
		Authorities: router.Authorities{Mesh: true}, Protocols: []string{"istio"},
	}
	client := &router.ClientTLS{Certificate: &router.Credential{Mesh: true}, Authorities: router.Authorities{Mesh: true}, ServerName: "outbound_.80_._.up"}
	spec := serverSpec(server)
	spec.Clusters = clusterSpec(client).Clusters
	s := newStore(t, Options{MeshDir: dir})
	s.Update(spec)
	meet := func() result {
		config, err := s.Client(client, "", "istio")
		must(t, err)
		return s.shake(server, config)
	}
	r := meet()
	expect(t, r.err(), "")
	state := s.State(server, r.server)
	if state.ServerName != "outbound_.80_._.up" || state.Peer == nil || state.Peer.URIs[0] != "spiffe://cluster.local/ns/default/sa/gateway" {
		t.Fatalf("state is %+v", state)
	}
	place(next)
	eventually(t, "the next certificate", func() bool {
		r := meet()
		return r.err() == nil && r.client.PeerCertificates[0].Equal(next.cert) && r.server.PeerCertificates[0].Equal(next.cert)
	})
	status := s.Certificates()
	if len(status) != 1 || status[0].Name != "mesh" || fmt.Sprint(status[0].Chains) != "[cluster outbound|443||up https.443.shop]" {
		t.Fatalf("status is %+v", status)
	}
	// Without subjectAltNames the mesh's root vouches for workloads whose names are no hosts.
	r = s.dial(client, "", &ctls.Config{Certificates: []ctls.Certificate{newRoot(t, "mesh").client(t, "gateway").tls()}})
	var unverified *ctls.CertificateVerificationError
	if !errors.As(r.clientErr, &unverified) {
		t.Fatalf("a stranger's workload: %v", r.clientErr)
	}
}

// Names that requests bring along do not fill the memory.
func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	settings := &router.ClientTLS{AutoServerName: true}
	s := newStore(t, Options{})
	s.Update(clusterSpec(settings))
	for i := range 3 * maxNames {
		c, err := s.Client(settings, fmt.Sprintf("host-%d.example.com", i))
		must(t, err)
		again, err := s.Client(settings, fmt.Sprintf("host-%d.example.com", i))
		must(t, err)
		if c != again || c.ServerName != fmt.Sprintf("host-%d.example.com", i) || c.Renegotiation != ctls.RenegotiateNever {
			t.Fatalf("configuration is for %q", c.ServerName)
		}
	}
	if n := len(s.clients[fingerprint(settings)].state.Load().byName); n != maxNames {
		t.Fatalf("%d are remembered", n)
	}
}
