package istio

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/router"
)

// tlsMaterial is a Secret that was found good.
type tlsMaterial struct {
	// secret is nil where the Secret holds nothing for TLS.
	secret *router.Secret
	// field is where the certificate is written, expires when it ends.
	field   string
	expires time.Time
}

func (m *tlsMaterial) holds() bool { return m != nil && m.secret != nil }

// The keys of a Secret, those of Istio's generic form first: it wins where a Secret has both.
var (
	pairKeys   = [...][2]string{{"cert", "key"}, {kube.TLSCertKey, kube.TLSPrivateKeyKey}}
	caKeys     = [...]string{"cacert", "ca.crt"}
	crlKeys    = [...]string{"crl", "ca.crl"}
	stapleKeys = [...]string{"tls.ocsp-staple"}
)

// checkSecret takes the TLS material out of a Secret, or says what is wrong with it: then
// nothing of it is to enter force. Nothing of a value gets into a condition.
func checkSecret(o *config.Object, s *kube.Secret) (*tlsMaterial, []config.Condition) {
	r := secretReader{secret: s}
	m := &tlsMaterial{}
	out := &router.Secret{Name: o.Namespace + "/" + o.Name, Origin: originOf(o, "")}
	for _, keys := range pairKeys {
		certificate, key := r.value(keys[0]), r.value(keys[1])
		if len(certificate) == 0 || len(key) == 0 {
			continue
		}
		m.field = r.field(keys[0])
		m.expires = r.pair(keys, certificate, key)
		out.Certificate, out.Key = certificate, key
		break
	}
	if s.Type == kube.SecretTypeTLS && len(out.Certificate) == 0 {
		for _, key := range pairKeys[1] {
			if len(r.value(key)) == 0 {
				r.fail(key, "is missing: a Secret of type kubernetes.io/tls needs tls.crt and tls.key")
			}
		}
	}
	out.CA = r.first(caKeys[:], r.authorities)
	out.CRL = r.first(crlKeys[:], r.revocations)
	out.OCSPStaple = r.first(stapleKeys[:], nil)
	if len(r.conditions) > 0 {
		o.Place(r.conditions)
		return nil, r.conditions
	}
	if len(out.Certificate) > 0 || len(out.CA) > 0 {
		m.secret = out
	}
	return m, nil
}

// secretReader reads one Secret and gathers what is wrong with it.
type secretReader struct {
	secret     *kube.Secret
	conditions []config.Condition
}

// value returns what a key holds, nil where the Secret lacks it.
func (r *secretReader) value(key string) []byte {
	if text, ok := r.secret.StringData[key]; ok {
		return []byte(text)
	}
	return r.secret.Data[key]
}

// field returns where the value of a key is written. What stringData says wins, as with an
// API server.
func (r *secretReader) field(key string) string {
	name := "data"
	if _, ok := r.secret.StringData[key]; ok {
		name = "stringData"
	}
	var at *config.Path
	return at.Field(name).Key(key).String()
}

func (r *secretReader) fail(key, format string, args ...any) {
	r.conditions = append(r.conditions, config.Condition{
		Severity: config.Error, Reason: BadCertificate, Field: r.field(key), Message: fmt.Sprintf(format, args...),
	})
}

// first returns the value of the first key that the Secret has, checked.
func (r *secretReader) first(keys []string, check func(key string, value []byte)) []byte {
	for _, key := range keys {
		if value := r.value(key); len(value) > 0 {
			if check != nil {
				check(key, value)
			}
			return value
		}
	}
	return nil
}

// pair checks a certificate and its key, and returns when the certificate ends.
func (r *secretReader) pair(keys [2]string, certificate, key []byte) time.Time {
	leaf := r.certificates(keys[0], certificate)
	if leaf == nil {
		return time.Time{}
	}
	if !hasPrivateKey(key) {
		r.fail(keys[1], "is no private key in PEM that can be read: write a file that begins with -----BEGIN PRIVATE KEY-----, without a passphrase")
		return time.Time{}
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		r.fail(keys[1], "is not the key of the certificate in %s: write the two that were issued together", keys[0])
	}
	return leaf.NotAfter
}

// certificates checks a list of certificates, and returns the first.
func (r *secretReader) certificates(key string, text []byte) *x509.Certificate {
	var first *x509.Certificate
	for i, rest := 0, text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		i++
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			r.fail(key, "certificate %d in it cannot be read: write it again, as it was issued", i)
			return nil
		}
		if first == nil {
			first = certificate
		}
	}
	if first == nil {
		r.fail(key, "holds no certificate in PEM: write a file that begins with -----BEGIN CERTIFICATE-----")
	}
	return first
}

func (r *secretReader) authorities(key string, text []byte) { r.certificates(key, text) }

// revocations checks a list of revocation lists.
func (r *secretReader) revocations(key string, text []byte) {
	found := false
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		found = true
		if _, err := x509.ParseRevocationList(block.Bytes); err != nil {
			r.fail(key, "a revocation list in it cannot be read: write it again, as it was issued")
			return
		}
	}
	if !found {
		r.fail(key, "holds no revocation list in PEM: write a file that begins with -----BEGIN X509 CRL-----")
	}
}

// hasPrivateKey says whether there is a private key of a kind that serves TLS.
func hasPrivateKey(text []byte) bool {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return false
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			return true
		}
		if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return true
		}
		_, err := x509.ParseECPrivateKey(block.Bytes)
		return err == nil
	}
}
