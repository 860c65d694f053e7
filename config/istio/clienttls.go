package istio

import (
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// clientTLS returns how a cluster's endpoints are spoken to, nil for plaintext. built has its
// name and protocol.
//
// Verification is on by default, with the system's roots. Without sni, Istio takes the server
// name, and the name that must be in the certificate, from the request's authority. So does
// this, but for hosts outside the mesh that have one name (an exact host of a ServiceEntry with
// location MESH_EXTERNAL, an ExternalName Service): there it is that name, so that no client
// chooses by its Host header which certificate will do. Ports of which only bytes are known have
// no authority either, and get their service's name, where Istio sends and verifies none. Where
// the endpoint has a certificate for another name, write sni.
func (c *clusters) clientTLS(in *networking.ClientTLSSettings, s *service, p *policy, built *router.Cluster) *router.ClientTLS {
	switch in.GetMode() {
	case networking.ClientTLSSettings_ISTIO_MUTUAL:
		return meshTLS(in, s, built)
	case networking.ClientTLSSettings_SIMPLE, networking.ClientTLSSettings_MUTUAL:
		if in == nil || in.CredentialName != "" && !heedsCredential(c.registry.role, p.selected, in.CredentialName) {
			return nil
		}
	default:
		return nil
	}
	out := &router.ClientTLS{
		SubjectAltNames: alternateNames(in, s),
		ServerName:      in.Sni,
		SkipVerify:      in.GetInsecureSkipVerify().GetValue(),
	}
	if out.ServerName == "" {
		out.ServerName = s.certifiedName(built.Protocol)
		out.AutoServerName = out.ServerName == ""
	}
	mutual := in.Mode == networking.ClientTLSSettings_MUTUAL
	if in.CredentialName == "" {
		out.Authorities = router.Authorities{CAFile: in.CaCertificates, CRLFile: in.CaCrl}
		if mutual {
			out.Certificate = &router.Credential{CertificateFile: in.ClientCertificate, KeyFile: in.PrivateKey}
		}
		return out
	}
	names := secretNames(c.registry.namespace, in.CredentialName)
	if !out.SkipVerify {
		out.Authorities.Secrets = names
	}
	if mutual {
		out.Certificate = &router.Credential{Secret: names[0]}
	}
	return out
}

// heedsCredential says whether a proxy uses a credentialName: sidecars do where the rule has a
// workloadSelector, so that not every sidecar needs the Secret. Others then send plaintext, as
// in Istio. Authorities from a ConfigMap are for all.
func heedsCredential(role Role, selected bool, name string) bool {
	return role == Gateway || selected || strings.HasPrefix(name, configMapPrefix)
}

// meshTLS is mutual TLS with the workload's own certificate (ISTIO_MUTUAL). The server name
// tells a gateway between networks which cluster is meant. Peers are known by the mesh's root,
// and where names are given by those: no certificate of a workload has the server name.
func meshTLS(in *networking.ClientTLSSettings, s *service, built *router.Cluster) *router.ClientTLS {
	out := &router.ClientTLS{
		Certificate:     &router.Credential{Mesh: true},
		Authorities:     router.Authorities{Mesh: true},
		SubjectAltNames: alternateNames(in, s),
		ServerName:      in.Sni,
		Protocols:       meshProtocols(built.Protocol),
	}
	if out.ServerName == "" {
		out.ServerName = "outbound_." + strconv.Itoa(int(built.Port)) + "_." + built.Subset + "_." + built.Host
	}
	return out
}

// meshProtocols are the protocols of ALPN by which a workload tells a peer's mutual TLS from
// TLS that is none of its business.
func meshProtocols(p router.Protocol) []string {
	switch p {
	case router.ProtocolHTTP1:
		return []string{"istio-http/1.1", "istio", "http/1.1"}
	case router.ProtocolHTTP2:
		return []string{"istio-h2", "istio", "h2"}
	}
	return []string{"istio"}
}

// alternateNames are those given with the settings, else those of the ServiceEntry.
func alternateNames(in *networking.ClientTLSSettings, s *service) []string {
	if len(in.SubjectAltNames) > 0 {
		return in.SubjectAltNames
	}
	return s.entry.GetSubjectAltNames()
}

// certifiedName is the one name that a service's certificates are expected to have, empty where
// the request says it.
func (s *service) certifiedName(p router.Protocol) string {
	external := s.entry != nil && s.entry.Location == networking.ServiceEntry_MESH_EXTERNAL
	switch {
	case s.alias != "":
		return s.alias
	case (external || p == router.ProtocolTCP) && !isWildcard(s.host):
		return s.host
	}
	return ""
}
