package istio

import (
	"crypto/tls"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config/istio/validate"
	"github.com/sluicegate/sluice/router"
)

// What servers offer by ALPN. Inside ISTIO_MUTUAL, sidecars offer Istio's own names for TCP;
// "istio-peer-exchange" is not among ours, as it announces a header that nobody here reads.
var (
	requestProtocols    = []string{"h2", "http/1.1"}
	meshStreamProtocols = []string{"istio", "h2", "http/1.1"}
)

// serverTLS compiles the settings of a server that ends TLS; nil for others.
func (c *Compiler) serverTLS(s *gatewayServer) *router.ServerTLS {
	if s.kind != terminatedHTTP && s.kind != terminatedTCP {
		return nil
	}
	in := s.spec.GetTls()
	out := &router.ServerTLS{
		Certificates: c.serverCertificates(s),
		ClientAuth:   clientAuth(in.GetMode()),
		MinVersion:   tlsVersion(in.GetMinProtocolVersion()),
		MaxVersion:   tlsVersion(in.GetMaxProtocolVersion()),
		CipherSuites: validate.CipherSuites(in.GetCipherSuites()),
	}
	switch {
	case s.kind == terminatedHTTP:
		out.Protocols = requestProtocols
	case in.GetMode() == networking.ServerTLSSettings_ISTIO_MUTUAL:
		out.Protocols = meshStreamProtocols
	}
	if out.ClientAuth != router.NoClientCertificate {
		out.Authorities = c.clientAuthorities(s.gateway, in)
		out.SubjectAltNames, out.SPKIs, out.Hashes = in.GetSubjectAltNames(), in.GetVerifyCertificateSpki(), in.GetVerifyCertificateHash()
	}
	return out
}

func clientAuth(mode networking.ServerTLSSettings_TLSmode) router.ClientAuth {
	switch mode {
	case networking.ServerTLSSettings_MUTUAL, networking.ServerTLSSettings_ISTIO_MUTUAL:
		return router.RequireClientCertificate
	case networking.ServerTLSSettings_OPTIONAL_MUTUAL:
		return router.OptionalClientCertificate
	}
	return router.NoClientCertificate
}

func tlsVersion(v networking.ServerTLSSettings_TLSProtocol) uint16 {
	switch v {
	case networking.ServerTLSSettings_TLSV1_0:
		return tls.VersionTLS10
	case networking.ServerTLSSettings_TLSV1_1:
		return tls.VersionTLS11
	case networking.ServerTLSSettings_TLSV1_2:
		return tls.VersionTLS12
	case networking.ServerTLSSettings_TLSV1_3:
		return tls.VersionTLS13
	}
	return 0
}

// serverCertificates are the sources of a server's certificates: one, or one for RSA and one
// for ECDSA. There may be none: handshakes fail then.
func (c *Compiler) serverCertificates(s *gatewayServer) []router.Credential {
	in := s.spec.GetTls()
	if in.GetMode() == networking.ServerTLSSettings_ISTIO_MUTUAL {
		return []router.Credential{{Mesh: true}}
	}
	var out []router.Credential
	if names := credentialNames(in); len(names) > 0 {
		for _, name := range names {
			if isACME(name) {
				out = append(out, router.Credential{ACME: true, Hosts: s.hosts.issuable()})
			} else if secret, ok := c.secretName(s.gateway, name); ok {
				out = append(out, router.Credential{Secret: secret})
			}
		}
		return out
	}
	for _, pair := range firstTwo(in.GetTlsCertificates()) {
		out = append(out, router.Credential{CertificateFile: pair.ServerCertificate, KeyFile: pair.PrivateKey})
	}
	switch {
	case in.GetServerCertificate() != "":
		out = append(out, router.Credential{CertificateFile: in.ServerCertificate, KeyFile: in.PrivateKey})
	case len(out) == 0 && c.options.ACMEForAll:
		out = append(out, router.Credential{ACME: true, Hosts: s.hosts.issuable()})
	}
	return out
}

// clientAuthorities are those that clients' certificates are checked against.
func (c *Compiler) clientAuthorities(g *gatewayConfig, in *networking.ServerTLSSettings) router.Authorities {
	if in.GetMode() == networking.ServerTLSSettings_ISTIO_MUTUAL {
		return router.Authorities{Mesh: true}
	}
	out := router.Authorities{CRLFile: in.GetCaCrl(), Secrets: c.authoritySecrets(g, in)}
	if len(out.Secrets) == 0 {
		out.CAFile = in.GetCaCertificates()
	} else if len(credentialNames(in)) > 0 {
		// As in Istio, a Secret brings its own revocation list.
		out.CRLFile = ""
	}
	return out
}

// authoritySecrets are the Secrets to look for authorities in: the one for nothing else
// first, then that of the certificate. The list is empty where a file holds them.
func (c *Compiler) authoritySecrets(g *gatewayConfig, in *networking.ServerTLSSettings) []string {
	var out []string
	if name := in.GetCaCertCredentialName(); name != "" {
		if secret, ok := c.secretName(g, name); ok {
			out = append(out, secret)
		}
	}
	names := credentialNames(in)
	if len(names) > 0 {
		if secret, ok := c.secretName(g, strings.TrimPrefix(names[0], acmePrefix)); ok {
			for _, name := range []string{secret, secret + "-cacert"} {
				if !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
		}
	}
	if len(out) == 0 && (len(names) > 0 || in.GetCaCertificates() == "") {
		// A name that no Secret can have: without authorities no client is let in, where
		// an empty list would stand for the system's.
		out = append(out, c.options.Namespace+"/")
	}
	return out
}

// credentialNames are the two, at most, that give a server its certificates.
func credentialNames(in *networking.ServerTLSSettings) []string {
	if in.GetCredentialName() != "" {
		return []string{in.CredentialName}
	}
	return firstTwo(in.GetCredentialNames())
}

// firstTwo are as many as a server uses.
func firstTwo[T any](list []T) []T { return list[:min(len(list), 2)] }

// acmePrefix begins the name of a credential that is issued on the way.
const acmePrefix = "acme://"

func isACME(name string) bool { return strings.HasPrefix(name, acmePrefix) }

// derivedPrefix begins "namespace/name" of a Secret in a Gateway that another front end made.
const derivedPrefix = "kubernetes-gateway://"

// kubernetesPrefix may begin the name of a Secret, as Istio writes it in full.
const kubernetesPrefix = "kubernetes://"

// secretName returns "namespace/name" of the Secret that a credential means. It is not ok
// where that is not one of this proxy's namespace: nobody's Gateway gets at another
// namespace's keys.
//
// A Gateway that another front end made may name one of any namespace: the front end has
// seen to it that it is that of whoever asks for it.
func (c *Compiler) secretName(g *gatewayConfig, credential string) (string, bool) {
	if secret, ok := strings.CutPrefix(credential, derivedPrefix); ok && g.object.Derived != nil {
		return secret, true
	}
	if strings.HasPrefix(credential, configMapPrefix) {
		return "", false
	}
	credential = strings.TrimPrefix(credential, kubernetesPrefix)
	namespace, name, ok := strings.Cut(credential, "/")
	if !ok {
		namespace, name = c.options.Namespace, credential
	}
	return c.options.Namespace + "/" + name, namespace == c.options.Namespace && name != "" && !strings.Contains(name, "/")
}

// serverSecrets are the Secrets on which it depends what is said of a server's settings.
func (c *Compiler) serverSecrets(g *gatewayConfig, in *networking.ServerTLSSettings) []string {
	var out []string
	for _, credential := range append([]string{in.GetCaCertCredentialName()}, credentialNames(in)...) {
		secret, ok := c.secretName(g, credential)
		if !ok {
			continue
		}
		out = append(out, secret, secret+"-cacert")
		if _, name, _ := strings.Cut(secret, "/"); c.options.AllGateways {
			out = append(out, g.object.Namespace+"/"+name, g.object.Namespace+"/"+name+"-cacert")
		}
	}
	return out
}
