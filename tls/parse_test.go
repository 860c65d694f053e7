package tls

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	ctls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestParsePair(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "servers")
	middle := root.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "middle"}, IsCA: true})
	ec, other := middle.host(t, "shop.example.com"), middle.host(t, "shop.example.com")
	rsaPair := root.issue(t, &x509.Certificate{}, rsaKey())
	sec1, err := x509.MarshalECPrivateKey(ecKey(t))
	must(t, err)
	parameters := pemBlock("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	key, err := x509.ParseECPrivateKey(sec1)
	must(t, err)
	sec1Pair := root.issue(t, &x509.Certificate{}, key)
	weak := func(bits uint) []byte {
		n := new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1)
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, root.cert, &rsa.PublicKey{N: n, E: 65537}, root.key)
		must(t, err)
		return pemBlock("CERTIFICATE", der)
	}
	for _, tt := range []struct {
		name       string
		chain, key []byte
		want       string
	}{
		{"PKCS #8", ec.chain(), ec.keyPEM(), ""},
		{"PKCS #1", rsaPair.chain(), pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), ""},
		{"SEC 1 behind parameters", sec1Pair.chain(), append(parameters, pemBlock("EC PRIVATE KEY", sec1)...), ""},
		{"text around", append([]byte("subject=x\n\n"), append(ec.chain(), "\n# end\n"...)...), append([]byte("key:\n"), ec.keyPEM()...), ""},
		{"the key of another", ec.chain(), other.keyPEM(), "does not belong"},
		{"the chain upside down", append(pemOf(middle.cert), pemOf(ec.cert)...), ec.keyPEM(), "must be the first"},
		{"nothing", nil, ec.keyPEM(), "certificate: it is empty"},
		{"no key", ec.chain(), nil, "key: it is empty"},
		{"no PEM", []byte("certificate"), ec.keyPEM(), "no PEM block CERTIFICATE"},
		{"a cut chain", ec.chain()[:len(ec.chain())-40], ec.keyPEM(), "cut off"},
		{"a cut key", ec.chain(), ec.keyPEM()[:60], "cut off"},
		{"a broken block before", append([]byte(strings.Replace(string(pemOf(middle.cert)), "MII", "M!I", 1)), ec.chain()...), ec.keyPEM(), "broken"},
		{"no certificate in the block", pemBlock("CERTIFICATE", []byte("x")), ec.keyPEM(), "number 1 cannot be parsed"},
		{"no key in the block", ec.chain(), pemBlock("PRIVATE KEY", []byte("hunter2")), "cannot be parsed as PKCS #8"},
		{"an encrypted key", ec.chain(), pemBlock("ENCRYPTED PRIVATE KEY", []byte("hunter2")), "passphrase"},
		{"a short RSA key", weak(1024), ec.keyPEM(), "its RSA key has 1024 bits"},
		{"a huge RSA key", weak(8200), ec.keyPEM(), "its RSA key has 8200 bits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parsePair(tt.chain, tt.key)
			expect(t, err, tt.want)
			if err != nil && (strings.Contains(err.Error(), "hunter2") || len(tt.key) > 100 && strings.Contains(err.Error(), string(tt.key[60:80]))) {
				t.Fatalf("the error tells of the key: %v", err)
			}
			if err == nil && c.tls.Leaf == nil {
				t.Fatal("no leaf")
			}
		})
	}
	c, err := parsePair(ec.chain(), ec.keyPEM())
	must(t, err)
	if len(c.tls.Certificate) != 2 {
		t.Fatalf("the chain has %d certificates", len(c.tls.Certificate))
	}
}

// What is held of keys prints as nothing, and the package's logs and errors have none.
func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	p := newRoot(t, "x").host(t, "x.example.com")
	s := &secret{spec: secretOf("x", p)}
	if got := fmt.Sprintf("%v %+v", *s.spec, s.spec); strings.Contains(got, "PRIVATE") || !strings.Contains(got, "[redacted]") {
		t.Fatalf("a Secret prints as %s", got)
	}
}

// Client certificates with names that are not names are refused, whatever is asked of them.
func TestMalformedNames(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "clients")
	san := func(names ...asn1.RawValue) []pkix.Extension {
		der, err := asn1.Marshal(names)
		must(t, err)
		return []pkix.Extension{{Id: oidSubjectAltName, Value: der}}
	}
	name := func(tag int, text string) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(text)}
	}
	// OTHERNAME: an OID and a string, whose bytes must never pass for a name.
	inner, err := asn1.Marshal(struct {
		ID    asn1.ObjectIdentifier
		Value string `asn1:"explicit,tag:0,utf8"`
	}{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, "good.example.com"})
	must(t, err)
	var sequence asn1.RawValue
	_, err = asn1.Unmarshal(inner, &sequence)
	must(t, err)
	other := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: sequence.Bytes}

	server := root.host(t, "shop.example.com")
	settings := simple("shop")
	settings.ClientAuth = router.RequireClientCertificate
	settings.Authorities.Secrets = []string{"default/shop"}
	named := *settings
	named.SubjectAltNames = []string{"good.example.com"}
	s := newStore(t, Options{})
	spec := serverSpec(settings, secretOf("shop", server, root))
	spec.Listeners[0].Chains = append(spec.Listeners[0].Chains, &router.Chain{Name: "named", TLS: &named})
	s.Update(spec)
	const malformed = "does not belong there"
	for _, tt := range []struct {
		name string
		san  []pkix.Extension
		// any is the answer where no name is asked for, good where good.example.com is.
		any, good string
	}{
		{"good", san(name(tagDNS, "good.example.com")), "", ""},
		{"wildcard", san(name(tagDNS, "*.example.com")), "", ""},
		{"other name", san(other), "", "none of subjectAltNames"},
		{"other name beside a good one", san(other, name(tagDNS, "good.example.com")), "", ""},
		{"NUL", san(name(tagDNS, "good.example.com\x00.evil.example.com")), malformed, malformed},
		{"NUL beside a good one", san(name(tagDNS, "good.example.com"), name(tagDNS, "x\x00")), malformed, malformed},
		{"line break in a URI", san(name(tagURI, "spiffe://a/b\r\nx: y")), "failed to parse", "failed to parse"},
		{"quote in a URI", san(name(tagURI, `spiffe://a/b";URI="spiffe://a/c`)), malformed, malformed},
		{"quote in a host", san(name(tagDNS, `a";DNS="b`)), malformed, malformed},
		{"list in a host", san(name(tagDNS, `a,b;c=d`)), malformed, malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template := &x509.Certificate{
				SerialNumber: big.NewInt(serials.Add(1)), ExtraExtensions: tt.san,
				NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
				ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			}
			key := ecKey(t)
			der, err := x509.CreateCertificate(rand.Reader, template, root.cert, key.Public(), root.key)
			must(t, err)
			client := &ctls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*ctls.CertificateRequestInfo) (*ctls.Certificate, error) {
				return &ctls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
			}}
			expect(t, s.shake(settings, client).serverErr, tt.any)
			expect(t, s.shake(&named, client).serverErr, tt.good)
		})
	}
}

func FuzzPair(f *testing.F) {
	p := newRoot(f, "fuzz").host(f, "x.example.com")
	f.Add(p.chain(), p.keyPEM())
	f.Add(p.keyPEM(), p.chain())
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n"), []byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, chain, key []byte) {
		c, err := parsePair(chain, key)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err == nil {
			// What was taken can serve.
			if err := (&ctls.ClientHelloInfo{SupportedVersions: []uint16{ctls.VersionTLS13}}).SupportsCertificate(&c.tls); err != nil {
				t.Fatalf("a pair that was taken cannot serve: %v", err)
			}
		}
	})
}

func FuzzAuthorities(f *testing.F) {
	p := newRoot(f, "fuzz")
	f.Add(pemOf(p.cert), p.revoke(f, time.Now().Add(time.Hour), p))
	f.Add([]byte{}, []byte{0x30, 0x03, 0x02, 0x01, 0x01})
	block, _ := pem.Decode(p.revoke(f, time.Now().Add(time.Hour), p))
	f.Add(pemOf(p.cert), block.Bytes)
	f.Fuzz(func(t *testing.T, ca, crl []byte) {
		trust, err := parseTrust(ca, crl, false)
		if (trust == nil) == (err == nil) {
			t.Fatalf("%v, %v", trust, err)
		}
		if err == nil && (len(trust.roots) == 0 || crl != nil && len(trust.crls) == 0) {
			t.Fatal("nothing to verify by, and no error")
		}
		if err == nil {
			_ = trust.revoked([][]*x509.Certificate{{p.cert, p.cert}}, time.Now())
		}
	})
}

// FuzzCovers holds coverage to crypto/x509's answers.
func FuzzCovers(f *testing.F) {
	for _, names := range []string{"a.example.com", "*.example.com", "*.1", "10.0.0.1", "A.Example.Com.", "*", "*.*.x", "-a.b", "x_y.z", "a..b", ""} {
		f.Add(names, "a.example.com")
		f.Add(names, names)
	}
	f.Fuzz(func(t *testing.T, name, host string) {
		leaf := &x509.Certificate{DNSNames: []string{name}}
		if got, want := newCoverage(leaf).host(host), leaf.VerifyHostname(host) == nil; got != want {
			t.Fatalf("%q for %q: %v, crypto/x509 says %v", name, host, got, want)
		}
	})
}

// FuzzName holds the spelling of names to what may stand in a quoted value.
func FuzzName(f *testing.F) {
	f.Add([]byte(nil), "x", `a"b\`)
	der, _ := asn1.Marshal(pkix.Name{CommonName: "x"}.ToRDNSequence())
	f.Add(der, "é\r\n", "")
	f.Fuzz(func(t *testing.T, der []byte, common, organization string) {
		built, err := asn1.Marshal(pkix.Name{CommonName: common, Organization: []string{organization}}.ToRDNSequence())
		if err != nil {
			built = nil
		}
		for _, der := range [][]byte{der, built} {
			text := distinguishedName(der)
			for i := 0; i < len(text); i++ {
				if text[i] < ' ' || text[i] > '~' || text[i] == '"' {
					t.Fatalf("%q", text)
				}
			}
			if strings.HasSuffix(strings.ReplaceAll(text, `\\`, ""), `\`) {
				t.Fatalf("%q ends in a backslash", text)
			}
		}
	})
}

func TestRevocationLists(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	list := root.revoke(t, time.Now().Add(time.Hour))
	block, _ := pem.Decode(list)
	partial := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0x00}}}}
	der, err := x509.CreateRevocationList(rand.Reader, partial, root.cert, root.key)
	must(t, err)
	for name, tt := range map[string]struct {
		text []byte
		n    int
		want string
	}{
		"PEM":           {list, 1, ""},
		"two":           {bytes.Repeat(list, 2), 2, ""},
		"DER":           {block.Bytes, 1, ""},
		"empty":         {[]byte("\n"), 0, "it is empty"},
		"something":     {pemOf(root.cert), 0, "no PEM block X509 CRL"},
		"a broken one":  {append(list[:len(list):len(list)], pemBlock("X509 CRL", []byte("x"))...), 0, "number 2: it cannot be parsed"},
		"a partial one": {pemBlock("X509 CRL", der), 0, "critical extension 2.5.29.28"},
	} {
		lists, err := parseRevocations(tt.text)
		if len(lists) != tt.n {
			t.Errorf("%s: %d lists", name, len(lists))
		}
		expect(t, err, tt.want)
	}
}
