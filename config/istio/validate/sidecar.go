package validate

import (
	"net"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// sidecar checks a Sidecar
// (https://istio.io/latest/docs/reference/config/networking/sidecar/).
func (c *checker) sidecar(spec *networking.Sidecar) {
	if spec.WorkloadSelector != nil {
		c.selector(field("workloadSelector").Field("labels"), spec.WorkloadSelector.Labels)
	}
	if len(spec.Egress) == 0 && len(spec.Ingress) == 0 && spec.OutboundTrafficPolicy == nil && spec.InboundConnectionPool == nil {
		c.fail(Missing, field("egress"), "an empty Sidecar says nothing: give egress, ingress or outboundTrafficPolicy")
		return
	}
	c.ingressListeners(spec.Ingress)
	c.connectionPool(field("inboundConnectionPool"), spec.InboundConnectionPool)
	c.egressListeners(spec.Egress)
	c.outboundPolicy(field("outboundTrafficPolicy"), spec.OutboundTrafficPolicy)
}

func (c *checker) ingressListeners(listeners []*networking.IstioIngressListener) {
	ports := map[uint32]bool{}
	for i, listener := range listeners {
		at := field("ingress").Index(i)
		port := listener.Port
		if port == nil {
			c.fail(Missing, at.Field("port"), "an inbound listener needs a port with number, name and protocol")
			continue
		}
		c.sidecarPort(at.Field("port"), port)
		c.portNumber(at.Field("port").Field("number"), port.Number)
		if listener.Bind != "" {
			c.ip(at.Field("bind"), listener.Bind)
		}
		c.uniquePort(at.Field("port").Field("number"), ports, port.Number)
		c.defaultEndpoint(at.Field("defaultEndpoint"), listener.DefaultEndpoint)
		c.inboundTLS(at.Field("tls"), listener)
		c.connectionPool(at.Field("connectionPool"), listener.ConnectionPool)
		if listener.GetConnectionPool().GetHttp() != nil && !parseProtocol(port.Protocol).isHTTP() {
			c.warn(NoEffect, at.Field("connectionPool").Field("http"), "port %d does not speak HTTP, so only the tcp settings apply: change port.protocol", port.Number)
		}
	}
}

// sidecarPort checks what every listener's port has.
func (c *checker) sidecarPort(at *config.Path, port *networking.SidecarPort) {
	//lint:ignore SA1019 deprecated because it never worked: that is what we say
	if port.TargetPort > 0 {
		c.fail(NoEffect, at.Field("targetPort"), "a Sidecar's port has no target port: remove it")
	}
	if port.Name != "" {
		c.portName(at.Field("name"), port.Name)
	}
	c.optionalProtocol(at.Field("protocol"), port.Protocol)
}

func (c *checker) uniquePort(at *config.Path, seen map[uint32]bool, number uint32) {
	if seen[number] {
		c.fail(Duplicate, at, "port %d has a listener already: one for each port", number)
	}
	seen[number] = true
}

// defaultEndpoint checks where an inbound listener sends its traffic: to the workload
// itself.
func (c *checker) defaultEndpoint(at *config.Path, endpoint string) {
	switch {
	case endpoint == "":
		return
	case strings.HasPrefix(endpoint, unixPrefix):
		c.unixPath(at, endpoint)
		return
	}
	const forms = "write 127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix:///PATH"
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		c.fail(BadAddress, at, "%q is not an address with a port: %s", endpoint, forms)
		return
	}
	if !slices.Contains([]string{"", "127.0.0.1", "0.0.0.0", "::1", "::"}, host) {
		c.fail(BadAddress, at, "%q is not this workload: %s", endpoint, forms)
	}
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 {
		c.fail(BadPort, at, "%q is not a port: %s", port, forms)
	}
}

// inboundTLS checks the TLS settings of an inbound listener, which is no gateway.
func (c *checker) inboundTLS(at *config.Path, listener *networking.IstioIngressListener) {
	tls := listener.Tls
	if tls == nil {
		return
	}
	for _, f := range []struct {
		name  string
		isSet bool
	}{
		{"subjectAltNames", len(tls.SubjectAltNames) > 0},
		{"httpsRedirect", tls.HttpsRedirect},
		{"credentialName", tls.CredentialName != ""},
		{"credentialNames", len(tls.CredentialNames) > 0},
		{"tlsCertificates", len(tls.TlsCertificates) > 0},
	} {
		if f.isSet {
			c.fail(Unsupported, at.Field(f.name), "a Sidecar's listener cannot have %s: remove it", f.name)
		}
	}
	if tls.Mode == networking.ServerTLSSettings_ISTIO_MUTUAL || tls.Mode == networking.ServerTLSSettings_AUTO_PASSTHROUGH {
		c.fail(BadTLS, at.Field("mode"), "%v is not for a Sidecar's listener: use a PeerAuthentication, or write mode: SIMPLE or MUTUAL", tls.Mode)
	}
	if !parseProtocol(listener.Port.Protocol).isTLS() {
		c.fail(BadTLS, at, "this port is in the clear: for tls settings write protocol: HTTPS or TLS")
	}
	c.serverTLS(at, tls, false)
}

func (c *checker) egressListeners(listeners []*networking.IstioEgressListener) {
	ports, sockets := map[uint32]bool{}, map[string]bool{}
	for i, listener := range listeners {
		at := field("egress").Index(i)
		if listener.Port == nil {
			if i != len(listeners)-1 {
				c.fail(Conflict, at, "a listener without port takes the rest of the traffic: there can be one only, the last in the list")
			}
		} else {
			c.egressPort(at, listener, ports, sockets)
		}
		c.egressHosts(at.Field("hosts"), listener.Hosts)
	}
}

func (c *checker) egressPort(at *config.Path, listener *networking.IstioEgressListener, ports map[uint32]bool, sockets map[string]bool) {
	c.sidecarPort(at.Field("port"), listener.Port)
	if number := listener.Port.Number; number != 0 {
		c.portNumber(at.Field("port").Field("number"), number)
		if listener.Bind != "" {
			c.ip(at.Field("bind"), listener.Bind)
		}
		c.uniquePort(at.Field("port").Field("number"), ports, number)
		return
	}
	if strings.HasPrefix(listener.Bind, unixPrefix) {
		c.unixPath(at.Field("bind"), listener.Bind)
	} else {
		c.fail(BadPort, at.Field("port").Field("number"), "port 0 is for a socket in the file system: write a port, or bind: unix:///PATH")
	}
	if listener.CaptureMode != networking.CaptureMode_DEFAULT && listener.CaptureMode != networking.CaptureMode_NONE {
		c.fail(Conflict, at.Field("captureMode"), "traffic to a socket in the file system is not captured: write NONE, or leave it out")
	}
	if sockets[listener.Bind] {
		c.fail(Duplicate, at.Field("bind"), "%q has a listener already: one for each socket", listener.Bind)
	}
	sockets[listener.Bind] = true
}

// egressHosts checks the hosts that workloads may call.
func (c *checker) egressHosts(at *config.Path, hosts []string) {
	if len(hosts) == 0 {
		c.fail(Missing, at, "an outbound listener needs hosts: \"*/*\" is all, \"./*\" those of this namespace")
	}
	// names holds the hosts so far by namespace.
	names := map[string]map[string]bool{}
	for i, host := range hosts {
		c.namespacedHost(at.Index(i), host, false)
		namespace, name, found := strings.Cut(host, "/")
		if !found {
			continue
		}
		if namespace == "." {
			namespace = c.namespace
		}
		if names[namespace] == nil {
			names[namespace] = map[string]bool{}
		}
		seen := names[namespace]
		if seen[name] || seen["*"] || name == "*" && len(seen) > 0 {
			c.warn(Duplicate, at.Index(i), "%q is covered by another host of this namespace: remove one", host)
		}
		seen[name] = true
	}
	if names["*"]["*"] && len(names) > 1 {
		c.warn(Duplicate, at, "\"*/*\" takes every host already: remove the others, or it")
	}
}

func (c *checker) outboundPolicy(at *config.Path, policy *networking.OutboundTrafficPolicy) {
	proxy := policy.GetEgressProxy()
	if proxy == nil {
		return
	}
	at = at.Field("egressProxy")
	if policy.Mode != networking.OutboundTrafficPolicy_ALLOW_ANY {
		c.fail(Conflict, at, "an egress proxy is for unknown hosts, which REGISTRY_ONLY (the default here) refuses: write mode: ALLOW_ANY")
		return
	}
	if strings.Contains(proxy.Host, "*") {
		c.fail(BadHost, at.Field("host"), "%q is a wildcard: name one service", proxy.Host)
	}
	c.destination(at, proxy)
	if proxy.Port == nil {
		c.fail(Missing, at.Field("port"), "an egress proxy needs a port")
	}
}
