package router

import (
	"fmt"
	"strings"
)

// Mode returns what becomes of TLS, as an Istio Gateway's servers[].tls.mode says it:
// "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_MUTUAL", "PASSTHROUGH" or
// "AUTO_PASSTHROUGH". It is "PLAINTEXT" where connections do not begin with TLS.
func (c *Chain) Mode() string {
	switch {
	case c.TLS != nil:
		return c.TLS.mode()
	case c.IstioALPN:
		return "AUTO_PASSTHROUGH"
	case len(c.ServerNames) > 0:
		return "PASSTHROUGH"
	}
	return "PLAINTEXT"
}

// Match says which connections the chain takes, as istioctl's listeners table does:
// "SNI: a.example.com,b.example.com", or "ALL" for those without TLS.
func (c *Chain) Match() string {
	text := "ALL"
	if len(c.ServerNames) > 0 {
		text = "SNI: " + strings.Join(c.ServerNames, ",")
	}
	if c.IstioALPN {
		text += "; App: istio"
	}
	return text
}

// Action says in a line where requests or bytes go: "Route: https.443.web.shop.default", or
// "Cluster: outbound|9000||mongo.default.svc.cluster.local".
func (c *Chain) Action() string {
	if c.Table != nil {
		return "Route: " + c.Table.Name
	}
	parts := make([]string, len(c.Streams))
	for i, s := range c.Streams {
		parts[i] = s.Action()
		if len(s.Subnets) > 0 {
			parts[i] += " (" + s.Match() + ")"
		}
	}
	return strings.Join(parts, "; ")
}

// Match says which connections the stream takes: "destination 10.0.0.0/8", or "any
// connection".
func (s *StreamRoute) Match() string {
	if len(s.Subnets) == 0 {
		return "any connection"
	}
	parts := make([]string, len(s.Subnets))
	for i, p := range s.Subnets {
		parts[i] = p.String()
	}
	return "destination " + strings.Join(parts, " or ")
}

// Action says in a line where the stream's bytes go.
func (s *StreamRoute) Action() string {
	return "Cluster: " + (&RouteAction{Destinations: s.Destinations}).Action()
}

// idle says how long nothing may move.
func (s *StreamRoute) idle() string {
	switch {
	case s.IdleTimeout < 0:
		return "never"
	case s.IdleTimeout == 0:
		return "1h0m0s"
	}
	return s.IdleTimeout.String()
}

func (s *ServerTLS) mode() string {
	for _, c := range s.Certificates {
		if c.Mesh {
			return "ISTIO_MUTUAL"
		}
	}
	switch s.ClientAuth {
	case OptionalClientCertificate:
		return "OPTIONAL_MUTUAL"
	case RequireClientCertificate:
		return "MUTUAL"
	}
	return "SIMPLE"
}

// String says in a line with what TLS is served. It names secrets and holds nothing of
// them.
func (s *ServerTLS) String() string {
	parts := []string{s.mode()}
	for _, c := range s.Certificates {
		parts = append(parts, c.String())
	}
	if s.ClientAuth != NoClientCertificate {
		parts = append(parts, "clients by "+s.Authorities.String())
	}
	for _, list := range []struct {
		name   string
		values []string
	}{{"subjects", s.SubjectAltNames}, {"keys", s.SPKIs}, {"hashes", s.Hashes}} {
		if len(list.values) > 0 {
			parts = append(parts, list.name+" "+strings.Join(list.values, ","))
		}
	}
	parts = append(parts, versions(s.MinVersion, s.MaxVersion))
	if len(s.CipherSuites) > 0 {
		parts = append(parts, fmt.Sprintf("%d cipher suites", len(s.CipherSuites)))
	}
	if len(s.Protocols) > 0 {
		parts = append(parts, "ALPN "+strings.Join(s.Protocols, ","))
	}
	return strings.Join(parts, ", ")
}

// versions names a range of TLS versions, given as in crypto/tls.
func versions(least, most uint16) string {
	if least == 0 {
		least = 0x0303
	}
	name := func(v uint16) string { return fmt.Sprintf("1.%d", v-0x0301) }
	switch {
	case most == 0:
		return "TLS " + name(least) + " and newer"
	case most == least:
		return "TLS " + name(least)
	}
	return "TLS " + name(least) + " to " + name(most)
}

// String names the source of a certificate.
func (c Credential) String() string {
	switch {
	case c.Secret != "":
		return "secret " + c.Secret
	case c.Mesh:
		return "the mesh's certificate"
	case c.ACME:
		return "ACME for " + strings.Join(c.Hosts, ",")
	}
	return "file " + c.CertificateFile
}

// String names the source of the certificates by which peers are verified.
func (a Authorities) String() string {
	text := "the system's roots"
	switch {
	case a.Mesh:
		text = "the mesh's root"
	case len(a.Secrets) > 0:
		text = "secret " + strings.Join(a.Secrets, " or ")
	case a.CAFile != "":
		text = "file " + a.CAFile
	}
	if a.CRLFile != "" {
		text += " without those of " + a.CRLFile
	}
	return text
}

// brief says how endpoints are spoken to inside TLS.
func (c *ClientTLS) brief() []string {
	if c == nil {
		return nil
	}
	parts := []string{c.mode()}
	if c.Certificate != nil {
		parts = append(parts, c.Certificate.String())
	}
	switch {
	case c.SkipVerify:
		parts = append(parts, "NOT verified")
	default:
		parts = append(parts, "verified by "+c.Authorities.String())
	}
	switch {
	case c.ServerName != "":
		parts = append(parts, "SNI "+c.ServerName)
	case c.AutoServerName:
		parts = append(parts, "SNI by authority")
	}
	if len(c.SubjectAltNames) > 0 {
		parts = append(parts, "subjects "+strings.Join(c.SubjectAltNames, ","))
	}
	if len(c.Protocols) > 0 {
		parts = append(parts, "ALPN "+strings.Join(c.Protocols, ","))
	}
	return parts
}

func (c *ClientTLS) mode() string {
	switch {
	case c.Certificate == nil:
		return "SIMPLE"
	case c.Certificate.Mesh:
		return "ISTIO_MUTUAL"
	}
	return "MUTUAL"
}

// String returns the protocol's name: "HTTP/1.1", "HTTP/2", "as the client", "HTTP/2 by ALPN"
// or "TCP".
func (p Protocol) String() string {
	switch p {
	case ProtocolHTTP2:
		return "HTTP/2"
	case ProtocolDownstream:
		return "as the client"
	case ProtocolAuto:
		return "HTTP/2 by ALPN"
	case ProtocolTCP:
		return "TCP"
	}
	return "HTTP/1.1"
}

// connectionPolicies say what is spoken to the cluster's endpoints, where that is more than
// plaintext HTTP/1.1.
func (c *Cluster) connectionPolicies() []Policy {
	var list []Policy
	if c.Protocol != ProtocolHTTP1 {
		parts := []string{c.Protocol.String()}
		if c.HTTP2.MaxConcurrentStreams > 0 {
			parts = append(parts, fmt.Sprintf("%d streams per connection", c.HTTP2.MaxConcurrentStreams))
		}
		parts = appendTime(parts, "ping every ", c.HTTP2.KeepaliveInterval)
		list = append(list, Policy{"protocol", strings.Join(parts, ", ")})
	}
	if c.TLS != nil {
		list = append(list, Policy{"tls", strings.Join(c.TLS.brief(), ", ")})
	}
	if c.ProxyProtocol != 0 {
		list = append(list, Policy{"proxy protocol", fmt.Sprintf("version %d", c.ProxyProtocol)})
	}
	return list
}
