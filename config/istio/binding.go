package istio

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// gatewayTables are the listeners of a gateway, each with a table of the virtual
// hosts that VirtualServices claim there.
type gatewayTables struct {
	compiler *Compiler
	tables   []*gatewayTable
	// attached are the hosts that a VirtualService has claims on.
	attached map[*virtualService][]*gatewayHost
	// changed are the hosts to build anew.
	changed map[*gatewayHost]struct{}
	// listeners are those of the last settle.
	listeners []*router.Listener
}

// gatewayTable is one socket's.
type gatewayTable struct {
	mergedServers
	byGateway map[string][]*gatewayServer
	hosts     map[string]*gatewayHost
	// order has the hosts that have a virtual host, by name.
	order    []*gatewayHost
	table    *router.RouteTable
	listener *router.Listener
	changed  bool
}

// gatewayHost is one host of a table.
type gatewayHost struct {
	table *gatewayTable
	host  string
	// claims come in the order in which they were made; build sorts them.
	claims []claim
	// redirects are the servers that name the host and redirect to https.
	redirects []*gatewayServer
	built     *router.VirtualHost
}

// claim is a VirtualService's on a host, through a server of one of its gateways.
type claim struct {
	server *gatewayServer
	vs     *virtualService
	unit   *unit
}

func (a claim) compare(b claim) int {
	if a.server.index != b.server.index {
		return cmp.Compare(a.server.index, b.server.index)
	}
	return compareVirtualServices(a.vs, b.vs)
}

// rebuild starts anew from a merging of Gateways. What comes out as before keeps
// its pointers.
func (t *gatewayTables) rebuild(merge *gatewayMerge, all map[objectName]*virtualService) {
	before := t.tables
	t.letAll()
	t.tables, t.changed = nil, map[*gatewayHost]struct{}{}
	for _, merged := range merge.order {
		table := &gatewayTable{
			mergedServers: *merged, byGateway: map[string][]*gatewayServer{}, hosts: map[string]*gatewayHost{}, changed: true,
		}
		for _, s := range merged.servers {
			table.byGateway[s.gateway.name] = append(table.byGateway[s.gateway.name], s)
		}
		t.addRedirects(table)
		t.tables = append(t.tables, table)
	}
	for _, v := range all {
		t.attach(v)
	}
	for _, old := range before {
		t.adopt(old)
	}
}

// adopt gives the table that a socket has now what the one before it built, for
// settle to keep where it still holds.
func (t *gatewayTables) adopt(old *gatewayTable) {
	for _, h := range old.hosts {
		t.compiler.conditions.replace(h, nil)
	}
	at := slices.IndexFunc(t.tables, func(table *gatewayTable) bool { return table.key == old.key })
	if at < 0 {
		return
	}
	table := t.tables[at]
	table.table, table.listener = old.table, old.listener
	for _, h := range old.order {
		if now := table.hosts[h.host]; now != nil {
			now.built = h.built
			table.order = append(table.order, now)
		}
	}
}

// letAll takes all claims back.
func (t *gatewayTables) letAll() {
	for _, table := range t.tables {
		for _, h := range table.hosts {
			for _, c := range h.claims {
				t.compiler.let(c.vs, c.unit)
			}
		}
	}
	t.attached = map[*virtualService][]*gatewayHost{}
}

// addRedirects gives a table the hosts that redirect to https whether a
// VirtualService is bound to them or not. As in Istio, a host that is for one
// namespace only redirects where a VirtualService of that namespace has it.
func (t *gatewayTables) addRedirects(table *gatewayTable) {
	for _, s := range table.servers {
		if !s.redirect {
			continue
		}
		for _, written := range s.hosts.written {
			if strings.Contains(written, "/") {
				continue
			}
			h := t.host(table, written)
			h.redirects = append(h.redirects, s)
		}
	}
}

func (t *gatewayTables) host(table *gatewayTable, name string) *gatewayHost {
	h := table.hosts[name]
	if h == nil {
		h = &gatewayHost{table: table, host: name}
		table.hosts[name] = h
	}
	t.changed[h] = struct{}{}
	return h
}

// attach gives a VirtualService its claims.
func (t *gatewayTables) attach(v *virtualService) {
	if v.rank.visibility == invisible || v.isDelegate() {
		return
	}
	for _, table := range t.tables {
		for i, g := range v.gateways {
			if !slices.Contains(v.gateways[:i], g) {
				t.attachTo(table, g, v)
			}
		}
	}
}

func (t *gatewayTables) attachTo(table *gatewayTable, gateway string, v *virtualService) {
	var u *unit
	for _, s := range table.byGateway[gateway] {
		hosts := s.hosts.intersect(v.hosts, v.object.Namespace)
		if len(hosts) == 0 {
			continue
		}
		if u == nil {
			// All of a Gateway's servers on a socket share the routes made for the first.
			u = t.compiler.unit(v, unitKey{gateway, s.port})
		}
		if len(u.routes) == 0 {
			continue
		}
		for _, name := range hosts {
			h := t.host(table, name)
			h.claims = append(h.claims, claim{s, v, u})
			t.compiler.hold(v, u)
			t.attached[v] = append(t.attached[v], h)
		}
	}
}

// detach takes a VirtualService's claims back.
func (t *gatewayTables) detach(v *virtualService) {
	for _, h := range t.attached[v] {
		h.claims = slices.DeleteFunc(h.claims, func(c claim) bool {
			if c.vs == v {
				t.compiler.let(v, c.unit)
			}
			return c.vs == v
		})
		t.changed[h] = struct{}{}
	}
	delete(t.attached, v)
}

// settle builds the hosts that changed, and returns the listeners and whether any
// of them is another than before.
func (t *gatewayTables) settle() ([]*router.Listener, bool) {
	for h := range t.changed {
		t.settleHost(h)
	}
	clear(t.changed)
	changed := len(t.listeners) != len(t.tables)
	var listeners []*router.Listener
	for i, table := range t.tables {
		table.settle()
		listeners = append(listeners, table.listener)
		changed = changed || table.listener != t.listeners[i]
	}
	if changed {
		t.listeners = listeners
	}
	return t.listeners, changed
}

func (t *gatewayTables) settleHost(h *gatewayHost) {
	before := h.built
	built, conditions := h.build()
	t.compiler.conditions.replace(h, conditions)
	if before != nil && built != nil && reflect.DeepEqual(before, built) {
		return
	}
	h.built = built
	h.table.changed = true
	at, listed := slices.BinarySearchFunc(h.table.order, h, func(a, b *gatewayHost) int { return cmp.Compare(a.host, b.host) })
	switch {
	case built == nil && listed:
		h.table.order = slices.Delete(h.table.order, at, at+1)
	case built != nil && !listed:
		h.table.order = slices.Insert(h.table.order, at, h)
	}
	if built == nil {
		delete(h.table.hosts, h.host)
	}
}

// build returns the virtual host of a host, nil where nobody claims it any more.
func (h *gatewayHost) build() (*router.VirtualHost, []config.Condition) {
	if len(h.claims) == 0 && len(h.redirects) == 0 {
		return nil, nil
	}
	vh := &router.VirtualHost{Domains: []string{h.host}, RequireTLS: len(h.redirects) > 0}
	var first *gatewayServer
	if len(h.redirects) > 0 {
		first = h.redirects[0]
	}
	slices.SortFunc(h.claims, claim.compare)
	joined := routeJoin{units: map[*unit]struct{}{}, taken: map[string]*virtualService{}}
	for _, c := range h.claims {
		if first == nil || c.server.index < first.index {
			first = c.server
		}
		vh.RequireTLS = vh.RequireTLS || c.server.redirect
		joined.add(c)
	}
	vh.Name = fmt.Sprintf("%s:%d", h.host, first.port)
	vh.Routes = joined.routes()
	return vh, joined.conditions
}

// settle makes the table and the listener anew where a host changed.
func (t *gatewayTable) settle() {
	if !t.changed {
		return
	}
	t.changed = false
	table := &router.RouteTable{Name: t.key.name(), Port: t.servers[0].port, VirtualHosts: make([]*router.VirtualHost, 0, len(t.order))}
	for _, h := range t.order {
		table.VirtualHosts = append(table.VirtualHosts, h.built)
	}
	if len(t.order) == 0 {
		table.VirtualHosts = []*router.VirtualHost{t.blackhole()}
	}
	if t.table == nil || !sameTable(t.table, table) {
		t.table = table
	}
	listener := &router.Listener{
		Name: t.key.listenerName(), Address: t.key.bind, Port: t.key.port, NodePorts: t.nodePorts, Tables: []*router.RouteTable{t.table},
	}
	if t.listener == nil || t.listener.Tables[0] != t.table || !slices.Equal(t.listener.NodePorts, listener.NodePorts) {
		t.listener = listener
	}
}

// blackhole is the virtual host of a socket that no VirtualService is bound to: it
// has no routes, so that all requests get 404. The one there was is kept.
func (t *gatewayTable) blackhole() *router.VirtualHost {
	vh := &router.VirtualHost{Name: fmt.Sprintf("blackhole:%d", t.servers[0].port), Domains: []string{"*"}}
	if t.table != nil && len(t.table.VirtualHosts) == 1 && reflect.DeepEqual(t.table.VirtualHosts[0], vh) {
		return t.table.VirtualHosts[0]
	}
	return vh
}

// sameTable says whether two tables have the very same virtual hosts.
func sameTable(a, b *router.RouteTable) bool {
	return a.Name == b.Name && a.Port == b.Port && slices.Equal(a.VirtualHosts, b.VirtualHosts)
}
