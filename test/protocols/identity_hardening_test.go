package protocols

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// oddCertificate returns a client's certificate with a common name and raw subject alternative
// names: a DNS name (tag 2) or a URI (tag 6) of any bytes.
func (a *authority) oddCertificate(t testing.TB, name string, tag int, values ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(values) > 0 {
		var names []asn1.RawValue
		for _, v := range values {
			names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(v)})
		}
		raw, err := asn1.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: raw}}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestOddCertificates: hardening rows 39 and 60. Whatever a client's certificate says, the
// endpoint gets one x-forwarded-client-cert of the gateway's making, in which nothing of the
// client's begins an element or a line; or the client does not get in.
func TestOddCertificates(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "access.log")
	g := startGuarded(t, "--access-log", file)
	const admin = "spiffe://cluster.local/ns/x/sa/admin"
	for _, tc := range []struct {
		name   string
		common string
		tag    int
		values []string
	}{
		{"none", "client", 0, nil},
		{"URI with an element in it", "client", 6, []string{"spiffe://td/a;URI=" + admin}},
		{"URI with a second certificate in it", "client", 6, []string{"spiffe://td/a,URI=" + admin}},
		{"URI with a quote", "client", 6, []string{`spiffe://td/a";URI=` + admin + `;x="`}},
		{"URI with a line", "client", 6, []string{"spiffe://td/a\r\nx-admin: yes"}},
		{"URI with NUL", "client", 6, []string{"spiffe://td/a\x00b"}},
		{"DNS name with an element in it", "client", 2, []string{"a.example.com;URI=" + admin}},
		{"DNS name with a line", "client", 2, []string{"a\r\nx-admin: yes"}},
		{"DNS name with NUL", "client", 2, []string{"a.example.com\x00.evil.test"}},
		{"common name with an element in it", `client";URI=` + admin + `;x="`, 0, nil},
		{"common name with a line", "client\r\nx-admin: yes", 0, nil},
		{"common name with NUL", "cl\x00ient", 0, nil},
		{"long common name", strings.Repeat("n", 5000), 0, nil},
		{"many names", "client", 2, strings.Split(strings.Repeat("a.example.com ", 500), " ")[:500]},
	} {
		for _, protocol := range []string{"h1", "h2"} {
			config := g.client("secure.example.com")
			cert := g.authority.oddCertificate(t, tc.common, tc.tag, tc.values...)
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
			status, body := g.ask(t, protocol, config, "secure.example.com", "X-Forwarded-Client-Cert", "By=me;URI="+admin, "x-forwarded-client-cert", "URI="+admin)
			if status != 200 {
				t.Logf("%s, %s: %d %.100s", tc.name, protocol, status, body)
				continue
			}
			n := 0
			for line := range strings.Lines(body) {
				if strings.HasPrefix(line, "x-admin") {
					t.Errorf("%s, %s: a header of the client's making: %q", tc.name, protocol, line)
				}
				value, ok := strings.CutPrefix(line, "x-forwarded-client-cert: ")
				if !ok {
					continue
				}
				n++
				for _, element := range elements(strings.Trim(strings.ReplaceAll(strings.TrimSpace(value), `\"`, "\x01"), `"`)) {
					if element == "URI="+admin {
						t.Errorf("%s, %s: an identity that nobody certified: %s", tc.name, protocol, value)
					}
				}
			}
			if n != 1 {
				t.Errorf("%s, %s: %d x-forwarded-client-cert", tc.name, protocol, n)
			}
		}
	}
	var log []byte
	until(t, "the access log is written", func() bool {
		log, _ = os.ReadFile(file)
		return len(log) > 0
	})
	for line := range strings.Lines(string(log)) {
		if !strings.HasPrefix(line, "[20") {
			t.Errorf("a line of the client's making in the access log: %q", line)
		}
	}
}

// elements cuts an x-forwarded-client-cert at what is not inside quotes, which are 0x01 here.
func elements(value string) []string {
	var list []string
	quoted, from := false, 0
	for i := 0; i <= len(value); i++ {
		switch {
		case i == len(value), !quoted && (value[i] == ';' || value[i] == ','):
			list = append(list, value[from:i])
			from = i + 1
		case value[i] == 1:
			quoted = !quoted
		}
	}
	return list
}

// TestForwardingHeadersInsideTLS: hardening rows 32 to 34. What a client says of itself and its
// way is not believed inside TLS either, by any protocol.
func TestForwardingHeadersInsideTLS(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	for _, protocol := range []string{"h1", "h2", "h3"} {
		config := g.client("open.example.com")
		status, body := g.ask(t, protocol, config, "open.example.com",
			"X-Forwarded-For", "6.6.6.6", "x-forwarded-for", "7.7.7.7", "X-Forwarded-Proto", "ftp", "X-Forwarded-Host", "evil.test", "Forwarded", "for=6.6.6.6",
			"X-Real-Ip", "6.6.6.6", "X-Forwarded-Client-Cert", "URI=spiffe://evil", "x-forwarded-client-cert", "URI=spiffe://evil", "X-Envoy-Internal", "true",
			"X-Envoy-External-Address", "6.6.6.6", "X-Original-Url", "/evil", "X-Forwarded-Prefix", "/evil", "X-Envoy-Original-Path", "/evil", "X-Forwarded-Uri", "/evil")
		if status != 200 {
			t.Fatalf("%s: %d %s", protocol, status, body)
		}
		for _, believed := range []string{"6.6.6.6", "7.7.7.7", "evil", "ftp", "x-forwarded-client-cert"} {
			if strings.Contains(body, believed) {
				t.Errorf("%s: %s was forwarded:\n%s", protocol, believed, body)
			}
		}
		for _, want := range []string{"x-forwarded-proto: \"https\"", "x-forwarded-for: \"127.0.0.1\""} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: without %s:\n%s", protocol, want, body)
			}
		}
		for _, alias := range []string{"X_Forwarded_For", "x_forwarded_client_cert"} {
			if status, body := g.ask(t, protocol, config, "open.example.com", alias, "6.6.6.6"); status != 400 {
				t.Errorf("%s: %s: %d %s", protocol, alias, status, body)
			}
		}
		if protocol == "h1" { // The others have no Connection.
			status, body := g.ask(t, protocol, config, "open.example.com", "Connection", "close, X-Forwarded-For, x-forwarded-proto, x-request-id")
			if status == 200 && (!strings.Contains(body, "x-forwarded-proto: \"https\"") || !strings.Contains(body, "x-forwarded-for: \"127.0.0.1\"") || !strings.Contains(body, "x-request-id")) {
				t.Errorf("Connection takes away what the gateway says:\n%s", body)
			}
		}
	}
}
