package tls

import (
	"crypto/sha256"
	ctls "crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/router"
)

// maxClientLeaf bounds a client's certificate, in DER: it travels in a header of each
// request.
const maxClientLeaf = 16 << 10

// maxNaming bounds the names of authorities that clients are told of, in bytes: a message of a
// handshake has no room for more, and the names are a help to choose a certificate, no more.
const maxNaming = 60 << 10

var (
	errUnverified  = errors.New("the certificate was not verified")
	errNoneGiven   = errors.New("the client presented no certificate")
	errWrongName   = errors.New("the client's certificate has none of subjectAltNames")
	errWrongKey    = errors.New("the client's certificate is not among those of verifyCertificateSpki and verifyCertificateHash")
	errLargeClient = fmt.Errorf("the client's certificate is larger than %d bytes", maxClientLeaf)
)

// demand is what a server asks of its clients' certificates. It is checked on resumed
// sessions too.
type demand struct {
	auth  router.ClientAuth
	trust *trust
	names []string
	// spki and hash are SHA-256 sums. As Istio documents it, where both are given, a
	// certificate that is in either is taken.
	spki, hash map[[sha256.Size]byte]bool
	clock      func() time.Time
	policy     string
	// unnamed: clients are not told of the authorities, whereupon crypto/tls does not verify.
	unnamed bool
}

// noDemand is the policy of servers that ask for no certificate.
const noDemand = "none"

// staleDemand is the policy of connections that do not meet what is asked for now. It is no
// server's.
const staleDemand = "stale"

// newDemand reads what t asks for; trust verifies clients.
func newDemand(t *router.ServerTLS, trust *trust, clock func() time.Time) (*demand, error) {
	d := &demand{auth: t.ClientAuth, trust: trust, names: t.SubjectAltNames, clock: clock, policy: noDemand}
	if t.ClientAuth == router.NoClientCertificate {
		return d, nil
	}
	d.unnamed = trust.naming > maxNaming
	mode := "required"
	if t.ClientAuth == router.OptionalClientCertificate {
		mode = "optional"
	}
	var err error
	if d.spki, err = sums(t.SPKIs, base64.StdEncoding.DecodeString); err != nil {
		return nil, fmt.Errorf("verifyCertificateSpki: %w in base64", err)
	}
	if d.hash, err = sums(t.Hashes, func(s string) ([]byte, error) {
		return hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	}); err != nil {
		return nil, fmt.Errorf("verifyCertificateHash: %w in hexadecimal", err)
	}
	parts := []string{"trust " + trust.id}
	for _, name := range t.SubjectAltNames {
		parts = append(parts, "name "+name)
	}
	for sum := range d.spki {
		parts = append(parts, "spki "+hex.EncodeToString(sum[:]))
	}
	for sum := range d.hash {
		parts = append(parts, "hash "+hex.EncodeToString(sum[:]))
	}
	d.policy = mode + "-" + digestOf(parts)
	return d, nil
}

func sums(texts []string, decode func(string) ([]byte, error)) (map[[sha256.Size]byte]bool, error) {
	m := make(map[[sha256.Size]byte]bool, len(texts))
	for _, text := range texts {
		b, err := decode(text)
		if err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("%q is not a SHA-256", text)
		}
		m[[sha256.Size]byte(b)] = true
	}
	return m, nil
}

// apply has crypto/tls verify clients, and check what it does not know.
func (d *demand) apply(c *ctls.Config) {
	switch optional := d.auth == router.OptionalClientCertificate; {
	case d.auth == router.NoClientCertificate:
		return
	case d.unnamed && optional:
		c.ClientAuth = ctls.RequestClientCert
	case d.unnamed:
		c.ClientAuth = ctls.RequireAnyClientCert
	case optional:
		c.ClientAuth = ctls.VerifyClientCertIfGiven
	default:
		c.ClientAuth = ctls.RequireAndVerifyClientCert
	}
	if !d.unnamed {
		c.ClientCAs = d.trust.pool
	}
	c.VerifyConnection = d.verify
}

// verify is called at the end of every handshake, full or resumed.
func (d *demand) verify(cs ctls.ConnectionState) error {
	verified := cs.VerifiedChains
	if d.unnamed && len(cs.PeerCertificates) > 0 {
		var err error
		if verified, err = d.chains(cs.PeerCertificates, d.clock()); err != nil {
			return &ctls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
	}
	return d.examine(cs.PeerCertificates, verified)
}

// chains verifies what a client has shown.
func (d *demand) chains(shown []*x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	o := x509.VerifyOptions{Roots: d.trust.pool, Intermediates: x509.NewCertPool(), CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, cert := range shown[1:] {
		o.Intermediates.AddCert(cert)
	}
	return shown[0].Verify(o)
}

// examine returns what is wrong with the certificates that a client has shown, given the chains
// by which the authorities vouch for them.
func (d *demand) examine(shown []*x509.Certificate, verified [][]*x509.Certificate) error {
	if len(shown) == 0 {
		if d.auth == router.RequireClientCertificate {
			return errNoneGiven
		}
		return nil
	}
	leaf := shown[0]
	if len(verified) == 0 {
		return errUnverified
	}
	if len(leaf.Raw) > maxClientLeaf {
		return errLargeClient
	}
	names, err := namesOf(leaf)
	if err != nil {
		return fmt.Errorf("the client's certificate: %w", err)
	}
	if len(d.names) > 0 && !names.matchAny(leaf, d.names) {
		return errWrongName
	}
	if !d.listed(leaf) {
		return errWrongKey
	}
	if err := d.trust.revoked(verified, d.clock()); err != nil {
		return fmt.Errorf("the client's certificate: %w", err)
	}
	return nil
}

// holds tells whether a client whose certificates were verified before meets the demand as it is
// now: authorities may have changed since.
func (d *demand) holds(shown []*x509.Certificate, verified [][]*x509.Certificate) bool {
	if d.auth == router.NoClientCertificate {
		return true
	}
	verified = slices.DeleteFunc(slices.Clone(verified), func(chain []*x509.Certificate) bool {
		return !d.trust.roots[string(chain[len(chain)-1].Raw)]
	})
	if len(verified) == 0 && len(shown) > 0 {
		verified = d.again(shown)
	}
	return d.examine(shown, verified) == nil
}

// again verifies what a client has shown by the authorities as they are now: an authority's own
// certificate may have been renewed. That the client's has run out in the meantime does not count.
func (d *demand) again(shown []*x509.Certificate) [][]*x509.Certificate {
	at := d.clock()
	if end := shown[0].NotAfter; at.After(end) {
		at = end
	}
	chains, err := d.chains(shown, at)
	if err != nil {
		return nil
	}
	return chains
}

// listed tells whether a certificate is among those listed, where any are.
func (d *demand) listed(leaf *x509.Certificate) bool {
	if len(d.spki)+len(d.hash) == 0 {
		return true
	}
	return d.hash[sha256.Sum256(leaf.Raw)] || d.spki[sha256.Sum256(leaf.RawSubjectPublicKeyInfo)]
}
