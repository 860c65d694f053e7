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
	// overTLS: requests come out of TLS that ends here.
	overTLS bool
}

// ruleKind is which of a VirtualService's lists of rules is meant.
type ruleKind uint8

const (
	httpRules ruleKind = iota
	tlsRules
	tcpRules
)

// unit is a VirtualService's rules of one kind as routes. There is one for most of the
// hosts of a gateway, so that it has only what cannot be compiled again, and shares what
// others have too.
type unit struct {
	key    *unitKey
	routes []*router.Route
	// streams is nil where there are none.
	streams *streamRules
	// targets are the clusters named, each once.
	targets *targetList
	// next is the VirtualService's next one.
	next *unit
	// users counts the virtual hosts, or chains, that have its routes.
	users int32
}

// streamRules are those of tls and tcp rules, each with what it takes.
type streamRules struct{ list []*streamRule }

// targetList are the targets of units. It never changes.
type targetList struct{ list []target }

// target is a cluster that a unit names, with what the choice of it, or the routes, depend on
// beside the VirtualService.
type target struct {
	key clusterKey
	// host is the one that was meant, before aliases, and explicit the port; 0 where it was
	// worked out from what services there are.
	host     string
	explicit uint16
	// encrypted: it gets connections with the client's TLS in them.
	encrypted bool
	// hashed is what was found where it matters whether a hash picks its endpoints, and idle
	// the idle timeout that a destination of streams asks for.
	asksHash, hashed bool
	asksIdle         bool
	idle             time.Duration
}

// compilation is a unit that is being made, with what only conditions ask for.
type compilation struct {
	key     unitKey
	v       *virtualService
	routes  []*router.Route
	streams []*streamRule
	targets []target
	// targetAt has where each target is among many; nil where they are few.
	targetAt map[namedTarget]int
	// origins are where each route's match is written.
	origins []source
	// uses are the clusters named, each time that they are.
	uses []clusterUse
}

// namedTarget is what tells targets of one compilation apart.
type namedTarget struct {
	key      clusterKey
	host     string
	explicit uint16
}

// fewTargets is up to how many targets are looked through.
const fewTargets = 16

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

// unit returns a VirtualService's routes for a gateway, or "mesh", and a port.
func (c *Compiler) unit(v *virtualService, key unitKey) *unit {
	last := &v.units
	for ; *last != nil; last = &(*last).next {
		if u := *last; *u.key == key {
			return u
		}
	}
	made := c.compile(v, key)
	u := &unit{key: c.parts.key(key), routes: slices.Clip(slices.Clone(made.routes)), targets: c.parts.targets(made.targets)}
	if len(made.streams) > 0 {
		u.streams = &streamRules{slices.Clip(made.streams)}
	}
	*last = u
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
	for i := range u.targets.list {
		c.clusters.use(u.targets.list[i].key, by)
	}
	c.pending.judge[v] = struct{}{}
}

// compile makes routes of the rules for a gateway and port. It stops behind a rule
// that takes all requests.
func (c *Compiler) compile(v *virtualService, key unitKey) *compilation {
	u := &compilation{key: key, v: v}
	switch key.rules {
	case tlsRules:
		c.compileTLS(u)
		return u
	case tcpRules:
		c.compileTCP(u)
		return u
	}
	for _, r := range c.rulesOf(v) {
		if len(r.http.Match) == 0 {
			c.add(u, r, nil, source{r.object, r.field}, c.compileAction(u, r))
			break
		}
		var a *action
		for i, m := range r.http.Match {
			if !c.applies(m, r.object.Namespace, key) {
				continue
			}
			if a == nil {
				a = c.compileAction(u, r)
			}
			if c.add(u, r, m, r.matches[i], a) {
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
func (c *Compiler) add(u *compilation, r rule, m *networking.HTTPMatchRequest, origin source, a *action) bool {
	if a.empty() {
		return false
	}
	at := originOf(origin.object, origin.field)
	route := &router.Route{Object: c.parts.object(at), Field: c.strings.one(at.Field), Match: compileMatch(m)}
	route.Match.Path.Value = c.strings.one(route.Match.Path.Value)
	does := routeAction{name: r.http.Name, redirect: a.redirect, direct: a.direct, policy: a.common}
	if m != nil && m.Name != "" {
		does.name += "." + m.Name
	}
	does.name = c.strings.one(does.name)
	if len(a.destinations) > 0 {
		if rewrite := compileRewrite(r.http, &route.Match); rewrite != (router.Rewrite{}) {
			does.rewrite = c.parts.rewrite(rewrite)
		}
	}
	route.RouteAction = c.parts.action(does, a.destinations)
	u.routes = append(u.routes, route)
	u.origins = append(u.origins, origin)
	return takesAll(&route.Match)
}

// destination returns the cluster that a destination means.
func (c *Compiler) destination(u *compilation, at source, d *networking.Destination) (clusterUse, *target) {
	host := c.strings.one(c.registry.fullName(d.GetHost(), at.object.Namespace))
	explicit := uint16(d.GetPort().GetNumber())
	key := c.infer(u.v, host, c.strings.one(d.GetSubset()), explicit, u.key.port)
	return clusterUse{key: key, object: at.object, field: at.field, host: d.GetHost()}, u.target(key, host, explicit)
}

// target returns what the compilation knows of a cluster, of which it takes note.
func (u *compilation) target(key clusterKey, host string, explicit uint16) *target {
	named := namedTarget{key, host, explicit}
	at, ok := u.targetAt[named]
	if u.targetAt == nil {
		at = slices.IndexFunc(u.targets, func(t target) bool { return t.named() == named })
		ok = at >= 0
	}
	if ok {
		return &u.targets[at]
	}
	u.targets = append(u.targets, target{key: key, host: host, explicit: explicit})
	switch {
	case u.targetAt != nil:
		u.targetAt[named] = len(u.targets) - 1
	case len(u.targets) > fewTargets:
		u.targetAt = map[namedTarget]int{}
		for i, t := range u.targets {
			u.targetAt[t.named()] = i
		}
	}
	return &u.targets[len(u.targets)-1]
}

func (t *target) named() namedTarget { return namedTarget{t.key, t.host, t.explicit} }

// infer works out a destination's cluster: an ExternalName service stands for
// another; without a port, the only one of the service serves, else the one that
// the request was sent to.
func (c *Compiler) infer(v *virtualService, host, subset string, explicit, listener uint16) clusterKey {
	host = c.registry.resolveAlias(host)
	port := explicit
	if port == 0 {
		port = listener
		if s := c.registry.lookupFrom(host, v.object.Namespace); s != nil && len(s.ports) == 1 {
			port = s.ports[0].number
		}
	}
	return clusterKey{host: host, subset: subset, port: port}
}

// stale says whether the services or the DestinationRules have changed such that a
// destination of the unit means another cluster, is picked by a hash where it was
// not, or the other way round, or asks for another idle timeout.
func (c *Compiler) stale(v *virtualService, u *unit) bool {
	return slices.ContainsFunc(u.targets.list, func(t target) bool {
		return t.asksHash && c.clusters.picksByHash(t.key) != t.hashed || t.asksIdle && c.clusters.idleTimeoutOf(t.key) != t.idle ||
			c.infer(v, t.host, t.key.subset, t.explicit, u.key.port) != t.key
	})
}
