package tls

import (
	"crypto/sha256"
	ctls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// expect fails the test unless err is nil where want is empty, or says want.
func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Fatalf("got %v, want a connection", err)
	case want != "" && err == nil:
		t.Fatalf("got a connection, want %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Fatalf("got %v, want %q", err, want)
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	root, stranger := newRoot(t, "clients"), newRoot(t, "strangers")
	middle := root.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "middle"}, IsCA: true})
	server := newRoot(t, "servers").host(t, "shop.example.com")
	good, other := root.client(t, "good"), root.client(t, "other")
	deep := middle.client(t, "deep")
	expired := root.issue(t, &x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	early := root.issue(t, &x509.Certificate{NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)})
	serverOnly := root.issue(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	unknown := stranger.client(t, "good")
	large := root.issue(t, &x509.Certificate{DNSNames: []string{"x.example.com"}, Subject: pkix.Name{Organization: []string{strings.Repeat("x", maxClientLeaf)}}})

	tomorrow, yesterday := time.Now().Add(24*time.Hour), time.Now().Add(-time.Minute)
	rootList, middleList := root.revoke(t, tomorrow, other), middle.revoke(t, tomorrow)
	spki := sha256.Sum256(good.cert.RawSubjectPublicKeyInfo)
	hash := sha256.Sum256(other.cert.Raw)
	colons := strings.ToUpper(hex.EncodeToString(hash[:1]))
	for _, b := range hash[1:] {
		colons += ":" + strings.ToUpper(hex.EncodeToString([]byte{b}))
	}

	for _, tt := range []struct {
		name   string
		auth   router.ClientAuth
		client *pair
		crl    []byte
		change func(*router.ServerTLS)
		want   string
	}{
		{name: "simple asks for none", client: nil},
		{name: "simple ignores one", client: unknown},
		{name: "optional, none", auth: router.OptionalClientCertificate},
		{name: "optional, good", auth: router.OptionalClientCertificate, client: good},
		{name: "optional, of a stranger", auth: router.OptionalClientCertificate, client: unknown, want: "unknown authority"},
		{name: "optional, expired", auth: router.OptionalClientCertificate, client: expired, want: "expired"},
		{name: "required, none", auth: router.RequireClientCertificate, want: "didn't provide a certificate"},
		{name: "required, good", auth: router.RequireClientCertificate, client: good},
		{name: "required, by an intermediate", auth: router.RequireClientCertificate, client: deep},
		{name: "required, of a stranger", auth: router.RequireClientCertificate, client: unknown, want: "unknown authority"},
		{name: "required, expired", auth: router.RequireClientCertificate, client: expired, want: "expired"},
		{name: "required, not yet valid", auth: router.RequireClientCertificate, client: early, want: "not yet valid"},
		{name: "required, for servers only", auth: router.RequireClientCertificate, client: serverOnly, want: "incompatible key usage"},
		{name: "required, huge", auth: router.RequireClientCertificate, client: large, want: "larger than"},

		{name: "name", auth: router.RequireClientCertificate, client: good, change: func(s *router.ServerTLS) {
			s.SubjectAltNames = []string{"spiffe://elsewhere", "spiffe://cluster.local/ns/default/sa/good"}
		}},
		{name: "another name", auth: router.RequireClientCertificate, client: other, change: func(s *router.ServerTLS) {
			s.SubjectAltNames = []string{"spiffe://cluster.local/ns/default/sa/good"}
		}, want: "subjectAltNames"},
		{name: "names bind optional ones too", auth: router.OptionalClientCertificate, client: other, change: func(s *router.ServerTLS) {
			s.SubjectAltNames = []string{"spiffe://cluster.local/ns/default/sa/good"}
		}, want: "subjectAltNames"},
		{name: "names do not bind those without", auth: router.OptionalClientCertificate, change: func(s *router.ServerTLS) {
			s.SubjectAltNames = []string{"spiffe://cluster.local/ns/default/sa/good"}
		}},
		{name: "key listed", auth: router.RequireClientCertificate, client: good, change: func(s *router.ServerTLS) {
			s.SPKIs = []string{base64.StdEncoding.EncodeToString(spki[:])}
		}},
		{name: "key not listed", auth: router.RequireClientCertificate, client: other, change: func(s *router.ServerTLS) {
			s.SPKIs = []string{base64.StdEncoding.EncodeToString(spki[:])}
		}, want: "verifyCertificateSpki"},
		{name: "hash listed", auth: router.RequireClientCertificate, client: other, change: func(s *router.ServerTLS) { s.Hashes = []string{colons} }},
		{name: "hash not listed", auth: router.RequireClientCertificate, client: good, change: func(s *router.ServerTLS) { s.Hashes = []string{hex.EncodeToString(hash[:])} }, want: "verifyCertificateHash"},
		{name: "either list will do", auth: router.RequireClientCertificate, client: good, change: func(s *router.ServerTLS) {
			s.SPKIs, s.Hashes = []string{base64.StdEncoding.EncodeToString(spki[:])}, []string{colons}
		}},
		{name: "a list that is none", auth: router.RequireClientCertificate, client: good, change: func(s *router.ServerTLS) { s.Hashes = []string{"abcd"} }, want: `"abcd" is not a SHA-256`},

		{name: "not revoked", auth: router.RequireClientCertificate, client: good, crl: rootList},
		{name: "revoked", auth: router.RequireClientCertificate, client: other, crl: rootList, want: "is revoked"},
		{name: "revoked, optional", auth: router.OptionalClientCertificate, client: other, crl: rootList, want: "is revoked"},
		{name: "intermediate without a list", auth: router.RequireClientCertificate, client: deep, crl: rootList, want: "no revocation list of CN=middle"},
		{name: "a list for each", auth: router.RequireClientCertificate, client: deep, crl: append(append([]byte{}, rootList...), middleList...)},
		{name: "intermediate revoked", auth: router.RequireClientCertificate, client: deep, crl: append(root.revoke(t, tomorrow, middle), middleList...), want: "is revoked"},
		{name: "list out of date", auth: router.RequireClientCertificate, client: good, crl: root.revoke(t, yesterday), want: "not in force"},
		{name: "revoked by a list out of date", auth: router.RequireClientCertificate, client: other, crl: root.revoke(t, yesterday, other), want: "is revoked"},
		{name: "list of a namesake", auth: router.RequireClientCertificate, client: good, crl: newRoot(t, "clients").revoke(t, tomorrow, good), want: "no revocation list of CN=clients"},
		{name: "list that is none", auth: router.RequireClientCertificate, client: good, crl: []byte("nonsense"), want: "revocation list"},
		{name: "list cut off", auth: router.OptionalClientCertificate, client: nil, crl: rootList[:len(rootList)/2], want: "cut off"},
	} {
		for _, version := range []uint16{ctls.VersionTLS12, ctls.VersionTLS13} {
			t.Run(tt.name+"/"+ctls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				settings := simple("shop")
				settings.ClientAuth = tt.auth
				settings.Authorities.Secrets = []string{"default/shop", "default/shop-cacert"}
				if tt.change != nil {
					tt.change(settings)
				}
				authorities := secretOf("shop-cacert", nil, root)
				authorities.CRL = tt.crl
				s := newStore(t, Options{})
				s.Update(serverSpec(settings, secretOf("shop", server), authorities))
				client := &ctls.Config{InsecureSkipVerify: true, ServerName: "shop.example.com", MaxVersion: version}
				if tt.client != nil {
					cert := tt.client.tls()
					client.GetClientCertificate = func(*ctls.CertificateRequestInfo) (*ctls.Certificate, error) { return &cert, nil }
				}
				r := s.shake(settings, client)
				expect(t, r.err(), tt.want)
				if tt.want != "" {
					return
				}
				state := s.State(settings, r.server)
				asked := tt.auth != router.NoClientCertificate && tt.client != nil
				if (state.Peer != nil) != asked {
					t.Fatalf("peer is %+v", state.Peer)
				}
				if state.Policy != s.Policy(settings) || state.Policy == "" {
					t.Fatalf("policy is %q, the chain's %q", state.Policy, s.Policy(settings))
				}
			})
		}
	}
}

// Nothing that is missing opens a server that asks for certificates.
func TestFailsClosed(t *testing.T) {
	t.Parallel()
	server := newRoot(t, "servers").host(t, "shop.example.com")
	for name, tt := range map[string]struct {
		authorities router.Authorities
		want        string
	}{
		"no authorities named":    {router.Authorities{}, "no authorities are named"},
		"no such secret":          {router.Authorities{Secrets: []string{"default/none"}}, "default/none: does not exist"},
		"secret without any":      {router.Authorities{Secrets: []string{"default/shop"}}, "neither ca.crt nor cacert"},
		"no such file":            {router.Authorities{CAFile: "/nowhere/ca.pem"}, "/nowhere/ca.pem does not exist"},
		"no such list":            {router.Authorities{Secrets: []string{"default/ca"}, CRLFile: "/nowhere/crl.pem"}, "/nowhere/crl.pem does not exist"},
		"a list and nothing else": {router.Authorities{CRLFile: "/nowhere/crl.pem"}, "/nowhere/crl.pem does not exist"},
		"no mesh":                 {router.Authorities{Mesh: true}, "without a folder of mesh certificates"},
	} {
		for _, auth := range []router.ClientAuth{router.OptionalClientCertificate, router.RequireClientCertificate} {
			t.Run(name, func(t *testing.T) {
				settings := simple("shop")
				settings.ClientAuth, settings.Authorities = auth, tt.authorities
				s := newStore(t, Options{})
				s.Update(serverSpec(settings, secretOf("shop", server), secretOf("ca", nil, newRoot(t, "x"))))
				expect(t, s.shake(settings, &ctls.Config{InsecureSkipVerify: true}).serverErr, tt.want)
				if len(s.Problems()) == 0 {
					t.Error("no problem is told of")
				}
				if p := s.Policy(settings); p != "" {
					t.Errorf("policy is %q", p)
				}
			})
		}
	}
}

func TestNoCertificate(t *testing.T) {
	t.Parallel()
	s := newStore(t, Options{})
	settings := simple("shop")
	s.Update(serverSpec(settings))
	expect(t, s.shake(settings, &ctls.Config{InsecureSkipVerify: true}).serverErr, "secret default/shop: does not exist")
	problems := s.Problems()
	if len(problems) != 1 || problems[0].Credential != "secret default/shop" || problems[0].Since.IsZero() {
		t.Fatalf("problems are %+v", problems)
	}
	expect(t, s.shake(simple("shop"), &ctls.Config{InsecureSkipVerify: true}).serverErr, "not part of the configuration")
	pair := newRoot(t, "servers").host(t, "shop.example.com")
	s.Update(serverSpec(settings, secretOf("shop", pair)))
	expect(t, s.shake(settings, &ctls.Config{InsecureSkipVerify: true}).err(), "")
	if p := s.Problems(); len(p) != 0 {
		t.Fatalf("problems are %+v", p)
	}
	// A Secret that is gone serves on, and is told of.
	s.Update(serverSpec(settings))
	expect(t, s.shake(settings, &ctls.Config{InsecureSkipVerify: true}).err(), "")
	if p := s.Problems(); len(p) != 1 || !strings.Contains(p[0].Err, "does not exist; the last good version stays in force") {
		t.Fatalf("problems are %+v", p)
	}
}

// A client gets the certificate that it supports, and of those the one for its server name.
func TestChoiceOfCertificate(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	rsa := root.issue(t, &x509.Certificate{DNSNames: []string{"shop.example.com"}}, rsaKey())
	ecdsa := root.host(t, "shop.example.com")
	other := root.host(t, "other.example.com", "*.wild.example.com")
	s := newStore(t, Options{})
	settings := simple("ecdsa", "rsa", "other")
	s.Update(serverSpec(settings, secretOf("rsa", rsa), secretOf("ecdsa", ecdsa), secretOf("other", other)))
	for _, tt := range []struct {
		name   string
		client *ctls.Config
		want   *pair
		covers map[string]bool
	}{
		{"anything", &ctls.Config{ServerName: "shop.example.com"}, ecdsa, map[string]bool{"shop.example.com": true, "other.example.com": false}},
		{"RSA alone", &ctls.Config{ServerName: "shop.example.com", MaxVersion: ctls.VersionTLS12, CipherSuites: []uint16{ctls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}, rsa, map[string]bool{"shop.example.com": true}},
		{"ECDSA alone", &ctls.Config{ServerName: "shop.example.com", MaxVersion: ctls.VersionTLS12, CipherSuites: []uint16{ctls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, ecdsa, nil},
		{"another name", &ctls.Config{ServerName: "other.example.com"}, other, map[string]bool{"shop.example.com": false, "other.example.com": true, "a.wild.example.com": true, "a.b.wild.example.com": false}},
		{"wildcard", &ctls.Config{ServerName: "a.wild.example.com"}, other, nil},
		{"a name of none", &ctls.Config{ServerName: "nowhere.example.com"}, ecdsa, nil},
		{"no name", &ctls.Config{}, ecdsa, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.client.InsecureSkipVerify = true
			r := s.shake(settings, tt.client)
			expect(t, r.err(), "")
			if got := r.client.PeerCertificates[0]; !got.Equal(tt.want.cert) {
				t.Fatalf("presented %v with a key of %s", got.DNSNames, describeKey(got.PublicKey))
			}
			state := s.State(settings, r.server)
			for host, want := range tt.covers {
				if got := state.Covers(host); got != want {
					t.Errorf("covers %s: %v", host, got)
				}
			}
		})
	}
}

func TestVersionsAndSuites(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	cert := root.issue(t, &x509.Certificate{DNSNames: []string{"shop.example.com"}}, rsaKey())
	for _, tt := range []struct {
		name   string
		change func(*router.ServerTLS)
		client *ctls.Config
		want   string
		check  func(ctls.ConnectionState) bool
	}{
		{name: "1.1 is refused", client: &ctls.Config{MinVersion: ctls.VersionTLS10, MaxVersion: ctls.VersionTLS11}, want: "unsupported versions"},
		{name: "1.1 is taken where it is asked for", change: func(s *router.ServerTLS) { s.MinVersion = ctls.VersionTLS11 },
			client: &ctls.Config{MinVersion: ctls.VersionTLS10, MaxVersion: ctls.VersionTLS11}, check: func(cs ctls.ConnectionState) bool { return cs.Version == ctls.VersionTLS11 }},
		{name: "1.0 is refused where 1.1 is asked for", change: func(s *router.ServerTLS) { s.MinVersion = ctls.VersionTLS11 },
			client: &ctls.Config{MinVersion: ctls.VersionTLS10, MaxVersion: ctls.VersionTLS10}, want: "unsupported versions"},
		{name: "1.2 is refused", change: func(s *router.ServerTLS) { s.MinVersion = ctls.VersionTLS13 }, client: &ctls.Config{MaxVersion: ctls.VersionTLS12}, want: "unsupported versions"},
		{name: "no newer", change: func(s *router.ServerTLS) { s.MaxVersion = ctls.VersionTLS12 }, check: func(cs ctls.ConnectionState) bool { return cs.Version == ctls.VersionTLS12 }},
		{name: "upside down", change: func(s *router.ServerTLS) { s.MinVersion, s.MaxVersion = ctls.VersionTLS13, ctls.VersionTLS12 }, want: "maxProtocolVersion is below"},
		{name: "suites", change: func(s *router.ServerTLS) { s.CipherSuites = []uint16{ctls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384} }, client: &ctls.Config{MaxVersion: ctls.VersionTLS12},
			check: func(cs ctls.ConnectionState) bool {
				return cs.CipherSuite == ctls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
			}},
		{name: "no suite in common", change: func(s *router.ServerTLS) { s.CipherSuites = []uint16{ctls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384} },
			client: &ctls.Config{MaxVersion: ctls.VersionTLS12, CipherSuites: []uint16{ctls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}, want: "no cipher suite"},
		{name: "weak suites are off", client: &ctls.Config{MaxVersion: ctls.VersionTLS12, CipherSuites: []uint16{ctls.TLS_RSA_WITH_AES_128_CBC_SHA, ctls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}, want: "no cipher suite"},
		{name: "CBC is off", client: &ctls.Config{MaxVersion: ctls.VersionTLS12, CipherSuites: []uint16{ctls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, ctls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}}, want: "no cipher suite"},
		{name: "CBC is taken where it is asked for", change: func(s *router.ServerTLS) { s.CipherSuites = []uint16{ctls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA} },
			client: &ctls.Config{MaxVersion: ctls.VersionTLS12}, check: func(cs ctls.ConnectionState) bool { return cs.CipherSuite == ctls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA }},
		{name: "post-quantum key exchange", check: func(cs ctls.ConnectionState) bool { return cs.CurveID == ctls.X25519MLKEM768 }},
		{name: "ALPN", client: &ctls.Config{NextProtos: []string{"http/1.1", "h2"}}, check: func(cs ctls.ConnectionState) bool { return cs.NegotiatedProtocol == "h2" }},
		{name: "ALPN without one in common", client: &ctls.Config{NextProtos: []string{"spdy/3"}}, want: "unsupported application protocols"},
		{name: "no ALPN", check: func(cs ctls.ConnectionState) bool { return cs.NegotiatedProtocol == "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			settings := simple("shop")
			if tt.change != nil {
				tt.change(settings)
			}
			s := newStore(t, Options{})
			s.Update(serverSpec(settings, secretOf("shop", cert)))
			client := &ctls.Config{}
			if tt.client != nil {
				client = tt.client
			}
			client.RootCAs, client.ServerName = pool(root), "Shop.Example.com"
			r := s.shake(settings, client)
			expect(t, r.serverErr, tt.want)
			if tt.want != "" {
				return
			}
			if !tt.check(r.server) {
				t.Fatalf("state is %+v", r.server)
			}
			state := s.State(settings, r.server)
			if state.ServerName != "shop.example.com" || state.Version != r.client.Version || state.CipherSuite != r.client.CipherSuite ||
				state.Protocol != r.client.NegotiatedProtocol || state.Resumed || state.Policy != noDemand || state.Peer != nil {
				t.Fatalf("state is %+v", state)
			}
		})
	}
}
