package validate

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// tlsRule checks one rule of tls.
func (c *checker) tlsRule(at *config.Path, rule *networking.TLSRoute, spec *networking.VirtualService) {
	if len(rule.Match) == 0 {
		c.fail(Missing, at.Field("match"), "a tls rule needs a match with sniHosts")
	}
	for i, match := range rule.Match {
		at := at.Field("match").Index(i)
		if len(match.SniHosts) == 0 {
			c.fail(Missing, at.Field("sniHosts"), "a match of a tls rule needs the server names that clients ask for")
		}
		for j, host := range match.SniHosts {
			c.sniHost(at.Field("sniHosts").Index(j), host, spec)
		}
		c.l4Match(at, match.DestinationSubnets, match.Port, match.SourceLabels, match.Gateways)
	}
	c.l4Destinations(at.Field("route"), rule.Route)
}

// sniHost checks a server name, which must be among the VirtualService's hosts.
func (c *checker) sniHost(at *config.Path, host string, spec *networking.VirtualService) {
	if problem := wildcardProblem(host); problem != "" && (!notForMesh(spec) || !isGeneratedSNI(host)) {
		if isIP(host) {
			c.warn(BadHost, at, "clients send no address as server name (RFC 6066 section 3), so %q is hardly ever matched: write a name", host)
			return
		}
		c.badHost(at, host, problem)
		return
	}
	if c.coveredByHosts(host, spec) {
		return
	}
	c.fail(BadHost, at, "%q is not covered by hosts: add it there, or a wildcard", host)
}

// fewHosts is up to how many hosts are looked through.
const fewHosts = 16

// coveredByHosts reports whether one of a VirtualService's hosts takes every host that
// another takes.
func (c *checker) coveredByHosts(host string, spec *networking.VirtualService) bool {
	if len(spec.Hosts) <= fewHosts {
		return slices.ContainsFunc(spec.Hosts, func(wide string) bool { return covers(wide, host) })
	}
	if c.hosts == nil {
		c.hosts = make(map[string]struct{}, len(spec.Hosts))
		for _, h := range spec.Hosts {
			c.hosts[h] = struct{}{}
		}
	}
	if _, found := c.hosts[host]; found {
		return true
	}
	rest := strings.TrimPrefix(host, "*")
	for start := range len(rest) + 1 {
		if _, found := c.hosts["*"+rest[start:]]; found {
			return true
		}
	}
	return false
}

// tcpRule checks one rule of tcp.
func (c *checker) tcpRule(at *config.Path, rule *networking.TCPRoute) {
	for i, match := range rule.Match {
		at := at.Field("match").Index(i)
		c.l4Match(at, match.DestinationSubnets, match.Port, match.SourceLabels, match.Gateways)
		if match.SourceSubnet != "" {
			c.warn(NoEffect, at.Field("sourceSubnet"), "it has no effect: use sourceLabels or sourceNamespace")
		}
	}
	c.l4Destinations(at.Field("route"), rule.Route)
}

// l4Match checks the conditions that tls and tcp share.
func (c *checker) l4Match(at *config.Path, subnets []string, port uint32, sourceLabels map[string]string, gateways []string) {
	for i, subnet := range subnets {
		c.subnet(at.Field("destinationSubnets").Index(i), subnet)
	}
	if port != 0 {
		c.portNumber(at.Field("port"), port)
	}
	c.labelMap(at.Field("sourceLabels"), sourceLabels)
	c.gatewayNames(at.Field("gateways"), gateways)
}

func (c *checker) l4Destinations(at *config.Path, destinations []*networking.RouteDestination) {
	if len(destinations) == 0 {
		c.fail(Missing, at, "a rule needs a route with a destination")
	}
	weights := make([]int32, len(destinations))
	for i, d := range destinations {
		c.requiredDestination(at.Index(i), d.Destination)
		weights[i] = d.Weight
	}
	c.weights(at, weights)
}
