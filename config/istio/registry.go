package istio

import (
	"slices"

	"github.com/sluicegate/sluice/config"
)

// registry holds the services by host, and which of several that share a host this
// proxy uses.
type registry struct {
	namespace string
	domain    string
	role      Role
	// imported says whether a Sidecar imports a service; nil on a gateway.
	// routed counts the VirtualServices that import a host by routing to it.
	imported    func(*service) bool
	routed      map[string]int
	byHost      map[string]*hostServices
	byObject    map[config.Key][]*service
	byNamespace map[string]map[config.Key]struct{}
	// aliases are, by the host that they stand for, the hosts of ExternalName services.
	aliases map[string]map[string]struct{}
	// kubeHosts counts the Kubernetes Services of a host; named are the hosts where
	// the first came, or the last went, since the last look.
	kubeHosts map[string]int
	named     map[string]struct{}
	// changed are the hosts whose services changed since the last look.
	changed map[string]struct{}
}

// hostServices are the services of one host, the oldest first.
type hostServices struct {
	all []*service
	// chosen is the one that this proxy uses, nil where it sees none. Its ports are
	// those of all the entries for the host in its namespace.
	chosen *service
}

func newRegistry(o Options) *registry {
	return &registry{
		namespace:   o.Namespace,
		domain:      o.Domain,
		kubeHosts:   map[string]int{},
		role:        o.Role,
		byHost:      map[string]*hostServices{},
		byObject:    map[config.Key][]*service{},
		byNamespace: map[string]map[config.Key]struct{}{},
		routed:      map[string]int{},
		aliases:     map[string]map[string]struct{}{},
		named:       map[string]struct{}{},
		changed:     map[string]struct{}{},
	}
}

// replace sets the services that an object makes; none where it is gone.
func (r *registry) replace(key config.Key, services []*service) {
	for _, s := range r.byObject[key] {
		h := r.byHost[s.host]
		h.all = slices.DeleteFunc(h.all, func(other *service) bool { return other == s })
		if s.alias != "" {
			takeFrom(r.aliases, s.alias, s.host)
			r.changed[s.alias] = struct{}{}
		}
		r.countKube(s, -1)
		r.changed[s.host] = struct{}{}
	}
	if len(services) == 0 {
		delete(r.byObject, key)
		takeFrom(r.byNamespace, key.Namespace, key)
		return
	}
	r.byObject[key] = services
	addTo(r.byNamespace, key.Namespace, key)
	for _, s := range services {
		h := r.byHost[s.host]
		if h == nil {
			h = &hostServices{}
			r.byHost[s.host] = h
		}
		at, _ := slices.BinarySearchFunc(h.all, s, r.compare)
		h.all = slices.Insert(h.all, at, s)
		if s.alias != "" {
			addTo(r.aliases, s.alias, s.host)
			r.changed[s.alias] = struct{}{}
		}
		r.countKube(s, 1)
		r.changed[s.host] = struct{}{}
	}
}

// countKube keeps count of the hosts that short names may stand for.
func (r *registry) countKube(s *service, by int) {
	if !s.kube {
		return
	}
	before := r.kubeHosts[s.host]
	if r.kubeHosts[s.host] += by; (before == 0) != (before+by == 0) {
		r.named[s.host] = struct{}{}
	}
	if before+by == 0 {
		delete(r.kubeHosts, s.host)
	}
}

// compare orders services of one host: those that this namespace sees by name
// before those that everybody sees, then the oldest first.
func (r *registry) compare(a, b *service) int {
	if va, vb := r.visibility(a), r.visibility(b); va != vb {
		return int(va) - int(vb)
	}
	if order := ageOf(a.object).compare(ageOf(b.object)); order != 0 || a.kube == b.kube {
		return order
	}
	return yesFirst(a.kube)
}

func (r *registry) visibility(s *service) visibility {
	return visibleTo(s.exportTo, s.namespace, r.namespace)
}

// route counts that a VirtualService routes to a host, or with -1 that one no longer
// does.
func (r *registry) route(host string, by int) {
	before := r.routed[host]
	if r.routed[host] += by; before+by == 0 {
		delete(r.routed, host)
	}
	h := r.byHost[host]
	if (before == 0) != (before+by == 0) && h != nil && (h.chosen == nil || !r.imported(h.chosen)) {
		r.changed[host] = struct{}{}
	}
}

// settle chooses anew for the hosts that changed, and returns them.
func (r *registry) settle() map[string]struct{} {
	changed := r.changed
	r.changed = map[string]struct{}{}
	for host := range changed {
		h := r.byHost[host]
		if h == nil {
			continue
		}
		if len(h.all) == 0 {
			delete(r.byHost, host)
			continue
		}
		h.chosen = merge(r.choose(h.all, r.imported))
		if h.chosen == nil && r.routed[host] > 0 {
			h.chosen = merge(r.choose(h.all, nil))
		}
	}
	return changed
}

// choose returns the services of one host that this proxy uses: all of one
// namespace, the Kubernetes Service first where there is one. Of services that are
// not imported none is taken.
func (r *registry) choose(all []*service, imported func(*service) bool) []*service {
	visible := slices.DeleteFunc(slices.Clone(all), func(s *service) bool {
		return r.visibility(s) == invisible || imported != nil && !imported(s)
	})
	if len(visible) == 0 {
		return nil
	}
	first := visible[0]
	for _, s := range visible[1:] {
		own := r.role == Sidecar && first.namespace == r.namespace
		switch {
		case r.role == Sidecar && s.namespace == r.namespace:
			if !own || s.kube && !first.kube {
				first = s
			}
		case !own && s.kube && !first.kube:
			first = s
		}
	}
	chosen := []*service{first}
	for _, s := range visible {
		if s != first && s.namespace == first.namespace {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// merge makes one service of several for the same host. The first gives all but the
// ports that only others have. A Kubernetes Service takes no ports from entries.
func merge(services []*service) *service {
	if len(services) == 0 {
		return nil
	}
	first := services[0]
	if first.kube || len(services) == 1 {
		return first
	}
	merged := *first
	merged.ports = slices.Clone(first.ports)
	has := make(map[uint16]bool, len(merged.ports))
	for _, p := range merged.ports {
		has[p.number] = true
	}
	for _, s := range services[1:] {
		if s.kube || s.resolution != first.resolution {
			continue
		}
		for _, p := range s.ports {
			if !has[p.number] {
				has[p.number] = true
				merged.ports = append(merged.ports, p)
			}
		}
	}
	merged.portAt = indexPorts(merged.ports)
	return &merged
}

// lookup returns the service that this proxy uses for a host, nil where there is
// none that it sees.
func (r *registry) lookup(host string) *service {
	if h := r.byHost[host]; h != nil {
		return h.chosen
	}
	return nil
}

// lookupFrom prefers the service of a namespace, that of the VirtualService that
// names the host, where this proxy sees it.
func (r *registry) lookupFrom(host, namespace string) *service {
	h := r.byHost[host]
	if h == nil {
		return nil
	}
	if r.role == Gateway && h.chosen != nil && h.chosen.namespace != namespace {
		for _, s := range h.all {
			if s.namespace == namespace && r.visibility(s) != invisible {
				return s
			}
		}
	}
	return h.chosen
}

// exists says whether any namespace has a service for the host, seen from here or not.
func (r *registry) exists(host string) bool { return r.byHost[host] != nil }

// resolveAlias follows an ExternalName service to the service that it stands for.
// It returns the host itself where it is no alias or leads nowhere known.
func (r *registry) resolveAlias(host string) string {
	for range 8 {
		s := r.lookup(host)
		if s == nil || s.alias == "" || r.lookup(s.alias) == nil {
			return host
		}
		host = s.alias
	}
	return host
}

// aliasesOf returns the hosts of the ExternalName services that stand for a host,
// some through others.
func (r *registry) aliasesOf(host string) []string {
	var all []string
	for at := []string{host}; len(at) > 0; at = at[1:] {
		for alias := range r.aliases[at[0]] {
			if alias != host && !slices.Contains(all, alias) {
				all = append(all, alias)
				at = append(at, alias)
			}
		}
	}
	slices.Sort(all)
	return all
}

// parts are the services whose endpoints make up those of s.
func (r *registry) parts(s *service) []*service {
	h := r.byHost[s.host]
	if h == nil || len(h.all) == 1 {
		return []*service{s}
	}
	var parts []*service
	for _, other := range h.all {
		if other.namespace == s.namespace && r.visibility(other) != invisible {
			parts = append(parts, other)
		}
	}
	return parts
}
