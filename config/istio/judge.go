package istio

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/config"
)

// judgeUnbound marks the VirtualServices that name a host whose DestinationRules
// changed: of those that this proxy serves the clusters tell, of the others nobody.
func (c *Compiler) judgeUnbound() {
	if !c.options.AllGateways || len(c.pending.ruleHosts) == 0 {
		return
	}
	for host, callers := range c.callers {
		meant := c.registry.resolveAlias(host)
		if !slices.ContainsFunc(c.pending.ruleHosts, func(rule string) bool { return covers(rule, meant) }) {
			continue
		}
		for v := range callers.All() {
			c.pending.judge[v] = struct{}{}
		}
	}
}

// judgeCallers marks the VirtualServices with a destination of a host, or of an alias of it.
func (c *Compiler) judgeCallers(host string) {
	for _, named := range append(c.registry.aliasesOf(host), host) {
		callers := c.callers[named]
		if callers == nil {
			continue
		}
		for v := range callers.All() {
			c.pending.judge[v] = struct{}{}
		}
	}
}

// judge looks at what is wrong with the VirtualServices in force that were touched.
func (c *Compiler) judge() {
	for v := range c.pending.judge {
		if c.virtualServices.Get(v.key()) == v {
			c.conditions.replace(v, c.conditionsOf(v))
		}
	}
}

// conditionsOf returns what only shows between a VirtualService and other objects.
func (c *Compiler) conditionsOf(v *virtualService) []config.Condition {
	out := slices.Clone(v.particulars().conditions)
	if c.gateway != nil {
		out = append(out, c.gatewayConditions(v)...)
		out = append(out, c.kindConditions(v)...)
	}
	serves := false
	for u := range v.eachUnit() {
		if u.users == 0 {
			continue
		}
		serves = true
		if slices.ContainsFunc(u.targets.list, c.isWrong) {
			out = append(out, c.targetConditions(c.compile(v, *u.key).uses)...)
		}
	}
	if c.options.AllGateways && !serves && !v.isDelegate() {
		out = append(out, c.unboundConditions(v)...)
	}
	return out
}

// isWrong says whether there is something to say of a target.
func (c *Compiler) isWrong(t target) bool {
	k := c.clusters.byKey[t.key]
	return k.built == nil || t.encrypted && k.built.TLS != nil
}

// targetConditions says what is wrong with the clusters that a unit in force names.
func (c *Compiler) targetConditions(uses []clusterUse) []config.Condition {
	var out []config.Condition
	for _, use := range uses {
		switch k := c.clusters.byKey[use.key]; {
		case k.built == nil:
			out = append(out, c.missingCondition(use, k.missing))
		case use.encrypted && k.built.TLS != nil:
			out = append(out, newCondition(config.Warning, EncryptedTwice, use.object, use.field,
				fmt.Sprintf("a DestinationRule has tls settings for %s, and the client's own TLS is passed on: the endpoint gets TLS inside of TLS. Take the settings out, or end the client's TLS at the gateway", use.key.host)))
		}
	}
	return out
}

// noDestination is what messages say of a destination that does not exist, noMirror what
// they say where it is one for copies, and noStream where it is one for connections.
const (
	noDestination = "requests get 503"
	noMirror      = "nothing is mirrored there"
	noStream      = "connections are closed"
)

// missingCondition says that a destination does not exist, in the words that its
// author used.
func (c *Compiler) missingCondition(use clusterUse, m missing) config.Condition {
	said := strconv.Quote(use.host)
	switch full, short := c.longest(use.host, use.object.Namespace); {
	case m.reason == PortNotFound:
		said = strconv.Itoa(int(use.key.port))
	case m.reason == SubsetNotFound:
		said = strconv.Quote(use.key.subset)
	case short && c.registry.exists(full) && c.registry.kubeHosts[full] == 0:
		m.message = fmt.Sprintf("short names are those of Kubernetes Services, and %s is a ServiceEntry's host; requests get 503. Write it in full", full)
	case short && !c.registry.exists(use.key.host):
		m.message = fmt.Sprintf("no Service %s/%s; requests get 503. Correct the name, or write that of a service elsewhere in full", use.object.Namespace, use.host)
	}
	switch {
	case use.mirror:
		m.message = strings.Replace(m.message, noDestination, noMirror, 1)
	case use.stream:
		m.message = strings.Replace(m.message, noDestination, noStream, 1)
	}
	return newCondition(config.Error, m.reason, use.object, use.field+"."+m.field, said+": "+m.message)
}

// gatewayConditions says which of a VirtualService's gateways do not take it.
func (c *Compiler) gatewayConditions(v *virtualService) []config.Condition {
	var out []config.Condition
	for i, name := range v.gateways.all() {
		if name == mesh {
			continue
		}
		field := fmt.Sprintf("gateways[%d]", i)
		g := c.gateways[name]
		if g == nil {
			out = append(out, newCondition(config.Error, GatewayNotFound, v.object, field,
				fmt.Sprintf("%q: no Gateway %s is in force; nothing is routed there. Correct the name, as \"namespace/name\" where it is in another namespace", c.open(v).spec.Gateways[i], name)))
			continue
		}
		if !v.isDelegate() && !g.takesSome(v) {
			out = append(out, newCondition(config.Warning, HostNotInGateway, v.object, field,
				fmt.Sprintf("none of the hosts is one that a server of %s takes from namespace %s; nothing is routed there. Add the host to the server", g.object.Key, v.object.Namespace)))
		}
	}
	return out
}

// takesSome says whether one of the servers takes one of a VirtualService's hosts.
func (g *gatewayConfig) takesSome(v *virtualService) bool {
	for range g.serversFor(v) {
		return true
	}
	return false
}

// kindConditions says which of a VirtualService's lists of rules no server has a use for.
// Those for sidecars too are left alone.
func (c *Compiler) kindConditions(v *virtualService) []config.Condition {
	if slices.Contains(v.gateways.all(), mesh) || v.isDelegate() {
		return nil
	}
	var kinds []serverKind
	var passing []*serverHosts
	for _, name := range v.gateways.all() {
		g := c.gateways[name]
		if g == nil {
			return nil
		}
		for i := range g.serversFor(v) {
			if kind, ok := serverKindOf(g.spec.Servers[i]); ok {
				kinds = append(kinds, kind)
				if kind.routesNames() {
					passing = append(passing, g.servers[i])
				}
			}
		}
	}
	var out []config.Condition
	for _, rules := range []struct {
		field string
		n     int32
		takes func(serverKind) bool
		way   string
	}{
		{"http", v.rules[httpRules], serverKind.routesRequests, "http rules are for servers that see requests: of HTTP, and of HTTPS that end TLS"},
		{"tls", v.rules[tlsRules], serverKind.routesNames, "tls rules are for servers that leave TLS alone: mode PASSTHROUGH"},
		{"tcp", v.rules[tcpRules], serverKind.routesBytes, "tcp rules are for servers of protocol TCP, and of TLS that end it"},
	} {
		if rules.n > 0 && len(kinds) > 0 && !slices.ContainsFunc(kinds, rules.takes) {
			out = append(out, newCondition(config.Warning, NoServerForRules, v.object, rules.field,
				rules.way+"; no server that takes one of the hosts is one. Change the rules, or the server's protocol or tls.mode"))
		}
	}
	if len(passing) == 0 || v.rules[tlsRules] == 0 {
		return out
	}
	return append(out, c.nameConditions(v, passing)...)
}

// nameConditions says which TLS server names of a VirtualService none of the servers that
// leave TLS alone takes.
func (c *Compiler) nameConditions(v *virtualService, passing []*serverHosts) []config.Condition {
	var out []config.Condition
	for i, r := range c.open(v).spec.Tls {
		for j, m := range r.Match {
			for k, name := range m.SniHosts {
				taken := func(s *serverHosts) bool {
					return len(s.intersect([]string{strings.ToLower(name)}, v.object.Namespace)) > 0
				}
				if !slices.ContainsFunc(passing, taken) {
					out = append(out, newCondition(config.Warning, HostNotInGateway, v.object, fmt.Sprintf("tls[%d].match[%d].sniHosts[%d]", i, j, k),
						fmt.Sprintf("%q: no server with mode PASSTHROUGH takes the name from namespace %s; nothing is routed. Add the host to the server", name, v.object.Namespace)))
				}
			}
		}
	}
	return out
}

// unboundConditions looks at the destinations of a VirtualService that this proxy
// does not serve. What another proxy may see is not complained about.
func (c *Compiler) unboundConditions(v *virtualService) []config.Condition {
	var uses []clusterUse
	for _, rules := range []ruleKind{httpRules, tlsRules, tcpRules} {
		uses = append(uses, c.compile(v, unitKey{gateway: mesh, rules: rules}).uses...)
	}
	var out []config.Condition
	for _, use := range uses {
		_, _, why := c.clusters.resolve(use.key)
		switch {
		case why.reason == "",
			why.reason == PortNotFound && use.key.port == 0,
			why.reason == ServiceNotFound && c.registry.exists(use.key.host),
			why.reason == SubsetNotFound && c.rules.subsetDefined(use.key.host, use.key.subset):
			continue
		}
		out = append(out, c.missingCondition(use, why))
	}
	return out
}
