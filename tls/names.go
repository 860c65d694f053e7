package tls

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// names are a certificate's subject alternative names as they stand in it: crypto/x509 hands
// URIs out parsed, which may spell them anew.
type names struct {
	dns, uris, emails []string
	ips               []netip.Addr
}

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	errBadNames       = errors.New("its subject alternative names are malformed")
)

// Tags of GeneralName (RFC 5280, section 4.2.1.6).
const (
	tagEmail = 1
	tagDNS   = 2
	tagURI   = 6
	tagIP    = 7
)

// namesOf reads the names of the kinds that can be compared. Names with bytes that neither
// hosts nor URIs have are an error: no comparison, header or log may ever see a line break, a
// quote or a NUL from a certificate.
func namesOf(cert *x509.Certificate) (names, error) {
	var n names
	for _, e := range cert.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		var list asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &list); err != nil || len(rest) > 0 || list.Tag != asn1.TagSequence {
			return names{}, errBadNames
		}
		for rest := list.Bytes; len(rest) > 0; {
			var name asn1.RawValue
			var err error
			if rest, err = asn1.Unmarshal(rest, &name); err != nil {
				return names{}, errBadNames
			}
			if name.Class != asn1.ClassContextSpecific {
				return names{}, errBadNames
			}
			if err := n.add(name.Tag, name.Bytes); err != nil {
				return names{}, err
			}
		}
	}
	return n, nil
}

func (n *names) add(tag int, value []byte) error {
	var list *[]string
	bad := `"\<>^{|}` + "`"
	switch tag {
	case tagDNS:
		list, bad = &n.dns, bad+`,;=@:/?#[]`
	case tagURI:
		list = &n.uris
	case tagEmail:
		list = &n.emails
	case tagIP:
		ip, ok := netip.AddrFromSlice(value)
		if !ok {
			return errBadNames
		}
		n.ips = append(n.ips, ip.Unmap())
		return nil
	default:
		return nil
	}
	text := string(value)
	for i := 0; i < len(text); i++ {
		if text[i] <= ' ' || text[i] > '~' || strings.IndexByte(bad, text[i]) >= 0 {
			return fmt.Errorf("its subject alternative name %q has a character that does not belong there", text)
		}
	}
	*list = append(*list, text)
	return nil
}

// all returns the names as text.
func (n names) all() []string {
	all := append(append(append([]string(nil), n.dns...), n.uris...), n.emails...)
	for _, ip := range n.ips {
		all = append(all, ip.String())
	}
	return all
}

// match tells whether a certificate has a name that an operator asks for: a URI or an e-mail
// address to the letter, an IP address, or a DNS name, for which a wildcard of the
// certificate may stand (Istio subjectAltNames, Envoy's exact matchers). A wildcard that is
// asked for must be in the certificate as such.
func (n names) match(cert *x509.Certificate, wanted string) bool {
	if slices.Contains(n.uris, wanted) || slices.Contains(n.emails, wanted) {
		return true
	}
	if ip, err := netip.ParseAddr(wanted); err == nil {
		return slices.Contains(n.ips, ip.Unmap())
	}
	if strings.ContainsAny(wanted, ":/@") {
		return false
	}
	return cert.VerifyHostname(wanted) == nil
}

// matchAny tells whether a certificate has one of the names.
func (n names) matchAny(cert *x509.Certificate, wanted []string) bool {
	for _, w := range wanted {
		if n.match(cert, w) {
			return true
		}
	}
	return false
}
