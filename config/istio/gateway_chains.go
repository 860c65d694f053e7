package istio

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// settle makes the listener anew where a table or a chain changed.
func (s *gatewaySocket) settle() {
	changed := s.changed
	for _, table := range s.tables {
		changed = table.settle() || changed
	}
	if !changed {
		return
	}
	s.changed = false
	listener := &router.Listener{Name: s.listenerName(), Address: s.bind, Port: s.key.port, NodePorts: s.nodePorts}
	if s.servers[0].kind == plainHTTP {
		listener.Tables = []*router.RouteTable{s.tables[0].table}
	} else if listener.Chains = s.settleChains(); len(listener.Chains) == 0 {
		s.listener = nil
		return
	}
	if s.listener == nil || !sameListener(s.listener, listener) {
		s.listener = listener
	}
}

// settleChains returns the chains of the socket's servers, in the servers' order. Those
// that there were before are kept.
func (s *gatewaySocket) settleChains() []*router.Chain {
	streams := s.streams.chains()
	var all []*router.Chain
	for _, server := range s.servers {
		switch {
		case server.kind == terminatedHTTP:
			all = append(all, server.requestChain(s.tableOf[server].table))
		case server.kind == autoPassthrough:
			all = append(all, s.auto.chains(server)...)
		default:
			all = append(all, streams[server]...)
			var conditions []config.Condition
			if len(streams[server]) == 0 {
				conditions = append(conditions, server.notRouted())
			}
			s.compiler.conditions.replace(server, conditions)
		}
	}
	byName := make(map[string]*router.Chain, len(all))
	for i, chain := range all {
		if before := s.chains[chain.Name]; before != nil && sameChain(before, chain) {
			all[i] = before
		}
		byName[chain.Name] = all[i]
	}
	s.chains = byName
	return all
}

// sameListener says whether two listeners of a socket have the very same parts.
func sameListener(a, b *router.Listener) bool {
	return a.Name == b.Name && a.Address == b.Address && slices.Equal(a.Tables, b.Tables) && slices.Equal(a.Chains, b.Chains) && slices.Equal(a.NodePorts, b.NodePorts)
}

// sameChain says whether two chains do the same, with the very same routes.
func sameChain(a, b *router.Chain) bool {
	return a == b || a.Name == b.Name && slices.Equal(a.ServerNames, b.ServerNames) && a.Table == b.Table && slices.Equal(a.Streams, b.Streams) &&
		a.IstioALPN == b.IstioALPN && a.Origin == b.Origin && reflect.DeepEqual(a.TLS, b.TLS)
}

// chainName names a chain of a server: "tls.443.mongo.gw.default".
func (s *gatewayServer) chainName(protocol string) string {
	parts := []string{protocol, strconv.Itoa(int(s.port)), s.spec.GetPort().GetName(), s.gateway.object.Name, s.gateway.object.Namespace}
	if s.spec.Bind != "" {
		parts = append(parts, s.spec.Bind)
	}
	return strings.Join(parts, ".")
}

// requestChain is the chain of a server that ends TLS and routes requests.
func (s *gatewayServer) requestChain(table *router.RouteTable) *router.Chain {
	return &router.Chain{Name: table.Name, ServerNames: s.hosts.names(), TLS: s.tls, Table: table, Origin: s.origin()}
}

// streamChain is the chain of a server that routes whole connections, or the bytes in its TLS.
func (s *gatewayServer) streamChain(routes []*router.StreamRoute) *router.Chain {
	if s.kind == plainTCP {
		return &router.Chain{Name: s.chainName("tcp"), Streams: routes, Port: s.port, Origin: s.origin()}
	}
	return &router.Chain{Name: s.chainName("tls"), ServerNames: s.hosts.names(), TLS: s.tls, Streams: routes, Port: s.port, Origin: s.origin()}
}
