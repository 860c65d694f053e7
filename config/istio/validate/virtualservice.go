package validate

import (
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// meshGateway is the reserved gateway name for all sidecars of the mesh.
const meshGateway = "mesh"

// virtualService checks a VirtualService
// (https://istio.io/latest/docs/reference/config/networking/virtual-service/).
func (c *checker) virtualService(spec *networking.VirtualService) {
	isDelegate := len(spec.Hosts) == 0
	if isDelegate {
		c.delegateEnvelope(spec)
	}
	c.gatewayNames(field("gateways"), spec.Gateways)
	c.virtualHosts(spec)
	if len(spec.Http) == 0 && len(spec.Tcp) == 0 && len(spec.Tls) == 0 {
		c.fail(Missing, field("http"), "a VirtualService without http, tls or tcp rules routes nothing: give it one")
	}
	for i, rule := range spec.Http {
		c.httpRule(field("http").Index(i), rule, isDelegate)
	}
	if !bindsGateway(spec) {
		c.claimsNeedGateway(spec.Http)
	}
	for i, rule := range spec.Tls {
		c.tlsRule(field("tls").Index(i), rule, spec)
	}
	for i, rule := range spec.Tcp {
		c.tcpRule(field("tcp").Index(i), rule)
	}
	c.exportTo(spec.ExportTo, false, false)
	c.unreachableHTTP(spec.Http)
	c.unreachableTLS(spec.Tls)
	c.unreachableTCP(spec.Tcp)
}

// delegateEnvelope checks a VirtualService without hosts, which another one includes.
func (c *checker) delegateEnvelope(spec *networking.VirtualService) {
	if len(spec.Gateways) > 0 {
		c.fail(Missing, field("hosts"), "a VirtualService needs hosts; without them it is a delegate, which has no gateways: add hosts, or remove gateways")
	}
	if len(spec.Tls) > 0 {
		c.fail(Conflict, field("tls"), "a VirtualService without hosts is a delegate, and those have http rules only: add hosts")
	}
	if len(spec.Tcp) > 0 {
		c.fail(Conflict, field("tcp"), "a VirtualService without hosts is a delegate, and those have http rules only: add hosts")
	}
}

// bindsGateway reports whether the VirtualService is for gateways only.
func bindsGateway(spec *networking.VirtualService) bool {
	return len(spec.Gateways) > 0 && notForMesh(spec)
}

func notForMesh(spec *networking.VirtualService) bool {
	for _, name := range spec.Gateways {
		if name == meshGateway {
			return false
		}
	}
	return true
}

// gatewayNames checks names of gateways: namespace/name, name, "mesh", or the old
// form of a DNS name.
func (c *checker) gatewayNames(at *config.Path, names []string) {
	short := false
	for i, gateway := range names {
		at := at.Index(i)
		namespace, name, found := strings.Cut(gateway, "/")
		if found {
			if !isDNSLabel(namespace) || !isDNSLabel(name) {
				// Istio stops looking at the first short name, so there are files
				// where this one does no harm.
				c.add(errorUnless(short), BadName, at, "%q is not a gateway: write namespace/name", gateway)
			}
			continue
		}
		if problem := nameProblem(gateway); problem != "" {
			c.add(errorUnless(short), BadName, at, "%q is not a gateway: %s; write namespace/name", gateway, problem)
		} else if first, rest, dotted := strings.Cut(gateway, "."); dotted {
			namespace, _, _ := strings.Cut(rest, ".")
			c.warn(Deprecated, at, "this form of a gateway's name is old: write %s/%s", namespace, first)
		}
		short = true
	}
}

func errorUnless(lenient bool) config.Severity {
	if lenient {
		return config.Warning
	}
	return config.Error
}

// virtualHosts checks the hosts of a VirtualService, and that they don't overlap.
func (c *checker) virtualHosts(spec *networking.VirtualService) {
	at := field("hosts")
	forGateway := bindsGateway(spec)
	valid := true
	for i, host := range spec.Hosts {
		problem := wildcardProblem(host)
		if forGateway && hasSNI(spec) && isGeneratedSNI(host) {
			problem = ""
		}
		switch {
		case problem != "" && !isIP(host):
			valid = false
			c.badHost(at.Index(i), host, problem)
		case host == "*" && !forGateway:
			valid = false
			c.fail(BadHost, at.Index(i), "\"*\" would take all traffic of the mesh: name the hosts, or bind gateways other than mesh")
		}
	}
	if valid {
		c.overlappingHosts(at, spec.Hosts)
	}
}

// overlappingHosts checks that no host is covered by another.
func (c *checker) overlappingHosts(at *config.Path, hosts []string) {
	first := make(map[string]int, len(hosts))
	for i, host := range hosts {
		if _, found := first[host]; !found {
			first[host] = i
		}
	}
	for i, host := range hosts {
		if j, found := coveredBy(host, i, first); found {
			c.fail(Duplicate, at.Index(i), "%q is covered by hosts[%d], %q: remove it, or split the VirtualService", host, j, hosts[j])
		}
	}
}

// coveredBy returns the index of a host that covers hosts[i]: an equal one before it,
// or a wildcard. first holds the index of each host.
func coveredBy(host string, i int, first map[string]int) (int, bool) {
	if j := first[host]; j < i {
		return j, true
	}
	start := 0
	if strings.HasPrefix(host, "*") {
		start = 2
	}
	for ; start <= len(host); start++ {
		if j, found := first["*"+host[start:]]; found {
			return j, true
		}
	}
	return 0, false
}

// hasSNI reports whether a tls rule matches by server name.
func hasSNI(spec *networking.VirtualService) bool {
	for _, rule := range spec.Tls {
		for _, match := range rule.Match {
			if len(match.SniHosts) > 0 {
				return true
			}
		}
	}
	return false
}

// isGeneratedSNI reports whether host is a name as Istio generates for traffic
// between clusters: outbound_.80_.v1_.reviews.default.svc.cluster.local.
func isGeneratedSNI(host string) bool {
	rest, found := strings.CutPrefix(host, "outbound_.")
	return found && rest != "" && rest[0] >= '0' && rest[0] <= '8'
}

// isClaim reports whether a header's name stands for a claim of a JSON Web Token.
func isClaim(name string) bool {
	const prefix = "@request.auth.claims"
	if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
		return false
	}
	rest := name[len(prefix):]
	return strings.HasPrefix(rest, ".") && len(rest) > 1 || strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]") && len(rest) > 2
}

// claimsNeedGateway checks that tokens' claims are matched at gateways only.
func (c *checker) claimsNeedGateway(rules []*networking.HTTPRoute) {
	for i, rule := range rules {
		for j, match := range rule.Match {
			at := field("http").Index(i).Field("match").Index(j)
			for _, headers := range []struct {
				name   string
				values map[string]*networking.StringMatch
			}{{"headers", match.Headers}, {"withoutHeaders", match.WithoutHeaders}} {
				for _, name := range sortedKeys(headers.values) {
					if isClaim(name) {
						c.fail(Unsupported, at.Field(headers.name).Key(name), "claims of tokens are matched at gateways only: bind gateways other than mesh")
					}
				}
			}
		}
	}
}
