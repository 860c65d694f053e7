package tls

import (
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"

	"github.com/sluicegate/sluice/proxy"
)

// forwarded returns the value of x-forwarded-client-cert that Istio's gateways send: Envoy's
// SANITIZE_SET with the client's subject, certificate, URIs and DNS names, after the URIs of
// the proxy's own certificate (By) and the hash, which Envoy always adds. Nothing in it can
// end a quoted value: names are made of ASCII without quotes, see distinguishedName and
// namesOf.
func forwarded(p *proxy.PeerCertificate, leaf *x509.Certificate, by []string) string {
	var b strings.Builder
	for _, uri := range by {
		b.WriteString("By=")
		writeValue(&b, uri)
		b.WriteByte(';')
	}
	b.WriteString("Hash=" + p.Hash + `;Cert="`)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	// QueryEscape alone spells a space as "+".
	b.WriteString(strings.ReplaceAll(url.QueryEscape(string(text)), "+", "%20"))
	b.WriteString(`";Subject="` + p.Subject + `";URI=`)
	for i, uri := range p.URIs {
		if i > 0 {
			b.WriteString(";URI=")
		}
		writeValue(&b, uri)
	}
	for _, name := range p.DNSNames {
		b.WriteString(";DNS=")
		writeValue(&b, name)
	}
	return b.String()
}

// writeValue quotes a value that has one of the characters that Envoy's syntax gives a
// meaning.
func writeValue(b *strings.Builder, value string) {
	if strings.ContainsAny(value, ",;=") {
		b.WriteString(`"` + value + `"`)
		return
	}
	b.WriteString(value)
}
