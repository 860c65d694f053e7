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

// virtualService is one VirtualService in force, with its names resolved: what has to be at
// hand whatever changes. What else it says is in its reading.
type virtualService struct {
	object *config.Object
	// hosts are fully qualified and in lower case, each once.
	hosts []string
	// gateways are "namespace/name" or "mesh".
	gateways   *names
	visibility visibility
	// written is how many hosts it names, and rules how many of each kind it has.
	written int32
	rules   [3]int32
	// destinations are the hosts that its rules send requests to.
	destinations *names
	// more is what few have; nil where this one has nothing of it.
	more *particulars
	// reading is its text as it was read; nil but while it is needed: see Compiler.open.
	reading *reading
	// units are its compiled forms, the first of them: see eachUnit.
	units *unit
	// claims are what it has claims on, behind a gateway.
	claims attachment
}

// key is the object's.
func (v *virtualService) key() config.Key { return v.object.Key }

// name is the object's.
func (v *virtualService) name() objectName { return objectName{v.object.Namespace, v.object.Name} }

// particulars are what few VirtualServices have.
type particulars struct {
	// delegates are the VirtualServices that its rules delegate to.
	delegates []objectName
	// shorts are the hosts that short names of it may stand for.
	shorts []string
	// conditions are those that hold whatever else there is.
	conditions []config.Condition
}

// particulars returns what few have: the zero value of it in most cases.
func (v *virtualService) particulars() particulars {
	if v.more == nil {
		return particulars{}
	}
	return *v.more
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

// compareVirtualServices orders VirtualServices that a proxy sees: those private to its
// namespace, those exported to it, those for all; the oldest first in each.
func compareVirtualServices(a, b *virtualService) int {
	if a.visibility != b.visibility {
		return int(a.visibility) - int(b.visibility)
	}
	return ageOf(a.object).compare(ageOf(b.object))
}

// newVirtualService resolves the names of a VirtualService, without its rules.
func (c *Compiler) newVirtualService(o *config.Object, r *reading) *virtualService {
	spec := r.spec
	v := &virtualService{
		object:     o,
		visibility: visibleTo(spec.ExportTo, o.Namespace, c.options.Namespace),
		written:    int32(len(spec.Hosts)),
		rules:      [3]int32{httpRules: int32(len(spec.Http)), tlsRules: int32(len(spec.Tls)), tcpRules: int32(len(spec.Tcp))},
	}
	c.keep(v, r)
	var hosts distinct
	for _, h := range spec.Hosts {
		if o.Derived == nil {
			h = c.registry.fullName(h, o.Namespace)
		}
		hosts.add(c.strings.one(h))
	}
	v.hosts = slices.Clip(hosts.list)
	v.gateways = c.gatewaysOf(spec, o.Namespace)
	return v
}

// eachUnit yields its compiled forms.
func (v *virtualService) eachUnit() iter.Seq[*unit] {
	return func(yield func(*unit) bool) {
		for u := v.units; u != nil && yield(u); u = u.next {
		}
	}
}

// gatewaysOf returns the gateways that a VirtualService is for. Most are for the same.
func (c *Compiler) gatewaysOf(spec *networking.VirtualService, namespace string) *names {
	if len(spec.Gateways) == 0 {
		return meshOnly
	}
	list := make([]string, len(spec.Gateways))
	for i, g := range spec.Gateways {
		list[i] = c.strings.one(gatewayName(g, namespace))
	}
	return c.strings.list(list)
}

// meshOnly are the gateways of a VirtualService that names none.
var meshOnly = &names{[]string{mesh}}

// claimConditions says which matches look at claims of a token.
func (v *virtualService) claimConditions() []config.Condition {
	var out []config.Condition
	for i, r := range v.reading.spec.Http {
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
func (v *virtualService) isDelegate() bool { return v.written == 0 }

// hostsWritten yields the hosts that the VirtualService itself names, as written.
func (v *virtualService) hostsWritten() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, h := range v.reading.spec.Hosts {
			if !yield(h) {
				return
			}
		}
		for _, http := range v.reading.spec.Http {
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
		for _, r := range v.reading.spec.Tls {
			routes = append(routes, r.Route...)
		}
		for _, r := range v.reading.spec.Tcp {
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
	return v.visibility != invisible && slices.Contains(v.gateways.all(), gateway)
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
	// In order, so that what is made of neighbours lies together.
	names := slices.SortedFunc(maps.Keys(changed), objectName.compare)
	for _, name := range names {
		if v := c.virtualService(name); v != nil {
			c.detach(name, v)
		}
	}
	for _, name := range names {
		if v := c.resolve(name); v != nil {
			c.virtualServices.Set(v)
		}
	}
	for _, name := range names {
		if v := c.virtualService(name); v != nil {
			c.attach(name, v)
		}
	}
}

// resolve returns the VirtualService of a name as it is in force.
func (c *Compiler) resolve(name objectName) *virtualService {
	o := c.objects.byKey.Get(name.virtualService())
	if o == nil || o.typed == nil {
		return nil
	}
	typed, _ := o.typed.(*resource.VirtualService)
	return c.newVirtualService(o.inForce, c.read(o.inForce, typed))
}

// detach takes a VirtualService out of force.
func (c *Compiler) detach(name objectName, v *virtualService) {
	c.virtualServices.Delete(name.virtualService())
	c.conditions.replace(v, nil)
	for _, d := range v.particulars().delegates {
		takeFrom(c.delegators, d, name)
	}
	for _, host := range v.destinations.all() {
		if callers := c.callers[host]; callers != nil {
			if callers.Delete(v.key()); callers.Len() == 0 {
				delete(c.callers, host)
			}
		}
	}
	for _, full := range v.particulars().shorts {
		c.forgetFull(v.object.Key, full)
	}
	if c.gateway != nil {
		c.gateway.detach(v)
	} else {
		c.outbound.detach(v)
	}
}

// expandFirst works out a VirtualService's rules, and what few have.
func (c *Compiler) expandFirst(v *virtualService) particulars {
	x := c.expand(v)
	v.reading.rules, v.reading.expanded = x.rules, true
	more := particulars{delegates: x.delegates, conditions: slices.Concat(c.meshConditions(v), v.claimConditions(), x.conditions)}
	var shorts distinct
	for host := range v.hostsWritten() {
		if full, ok := c.longest(host, v.object.Namespace); ok {
			shorts.add(full)
		}
	}
	more.shorts = shorts.list
	if len(more.delegates)+len(more.conditions)+len(more.shorts) > 0 {
		v.more = &more
	}
	return more
}

// attach brings a VirtualService into force.
func (c *Compiler) attach(name objectName, v *virtualService) {
	more := c.expandFirst(v)
	for _, d := range more.delegates {
		addTo(c.delegators, d, name)
	}
	v.destinations = c.destinationsOf(v)
	for _, host := range v.destinations.all() {
		if c.callers[host] == nil {
			c.callers[host] = config.NewKeyed((*virtualService).key)
		}
		c.callers[host].Set(v)
	}
	for _, full := range more.shorts {
		addTo(c.shortNames, full, v.object.Key)
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
	for _, r := range c.rulesOf(v) {
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

// takeFrom takes v out of the set of k, which goes with its last.
func takeFrom[K, V comparable](m map[K]map[V]struct{}, k K, v V) {
	if delete(m[k], v); len(m[k]) == 0 {
		delete(m, k)
	}
}

// destinationsOf returns the hosts that a VirtualService sends requests to. Of one
// that is named in short it returns the full name too, whether it is meant or not.
func (c *Compiler) destinationsOf(v *virtualService) *names {
	var hosts []string
	add := func(d *networking.Destination, namespace string) {
		hosts = append(hosts, c.registry.fullName(d.GetHost(), namespace))
		if full, ok := c.longest(d.GetHost(), namespace); ok {
			hosts = append(hosts, full)
		}
	}
	for _, r := range c.rulesOf(v) {
		for d, namespace := range r.destinationsIn() {
			add(d, namespace)
		}
	}
	for d := range v.streamDestinations() {
		add(d, v.object.Namespace)
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	for i, h := range hosts {
		hosts[i] = c.strings.one(h)
	}
	return c.strings.list(hosts)
}
