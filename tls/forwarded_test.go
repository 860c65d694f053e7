package tls

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// urlEncoded spells a certificate as Envoy does: every byte that is not unreserved (RFC 3986)
// in hexadecimal.
func urlEncoded(p *pair) string {
	var b strings.Builder
	for _, c := range pemOf(p.cert) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func TestForwarded(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "clients")
	evil := root.issue(t, &x509.Certificate{
		Subject: pkix.Name{
			CommonName:   "a\"b\\\";By=x,\r\n\x00é \\",
			Organization: []string{" Shop, Inc. ", "#1"},
			Country:      []string{"EU"},
			ExtraNames:   []pkix.AttributeTypeAndValue{{Type: []int{1, 2, 3}, Value: "x\"y"}},
		},
		URIs:     []*url.URL{spiffe("good"), {Scheme: "https", Host: "x.example.com", RawQuery: "a=b;c"}},
		DNSNames: []string{"a.example.com", "*.b.example.com"},
	})
	hash := digest(evil.cert.Raw)
	p := describePeer(evil.cert, []string{"spiffe://cluster.local/ns/default/sa/gateway"})
	want := `By=spiffe://cluster.local/ns/default/sa/gateway;Hash=` + hash + `;Cert="` + urlEncoded(evil) + `";Subject="` + p.Subject +
		`";URI=spiffe://cluster.local/ns/default/sa/good;URI="https://x.example.com?a=b;c";DNS=a.example.com;DNS=*.b.example.com`
	if p.Forwarded != want {
		t.Errorf("forwarded\n%s, want\n%s", p.Forwarded, want)
	}
	for _, part := range []string{`CN=a\22b\5C\22\;By=x\,\0D\0A\00\C3\A9 \5C`, `O=\ Shop\, Inc.\ `, `O=\#1`, `C=EU`, `1.2.3=#`} {
		if !strings.Contains(p.Subject, part) {
			t.Errorf("subject %s lacks %s", p.Subject, part)
		}
	}
	plain := root.client(t, "good")
	if p := describePeer(plain.cert, nil); p.Subject != "CN=good" || p.Issuer != "CN=clients" || p.Hash != digest(plain.cert.Raw) ||
		p.Forwarded != `Hash=`+p.Hash+`;Cert="`+urlEncoded(plain)+`";Subject="CN=good";URI=`+spiffe("good").String() {
		t.Errorf("peer is %+v", p)
	}
	// As with Envoy the keys are there without a value, too.
	if p := describePeer(root.issue(t, &x509.Certificate{}).cert, nil); !strings.Contains(p.Forwarded, `;Subject="";URI=`) {
		t.Errorf("forwarded %s", p.Forwarded)
	}
}
