package validate

import (
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluicegate/sluice/config"
)

// protocol is the protocol of a port, in lower case.
type protocol string

// The protocols of a port (Istio's Port.protocol, in any case).
var (
	httpProtocols = []protocol{"http", "http2", "http_proxy", "grpc", "grpc-web"}
	tlsProtocols  = []protocol{"https", "tls"}
	tcpProtocols  = []protocol{"tcp", "mongo", "redis", "mysql"}
	oddProtocols  = []protocol{"udp", "hbone"}
)

func parseProtocol(s string) protocol { return protocol(strings.ToLower(s)) }

func (p protocol) isHTTP() bool { return slices.Contains(httpProtocols, p) }
func (p protocol) isTLS() bool  { return slices.Contains(tlsProtocols, p) }

// isTCP reports whether the protocol runs on TCP and is not HTTP in the clear.
func (p protocol) isTCP() bool { return slices.Contains(tcpProtocols, p) || p.isTLS() }

func (p protocol) known() bool { return p.isHTTP() || p.isTCP() || slices.Contains(oddProtocols, p) }

// protocolChoices is what to write, for messages.
const protocolChoices = "write HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TCP, TLS, MONGO, MYSQL or REDIS"

// optionalProtocol checks the protocol of a port that may leave it out.
func (c *checker) optionalProtocol(at *config.Path, s string) {
	if s != "" && !parseProtocol(s).known() {
		c.fail(BadProtocol, at, "%q is not a protocol: %s", s, protocolChoices)
	}
}

// portNumber checks a port that must be given.
func (c *checker) portNumber(at *config.Path, number uint32) {
	if number < 1 || number > 65535 {
		c.fail(BadPort, at, "%d is not a port: write a number from 1 to 65535", number)
	}
}

// portName checks a port's name against RFC 1123.
func (c *checker) portName(at *config.Path, name string) {
	if !isDNSLabel(name) {
		c.fail(BadName, at, "%q is not a port's name: use letters, digits and '-', at most 63", name)
	}
}

const unixPrefix = "unix://"

// unixPath checks the path of a socket; "@" begins an abstract one.
func (c *checker) unixPath(at *config.Path, address string) {
	name := strings.TrimPrefix(address, unixPrefix)
	if strings.HasPrefix(name, "@") {
		return
	}
	if !path.IsAbs(name) || strings.HasSuffix(name, "/") {
		c.fail(BadAddress, at, "%q is not the path of a socket: write unix:///dir/name", address)
	}
}

// ip checks an address that must be an IP address.
func (c *checker) ip(at *config.Path, address string) {
	if !isIP(address) {
		c.fail(BadAddress, at, "%q is not an IP address", address)
	}
}

// subnet checks an address or a CIDR block.
func (c *checker) subnet(at *config.Path, s string) {
	if !isSubnet(s) {
		c.fail(BadAddress, at, "%q is neither an IP address nor a block such as 10.0.0.0/8", s)
	}
}

// duration checks a duration where it is given: whole milliseconds, at least one.
func (c *checker) duration(at *config.Path, d *durationpb.Duration) {
	if d == nil {
		return
	}
	const millisecond = 1e6
	switch v := d.AsDuration(); {
	case v < millisecond:
		c.fail(BadDuration, at, "%v is too short: at least 1ms, or leave it out", v)
	case v%millisecond != 0:
		c.fail(BadDuration, at, "%v is too precise: whole milliseconds only", v)
	}
}
