package istio

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	networking "istio.io/api/networking/v1alpha3"

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
	// imported are the VirtualServices in force for sidecars.
	imported map[*virtualService]struct{}

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

// meshTable is the table of one port.
type meshTable struct {
	port  uint16
	scope *egressScope
	// services are those with the port, by host.
	services map[string]*service
	http     int
	hosts    map[string]*meshHost
	// order has the hosts that have a virtual host, in order of precedence.
	order []*meshHost
	// fresh tables look at all hosts.
	fresh   bool
	changed bool
	table   *router.RouteTable
}

// meshHost is one host of a table.
type meshHost struct {
	host  string
	built *router.VirtualHost
	// owner is the VirtualService whose routes it has, nil for a service's own.
	owner *virtualService
	unit  *unit
	// service is whether the host is a service's.
	service bool
	// use is the cluster that a service's own route names.
	use clusterKey
}

// compare puts VirtualServices' hosts first, in the order of the VirtualServices;
// with each, hosts that are no services before those that are.
func (h *meshHost) compare(other *meshHost) int {
	if (h.owner == nil) != (other.owner == nil) {
		return yesFirst(h.owner != nil)
	}
	if h.owner != nil {
		if order := compareVirtualServices(h.owner, other.owner); order != 0 {
			return order
		}
	}
	if h.service != other.service {
		return yesFirst(!h.service)
	}
	return cmp.Compare(h.host, other.host)
}

func yesFirst(yes bool) int {
	if yes {
		return -1
	}
	return 1
}

func newOutbound(c *Compiler) *outbound {
	return &outbound{
		compiler: c,
		sidecars: map[config.Key]*sidecarConfig{},
		imported: map[*virtualService]struct{}{},
		tables:   map[uint16]*meshTable{},
		portsOf:  map[string][]uint16{},
		changed:  map[string]struct{}{},
		rescope:  true,
	}
}

func (c *Compiler) takeSidecar(ch change) {
	if c.outbound == nil {
		return
	}
	if old := c.outbound.sidecars[ch.key]; old != nil {
		c.conditions.replace(old, nil)
		delete(c.outbound.sidecars, ch.key)
	}
	if s, ok := ch.typed.(*networkingv1.Sidecar); ok {
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
	for v := range o.imported {
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
		vh.Routes = []*router.Route{{Name: vh.Name, Destinations: []router.Destination{{Cluster: use.String(), Weight: 1}}}}
	} else {
		vh.Routes = []*router.Route{{Name: vh.Name, Direct: &router.DirectResponse{Status: 502}}}
	}
	if o.fallbackUse != (clusterKey{}) {
		o.compiler.clusters.use(o.fallbackUse, nil, -1)
	}
	if use != (clusterKey{}) {
		o.compiler.clusters.use(use, nil, 1)
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

// attach brings a VirtualService into force.
func (o *outbound) attach(v *virtualService) {
	if v.isDelegate() || !v.bound(mesh) {
		return
	}
	o.imported[v] = struct{}{}
	o.file(v)
	o.touch(v)
}

// file puts a VirtualService into the scopes that import it.
func (o *outbound) file(v *virtualService) {
	for _, s := range o.scopes {
		if s.importsVirtualService(v) {
			s.add(v)
		}
	}
}

func (o *outbound) detach(v *virtualService) {
	if _, ok := o.imported[v]; !ok {
		return
	}
	delete(o.imported, v)
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
	o.changed[host] = struct{}{}
	for _, longer := range []string{
		host + "." + options.Namespace + ".svc." + options.Domain, host + ".svc." + options.Domain, host + "." + options.Domain,
	} {
		if r.exists(longer) {
			o.changed[longer] = struct{}{}
		}
	}
	// An alias of a service has no virtual host of its own, but gives it its names.
	for _, alias := range r.aliasesOf(host) {
		o.changed[alias] = struct{}{}
		o.fileService(alias)
	}
	if h := r.byHost[host]; h != nil {
		for _, s := range h.all {
			if s.alias != "" {
				o.changed[s.alias] = struct{}{}
			}
		}
	}
	o.fileService(host)
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
			t = &meshTable{port: p.number, scope: scope, services: map[string]*service{}, hosts: map[string]*meshHost{}, fresh: true}
			o.tables[p.number] = t
		}
		t.set(host, chosen)
		o.portsOf[host] = append(o.portsOf[host], p.number)
	}
}

// set files a host's service, nil where it is gone.
func (t *meshTable) set(host string, s *service) {
	if old := t.services[host]; old != nil && t.speaksHTTP(old) {
		t.http--
	}
	if s == nil {
		delete(t.services, host)
		return
	}
	t.services[host] = s
	if t.speaksHTTP(s) {
		t.http++
	}
}

func (t *meshTable) speaksHTTP(s *service) bool {
	p, ok := s.port(t.port)
	return ok && p.protocol.mayBeHTTP()
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
	for _, host := range slices.Collect(maps.Keys(o.changed)) {
		for _, s := range o.scopes {
			for _, v := range s.covering(host) {
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
	t.order, t.fresh, t.table = nil, true, nil
}

// let gives up what a host holds.
func (o *outbound) let(t *meshTable, h *meshHost) {
	if h.unit != nil {
		o.compiler.let(h.owner, h.unit)
	}
	if h.use != (clusterKey{}) {
		o.compiler.clusters.use(h.use, nil, -1)
	}
	o.compiler.conditions.replace(meshSource{t.port, h.host}, nil)
}

// meshSource is where the conditions of a table's host come from.
type meshSource struct {
	port uint16
	host string
}

// settleHost makes one host of a table anew.
func (o *outbound) settleHost(t *meshTable, host string) {
	before := t.hosts[host]
	now, conditions := o.build(t, host)
	if now != nil {
		if now.unit != nil {
			o.compiler.hold(now.owner, now.unit)
		}
		if now.use != (clusterKey{}) {
			o.compiler.clusters.use(now.use, nil, 1)
		}
	}
	if before != nil {
		at, found := slices.BinarySearchFunc(t.order, before, (*meshHost).compare)
		if found {
			t.order = slices.Delete(t.order, at, at+1)
		}
		if now == nil || now.compare(before) != 0 || !reflect.DeepEqual(now.built, before.built) {
			t.changed = true
		} else {
			now.built = before.built
		}
		o.let(t, before)
		delete(t.hosts, host)
	}
	o.compiler.conditions.replace(meshSource{t.port, host}, conditions)
	if now == nil {
		return
	}
	if before == nil {
		t.changed = true
	}
	t.hosts[host] = now
	at, _ := slices.BinarySearchFunc(t.order, now, (*meshHost).compare)
	t.order = slices.Insert(t.order, at, now)
}

// build returns a host of a table, nil where it has none, and which VirtualServices
// lost it.
func (o *outbound) build(t *meshTable, host string) (*meshHost, []config.Condition) {
	s := t.services[host]
	if s != nil && !t.speaksHTTP(s) {
		return nil, nil
	}
	h := &meshHost{host: host, service: s != nil}
	var conditions []config.Condition
	for _, v := range o.candidates(t, s, host) {
		u := o.compiler.unit(v, unitKey{mesh, t.port})
		if len(u.routes) == 0 {
			continue
		}
		if h.owner != nil {
			conditions = append(conditions, hostTaken(v, h.owner, host))
			continue
		}
		h.owner, h.unit = v, u
	}
	if h.owner == nil && s == nil {
		return nil, nil
	}
	h.built = &router.VirtualHost{Name: host + ":" + strconv.Itoa(int(t.port)), Domains: []string{host}}
	if h.owner != nil {
		h.built.Routes = h.unit.routes
	} else {
		h.use = clusterKey{host: host, port: t.port}
		h.built.Routes = []*router.Route{{
			Name: "default", Origin: originOf(s.object, ""), Destinations: []router.Destination{{Cluster: h.use.String(), Weight: 1}},
		}}
	}
	if s != nil {
		h.built.Domains = o.domains(t, s)
	}
	return h, conditions
}

// candidates returns the VirtualServices that may route a host of a table, in order.
// One that is no service needs a VirtualService that has a service on the port too,
// but on port 80, where any host may be routed.
func (o *outbound) candidates(t *meshTable, s *service, host string) []*virtualService {
	if s != nil {
		return t.scope.virtualServicesFor(host)
	}
	if isWildcard(host) && t.hasServiceUnder(host) {
		return nil
	}
	index := t.scope.exact
	if isWildcard(host) {
		index = t.scope.wildcard
	}
	if t.port == 80 {
		return index[host]
	}
	return slices.DeleteFunc(slices.Clone(index[host]), func(v *virtualService) bool { return !t.routesService(v) })
}

func (t *meshTable) hasServiceUnder(wildcard string) bool {
	for host := range t.services {
		if covers(wildcard, host) {
			return true
		}
	}
	return false
}

// routesService says whether one of the table's services is a VirtualService's.
func (t *meshTable) routesService(v *virtualService) bool {
	for _, h := range v.hosts {
		if !isWildcard(h) {
			if s := t.services[h]; s != nil && t.speaksHTTP(s) {
				return true
			}
			continue
		}
		for host, s := range t.services {
			if covers(h, host) && t.speaksHTTP(s) && slices.Contains(t.scope.virtualServicesFor(host), v) {
				return true
			}
		}
	}
	return false
}

func hostTaken(loser, winner *virtualService, host string) config.Condition {
	field := "hosts"
	if i := slices.Index(loser.hosts, host); i >= 0 && len(loser.hosts) == len(loser.spec.Hosts) {
		field = fmt.Sprintf("hosts[%d]", i)
	}
	return newCondition(config.Error, HostTaken, loser.object, field,
		fmt.Sprintf("%s: sidecars use one VirtualService for a host, and %s comes first; this one's rules for the host are left out. Put the rules into one VirtualService", host, winner.object.Key))
}

// domains returns the names by which callers in this namespace may call a service:
// its host and the short forms of it, those of its aliases, and its addresses.
func (o *outbound) domains(t *meshTable, s *service) []string {
	var domains []string
	for _, host := range append([]string{s.host}, o.compiler.registry.aliasesOf(s.host)...) {
		domains = append(domains, host)
		for _, short := range o.shortForms(host) {
			if known := t.services[short]; known == nil || !t.speaksHTTP(known) {
				domains = append(domains, short)
			}
		}
	}
	if s.headless {
		// Each endpoint has a name of its own below the service's.
		for _, d := range slices.Clone(domains) {
			domains = append(domains, "*."+d)
		}
	}
	for _, a := range s.addresses {
		if strings.Contains(a, ":") {
			a = "[" + a + "]"
		}
		domains = append(domains, a)
	}
	return domains
}

// shortForms returns the short forms of a Kubernetes name: for callers in its own
// namespace "name", for all "name.namespace" and "name.namespace.svc".
func (o *outbound) shortForms(host string) []string {
	rest, ok := strings.CutSuffix(host, ".svc."+o.compiler.options.Domain)
	if !ok {
		return nil
	}
	name, namespace, ok := strings.Cut(rest, ".")
	switch {
	case !ok:
		return nil
	case namespace == o.compiler.options.Namespace:
		return []string{name, rest + ".svc", rest}
	}
	return []string{rest, rest + ".svc"}
}

// settle makes the table anew where a host changed.
func (t *meshTable) settle(fallback *router.VirtualHost) {
	if !t.changed && t.table != nil {
		return
	}
	t.changed = false
	table := &router.RouteTable{Name: strconv.Itoa(int(t.port)), Port: t.port, VirtualHosts: make([]*router.VirtualHost, 0, len(t.order)+1)}
	for _, h := range t.order {
		table.VirtualHosts = append(table.VirtualHosts, h.built)
	}
	table.VirtualHosts = append(table.VirtualHosts, fallback)
	if t.table == nil || !sameTable(t.table, table) {
		t.table = table
	}
}
