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

func virtualServiceName(host string) string {
	if host == anyHost {
		return "ingress-any-host"
	}
	return "ingress-" + strings.Replace(host, "*.", "wildcard.", 1)
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
