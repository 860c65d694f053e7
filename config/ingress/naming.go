package ingress

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// naming names the objects that are made.
type naming struct {
	// plaintext is the Gateway for plaintext.
	plaintext       string
	virtualService  func(host string) string
	gateway         func(server) string
	destinationRule func(service string) string
	// credential is what a Gateway writes for a Secret.
	credential func(namespace, name string) string
}

// internalNames are those that no API server takes, so that nobody's objects have them.
var internalNames = naming{
	plaintext:       "ingress:http",
	virtualService:  func(host string) string { return "ingress:" + host },
	gateway:         func(s server) string { return "ingress:" + s.name() },
	destinationRule: func(service string) string { return "ingress:" + service },
	credential:      func(namespace, name string) string { return "kubernetes-gateway://" + namespace + "/" + name },
}

// publicNames are those that anybody may write.
var publicNames = naming{
	plaintext:       "ingress-http",
	virtualService:  virtualServiceName,
	gateway:         func(s server) string { return label("ingress-" + s.name()) },
	destinationRule: func(service string) string { return "ingress-" + service },
	credential:      func(_, name string) string { return name },
}

// virtualServiceName names the VirtualService of a host, and of no other one: a host whose own name
// looks like the one that is made for another is marked.
func virtualServiceName(host string) string {
	switch rest, wildcard := strings.CutPrefix(host, "*."); {
	case host == anyHost:
		return "ingress-any-host"
	case wildcard:
		return "ingress-wildcard." + rest
	case host == "any-host", strings.HasPrefix(host, "wildcard."), strings.HasPrefix(host, "host."):
		return "ingress-host." + host
	}
	return "ingress-" + host
}

// name names a server among those of its namespace.
func (s server) name() string {
	switch {
	case s.passed != "":
		return "passthrough-" + s.passed
	case s.secret == "" && s.authority == "":
		return "https"
	case s.authority == "":
		return "https-" + s.secret
	}
	sum := fnv.New32a()
	fmt.Fprintf(sum, "%s %t", s.authority, s.optional)
	return fmt.Sprintf("mtls-%s-%08x", s.secret, sum.Sum32())
}
