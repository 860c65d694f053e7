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
	for host, names := range c.callers {
		meant := c.registry.resolveAlias(host)
		if !slices.ContainsFunc(c.pending.ruleHosts, func(rule string) bool { return covers(rule, meant) }) {
			continue
		}
		for name := range names {
			c.pending.judge[c.virtualServices[name]] = struct{}{}
		}
	}
}

// judge looks at what is wrong with the VirtualServices in force that were touched.
func (c *Compiler) judge() {
	for v := range c.pending.judge {
		if c.virtualServices[objectName{v.object.Namespace, v.object.Name}] == v {
			c.conditions.replace(v, c.conditionsOf(v))
		}
	}
}

// conditionsOf returns what only shows between a VirtualService and other objects.
func (c *Compiler) conditionsOf(v *virtualService) []config.Condition {
	out := slices.Clone(v.conditions)
	if c.gateway != nil {
		out = append(out, c.gatewayConditions(v)...)
	}
	serves := false
	for _, u := range v.units {
		if u.users == 0 {
			continue
		}
		serves = true
		for _, use := range u.uses {
			if k := c.clusters.byKey[use.key]; k.built == nil {
				out = append(out, c.missingCondition(use, k.missing))
			}
		}
	}
	if c.options.AllGateways && !serves && !v.isDelegate() {
		out = append(out, c.unboundConditions(v)...)
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
	for i, name := range v.gateways {
		if name == mesh {
			continue
		}
		field := fmt.Sprintf("gateways[%d]", i)
		g := c.gateways[name]
		if g == nil {
			out = append(out, newCondition(config.Error, GatewayNotFound, v.object, field,
				fmt.Sprintf("%q: no Gateway %s is in force; nothing is routed there. Correct the name, as \"namespace/name\" where it is in another namespace", v.spec.Gateways[i], name)))
			continue
		}
		if !v.isDelegate() && !slices.ContainsFunc(g.servers, func(s *serverHosts) bool { return len(s.intersect(v.hosts, v.object.Namespace)) > 0 }) {
			out = append(out, newCondition(config.Warning, HostNotInGateway, v.object, field,
				fmt.Sprintf("none of the hosts is one that a server of %s takes from namespace %s; nothing is routed there. Add the host to the server", g.object.Key, v.object.Namespace)))
		}
	}
	return out
}

// unboundConditions looks at the destinations of a VirtualService that this proxy
// does not serve. What another proxy may see is not complained about.
func (c *Compiler) unboundConditions(v *virtualService) []config.Condition {
	u := c.compile(v, unitKey{gateway: mesh})
	var out []config.Condition
	for _, use := range u.uses {
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
