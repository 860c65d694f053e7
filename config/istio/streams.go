package istio

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// streamRule is a match block of a tls rule, or a tcp rule, as a route.
type streamRule struct {
	route  *router.StreamRoute
	origin source
	// names are the TLS server names of a tls rule's block, as written.
	names []string
}

// compileTLS makes routes of tls rules: one of each match block that is for this proxy.
// Those of one rule share its destinations.
func (c *Compiler) compileTLS(u *compilation) {
	v := u.v
	for i, r := range c.open(v).spec.Tls {
		field := fmt.Sprintf("tls[%d]", i)
		var to *streamDestinations
		for j, m := range r.Match {
			if !c.applies(m, v.object.Namespace, u.key) {
				continue
			}
			if to == nil {
				to = c.streamDestinations(u, field, r.Route)
			}
			u.addStream(source{v.object, fmt.Sprintf("%s.match[%d]", field, j)}, to, m.SniHosts, m.DestinationSubnets)
		}
	}
}

// compileTCP makes routes of tcp rules. One that takes every connection is the last.
func (c *Compiler) compileTCP(u *compilation) {
	v := u.v
	for i, r := range c.open(v).spec.Tcp {
		field := fmt.Sprintf("tcp[%d]", i)
		if len(r.Match) == 0 {
			u.addStream(source{v.object, field}, c.streamDestinations(u, field, r.Route), nil, nil)
			return
		}
		var to *streamDestinations
		for j, m := range r.Match {
			if !c.applies(m, v.object.Namespace, u.key) {
				continue
			}
			if to == nil {
				to = c.streamDestinations(u, field, r.Route)
			}
			u.addStream(source{v.object, fmt.Sprintf("%s.match[%d]", field, j)}, to, nil, m.DestinationSubnets)
			if len(m.DestinationSubnets) == 0 {
				return
			}
		}
	}
}

// streamDestinations are where a rule sends its connections.
type streamDestinations struct {
	destinations []router.Destination
	idle         time.Duration
}

// streamDestinations compiles a rule's destinations, and notes in the unit which clusters
// that takes. The first destination whose policy has an idle timeout gives the route's.
func (c *Compiler) streamDestinations(u *compilation, field string, routes []*networking.RouteDestination) *streamDestinations {
	to := &streamDestinations{}
	for i, d := range routes {
		if len(routes) > 1 && d.Weight == 0 {
			continue
		}
		use, target := c.destination(u, source{u.v.object, fmt.Sprintf("%s.route[%d].destination", field, i)}, d.Destination)
		use.stream, use.encrypted = true, u.key.rules == tlsRules
		target.encrypted = use.encrypted
		u.uses = append(u.uses, use)
		weight := uint32(1)
		if len(routes) > 1 {
			weight = uint32(d.Weight)
		}
		to.destinations = append(to.destinations, router.Destination{Cluster: c.strings.one(use.key.String()), Weight: weight})
		idle := c.clusters.idleTimeoutOf(use.key)
		target.asksIdle, target.idle = true, idle
		if to.idle == 0 {
			to.idle = idle
		}
	}
	return to
}

func (u *compilation) addStream(origin source, to *streamDestinations, names, subnets []string) {
	if len(to.destinations) == 0 {
		return
	}
	route := &router.StreamRoute{
		Name:         origin.object.Name + "." + origin.object.Namespace + "." + origin.field,
		Origin:       originOf(origin.object, origin.field),
		Destinations: to.destinations,
		IdleTimeout:  to.idle,
	}
	for _, s := range subnets {
		if p, ok := parseSubnet(s); ok {
			route.Subnets = append(route.Subnets, p)
		}
	}
	u.streams = append(u.streams, &streamRule{route, origin, lowerAll(names)})
}

// parseSubnet reads "10.0.0.0/8", or an address.
func parseSubnet(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err == nil
}

func lowerAll(list []string) []string {
	out := slices.Clone(list)
	for i, s := range out {
		out[i] = strings.ToLower(s)
	}
	return out
}

// idleTimeoutOf returns the idle timeout that the policy of a cluster has for TCP: 0 where it
// has none, negative where it turns it off.
func (c *clusters) idleTimeoutOf(key clusterKey) time.Duration {
	s, policy, why := c.resolve(key)
	if s == nil || why.reason != "" {
		return 0
	}
	traffic := c.trafficPolicyOf(policy, key)
	d := traffic.pool.GetTcp().GetIdleTimeout()
	if d != nil && d.AsDuration() <= 0 {
		return -1
	}
	return d.AsDuration()
}

// meshConditions say which rules a sidecar leaves out.
func (c *Compiler) meshConditions(v *virtualService) []config.Condition {
	if c.options.Role != Sidecar && !c.options.AllGateways || !slices.Contains(v.gateways.all(), mesh) {
		return nil
	}
	var out []config.Condition
	for _, rules := range []struct {
		field string
		n     int32
	}{{"tls", v.rules[tlsRules]}, {"tcp", v.rules[tcpRules]}} {
		if rules.n > 0 {
			out = append(out, newCondition(config.Warning, ProtocolNotServed, v.object, rules.field,
				"sidecars of this version route requests only: TLS and TCP go where they were sent to, and these rules are for gateways alone"))
		}
	}
	return out
}
