package validate

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// gateway checks a Gateway (https://istio.io/latest/docs/reference/config/networking/gateway/).
func (c *checker) gateway(name string, spec *networking.Gateway) {
	if !isDNSLabel(name) {
		c.fail(BadName, field("metadata").Field("name"), "%q cannot be a Gateway's name: letters, digits and '-' only, at most 63", name)
	}
	if len(spec.Servers) == 0 {
		c.fail(Missing, field("servers"), "a Gateway needs at least one server")
	}
	portNames, serverNames := map[string]int{}, map[string]int{}
	for i, server := range spec.Servers {
		at := field("servers").Index(i)
		c.server(at, server)
		if port := server.Port; port != nil {
			if first, found := portNames[port.Name]; found && port.Name != "" {
				c.fail(Duplicate, at.Field("port").Field("name"), "servers[%d] has a port named %q already: names must be unique in a Gateway", first, port.Name)
			} else {
				portNames[port.Name] = i
			}
		}
		if first, found := serverNames[server.Name]; found && server.Name != "" {
			c.warn(Duplicate, at.Field("name"), "servers[%d] is named %q too: names tell servers apart in metrics", first, server.Name)
		} else {
			serverNames[server.Name] = i
		}
	}
}

func (c *checker) server(at *config.Path, server *networking.Server) {
	if len(server.Hosts) == 0 {
		c.fail(Missing, at.Field("hosts"), "a server needs at least one host: \"*\" takes any")
	}
	for i, host := range server.Hosts {
		c.namespacedHost(at.Field("hosts").Index(i), host, true)
	}
	before := len(c.conditions)
	c.serverPort(at.Field("port"), server.Port, server.Bind)
	portValid := !c.failed(before)
	c.serverBind(at, server.Port, server.Bind)
	c.serverTLS(at.Field("tls"), server.Tls, c.issues(server))
	if portValid {
		c.protocolAndTLS(at.Field("tls"), parseProtocol(server.Port.Protocol), server.Tls)
	}
	if server.DefaultEndpoint != "" {
		c.warn(NoEffect, at.Field("defaultEndpoint"), "it has no effect: route with a VirtualService")
	}
}

// issues reports whether a server without a certificate gets one issued.
func (c *checker) issues(server *networking.Server) bool {
	tls := server.Tls
	if !c.rules.ACMEForAll || parseProtocol(server.GetPort().GetProtocol()) != "https" || tls.GetMode() != networking.ServerTLSSettings_SIMPLE ||
		tls.GetServerCertificate() != "" || tls.GetPrivateKey() != "" || len(tls.GetTlsCertificates()) > 0 {
		return false
	}
	return !slices.ContainsFunc(server.Hosts, func(h string) bool {
		h = h[strings.LastIndexByte(h, '/')+1:]
		return strings.HasPrefix(h, "*") || isIP(h)
	})
}

func (c *checker) serverPort(at *config.Path, port *networking.Port, bind string) {
	if port == nil {
		c.fail(Missing, at, "a server needs a port with number, name and protocol")
		return
	}
	if !parseProtocol(port.Protocol).known() {
		c.fail(BadProtocol, at.Field("protocol"), "%q is not a protocol: %s", port.Protocol, protocolChoices)
	}
	if port.Number > 0 || !strings.HasPrefix(bind, unixPrefix) {
		c.portNumber(at.Field("number"), port.Number)
	}
	//lint:ignore SA1019 deprecated because it never worked: that is what we say
	if port.TargetPort > 0 {
		c.fail(NoEffect, at.Field("targetPort"), "a Gateway's port has no target port: the Service in front of the gateway has. Remove it")
	}
	if port.Name == "" {
		c.fail(Missing, at.Field("name"), "a server's port needs a name")
	}
}

func (c *checker) serverBind(at *config.Path, port *networking.Port, bind string) {
	switch {
	case strings.HasPrefix(bind, unixPrefix):
		c.unixPath(at.Field("bind"), bind)
		if port != nil && port.Number != 0 {
			c.fail(Conflict, at.Field("port").Field("number"), "a socket in the file system has no port: write 0")
		}
	case bind != "":
		c.ip(at.Field("bind"), bind)
	}
}

// protocolAndTLS checks that TLS settings are there where the protocol needs them,
// and only there.
func (c *checker) protocolAndTLS(at *config.Path, p protocol, tls *networking.ServerTLSSettings) {
	switch {
	case p.isTLS() && tls == nil:
		c.fail(Missing, at, "a server of HTTPS or TLS needs tls settings: mode and credentialName, or mode: PASSTHROUGH")
	case p.isTLS() || tls == nil:
	case !p.isHTTP():
		c.fail(BadTLS, at, "this protocol is in the clear: for TLS in front of it write protocol: TLS")
	case !isPassthrough(tls) || tls.ServerCertificate != "" || tls.PrivateKey != "" || tls.CaCertificates != "":
		c.fail(BadTLS, at, "plain HTTP takes httpsRedirect only: to serve TLS write protocol: HTTPS")
	}
	if tls.GetHttpsRedirect() && !p.isHTTP() {
		c.warn(NoEffect, at.Field("httpsRedirect"), "only plain HTTP can be redirected to https: put it on the server of port 80")
	}
}
