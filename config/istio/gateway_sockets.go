package istio

import (
	"maps"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// gatewaySockets are the listeners of a gateway, with what VirtualServices claim on each:
// hosts of route tables, and connections.
type gatewaySockets struct {
	compiler *Compiler
	sockets  []*gatewaySocket
	// servers are those of each Gateway, by their place in it; nil where one is left out.
	servers map[string][]*gatewayServer
	// changed and changedStreams are those to build anew.
	changed        map[*gatewayHost]struct{}
	changedStreams map[*gatewayStream]struct{}
	// listeners are those of the last settle.
	listeners []*router.Listener
}

// attachment is what a VirtualService has claims on: mostly a single host.
type attachment struct {
	host *gatewayHost
	// more is nil where that is all.
	more *moreClaims
}

// moreClaims are those beside the first on a host.
type moreClaims struct {
	hosts   []*gatewayHost
	streams []*gatewayStream
}

func (v *virtualService) hasHost(h *gatewayHost) {
	switch {
	case v.claims.host == nil:
		v.claims.host = h
	case v.claims.more == nil:
		v.claims.more = &moreClaims{hosts: []*gatewayHost{h}}
	default:
		v.claims.more.hosts = append(v.claims.more.hosts, h)
	}
}

func (v *virtualService) hasStream(s *gatewayStream) {
	if v.claims.more == nil {
		v.claims.more = &moreClaims{}
	}
	v.claims.more.streams = append(v.claims.more.streams, s)
}

// gatewaySocket is one listener's.
type gatewaySocket struct {
	mergedServers
	compiler *Compiler
	// tables are one for all servers of plaintext requests, or one for each that ends TLS.
	tables []*gatewayTable
	// tableOf are the tables that servers' requests go to.
	tableOf map[*gatewayServer]*gatewayTable
	streams socketStreams
	auto    *autoChains
	// chains are those of the last settle, by name.
	chains   map[string]*router.Chain
	listener *router.Listener
	changed  bool
}

func newGatewaySockets(c *Compiler) *gatewaySockets {
	t := &gatewaySockets{compiler: c}
	t.forget()
	return t
}

func (t *gatewaySockets) forget() {
	t.changed = map[*gatewayHost]struct{}{}
	t.changedStreams = map[*gatewayStream]struct{}{}
}

// rebuild starts anew from a merging of Gateways. What comes out as before keeps
// its pointers.
func (t *gatewaySockets) rebuild(merge *gatewayMerge, all *config.Keyed[*virtualService]) {
	before := t.sockets
	t.letAll()
	t.forget()
	t.sockets, t.servers = nil, map[string][]*gatewayServer{}
	for _, merged := range merge.order {
		t.sockets = append(t.sockets, t.newSocket(merged))
	}
	// In order, so that what is made of neighbours lies together.
	for _, v := range slices.SortedFunc(all.All(), func(a, b *virtualService) int { return a.name().compare(b.name()) }) {
		v.claims = attachment{}
		t.attach(v)
	}
	now := make(map[tableKey]*gatewaySocket, len(t.sockets))
	for _, socket := range t.sockets {
		now[socket.key] = socket
	}
	for _, old := range before {
		t.adopt(old, now[old.key])
	}
}

func (t *gatewaySockets) newSocket(merged *mergedServers) *gatewaySocket {
	socket := &gatewaySocket{
		mergedServers: *merged, compiler: t.compiler, tableOf: map[*gatewayServer]*gatewayTable{},
		chains: map[string]*router.Chain{}, changed: true,
	}
	socket.streams = newSocketStreams(socket)
	for _, s := range merged.servers {
		t.place(s, socket)
		switch {
		case s.kind == plainHTTP && len(socket.tables) > 0:
			socket.tables[0].servers = append(socket.tables[0].servers, s)
			socket.tableOf[s] = socket.tables[0]
		case s.kind.routesRequests():
			table := &gatewayTable{socket: socket, servers: []*gatewayServer{s}, hosts: config.NewKeyedBy((*gatewayHost).name), changed: true}
			table.order.compare = (*gatewayHost).compare
			socket.tables = append(socket.tables, table)
			socket.tableOf[s] = table
		case s.kind.routesBytes():
			t.stream(socket, streamKey{server: s})
		}
	}
	for _, table := range socket.tables {
		t.addRedirects(table)
	}
	socket.auto = t.newAutoChains(socket)
	return socket
}

// place notes which socket a server is on.
func (t *gatewaySockets) place(s *gatewayServer, socket *gatewaySocket) {
	s.socket = socket
	if t.servers[s.gateway.name] == nil {
		t.servers[s.gateway.name] = make([]*gatewayServer, len(s.gateway.servers))
	}
	t.servers[s.gateway.name][s.place] = s
}

// letAll takes all claims back.
func (t *gatewaySockets) letAll() {
	for _, socket := range t.sockets {
		for _, table := range socket.tables {
			for h := range table.hosts.All() {
				for _, c := range h.claims {
					t.compiler.let(c.vs, c.unit)
				}
			}
		}
		for _, s := range socket.streams.byKey {
			for _, c := range s.claims {
				t.compiler.let(c.vs, c.unit)
			}
		}
		if socket.auto != nil {
			socket.auto.drop()
		}
	}
}

// adopt gives the socket that a bind and port have now, nil where none does, what the one
// before it built, for settle to keep where it still holds.
func (t *gatewaySockets) adopt(old, socket *gatewaySocket) {
	for _, table := range old.tables {
		for h := range table.hosts.All() {
			t.compiler.conditions.replace(h, nil)
		}
	}
	for _, s := range old.streams.byKey {
		t.compiler.conditions.replace(s, nil)
	}
	for _, s := range old.servers {
		t.compiler.conditions.replace(s, nil)
	}
	if socket == nil {
		return
	}
	socket.listener, socket.chains = old.listener, old.chains
	byName := map[string]*gatewayTable{}
	for _, table := range old.tables {
		byName[table.name()] = table
	}
	for _, table := range socket.tables {
		if before := byName[table.name()]; before != nil {
			table.adopt(before)
		}
	}
	socket.streams.adopt(&old.streams)
}

// attach gives a VirtualService its claims.
func (t *gatewaySockets) attach(v *virtualService) {
	if v.visibility == invisible || v.isDelegate() {
		return
	}
	gateways := v.gateways.all()
	for i, g := range gateways {
		if !slices.Contains(gateways[:i], g) {
			t.attachTo(g, v)
		}
	}
}

// attachTo goes through a Gateway's servers once, whichever sockets they are on.
func (t *gatewaySockets) attachTo(gateway string, v *virtualService) {
	servers := t.servers[gateway]
	if len(servers) == 0 {
		return
	}
	first := map[*gatewayTable]*gatewayServer{}
	for i, hosts := range t.compiler.gateways[gateway].serversFor(v) {
		s := servers[i]
		switch {
		case s == nil:
		case s.kind.routesRequests():
			// All of a Gateway's servers of a table share the routes made for the first.
			table := s.socket.tableOf[s]
			if first[table] == nil {
				first[table] = s
			}
			t.claimHosts(table, s, v, hosts, first[table].port)
		case s.kind.routesBytes():
			t.claimConnections(s.socket, s, v)
		case s.kind == passedThrough:
			t.claimNames(s.socket, s, v)
		}
	}
}

// detach takes a VirtualService's claims back.
func (t *gatewaySockets) detach(v *virtualService) {
	claims := v.claims
	v.claims = attachment{}
	if claims.host != nil {
		t.freeHost(claims.host, v)
	}
	if claims.more == nil {
		return
	}
	for _, h := range claims.more.hosts {
		t.freeHost(h, v)
	}
	for _, s := range claims.more.streams {
		s.claims = slices.DeleteFunc(s.claims, func(c streamClaim) bool {
			if c.vs == v {
				t.compiler.let(v, c.unit)
			}
			return c.vs == v
		})
		t.changedStreams[s] = struct{}{}
	}
}

// freeHost takes a VirtualService's claims on a host back.
func (t *gatewaySockets) freeHost(h *gatewayHost, v *virtualService) {
	h.claims = slices.DeleteFunc(h.claims, func(c claim) bool {
		if c.vs == v {
			t.compiler.let(v, c.unit)
		}
		return c.vs == v
	})
	t.changed[h] = struct{}{}
}

// settle builds what changed, and returns the listeners and whether any of them is
// another than before. A socket without a chain has none: the port is closed.
func (t *gatewaySockets) settle() ([]*router.Listener, bool) {
	// In order, so that what is made of neighbours lies together.
	for _, h := range slices.SortedFunc(maps.Keys(t.changed), (*gatewayHost).compare) {
		t.settleHost(h)
	}
	t.changed = map[*gatewayHost]struct{}{}
	for s := range t.changedStreams {
		t.settleStream(s)
	}
	t.changedStreams = map[*gatewayStream]struct{}{}
	var listeners []*router.Listener
	for _, socket := range t.sockets {
		if socket.settle(); socket.listener != nil {
			listeners = append(listeners, socket.listener)
		}
	}
	changed := !slices.Equal(listeners, t.listeners)
	if changed {
		t.listeners = listeners
	}
	return t.listeners, changed
}
