package istio

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
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
