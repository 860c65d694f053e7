package istio

import (
	"slices"
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// unitKey names the form that a VirtualService takes for a gateway, or "mesh", and
// a port that callers address.
type unitKey struct {
	gateway string
	port    uint16
	rules   ruleKind
}

// ruleKind is which of a VirtualService's lists of rules is meant.
type ruleKind uint8

const (
	httpRules ruleKind = iota
	tlsRules
	tcpRules
)

// unit is a VirtualService's rules of one kind as routes.
type unit struct {
	routes []*router.Route
	// streams are those of tls and tcp rules, each with what it takes.
	streams []*streamRule
	// origins are where each route's match is written.
	origins []source
	// keys are texts of the matches, made when they are first asked for.
	keys []string
	// uses are the clusters named.
	uses []clusterUse
	// inferred are the ports that were worked out from what services there are.
	inferred []inferredPort
	// hashed are the destinations of which it matters whether a hash picks their
	// endpoints, with what was found.
	hashed map[clusterKey]bool
	// idle are the idle timeouts that destinations of streams ask for.
	idle map[clusterKey]time.Duration
	// users counts the virtual hosts, or chains, that have its routes.
	users int
}

// clusterUse is a destination and where it is written.
type clusterUse struct {
	key    clusterKey
	object *config.Object
	field  string
	// host is as written.
	host string
	// mirror is a destination that gets copies only, stream one of connections, encrypted
	// one of connections with the client's TLS in them.
	mirror, stream, encrypted bool
}

// inferredPort is the cluster that a destination without a port went to.
type inferredPort struct {
	host      string
	namespace string
	subset    string
	explicit  uint16
	listener  uint16
	key       clusterKey
}

// unit returns a VirtualService's routes for a gateway, or "mesh", and a port.
func (c *Compiler) unit(v *virtualService, key unitKey) *unit {
	u := v.units[key]
	if u == nil {
		u = c.compile(v, key)
		v.units[key] = u
	}
	return u
}

// hold says that a virtual host has a unit's routes, and so uses its clusters.
func (c *Compiler) hold(v *virtualService, u *unit) {
	if u.users++; u.users == 1 {
		c.useClusters(v, u, 1)
	}
}

// let says that a virtual host no longer has a unit's routes.
func (c *Compiler) let(v *virtualService, u *unit) {
	if u.users--; u.users == 0 {
		c.useClusters(v, u, -1)
	}
}

func (c *Compiler) useClusters(v *virtualService, u *unit, by int) {
	for _, use := range u.uses {
		c.clusters.use(use.key, v, by)
	}
	c.pending.judge[v] = struct{}{}
}

// compile makes routes of the rules for a gateway and port. It stops behind a rule
// that takes all requests.
func (c *Compiler) compile(v *virtualService, key unitKey) *unit {
	u := &unit{hashed: map[clusterKey]bool{}}
	switch key.rules {
	case tlsRules:
		c.compileTLS(u, v, key)
		return u
	case tcpRules:
		c.compileTCP(u, v, key)
		return u
	}
	for _, r := range v.rules {
		if len(r.http.Match) == 0 {
			u.add(r, nil, source{r.object, r.field}, c.compileAction(u, v, key, r))
			break
		}
		var a *action
		for i, m := range r.http.Match {
			if !c.applies(m, r.object.Namespace, key) {
				continue
			}
			if a == nil {
				a = c.compileAction(u, v, key, r)
			}
			if u.add(r, m, r.matches[i], a) {
				return u
			}
		}
	}
	return u
}

// applies says whether a match block is for this proxy: its port, its gateways, or,
// where it names none, the labels and the namespace of the workload.
func (c *Compiler) applies(m sourceMatch, namespace string, key unitKey) bool {
	if m.GetPort() != 0 && m.GetPort() != uint32(key.port) {
		return false
	}
	if gateways := m.GetGateways(); len(gateways) > 0 {
		return slices.ContainsFunc(gateways, func(g string) bool { return gatewayName(g, namespace) == key.gateway })
	}
	return selects(m.GetSourceLabels(), c.options.Labels) && (m.GetSourceNamespace() == "" || m.GetSourceNamespace() == c.options.Namespace)
}

// sourceMatch is what match blocks of all kinds of rules ask of a proxy.
type sourceMatch interface {
	GetPort() uint32
	GetGateways() []string
	GetSourceLabels() map[string]string
	GetSourceNamespace() string
}

// add makes a route of one match block of a rule. It returns whether the route takes
// all requests.
func (u *unit) add(r rule, m *networking.HTTPMatchRequest, origin source, a *action) bool {
	if a.empty() {
		return false
	}
	route := &router.Route{
		Name:   r.http.Name,
		Origin: originOf(origin.object, origin.field),
		Match:  compileMatch(m),
	}
	if m != nil && m.Name != "" {
		route.Name += "." + m.Name
	}
	if len(a.destinations) > 0 {
		route.Rewrite = compileRewrite(r.http, &route.Match)
	}
	a.apply(route)
	u.routes = append(u.routes, route)
	u.origins = append(u.origins, origin)
	return takesAll(&route.Match)
}

// destination returns the cluster that a destination means.
func (c *Compiler) destination(u *unit, v *virtualService, key unitKey, at source, d *networking.Destination) clusterUse {
	p := inferredPort{
		host:      c.registry.fullName(d.GetHost(), at.object.Namespace),
		namespace: v.object.Namespace,
		subset:    d.GetSubset(),
		explicit:  uint16(d.GetPort().GetNumber()),
		listener:  key.port,
	}
	p.key = c.infer(p)
	u.inferred = append(u.inferred, p)
	return clusterUse{key: p.key, object: at.object, field: at.field, host: d.GetHost()}
}

// infer works out a destination's cluster: an ExternalName service stands for
// another; without a port, the only one of the service serves, else the one that
// the request was sent to.
func (c *Compiler) infer(p inferredPort) clusterKey {
	host := c.registry.resolveAlias(p.host)
	port := p.explicit
	if port == 0 {
		port = p.listener
		if s := c.registry.lookupFrom(host, p.namespace); s != nil && len(s.ports) == 1 {
			port = s.ports[0].number
		}
	}
	return clusterKey{host: host, subset: p.subset, port: port}
}

// stale says whether the services or the DestinationRules have changed such that a
// destination of the unit means another cluster, is picked by a hash where it was
// not, or the other way round, or asks for another idle timeout.
func (c *Compiler) stale(u *unit) bool {
	for key, hashed := range u.hashed {
		if c.clusters.picksByHash(key) != hashed {
			return true
		}
	}
	for key, idle := range u.idle {
		if c.clusters.idleTimeoutOf(key) != idle {
			return true
		}
	}
	return slices.ContainsFunc(u.inferred, func(p inferredPort) bool { return c.infer(p) != p.key })
}
