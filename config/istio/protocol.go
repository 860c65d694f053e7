package istio

import "strings"

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

// kubeProtocol tells the protocol of a Kubernetes Service's port: its appProtocol,
// else the part of its name before a dash, else the well-known ports where the
// server speaks first.
func kubeProtocol(name, appProtocol, transport string, port int32) portProtocol {
	if transport == "UDP" {
		return udpProtocol
	}
	switch appProtocol {
	case "kubernetes.io/h2c", "kubernetes.io/ws":
		return httpProtocol
	case "kubernetes.io/wss":
		return httpsProtocol
	case "":
	default:
		if p := parseProtocol(appProtocol); p != unknownProtocol {
			return p
		}
	}
	prefix, _, _ := strings.Cut(name, "-")
	if p := parseProtocol(prefix); p != unknownProtocol {
		return p
	}
	switch port {
	case 22, 25, 53, 3306, 27017:
		return tcpProtocol
	}
	return unknownProtocol
}

// mayBeHTTP says whether a sidecar routes such a port as HTTP.
func (p portProtocol) mayBeHTTP() bool { return p == httpProtocol || p == unknownProtocol }
