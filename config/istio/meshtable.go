package istio

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// meshTable is the table of one port.
type meshTable struct {
	port  uint16
	scope *egressScope
	// services are those with the port, by host.
	services map[string]*service
	http     int
	hosts    map[string]*meshHost
	// order has the hosts that have a virtual host, in order of precedence.
	order sortedList[*meshHost]
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

func newMeshOrder() sortedList[*meshHost] { return sortedList[*meshHost]{compare: (*meshHost).compare} }

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

// let gives up what a host holds.
func (o *outbound) let(t *meshTable, h *meshHost) {
	if h.unit != nil {
		o.compiler.let(h.owner, h.unit)
	}
	if h.use != (clusterKey{}) {
		o.compiler.clusters.use(h.use, -1)
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
			o.compiler.clusters.use(now.use, 1)
		}
	}
	if before != nil {
		t.order.set(before, false)
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
	t.order.set(now, true)
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
		u := o.compiler.unit(v, unitKey{gateway: mesh, port: t.port})
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
		at := originOf(s.object, "")
		h.built.Routes = []*router.Route{{
			Object:      &router.Object{Kind: at.Kind, Namespace: at.Namespace, Name: at.Name},
			Field:       at.Field,
			RouteAction: &router.RouteAction{Name: "default", Destinations: []router.Destination{{Cluster: h.use.String(), Weight: 1}}, Policy: retriedOnly},
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
	if i := slices.Index(loser.hosts, host); i >= 0 && len(loser.hosts) == int(loser.written) {
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
	order := t.order.list()
	table := &router.RouteTable{Name: strconv.Itoa(int(t.port)), Port: t.port, VirtualHosts: make([]*router.VirtualHost, 0, len(order)+1)}
	for _, h := range order {
		table.VirtualHosts = append(table.VirtualHosts, h.built)
	}
	table.VirtualHosts = append(table.VirtualHosts, fallback)
	if t.table == nil || !sameTable(t.table, table) {
		t.table = table
	}
}
