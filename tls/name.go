package tls

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"strings"
)

// attributes are the types that distinguished names spell by name (RFC 2253, section 2.3,
// and those that OpenSSL, hence Envoy, adds to them).
var attributes = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.5":                    "serialNumber",
	"2.5.4.6":                    "C",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "ST",
	"2.5.4.9":                    "street",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1":       "emailAddress",
}

// distinguishedName spells a name in DER as RFC 2253 does, in ASCII. It has neither quotes
// nor control characters, and no backslash stands before what could be taken for a quote:
// both are spelled in hexadecimal, which RFC 2253 allows for any byte.
func distinguishedName(der []byte) string {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &rdns); err != nil || len(rest) > 0 {
		return "#" + hex.EncodeToString(der)
	}
	var b strings.Builder
	for i := len(rdns) - 1; i >= 0; i-- {
		for j, attribute := range rdns[i] {
			switch {
			case j > 0:
				b.WriteByte('+')
			case i < len(rdns)-1:
				b.WriteByte(',')
			}
			writeAttribute(&b, attribute)
		}
	}
	return b.String()
}

func writeAttribute(b *strings.Builder, a pkix.AttributeTypeAndValue) {
	oid := a.Type.String()
	value, text := a.Value.(string)
	if name, ok := attributes[oid]; ok && text {
		b.WriteString(name)
		b.WriteByte('=')
		writeEscaped(b, value)
		return
	}
	b.WriteString(oid)
	b.WriteByte('=')
	if der, err := asn1.Marshal(a.Value); err == nil {
		b.WriteByte('#')
		b.WriteString(hex.EncodeToString(der))
	}
}

func writeEscaped(b *strings.Builder, value string) {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c < ' ' || c > '~' || c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
			continue
		case strings.IndexByte(",+<>;", c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(value)-1):
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
}
