package istio

import (
	"maps"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// outbound is a sidecar's outbound listener: a table for each port on which a
// service may speak HTTP, and one for all other ports.
type outbound struct {
	compiler *Compiler
	sidecars map[config.Key]*sidecarConfig
	sidecar  *sidecarConfig
	scopes   []*egressScope
	// inForce are the VirtualServices for sidecars, with the hosts that each imports
	// by routing to them.
	inForce map[*virtualService][]string

	tables map[uint16]*meshTable
	// portsOf are the ports of the tables that have a service's host.
	portsOf map[string][]uint16
	// changed are the hosts to look at anew, in all tables.
	changed map[string]struct{}

	// fallback takes the requests for hosts that nobody knows.
	fallback      *router.VirtualHost
	fallbackUse   clusterKey
	fallbackTable *router.RouteTable
	listener      *router.Listener
	rescope       bool
}

func newOutbound(c *Compiler) *outbound {
	return &outbound{
		compiler: c,
		sidecars: map[config.Key]*sidecarConfig{},
		inForce:  map[*virtualService][]string{},
		tables:   map[uint16]*meshTable{},
		portsOf:  map[string][]uint16{},
		changed:  map[string]struct{}{},
		rescope:  true,
	}
}

// attach brings a VirtualService into force.
func (o *outbound) attach(v *virtualService) {
	if v.isDelegate() || !v.bound(mesh) {
		return
	}
	o.file(v)
	o.touch(v)
}

// file puts a VirtualService into the scopes that import it, and so imports what it
// routes to.
func (o *outbound) file(v *virtualService) {
	imported := false
	for _, s := range o.scopes {
		if s.importsVirtualService(v) {
			s.add(v)
			imported = true
		}
	}
	o.inForce[v] = nil
	if imported {
		o.inForce[v] = o.compiler.destinationsImported(v)
	}
	o.route(v, 1)
}

func (o *outbound) route(v *virtualService, by int) {
	for _, host := range o.inForce[v] {
		o.compiler.registry.route(host, by)
	}
}

func (o *outbound) detach(v *virtualService) {
	if _, ok := o.inForce[v]; !ok {
		return
	}
	o.route(v, -1)
	delete(o.inForce, v)
	o.touch(v)
	for _, s := range o.scopes {
		s.remove(v)
	}
}

// touch marks the hosts that a VirtualService has a say in.
func (o *outbound) touch(v *virtualService) {
	for _, h := range v.hosts {
		o.changed[h] = struct{}{}
		if !isWildcard(h) {
			continue
		}
		for host := range o.portsOf {
			if covers(h, host) {
				o.changed[host] = struct{}{}
			}
		}
	}
}

// serviceChanged marks a service's host, and those whose names are told apart from
// it: a short form of a host is not used where it is a service's full one.
func (o *outbound) serviceChanged(host string) {
	r, options := o.compiler.registry, o.compiler.options
	for _, longer := range []string{
		host + "." + options.Namespace + ".svc." + options.Domain, host + ".svc." + options.Domain, host + "." + options.Domain,
	} {
		if r.exists(longer) {
			o.namesChanged(longer)
		}
	}
	for _, alias := range r.aliasesOf(host) {
		o.changed[alias] = struct{}{}
		o.fileService(alias)
	}
	o.namesChanged(host)
	o.fileService(host)
}

// namesChanged marks a service's host, and those that it stands for, some through others: an
// alias of a service has no virtual host of its own, but gives it its names.
func (o *outbound) namesChanged(host string) {
	for seen, at := []string{host}, 0; at < len(seen); at++ {
		o.changed[seen[at]] = struct{}{}
		h := o.compiler.registry.byHost[seen[at]]
		if h == nil {
			continue
		}
		for _, s := range h.all {
			if s.alias != "" && !slices.Contains(seen, s.alias) {
				seen = append(seen, s.alias)
			}
		}
	}
}

// fileService puts a host's service into the tables of its ports.
func (o *outbound) fileService(host string) {
	for _, port := range o.portsOf[host] {
		o.tables[port].set(host, nil)
	}
	delete(o.portsOf, host)
	s := o.compiler.registry.lookup(host)
	if s == nil || o.compiler.registry.resolveAlias(host) != host {
		return
	}
	for _, p := range s.ports {
		scope := o.scopeOf(p.number)
		if scope == nil {
			continue
		}
		chosen := merge(o.compiler.registry.choose(o.compiler.registry.byHost[host].all, scope.importsService))
		if chosen == nil {
			continue
		}
		t := o.tables[p.number]
		if t == nil {
			t = &meshTable{port: p.number, scope: scope, services: map[string]*service{}, hosts: map[string]*meshHost{}, order: newMeshOrder(), fresh: true}
			o.tables[p.number] = t
		}
		t.set(host, chosen)
		o.portsOf[host] = append(o.portsOf[host], p.number)
	}
}

// settle looks at the hosts that changed, and returns the listener and whether it is
// another one than before.
func (o *outbound) settle() ([]*router.Listener, bool) {
	o.widen()
	for port, t := range o.tables {
		if t.http == 0 {
			o.drop(t)
			if len(t.services) == 0 {
				delete(o.tables, port)
			}
			continue
		}
		hosts := maps.Keys(o.changed)
		if t.fresh {
			hosts = maps.Keys(o.allHosts(t))
			t.fresh, t.changed = false, true
		}
		for host := range hosts {
			o.settleHost(t, host)
		}
	}
	clear(o.changed)
	tables := make([]*router.RouteTable, 0, len(o.tables)+1)
	for _, port := range slices.Sorted(maps.Keys(o.tables)) {
		if t := o.tables[port]; t.http > 0 {
			t.settle(o.fallback)
			tables = append(tables, t.table)
		}
	}
	tables = append(tables, o.fallbackTable)
	changed := o.listener == nil || !slices.Equal(o.listener.Tables, tables)
	if changed {
		o.listener = &router.Listener{Name: "outbound", Tables: tables}
	}
	return []*router.Listener{o.listener}, changed
}

// widen marks the other hosts of the VirtualServices that have a say in a host that
// changed: which of them a table has depends on whether it has one that is a service.
func (o *outbound) widen() {
	seen := map[*virtualService]struct{}{}
	for _, host := range slices.Collect(maps.Keys(o.changed)) {
		for _, s := range o.scopes {
			for _, v := range s.covering(host) {
				if _, ok := seen[v]; ok {
					continue
				}
				seen[v] = struct{}{}
				for _, h := range v.hosts {
					o.changed[h] = struct{}{}
				}
			}
		}
	}
}

// allHosts are the hosts that a table may have.
func (o *outbound) allHosts(t *meshTable) map[string]struct{} {
	all := map[string]struct{}{}
	for host := range t.services {
		all[host] = struct{}{}
	}
	for host := range t.hosts {
		all[host] = struct{}{}
	}
	for host := range t.scope.exact {
		all[host] = struct{}{}
	}
	for host := range t.scope.wildcard {
		all[host] = struct{}{}
	}
	return all
}

// drop gives up the hosts of a table whose last service that may speak HTTP went.
func (o *outbound) drop(t *meshTable) {
	for _, h := range t.hosts {
		o.let(t, h)
	}
	clear(t.hosts)
	t.order, t.fresh, t.table = newMeshOrder(), true, nil
}
