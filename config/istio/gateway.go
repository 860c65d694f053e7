package istio

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// gatewayConfig is one Gateway in force.
type gatewayConfig struct {
	object *config.Object
	spec   *networking.Gateway
	// name is "namespace/name".
	name string
	// servers has the hosts of each server, byHost which servers have a host.
	servers []*serverHosts
	byHost  map[string][]int
}

func newGatewayConfig(o *config.Object, spec *networking.Gateway) *gatewayConfig {
	g := &gatewayConfig{object: o, spec: spec, name: o.Namespace + "/" + o.Name, byHost: map[string][]int{}}
	for i, s := range spec.Servers {
		hosts := newServerHosts(s.Hosts, o.Namespace)
		g.servers = append(g.servers, hosts)
		for host := range hosts.namespaces {
			g.byHost[host] = append(g.byHost[host], i)
		}
	}
	return g
}

// serversFor yields the servers that take one of a VirtualService's hosts, in order, with
// the hosts that both have. Servers that have nothing to do with them are not looked at.
func (g *gatewayConfig) serversFor(v *virtualService) iter.Seq2[int, []string] {
	return func(yield func(int, []string) bool) {
		for _, i := range g.candidates(v.hosts) {
			if hosts := g.servers[i].intersect(v.hosts, v.object.Namespace); len(hosts) > 0 && !yield(i, hosts) {
				return
			}
		}
	}
}

// candidates are the servers that may take one of the hosts.
func (g *gatewayConfig) candidates(hosts []string) []int {
	var found []int
	for _, servers := range eachCovered(hosts, g.byHost) {
		found = append(found, servers...)
	}
	for _, host := range hosts {
		eachCovering(host, func(wide string) bool {
			found = append(found, g.byHost[wide]...)
			return true
		})
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// gatewayServer is a server of a Gateway, as part of a socket.
type gatewayServer struct {
	gateway *gatewayConfig
	spec    *networking.Server
	// place is that among the Gateway's servers, field its path there, such as "servers[2]".
	place int
	field string
	kind  serverKind
	// socket is the one that it is on, and index its place there: routes of earlier servers
	// come first.
	socket *gatewaySocket
	index  int
	// tls is how TLS ends here, nil where it does not.
	tls *router.ServerTLS
	// port is the port number written in the Gateway.
	port     uint16
	hosts    *serverHosts
	redirect bool
}

// tableKey is a socket: a port, and what Gateways bind it to, in one spelling. That is empty
// for every address, which is written in three ways: no bind, 0.0.0.0, and ::.
type tableKey struct {
	port uint16
	bind string
}

// mergedServers are the servers that share a socket.
type mergedServers struct {
	key tableKey
	// bind is where it is: empty for the address of the process.
	bind      string
	servers   []*gatewayServer
	nodePorts []uint16
}

// tableName is the name of the route table for requests in the clear.
func (m *mergedServers) tableName() string {
	if m.bind == "" {
		return "http." + strconv.Itoa(int(m.key.port))
	}
	return "http." + strconv.Itoa(int(m.key.port)) + "." + m.bind
}

// listenerName names the socket.
func (m *mergedServers) listenerName() string {
	return cmp.Or(m.bind, "0.0.0.0") + "_" + strconv.Itoa(int(m.key.port))
}

// addNodePorts gives the socket the node ports of one more port of a Service.
func (m *mergedServers) addNodePorts(ports []uint16) {
	for _, port := range ports {
		if !slices.Contains(m.nodePorts, port) {
			m.nodePorts = append(m.nodePorts, port)
		}
	}
}

// gatewayMerge is the merging of all Gateways for this proxy.
type gatewayMerge struct {
	compiler   *Compiler
	order      []*mergedServers
	byKey      map[tableKey]*mergedServers
	sockets    map[tableKey]*socketUse
	tlsHosts   map[tableKey]map[string]*gatewayConfig
	conditions map[*gatewayConfig][]config.Condition
}

// socketUse says what the first server on a socket made of it.
type socketUse struct {
	kind  serverKind
	owner *gatewayConfig
}

// mergeGateways merges the servers of the Gateways that select this proxy, the
// oldest Gateway first, by the socket that they need.
func (c *Compiler) mergeGateways() *gatewayMerge {
	m := &gatewayMerge{
		compiler:   c,
		byKey:      map[tableKey]*mergedServers{},
		sockets:    map[tableKey]*socketUse{},
		tlsHosts:   map[tableKey]map[string]*gatewayConfig{},
		conditions: map[*gatewayConfig][]config.Condition{},
	}
	for _, g := range c.gatewaysInOrder() {
		for i, s := range g.spec.Servers {
			m.add(g, i, s)
		}
	}
	for _, merged := range m.order {
		m.judgeBinds(merged)
	}
	return m
}

// gatewaysInOrder returns the Gateways that select this proxy, the oldest first.
func (c *Compiler) gatewaysInOrder() []*gatewayConfig {
	var selected []*gatewayConfig
	for _, g := range c.gateways {
		if c.selected(g) {
			selected = append(selected, g)
		}
	}
	slices.SortFunc(selected, func(a, b *gatewayConfig) int { return ageOf(a.object).compare(ageOf(b.object)) })
	return selected
}

func (m *gatewayMerge) fail(severity config.Severity, reason config.Reason, g *gatewayConfig, field, message string) {
	m.conditions[g] = append(m.conditions[g], newCondition(severity, reason, g.object, field, message))
}

// add merges one server, or says why it cannot be.
func (m *gatewayMerge) add(g *gatewayConfig, i int, s *networking.Server) {
	field := fmt.Sprintf("servers[%d]", i)
	number := uint16(s.GetPort().GetNumber())
	translation := m.compiler.translation[number]
	key, bind := socketOf(cmp.Or(translation.target, number), s.Bind)
	kind, ok := serverKindOf(s)
	if !ok {
		m.fail(config.Warning, ProtocolNotServed, g, field+".port.protocol",
			fmt.Sprintf("%s: this version has no server for the protocol; the port is not opened", s.GetPort().GetProtocol()))
		return
	}
	if s.Tls != nil && !m.claimTLSHosts(key, g, i, field, kind) {
		return
	}
	if !m.claimSocket(key, g, s, kind, field) {
		return
	}
	merged := m.byKey[key]
	if merged == nil {
		merged = &mergedServers{key: key, bind: bind}
		m.byKey[key] = merged
		m.order = append(m.order, merged)
	}
	merged.widen(bind)
	merged.addNodePorts(translation.nodePorts)
	server := &gatewayServer{
		gateway: g, spec: s, place: i, field: field, kind: kind, index: len(merged.servers), port: number,
		hosts: g.servers[i], redirect: kind == plainHTTP && s.GetTls().GetHttpsRedirect(),
	}
	server.tls = m.compiler.serverTLS(server)
	m.judgeTLS(server)
	merged.servers = append(merged.servers, server)
}

// claimTLSHosts keeps servers with TLS settings, redirects to https among them, from
// claiming a host twice on a socket: the later server goes. A TLS client tells no
// namespace: where the host chooses the server, it is taken for all of them.
func (m *gatewayMerge) claimTLSHosts(key tableKey, g *gatewayConfig, i int, field string, kind serverKind) bool {
	claimed := m.tlsHosts[key]
	if claimed == nil {
		claimed = map[string]*gatewayConfig{}
		m.tlsHosts[key] = claimed
	}
	hosts := g.servers[i].written
	if kind != plainHTTP {
		hosts = g.servers[i].names()
	}
	for _, h := range hosts {
		if owner := claimed[h]; owner != nil {
			m.fail(config.Error, ServerConflict, g, field+".hosts",
				fmt.Sprintf("%q on port %d is in an earlier server with TLS settings, of %s; this server is left out. Take the host out of one of them", h, key.port, owner.object.Key))
			return false
		}
	}
	for _, h := range hosts {
		claimed[h] = g
	}
	return true
}

// claimSocket keeps servers of different kinds from sharing a socket: the first one's
// stays. Servers of requests in the clear may share it, and servers of TLS, which the
// client's server name tells apart. Nothing tells servers of bytes apart.
func (m *gatewayMerge) claimSocket(key tableKey, g *gatewayConfig, s *networking.Server, kind serverKind, field string) bool {
	use := m.sockets[key]
	switch {
	case use == nil:
		m.sockets[key] = &socketUse{kind: kind, owner: g}
		return true
	case use.kind.overTLS() && kind.overTLS(), use.kind == plainHTTP && kind == plainHTTP:
		return true
	case use.kind == kind:
		m.fail(config.Error, ServerConflict, g, field+".port",
			fmt.Sprintf("port %d: %s, which is older, has the port, and nothing tells the connections of two servers without TLS apart; this server is left out. Use another port, or another bind",
				key.port, use.owner.object.Key))
		return false
	}
	m.fail(config.Error, ServerConflict, g, field+".port",
		fmt.Sprintf("port %d with protocol %s: %s, which is older, has the port with another protocol; this server is left out. Use another port or the same protocol",
			key.port, s.GetPort().GetProtocol(), use.owner.object.Key))
	return false
}
