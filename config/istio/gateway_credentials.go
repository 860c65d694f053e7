package istio

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// noHandshakes is what comes of a certificate that is not there.
const noHandshakes = "; until then TLS clients are refused"

// judgeTLS says what keeps a server that ends TLS from doing so as it is written.
func (m *gatewayMerge) judgeTLS(s *gatewayServer) {
	in := s.spec.GetTls()
	if s.tls == nil || in.GetMode() == networking.ServerTLSSettings_ISTIO_MUTUAL {
		return
	}
	if in.GetInsecureSkipVerify().GetValue() {
		m.fail(config.Warning, PolicyNotServed, s.gateway, s.field+".tls.insecureSkipVerify",
			"this version refuses client certificates that cannot be verified: it has no effect. Write mode: SIMPLE to ask for none")
	}
	switch {
	case in.GetCredentialName() != "":
		m.judgeCredential(s, ".tls.credentialName", in.CredentialName)
	case len(in.GetCredentialNames()) > 0:
		for i, name := range credentialNames(in) {
			m.judgeCredential(s, fmt.Sprintf(".tls.credentialNames[%d]", i), name)
		}
	case len(in.GetTlsCertificates()) == 0 && in.GetServerCertificate() == "":
		m.judgeACME(s, ".hosts", "")
	}
	if s.tls.ClientAuth != 0 {
		m.judgeAuthorities(s)
	}
}

// judgeCredential looks at a certificate's source.
func (m *gatewayMerge) judgeCredential(s *gatewayServer, field, credential string) {
	if isACME(credential) {
		m.judgeACME(s, field, fmt.Sprintf("%q: ", credential))
		return
	}
	field = s.field + field
	secret, ok := m.compiler.secretName(s.gateway, credential)
	switch {
	case strings.HasPrefix(credential, configMapPrefix):
		m.fail(config.Error, SecretNotFound, s.gateway, field, fmt.Sprintf("%q: a certificate's key is in no ConfigMap: name a Secret"+noHandshakes, credential))
	case !ok:
		m.fail(config.Error, SecretNotFound, s.gateway, field,
			fmt.Sprintf("%q: credentials are looked up in the namespace of the proxy, %s, and in no other: put the Secret there and write its name only%s", credential, m.compiler.options.Namespace, noHandshakes))
	case m.compiler.noServerSecret(s, secret, secretUse{pair: true}) != "":
		m.fail(m.compiler.secretSeverity(), SecretNotFound, s.gateway, field,
			fmt.Sprintf("%q: %s%s", strings.TrimPrefix(credential, derivedPrefix), m.compiler.noServerSecret(s, secret, secretUse{pair: true}), noHandshakes))
	}
}

// noServerSecret says why a Secret cannot give what is asked of it; "" where it can. Where a
// folder is judged nobody knows the proxy's namespace: the Gateway's will do too.
func (c *Compiler) noServerSecret(s *gatewayServer, secret string, want secretUse) string {
	problem := c.noSecret(secret, want)
	if problem != "" && c.options.AllGateways {
		_, name, _ := strings.Cut(secret, "/")
		if c.noSecret(s.gateway.object.Namespace+"/"+name, want) == "" {
			return ""
		}
	}
	return problem
}

// judgeACME looks at the hosts that a certificate is issued for.
func (m *gatewayMerge) judgeACME(s *gatewayServer, field, said string) {
	var others []string
	issuable := s.hosts.issuable()
	for _, h := range s.hosts.names() {
		if !slices.Contains(issuable, h) {
			others = append(others, h)
		}
	}
	severity := config.Warning
	if len(issuable) == 0 {
		severity = config.Error
	}
	if len(others) > 0 {
		m.fail(severity, NotIssuable, s.gateway, s.field+field,
			fmt.Sprintf("%scertificates are issued for exact names, not for %s: TLS clients that ask for others are refused. Name each host, or bring a certificate in a Secret",
				said, strings.Join(others, ", ")))
	}
}

// judgeAuthorities looks at where those are that clients' certificates are checked against.
func (m *gatewayMerge) judgeAuthorities(s *gatewayServer) {
	in := s.spec.GetTls()
	names := credentialNames(in)
	if own := in.GetCaCertCredentialName(); own != "" {
		m.judgeOwnAuthorities(s, own)
		return
	}
	if len(names) == 0 {
		return
	}
	const message = "%v: clients' certificates have nothing to be checked against: %s; until then clients that show one, or must, are refused"
	secret, ok := m.compiler.secretName(s.gateway, strings.TrimPrefix(names[0], acmePrefix))
	switch {
	case !ok && isACME(names[0]):
		m.fail(config.Error, SecretNotFound, s.gateway, s.field+".tls.mode", fmt.Sprintf(message, in.GetMode(), "name a Secret that holds ca.crt in caCertCredentialName"))
	case !ok, slices.ContainsFunc(s.tls.Authorities.Secrets, func(name string) bool { return m.compiler.noServerSecret(s, name, secretUse{ca: true}) == "" }):
	default:
		_, name, _ := strings.Cut(secret, "/")
		m.fail(m.compiler.secretSeverity(), SecretNotFound, s.gateway, s.field+".tls.mode",
			fmt.Sprintf(message, in.GetMode(), fmt.Sprintf("give Secret %s a ca.crt, write another Secret %s-cacert, or name one in caCertCredentialName", secret, name)))
	}
}

// judgeOwnAuthorities looks at a Secret for authorities only.
func (m *gatewayMerge) judgeOwnAuthorities(s *gatewayServer, credential string) {
	field := s.field + ".tls.caCertCredentialName"
	secret, ok := m.compiler.secretName(s.gateway, credential)
	switch {
	case strings.HasPrefix(credential, configMapPrefix):
		m.fail(config.Error, PolicyNotServed, s.gateway, field,
			fmt.Sprintf("%q: this version reads no ConfigMaps, and clients that show a certificate are refused: put the authorities into a Secret, as ca.crt", credential))
	case !ok:
		m.fail(config.Error, SecretNotFound, s.gateway, field,
			fmt.Sprintf("%q: credentials are looked up in the namespace of the proxy, %s, and in no other: put the Secret there and write its name only", credential, m.compiler.options.Namespace))
	default:
		if problem := m.compiler.noServerSecret(s, secret, secretUse{ca: true}); problem != "" {
			m.fail(m.compiler.secretSeverity(), SecretNotFound, s.gateway, field, fmt.Sprintf("%q: %s; until then clients that show a certificate, or must, are refused", strings.TrimPrefix(credential, derivedPrefix), problem))
		}
	}
}
