package istio

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// gatewayConfig is one Gateway in force.
type gatewayConfig struct {
	object *config.Object
	spec   *networking.Gateway
	// name is "namespace/name".
	name string
	// servers has the hosts of each server.
	servers []*serverHosts
}

func newGatewayConfig(o *config.Object, spec *networking.Gateway) *gatewayConfig {
	g := &gatewayConfig{object: o, spec: spec, name: o.Namespace + "/" + o.Name}
	for _, s := range spec.Servers {
		g.servers = append(g.servers, newServerHosts(s.Hosts, o.Namespace))
	}
	return g
}

// serverHosts are the hosts that a server takes, with the namespaces from which it
// takes VirtualServices for them.
type serverHosts struct {
	// written are the hosts with their namespaces, "ns/host", or plain where all
	// namespaces will do.
	written []string
	// namespaces are, for each host, those from which VirtualServices are taken; ""
	// stands for all.
	namespaces map[string][]string
}

func newServerHosts(hosts []string, namespace string) *serverHosts {
	s := &serverHosts{namespaces: map[string][]string{}}
	for _, h := range hosts {
		h = strings.ToLower(h)
		ns, host, ok := strings.Cut(h, "/")
		switch {
		case !ok:
			ns, host = "", h
		case ns == ".":
			ns = namespace
		case ns == "*" && host == "*":
			// It takes everything, and so stands for all the server's hosts.
			return &serverHosts{written: []string{"*"}, namespaces: map[string][]string{"*": {""}}}
		case ns == "*":
			ns = ""
		}
		if ns == "" {
			s.written = append(s.written, host)
		} else {
			s.written = append(s.written, ns+"/"+host)
		}
		s.namespaces[host] = append(s.namespaces[host], ns)
	}
	return s
}

// intersect returns the hosts that are both the server's and among those of a
// VirtualService of a namespace: of two that overlap, the narrower.
func (s *serverHosts) intersect(hosts []string, namespace string) []string {
	var out []string
	add := func(host string) {
		if !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	takes := func(namespaces []string) bool { return takesFrom(namespaces, namespace) }
	for _, h := range hosts {
		if _, ok := mostSpecific(s.namespaces, h, takes); ok {
			add(h)
		}
		if !isWildcard(h) {
			continue
		}
		for narrower, namespaces := range s.namespaces {
			if covers(h, narrower) && takes(namespaces) {
				add(narrower)
			}
		}
	}
	return out
}

func takesFrom(namespaces []string, namespace string) bool {
	return slices.Contains(namespaces, "") || slices.Contains(namespaces, namespace)
}

// gatewayServer is a server of a Gateway, as part of a table.
type gatewayServer struct {
	gateway *gatewayConfig
	// index is its place in the table: routes of earlier servers come first.
	index int
	// port is the port number written in the Gateway.
	port     uint16
	hosts    *serverHosts
	redirect bool
}

// tableKey is a socket.
type tableKey struct {
	port uint16
	bind string
}

// name is the name of the route table for a socket.
func (k tableKey) name() string {
	if k.bind == "" {
		return "http." + strconv.Itoa(int(k.port))
	}
	return "http." + strconv.Itoa(int(k.port)) + "." + k.bind
}

// listenerName names the socket.
func (k tableKey) listenerName() string {
	return cmp.Or(k.bind, "0.0.0.0") + "_" + strconv.Itoa(int(k.port))
}

// mergedServers are the servers that share a socket.
type mergedServers struct {
	key       tableKey
	servers   []*gatewayServer
	nodePorts []uint16
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
	protocol portProtocol
	tls      bool
	owner    *gatewayConfig
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
	return m
}

// gatewaysInOrder returns the Gateways that select this proxy, the oldest first.
func (c *Compiler) gatewaysInOrder() []*gatewayConfig {
	var selected []*gatewayConfig
	for _, g := range c.gateways {
		if c.options.AllGateways || selects(g.spec.Selector, c.options.Labels) {
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
	key := tableKey{port: cmp.Or(translation.target, number), bind: s.Bind}
	protocol := parseProtocol(s.GetPort().GetProtocol())
	if s.Tls != nil && !m.claimTLSHosts(key, g, i, field) {
		return
	}
	if !m.claimSocket(key, g, s, protocol, field) {
		return
	}
	if protocol != httpProtocol {
		m.fail(config.Warning, ProtocolNotServed, g, field+".port.protocol",
			fmt.Sprintf("%s: TLS and TCP servers are not served by this version; the port is not opened", s.GetPort().GetProtocol()))
		return
	}
	merged := m.byKey[key]
	if merged == nil {
		merged = &mergedServers{key: key, nodePorts: translation.nodePorts}
		m.byKey[key] = merged
		m.order = append(m.order, merged)
	}
	merged.servers = append(merged.servers, &gatewayServer{
		gateway: g, index: len(merged.servers), port: number,
		hosts: g.servers[i], redirect: s.GetTls().GetHttpsRedirect(),
	})
}

// claimTLSHosts keeps servers with TLS settings, redirects to https among them, from
// claiming a host twice on a socket: the later server goes.
func (m *gatewayMerge) claimTLSHosts(key tableKey, g *gatewayConfig, i int, field string) bool {
	claimed := m.tlsHosts[key]
	if claimed == nil {
		claimed = map[string]*gatewayConfig{}
		m.tlsHosts[key] = claimed
	}
	hosts := g.servers[i].written
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

// claimSocket keeps servers of different protocols from sharing a socket: the first
// one's protocol stays. HTTP servers may share it, and TLS servers.
func (m *gatewayMerge) claimSocket(key tableKey, g *gatewayConfig, s *networking.Server, protocol portProtocol, field string) bool {
	tls := s.Tls != nil && protocol != httpProtocol
	use := m.sockets[key]
	switch {
	case use == nil:
		m.sockets[key] = &socketUse{protocol: protocol, tls: tls, owner: g}
		return true
	case use.tls && tls, use.protocol == httpProtocol && protocol == httpProtocol:
		return true
	}
	m.fail(config.Error, ServerConflict, g, field+".port",
		fmt.Sprintf("port %d with protocol %s: %s, which is older, has the port with another protocol; this server is left out. Use another port or the same protocol",
			key.port, s.GetPort().GetProtocol(), use.owner.object.Key))
	return false
}
