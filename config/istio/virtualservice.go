package istio

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// virtualService is one VirtualService in force, with its names resolved.
type virtualService struct {
	object *config.Object
	spec   *networking.VirtualService
	rank   rank
	// hosts are fully qualified and in lower case, each once.
	hosts []string
	// gateways are "namespace/name" or "mesh".
	gateways []string
	// rules are its HTTP rules, those of its delegates in place.
	rules []rule
	// delegates are the VirtualServices that its rules delegate to.
	delegates []objectName
	// destinations are the hosts that its rules send requests to.
	destinations []string
	// conditions are those that hold whatever else there is.
	conditions []config.Condition
	// policies are those of its own rules, by their paths.
	policies map[string]RoutePolicy
	// units are its compiled forms.
	units map[unitKey]*unit
}

// rule is an HTTP rule and where it is written.
type rule struct {
	http   *networking.HTTPRoute
	object *config.Object
	// field is the rule's path in object, such as "http[2]".
	field string
	// matches are the paths of the match blocks, which may come from another object;
	// mirror and mirrors are the rules that those fields come from, which may too.
	matches         []source
	mirror, mirrors source
}

// source is a field of an object.
type source struct {
	object *config.Object
	field  string
}

// rank orders VirtualServices that a proxy sees: those private to its namespace,
// those exported to it, those for all; the oldest first in each.
type rank struct {
	visibility visibility
	age        age
}

func (r rank) compare(other rank) int {
	if r.visibility != other.visibility {
		return int(r.visibility) - int(other.visibility)
	}
	return r.age.compare(other.age)
}

func compareVirtualServices(a, b *virtualService) int { return a.rank.compare(b.rank) }

// newVirtualService resolves the names of a VirtualService, without its rules.
func (c *Compiler) newVirtualService(o *config.Object, spec *networking.VirtualService) *virtualService {
	v := &virtualService{
		object: o,
		spec:   spec,
		rank:   rank{visibleTo(spec.ExportTo, o.Namespace, c.options.Namespace), ageOf(o)},
		units:  map[unitKey]*unit{},
	}
	for _, h := range spec.Hosts {
		if o.Derived == nil {
			h = c.registry.fullName(h, o.Namespace)
		}
		if !slices.Contains(v.hosts, h) {
			v.hosts = append(v.hosts, h)
		}
	}
	for _, g := range spec.Gateways {
		v.gateways = append(v.gateways, gatewayName(g, o.Namespace))
	}
	if len(v.gateways) == 0 {
		v.gateways = []string{mesh}
	}
	v.conditions = append(c.meshConditions(v), v.claimConditions()...)
	return v
}

// claimConditions says which matches look at claims of a token.
func (v *virtualService) claimConditions() []config.Condition {
	var out []config.Condition
	for i, r := range v.spec.Http {
		for j, m := range r.Match {
			for _, in := range []struct {
				field   string
				headers map[string]*networking.StringMatch
			}{{"headers", m.Headers}, {"withoutHeaders", m.WithoutHeaders}} {
				for name := range in.headers {
					if strings.HasPrefix(strings.ToLower(name), "@request.auth.claims") {
						out = append(out, newCondition(config.Warning, ClaimNotServed, v.object, fmt.Sprintf("http[%d].match[%d].%s[%s]", i, j, in.field, name),
							"claims of tokens are not read by this version: the request counts as having none"))
					}
				}
			}
		}
	}
	return out
}

// isDelegate says whether other VirtualServices delegate to this one: it has no hosts.
func (v *virtualService) isDelegate() bool { return len(v.spec.Hosts) == 0 }

// hostsWritten yields the hosts that the VirtualService itself names, as written.
func (v *virtualService) hostsWritten() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, h := range v.spec.Hosts {
			if !yield(h) {
				return
			}
		}
		for _, http := range v.spec.Http {
			own := source{object: v.object}
			for d := range (rule{http: http, object: v.object, mirror: own, mirrors: own}).destinationsIn() {
				if !yield(d.GetHost()) {
					return
				}
			}
		}
		for d := range v.streamDestinations() {
			if !yield(d.GetHost()) {
				return
			}
		}
	}
}

// streamDestinations yields the destinations of tls and tcp rules.
func (v *virtualService) streamDestinations() iter.Seq[*networking.Destination] {
	return func(yield func(*networking.Destination) bool) {
		var routes []*networking.RouteDestination
		for _, r := range v.spec.Tls {
			routes = append(routes, r.Route...)
		}
		for _, r := range v.spec.Tcp {
			routes = append(routes, r.Route...)
		}
		for _, r := range routes {
			if !yield(r.Destination) {
				return
			}
		}
	}
}

// bound says whether the VirtualService is for a gateway, or "mesh", and seen here.
func (v *virtualService) bound(gateway string) bool {
	return v.rank.visibility != invisible && slices.Contains(v.gateways, gateway)
}

// settleVirtualServices takes the VirtualServices that changed, with those that
// delegate to them.
func (c *Compiler) settleVirtualServices() {
	changed := c.pending.virtualServices
	c.pending.virtualServices = map[objectName]struct{}{}
	for name := range maps.Clone(changed) {
		for root := range c.delegators[name] {
			changed[root] = struct{}{}
		}
	}
	if len(changed) == 0 {
		return
	}
	c.foreign.touch(c, changed)
	defer c.foreign.touch(c, changed)
	for name := range changed {
		if v := c.virtualServices[name]; v != nil {
			c.detach(name, v)
		}
	}
	for name := range changed {
		if v := c.resolve(name); v != nil {
			c.virtualServices[name] = v
		}
	}
	for name := range changed {
		if v := c.virtualServices[name]; v != nil {
			c.attach(name, v)
		}
	}
}

// resolve returns the VirtualService of a name as it is in force.
func (c *Compiler) resolve(name objectName) *virtualService {
	o := c.objects.byKey[config.Key{Group: "networking.istio.io", Kind: "VirtualService", Namespace: name.namespace, Name: name.name}]
	if o == nil || o.typed == nil {
		return nil
	}
	typed := o.typed.(*resource.VirtualService)
	v := c.newVirtualService(o.inForce, &typed.Spec)
	v.policies, _ = routePolicies(o.inForce, typed)
	return v
}

// detach takes a VirtualService out of force.
func (c *Compiler) detach(name objectName, v *virtualService) {
	delete(c.virtualServices, name)
	c.conditions.replace(v, nil)
	for _, d := range v.delegates {
		delete(c.delegators[d], name)
	}
	for _, host := range v.destinations {
		delete(c.callers[host], name)
		if len(c.callers[host]) == 0 {
			delete(c.callers, host)
		}
	}
	for host := range v.hostsWritten() {
		c.forgetShort(v.object.Key, host, v.object.Namespace)
	}
	if c.gateway != nil {
		c.gateway.detach(v)
	} else {
		c.outbound.detach(v)
	}
}

// attach brings a VirtualService into force.
func (c *Compiler) attach(name objectName, v *virtualService) {
	v.expand(func(d objectName) *virtualService { return c.virtualServices[d] })
	for _, d := range v.delegates {
		addTo(c.delegators, d, name)
	}
	v.destinations = c.destinationsOf(v)
	for _, host := range v.destinations {
		addTo(c.callers, host, name)
	}
	for host := range v.hostsWritten() {
		c.noteShort(v.object.Key, host, v.object.Namespace)
	}
	if c.gateway != nil {
		if !c.pending.gateways {
			c.gateway.attach(v)
		}
	} else {
		c.outbound.attach(v)
	}
	c.pending.judge[v] = struct{}{}
}

// destinationsImported returns the hosts that a sidecar knows because the
// VirtualService sends requests there. As in Istio, a rule with a match block for
// another namespace, and none before or after it for this one, imports nothing.
func (c *Compiler) destinationsImported(v *virtualService) []string {
	var hosts []string
	for _, r := range v.rules {
		own, others := false, false
		for _, m := range r.http.Match {
			own = own || m.SourceNamespace == c.options.Namespace
			others = others || m.SourceNamespace != "" && m.SourceNamespace != c.options.Namespace
		}
		if others && !own {
			continue
		}
		for d, namespace := range r.destinationsIn() {
			hosts = append(hosts, c.registry.fullName(d.GetHost(), namespace))
		}
	}
	return hosts
}

func addTo[K, V comparable](m map[K]map[V]struct{}, k K, v V) {
	if m[k] == nil {
		m[k] = map[V]struct{}{}
	}
	m[k][v] = struct{}{}
}

// destinationsOf returns the hosts that a VirtualService sends requests to. Of one
// that is named in short it returns the full name too, whether it is meant or not.
func (c *Compiler) destinationsOf(v *virtualService) []string {
	var hosts []string
	add := func(d *networking.Destination, namespace string) {
		hosts = append(hosts, c.registry.fullName(d.GetHost(), namespace))
		if full, ok := c.longest(d.GetHost(), namespace); ok {
			hosts = append(hosts, full)
		}
	}
	for _, r := range v.rules {
		for d, namespace := range r.destinationsIn() {
			add(d, namespace)
		}
	}
	for d := range v.streamDestinations() {
		add(d, v.object.Namespace)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
