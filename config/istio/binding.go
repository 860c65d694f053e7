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

// gatewayTable is a route table: that of all servers of plaintext requests on a socket, or
// of one server that ends TLS.
type gatewayTable struct {
	socket  *gatewaySocket
	servers []*gatewayServer
	hosts   *config.KeyedBy[string, *gatewayHost]
	// order has the hosts that have a virtual host, by name.
	order   sortedList[*gatewayHost]
	table   *router.RouteTable
	changed bool
}

// name is the route table's name, as Istio has it.
func (t *gatewayTable) name() string {
	if s := t.servers[0]; s.kind == terminatedHTTP {
		return s.chainName("https")
	}
	return t.socket.tableName()
}

// gatewayHost is one host of a table.
type gatewayHost struct {
	table *gatewayTable
	host  string
	// claims come in the order in which they were made; build sorts them.
	claims []claim
	// redirects are the servers that name the host and redirect to https; nil where none does.
	redirects *serverList
	built     *router.VirtualHost
}

type serverList struct{ list []*gatewayServer }

// name is the host, by which a table finds it.
func (h *gatewayHost) name() string { return h.host }

// redirecting are the servers that name the host and redirect to https.
func (h *gatewayHost) redirecting() []*gatewayServer {
	if h.redirects == nil {
		return nil
	}
	return h.redirects.list
}

// compare orders the hosts of a table by name.
func (h *gatewayHost) compare(other *gatewayHost) int { return cmp.Compare(h.host, other.host) }

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

// adopt takes over what the table before it built.
func (t *gatewayTable) adopt(old *gatewayTable) {
	t.table = old.table
	for _, h := range old.order.list() {
		if now := t.hosts.Get(h.host); now != nil {
			now.built = h.built
			t.order.set(now, true)
		}
	}
}

// addRedirects gives a table the hosts that redirect to https whether a
// VirtualService is bound to them or not. As in Istio, a host that is for one
// namespace only redirects where a VirtualService of that namespace has it.
func (t *gatewaySockets) addRedirects(table *gatewayTable) {
	for _, s := range table.servers {
		if !s.redirect {
			continue
		}
		for _, written := range s.hosts.written {
			if strings.Contains(written, "/") {
				continue
			}
			h := t.host(table, written)
			h.redirects = &serverList{append(h.redirecting(), s)}
		}
	}
}

func (t *gatewaySockets) host(table *gatewayTable, name string) *gatewayHost {
	h := table.hosts.Get(name)
	if h == nil {
		h = &gatewayHost{table: table, host: name}
		table.hosts.Set(h)
	}
	t.changed[h] = struct{}{}
	return h
}

// claimHosts gives a VirtualService the hosts that a server takes from it, with the routes
// made for a port.
func (t *gatewaySockets) claimHosts(table *gatewayTable, s *gatewayServer, v *virtualService, hosts []string, port uint16) {
	u := t.compiler.unit(v, unitKey{gateway: s.gateway.name, port: port, overTLS: s.kind == terminatedHTTP})
	if len(u.routes) == 0 {
		return
	}
	for _, name := range hosts {
		h := t.host(table, name)
		h.claims = append(h.claims, claim{s, v, u})
		t.compiler.hold(v, u)
		v.hasHost(h)
	}
}

func (t *gatewaySockets) settleHost(h *gatewayHost) {
	before := h.built
	built, conditions := h.build()
	t.compiler.conditions.replace(h, conditions)
	if before != nil && built != nil && reflect.DeepEqual(before, built) {
		return
	}
	h.built = built
	h.table.changed = true
	h.table.order.set(h, built != nil)
	if built == nil {
		h.table.hosts.Delete(h.host)
	}
}

// build returns the virtual host of a host, nil where nobody claims it any more.
func (h *gatewayHost) build() (*router.VirtualHost, []config.Condition) {
	redirects := h.redirecting()
	if len(h.claims)+len(redirects) == 0 {
		return nil, nil
	}
	vh := &router.VirtualHost{Domains: h.domains(), RequireTLS: len(redirects) > 0}
	var first *gatewayServer
	if len(redirects) > 0 {
		first = redirects[0]
	}
	slices.SortFunc(h.claims, claim.compare)
	joined := routeJoin{compiler: h.table.socket.compiler}
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

// domains is the list of the host alone: a part of that of a VirtualService, where it has it and
// its list is short.
func (h *gatewayHost) domains() []string {
	if len(h.claims) > 0 && len(h.claims[0].vs.hosts) <= fewStrings {
		hosts := h.claims[0].vs.hosts
		if i := slices.Index(hosts, h.host); i >= 0 {
			return hosts[i : i+1 : i+1]
		}
	}
	return []string{h.host}
}

// settle makes the table anew where a host changed, and returns whether it did.
func (t *gatewayTable) settle() bool {
	if !t.changed {
		return false
	}
	t.changed = false
	order := t.order.list()
	table := &router.RouteTable{Name: t.name(), Port: t.servers[0].port, VirtualHosts: make([]*router.VirtualHost, 0, len(order))}
	for _, h := range order {
		table.VirtualHosts = append(table.VirtualHosts, h.built)
	}
	if len(order) == 0 {
		table.VirtualHosts = []*router.VirtualHost{t.blackhole()}
	}
	if t.table == nil || !sameTable(t.table, table) {
		t.table = table
	}
	return true
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
