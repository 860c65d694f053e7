package validate

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

func isPassthrough(tls *networking.ServerTLSSettings) bool {
	return tls.Mode == networking.ServerTLSSettings_PASSTHROUGH || tls.Mode == networking.ServerTLSSettings_AUTO_PASSTHROUGH
}

// serverTLS checks the settings of a server that may terminate TLS. Where a certificate is
// issued for it, it needs none.
func (c *checker) serverTLS(at *config.Path, tls *networking.ServerTLSSettings, issued bool) {
	if tls == nil {
		return
	}
	c.tlsVersions(at, tls)
	c.cipherSuites(at.Field("cipherSuites"), tls.CipherSuites)
	c.certificateHashes(at, tls)
	switch tls.Mode {
	case networking.ServerTLSSettings_ISTIO_MUTUAL:
		for _, name := range certificateFields(tls) {
			c.fail(BadTLS, at.Field(name), "ISTIO_MUTUAL uses the workload's own certificate: remove %s", name)
		}
	case networking.ServerTLSSettings_PASSTHROUGH, networking.ServerTLSSettings_AUTO_PASSTHROUGH:
		for _, name := range certificateFields(tls) {
			c.warn(NoEffect, at.Field(name), "%v ends no TLS, so certificates are not used: remove %s, or write mode: SIMPLE", tls.Mode, name)
		}
		c.oneCertificateSource(at, tls)
		if tls.CaCrl != "" && tls.CredentialName != "" {
			c.fail(Conflict, at.Field("caCrl"), "a credential brings its own revocation list: remove caCrl, and put the list into the Secret")
		}
	default:
		c.oneCertificateSource(at, tls)
		c.serverCertificates(at, tls, issued)
	}
}

// certificateFields names the fields that are set among those that give certificates.
func certificateFields(tls *networking.ServerTLSSettings) []string {
	var set []string
	for _, f := range []struct {
		name  string
		isSet bool
	}{
		{"serverCertificate", tls.ServerCertificate != ""},
		{"privateKey", tls.PrivateKey != ""},
		{"caCertificates", tls.CaCertificates != ""},
		{"tlsCertificates", len(tls.TlsCertificates) > 0},
		{"credentialName", tls.CredentialName != ""},
		{"credentialNames", len(tls.CredentialNames) > 0},
		{"caCrl", tls.CaCrl != "" && tls.Mode != networking.ServerTLSSettings_ISTIO_MUTUAL},
	} {
		if f.isSet {
			set = append(set, f.name)
		}
	}
	return set
}

// oneCertificateSource checks that at most one source of certificates is given.
func (c *checker) oneCertificateSource(at *config.Path, tls *networking.ServerTLSSettings) {
	var sources []string
	if tls.CredentialName != "" {
		sources = append(sources, "credentialName")
	}
	if len(tls.CredentialNames) > 0 {
		sources = append(sources, "credentialNames")
	}
	if len(tls.TlsCertificates) > 0 {
		sources = append(sources, "tlsCertificates")
	}
	if tls.ServerCertificate != "" && tls.PrivateKey != "" {
		sources = append(sources, "serverCertificate with privateKey")
	}
	if len(sources) > 1 {
		c.fail(Conflict, at, "certificates come from one source only: keep one of %s", strings.Join(sources, ", "))
	}
}

// serverCertificates checks that a server in mode SIMPLE, MUTUAL or OPTIONAL_MUTUAL
// has what it needs.
func (c *checker) serverCertificates(at *config.Path, tls *networking.ServerTLSSettings, issued bool) {
	if len(tls.CredentialNames) > 2 || len(tls.TlsCertificates) > 2 {
		c.warn(NoEffect, at, "a server uses two certificates at most, one for RSA and one for ECDSA: remove the others")
	}
	if tls.CredentialName != "" || len(tls.CredentialNames) > 0 {
		return
	}
	simple := tls.Mode == networking.ServerTLSSettings_SIMPLE
	if !simple && tls.CaCertificates == "" && tls.CaCertCredentialName == "" {
		c.fail(Missing, at.Field("caCertificates"), "%v needs the certificates that clients' are checked against: give caCertificates, or credentialName", tls.Mode)
	}
	if len(tls.TlsCertificates) > 0 {
		for i, certificate := range tls.TlsCertificates {
			c.keyPair(at.Field("tlsCertificates").Index(i), tls.Mode, certificate.ServerCertificate, certificate.PrivateKey)
		}
	} else if !issued {
		c.keyPair(at, tls.Mode, tls.ServerCertificate, tls.PrivateKey)
	}
	if tls.CaCrl != "" && simple {
		c.fail(BadTLS, at.Field("caCrl"), "SIMPLE checks no client certificates, so it has no use for a revocation list: remove it, or write mode: MUTUAL")
	}
}

func (c *checker) keyPair(at *config.Path, mode networking.ServerTLSSettings_TLSmode, certificate, key string) {
	if certificate == "" {
		c.fail(Missing, at.Field("serverCertificate"), "%v needs a certificate: give serverCertificate and privateKey, or credentialName", mode)
	}
	if key == "" {
		c.fail(Missing, at.Field("privateKey"), "%v needs a private key: give serverCertificate and privateKey, or credentialName", mode)
	}
}

func (c *checker) tlsVersions(at *config.Path, tls *networking.ServerTLSSettings) {
	low, high := tls.MinProtocolVersion, tls.MaxProtocolVersion
	if (low == networking.ServerTLSSettings_TLSV1_0 || low == networking.ServerTLSSettings_TLSV1_1) && len(tls.CipherSuites) == 0 {
		c.warn(NoEffect, at.Field("minProtocolVersion"), "the default cipher suites need TLS 1.2: name suites that older versions have, or write TLSV1_2")
	}
	if high != networking.ServerTLSSettings_TLS_AUTO && low > high {
		c.warn(Conflict, at.Field("maxProtocolVersion"), "%v is below minProtocolVersion %v, so no connection can be made", high, low)
	}
}

func (c *checker) certificateHashes(at *config.Path, tls *networking.ServerTLSSettings) {
	for i, hash := range tls.VerifyCertificateHash {
		if b, err := hex.DecodeString(strings.ReplaceAll(hash, ":", "")); err != nil || len(b) != 32 {
			c.warn(OutOfRange, at.Field("verifyCertificateHash").Index(i), "%q is not a SHA-256 in hex, so no certificate can match it", hash)
		}
	}
	for i, hash := range tls.VerifyCertificateSpki {
		if b, err := base64.StdEncoding.DecodeString(hash); err != nil || len(b) != 32 {
			c.warn(OutOfRange, at.Field("verifyCertificateSpki").Index(i), "%q is not a SHA-256 in base64, so no certificate can match it", hash)
		}
	}
}

// clientTLS checks the settings of connections to a destination.
func (c *checker) clientTLS(at *config.Path, tls *networking.ClientTLSSettings) {
	if tls == nil {
		return
	}
	c.skippedVerification(at, tls)
	c.configMapCredential(at.Field("credentialName"), tls.CredentialName)
	simple, mutual := tls.Mode == networking.ClientTLSSettings_SIMPLE, tls.Mode == networking.ClientTLSSettings_MUTUAL
	files := tls.ClientCertificate != "" || tls.PrivateKey != "" || tls.CaCertificates != "" || tls.CaCrl != ""
	switch {
	case (simple || mutual) && tls.CredentialName != "":
		if files {
			c.fail(Conflict, at.Field("credentialName"), "certificates come from one source only: keep credentialName, or the files")
		}
	case mutual:
		if tls.ClientCertificate == "" {
			c.fail(Missing, at.Field("clientCertificate"), "MUTUAL needs a certificate to show: give clientCertificate and privateKey, or credentialName")
		}
		if tls.PrivateKey == "" {
			c.fail(Missing, at.Field("privateKey"), "MUTUAL needs a private key: give clientCertificate and privateKey, or credentialName")
		}
	case tls.Mode == networking.ClientTLSSettings_ISTIO_MUTUAL && (files || tls.CredentialName != ""):
		c.warn(NoEffect, at, "ISTIO_MUTUAL uses the workload's own certificate: the ones given here are ignored, remove them")
	case tls.Mode == networking.ClientTLSSettings_DISABLE && (files || tls.CredentialName != "" || tls.Sni != "" || len(tls.SubjectAltNames) > 0):
		c.warn(NoEffect, at, "mode DISABLE (which is also the default) sends plaintext: write mode: SIMPLE, or remove the rest")
	}
}

// skippedVerification checks that nothing to verify against is given where
// verification is off.
func (c *checker) skippedVerification(at *config.Path, tls *networking.ClientTLSSettings) {
	if !tls.GetInsecureSkipVerify().GetValue() {
		return
	}
	simple, mutual := tls.Mode == networking.ClientTLSSettings_SIMPLE, tls.Mode == networking.ClientTLSSettings_MUTUAL
	if !simple && !mutual {
		return
	}
	for _, f := range []struct {
		name  string
		isSet bool
	}{
		{"caCertificates", tls.CaCertificates != ""},
		{"subjectAltNames", tls.SubjectAltNames != nil},
		{"credentialName", simple && tls.CredentialName != ""},
	} {
		if f.isSet {
			c.fail(Conflict, at.Field(f.name), "insecureSkipVerify verifies nothing: remove it, or %s", f.name)
		}
	}
}

// configMapCredential checks a credential of the form configmap://namespace/name, or
// configmap://name.
func (c *checker) configMapCredential(at *config.Path, name string) {
	resource, found := strings.CutPrefix(name, "configmap://")
	if !found {
		return
	}
	namespace, rest, split := strings.Cut(resource, "/")
	if !split {
		namespace, rest = c.namespace, resource
	}
	switch {
	case rest == "" || strings.Contains(rest, "/"):
		c.fail(BadName, at, "%q must be configmap://namespace/name", name)
	case namespace != c.namespace:
		c.fail(BadName, at, "%q is in another namespace: it must be in %q, like the rule", name, c.namespace)
	}
}
