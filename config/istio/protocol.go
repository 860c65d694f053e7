package istio

import (
	"strings"

	"github.com/sluicegate/sluice/router"
)

// portProtocol is what a port speaks, as far as routing cares.
type portProtocol uint8

const (
	// unknownProtocol: nobody said; it is looked at as HTTP.
	unknownProtocol portProtocol = iota
	httpProtocol
	httpsProtocol
	tlsProtocol
	tcpProtocol
	udpProtocol
)

// parseProtocol reads a protocol of a Gateway server or a ServiceEntry port, in any
// case.
func parseProtocol(s string) portProtocol {
	switch strings.ToLower(s) {
	case "http", "http2", "grpc", "grpc-web", "http_proxy":
		return httpProtocol
	case "https":
		return httpsProtocol
	case "tls":
		return tlsProtocol
	case "tcp", "mongo", "redis", "mysql":
		return tcpProtocol
	case "udp":
		return udpProtocol
	}
	return unknownProtocol
}

// kubeProtocol names the protocol of a Kubernetes Service's port: its appProtocol, else the
// part of its name before a dash, else TCP for the well-known ports where the server speaks
// first; empty where nobody said.
func kubeProtocol(name, appProtocol, transport string, port int32) string {
	if transport == "UDP" {
		return "udp"
	}
	switch appProtocol {
	case "kubernetes.io/h2c", "h2c":
		return "http2"
	case "kubernetes.io/ws":
		return "http"
	case "kubernetes.io/wss":
		return "https"
	}
	if parseProtocol(appProtocol) != unknownProtocol {
		return appProtocol
	}
	prefix, _, _ := strings.Cut(name, "-")
	if parseProtocol(prefix) != unknownProtocol {
		return prefix
	}
	switch port {
	case 22, 25, 53, 3306, 27017:
		return "tcp"
	}
	return ""
}

// newServicePort returns a port with the protocol of that name.
func newServicePort(number uint16, name, protocol string) servicePort {
	return servicePort{number: number, name: name, protocol: parseProtocol(protocol), upstream: upstreamProtocol(protocol)}
}

// upstreamProtocol is what the endpoints of a port speak, where no DestinationRule says
// otherwise. The protocols of gRPC all mean HTTP/2, gRPC-Web too: as in Istio such an endpoint
// speaks gRPC, and the proxy translates. A port of which nobody said it, and one with HTTPS,
// speak HTTP/1.1 to requests; to a stream they are bytes like any other.
func upstreamProtocol(protocol string) router.Protocol {
	switch strings.ToLower(protocol) {
	case "http2", "grpc", "grpc-web":
		return router.ProtocolHTTP2
	}
	switch parseProtocol(protocol) {
	case tcpProtocol, tlsProtocol:
		return router.ProtocolTCP
	}
	return router.ProtocolHTTP1
}

// mayBeHTTP says whether a sidecar routes such a port as HTTP.
func (p portProtocol) mayBeHTTP() bool { return p == httpProtocol || p == unknownProtocol }
