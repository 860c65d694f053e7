package istio

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/resource"
	"github.com/sluicegate/sluice/router"
)

// sidecarConfig is one Sidecar in force.
type sidecarConfig struct {
	object *config.Object
	spec   *networking.Sidecar
}

// sidecarFor returns the Sidecar for this workload, nil where there is none: the
// oldest of its namespace that selects it, else one there without a selector, else
// one without a selector in the root namespace.
func (c *Compiler) sidecarFor(all map[config.Key]*sidecarConfig) *sidecarConfig {
	var best *sidecarConfig
	bestClass := 3
	for _, s := range all {
		class := 3
		switch selector := s.spec.WorkloadSelector; {
		case s.object.Namespace == c.options.Namespace && selector != nil:
			if selects(selector.Labels, c.options.Labels) {
				class = 0
			}
		case s.object.Namespace == c.options.Namespace:
			class = 1
		case s.object.Namespace == c.options.RootNamespace && selector == nil:
			class = 2
		}
		if class < bestClass || class == bestClass && class < 3 && ageOf(s.object).compare(ageOf(best.object)) < 0 {
			best, bestClass = s, class
		}
	}
	return best
}

// egressScope is what one egress listener of a Sidecar imports. A workload without
// a Sidecar imports everything.
type egressScope struct {
	// port is the port that the scope is for; 0 means all that have none of their own.
	port uint16
	// byNamespace are the imported hosts, by the namespace that they are taken from;
	// "*" is for all namespaces.
	byNamespace map[string][]string

	// exact and wildcard are the VirtualServices imported, by their hosts.
	exact, wildcard map[string][]*virtualService
}

func newEgressScope(port uint32, hosts []string, namespace string) *egressScope {
	s := &egressScope{
		port:        uint16(port),
		byNamespace: map[string][]string{},
		exact:       map[string][]*virtualService{},
		wildcard:    map[string][]*virtualService{},
	}
	for _, h := range hosts {
		ns, host, ok := strings.Cut(strings.ToLower(h), "/")
		if !ok {
			continue
		}
		if ns == "." {
			ns = namespace
		}
		s.byNamespace[ns] = append(s.byNamespace[ns], host)
	}
	return s
}

// egressScopes returns the scopes of a Sidecar, in the order in which a port looks
// for one.
func egressScopes(s *sidecarConfig, namespace string) []*egressScope {
	everything := newEgressScope(0, []string{"*/*"}, namespace)
	if s == nil || len(s.spec.Egress) == 0 {
		return []*egressScope{everything}
	}
	var scopes []*egressScope
	for _, e := range s.spec.Egress {
		if e.GetPort() != nil && strings.EqualFold(e.GetPort().GetProtocol(), "HTTP_PROXY") {
			continue
		}
		scopes = append(scopes, newEgressScope(e.GetPort().GetNumber(), e.Hosts, namespace))
	}
	return scopes
}

// importsService says whether the scope imports a host of a namespace.
func (s *egressScope) importsService(s2 *service) bool {
	for _, hosts := range [][]string{s.byNamespace[s2.namespace], s.byNamespace["*"]} {
		if slices.ContainsFunc(hosts, func(h string) bool { return covers(h, s2.host) }) {
			return true
		}
	}
	return false
}

// importsVirtualService says whether the scope imports a VirtualService: one of its
// hosts is imported, or covers one that is.
func (s *egressScope) importsVirtualService(v *virtualService) bool {
	for _, hosts := range [][]string{s.byNamespace[v.object.Namespace], s.byNamespace["*"]} {
		for _, imported := range hosts {
			if slices.ContainsFunc(v.hosts, func(h string) bool { return overlaps(h, imported) }) {
				return true
			}
		}
	}
	return false
}

// add files a VirtualService under its hosts.
func (s *egressScope) add(v *virtualService) {
	for _, h := range v.hosts {
		index := s.exact
		if isWildcard(h) {
			index = s.wildcard
		}
		at, _ := slices.BinarySearchFunc(index[h], v, compareVirtualServices)
		index[h] = slices.Insert(index[h], at, v)
	}
}

func (s *egressScope) remove(v *virtualService) {
	for _, h := range v.hosts {
		index := s.exact
		if isWildcard(h) {
			index = s.wildcard
		}
		index[h] = slices.DeleteFunc(index[h], func(other *virtualService) bool { return other == v })
		if len(index[h]) == 0 {
			delete(index, h)
		}
	}
}

// virtualServicesFor returns the VirtualServices that may route a service's host, in
// order: those with the very host, or, where there are none, the first of those
// with the longest wildcard.
func (s *egressScope) virtualServicesFor(host string) []*virtualService {
	if exact := s.exact[host]; len(exact) > 0 {
		return exact
	}
	all := func([]*virtualService) bool { return true }
	if wild, ok := mostSpecific(s.wildcard, host, all); ok {
		return wild[:1]
	}
	return nil
}

// covering returns all VirtualServices with the host or a wildcard over it.
func (s *egressScope) covering(host string) []*virtualService {
	out := slices.Clone(s.exact[host])
	mostSpecific(s.wildcard, host, func(v []*virtualService) bool {
		out = append(out, v...)
		return false
	})
	return out
}

func (c *Compiler) takeSidecar(ch change) {
	if c.outbound == nil {
		return
	}
	if old := c.outbound.sidecars[ch.key]; old != nil {
		c.conditions.replace(old, nil)
		delete(c.outbound.sidecars, ch.key)
	}
	if s, ok := ch.typed.(*resource.Sidecar); ok {
		c.outbound.sidecars[ch.key] = &sidecarConfig{ch.after, &s.Spec}
	}
	c.outbound.rescope = true
}

// settleScope finds the Sidecar for this workload. Where it is another one, all
// services and VirtualServices are looked at anew.
func (o *outbound) settleScope() {
	if !o.rescope {
		return
	}
	o.rescope = false
	now := o.compiler.sidecarFor(o.sidecars)
	if now == o.sidecar && o.scopes != nil {
		return
	}
	if o.sidecar != nil {
		o.compiler.conditions.replace(o.sidecar, nil)
		o.compiler.forgetShort(o.sidecar.object.Key, o.sidecar.egressProxy(), o.sidecar.object.Namespace)
	}
	if o.sidecar = now; now != nil {
		o.compiler.noteShort(now.object.Key, now.egressProxy(), now.object.Namespace)
	}
	o.scopes = egressScopes(now, o.compiler.options.Namespace)
	for v := range o.inForce {
		o.route(v, -1)
		o.file(v)
	}
	if now != nil {
		o.compiler.conditions.replace(now, now.conditions())
	}
	scopes := o.scopes
	o.compiler.registry.imported = func(s *service) bool {
		return slices.ContainsFunc(scopes, func(e *egressScope) bool { return e.importsService(s) })
	}
	for host := range o.compiler.registry.byHost {
		o.compiler.registry.changed[host] = struct{}{}
	}
	o.setFallback()
	for _, t := range o.tables {
		t.fresh, t.scope = true, o.scopeOf(t.port)
	}
}

// conditions says which of a Sidecar's listeners are not served.
func (s *sidecarConfig) conditions() []config.Condition {
	var out []config.Condition
	for i, e := range s.spec.Egress {
		if e.GetPort() != nil && strings.EqualFold(e.GetPort().GetProtocol(), "HTTP_PROXY") {
			out = append(out, newCondition(config.Warning, ListenerNotServed, s.object, fmt.Sprintf("egress[%d].port.protocol", i),
				"HTTP_PROXY: proxy listeners are not served by this version; the listener is left out"))
		}
	}
	return out
}

// egressProxy is the host that takes the traffic nobody knows, as written; empty
// where there is none.
func (s *sidecarConfig) egressProxy() string {
	return s.spec.GetOutboundTrafficPolicy().GetEgressProxy().GetHost()
}

// scopeOf returns the scope for a port, nil where no egress listener takes it.
func (o *outbound) scopeOf(port uint16) *egressScope {
	for _, s := range o.scopes {
		if s.port == 0 || s.port == port {
			return s
		}
	}
	return nil
}

// setFallback makes the virtual host for hosts that nobody knows: they are passed
// through, or refused with 502 where only the registry's are allowed.
func (o *outbound) setFallback() {
	use, vh := clusterKey{}, &router.VirtualHost{Name: "block_all", Domains: []string{"*"}}
	var policy *networking.OutboundTrafficPolicy
	if o.sidecar != nil {
		policy = o.sidecar.spec.OutboundTrafficPolicy
	}
	if policy == nil || policy.Mode != networking.OutboundTrafficPolicy_REGISTRY_ONLY {
		vh.Name, use = "allow_any", passthrough
		if p := policy.GetEgressProxy(); p != nil {
			use = clusterKey{
				host:   o.compiler.registry.fullName(p.Host, o.sidecar.object.Namespace),
				subset: p.Subset, port: uint16(p.GetPort().GetNumber()),
			}
		}
		vh.Routes = []*router.Route{{RouteAction: &router.RouteAction{Name: vh.Name, Destinations: []router.Destination{{Cluster: use.String(), Weight: 1}}}}}
	} else {
		vh.Routes = []*router.Route{{RouteAction: &router.RouteAction{Name: vh.Name, Direct: &router.DirectResponse{Status: 502}}}}
	}
	if o.fallbackUse != (clusterKey{}) {
		o.compiler.clusters.use(o.fallbackUse, -1)
	}
	if use != (clusterKey{}) {
		o.compiler.clusters.use(use, 1)
	}
	o.fallbackUse = use
	if o.fallback != nil && reflect.DeepEqual(o.fallback, vh) {
		return
	}
	o.fallback = vh
	o.fallbackTable = &router.RouteTable{Name: vh.Name, VirtualHosts: []*router.VirtualHost{vh}}
	for _, t := range o.tables {
		t.changed = true
	}
}
