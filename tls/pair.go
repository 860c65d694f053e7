package tls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	ctls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicegate/sluice/router"
)

// RSA keys that are taken: shorter ones are weak, and longer ones are a way to make
// handshakes expensive (CVE-2023-29409).
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// certificate is a chain with its key, as handshakes use it. It never changes.
type certificate struct {
	tls    ctls.Certificate
	leaf   *x509.Certificate
	covers coverage
	// stapled is when the OCSP staple ends to hold; zero without one.
	stapled time.Time
	// early is when one begins to hold that was left out; zero for none.
	early time.Time
}

// parsePair reads a certificate chain, the leaf first, and the leaf's private key. Errors
// quote nothing of either.
func parsePair(chain []byte, key router.Sensitive) (*certificate, error) {
	certs, err := parseCertificates(chain)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	leaf := certs[0]
	private, err := parseKey(key)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if err := checkPublicKey(leaf.PublicKey); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	public, ok := private.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return nil, errors.New("the key does not belong to the certificate, which must be the first of its file")
	}
	c := &certificate{leaf: leaf, covers: newCoverage(leaf)}
	c.tls = ctls.Certificate{PrivateKey: private, Leaf: leaf}
	for _, cert := range certs {
		c.tls.Certificate = append(c.tls.Certificate, cert.Raw)
	}
	return c, nil
}

// parseCertificates reads all certificates of a PEM text, of which there must be one. A
// block that is cut off is an error, as of a file that is half written.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	rest := text
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("number %d cannot be parsed: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	switch {
	case brokenBlock(text, rest, "CERTIFICATE", len(certs)):
		return nil, errBrokenBlock
	case len(certs) == 0 && len(bytes.TrimSpace(text)) == 0:
		return nil, errors.New("it is empty")
	case len(certs) == 0:
		return nil, errors.New("it has no PEM block CERTIFICATE")
	}
	return certs, nil
}

var errBrokenBlock = errors.New("a PEM block is cut off or broken")

// brokenBlock tells whether a text has more blocks of a kind than could be decoded, or begins
// one in what is left behind them: decoding skips what is broken.
func brokenBlock(text, rest []byte, kind string, decoded int) bool {
	return bytes.Count(text, []byte("-----BEGIN "+kind+"-----")) != decoded || bytes.Contains(rest, []byte("-----BEGIN "))
}

// parseKey reads the first private key of a PEM text: PKCS #8, PKCS #1 or SEC 1.
func parseKey(text router.Sensitive) (crypto.Signer, error) {
	rest := []byte(text)
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil && len(bytes.TrimSpace(text)) == 0:
			return nil, errors.New("it is empty")
		case block == nil:
			return nil, errors.New("it has no PEM block PRIVATE KEY, or one that is cut off")
		case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
			return nil, errors.New("it is encrypted: only keys without a passphrase can be used")
		case block.Type != "PRIVATE KEY" && !strings.HasSuffix(block.Type, " PRIVATE KEY"):
			continue
		}
		return parsePrivate(block.Bytes)
	}
}

// parsePrivate reads a private key. The parsers' own errors may tell of its bytes.
func parsePrivate(der []byte) (crypto.Signer, error) {
	var key any
	var err error
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(der); err != nil {
			if key, err = x509.ParseECPrivateKey(der); err != nil {
				return nil, errors.New("it cannot be parsed as PKCS #8, PKCS #1 or SEC 1")
			}
		}
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("it is neither RSA, ECDSA nor Ed25519")
}

func checkPublicKey(key any) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("its RSA key has %d bits: %d to %d are taken", bits, minRSABits, maxRSABits)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return errors.New("its key is neither RSA, ECDSA nor Ed25519")
	}
	return nil
}

// describeKey names the kind of a certificate's key: "RSA-2048", "ECDSA-P-256", "Ed25519".
func describeKey(key any) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA-" + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return ""
}
