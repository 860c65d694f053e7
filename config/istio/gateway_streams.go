package istio

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// streamKey names what connections on a socket are told apart by: a TLS server name that is
// passed through, whichever server it comes in by, or a server that takes them whole.
type streamKey struct {
	server *gatewayServer
	name   string
}

// gatewayStream are the connections of one key.
type gatewayStream struct {
	socket *gatewaySocket
	key    streamKey
	// claims come in the order in which they were made; build sorts them.
	claims []streamClaim
	// server is that of the first claim, routes what comes of all. There is no chain
	// without routes.
	server *gatewayServer
	routes []*router.StreamRoute
}

// streamClaim is a VirtualService's, through a server of one of its gateways.
type streamClaim struct {
	server *gatewayServer
	vs     *virtualService
	unit   *unit
	rules  []*streamRule
}

func (a streamClaim) compare(b streamClaim) int {
	return claim{server: a.server, vs: a.vs}.compare(claim{server: b.server, vs: b.vs})
}

// socketStreams are the connections that a socket routes.
type socketStreams struct {
	byKey map[streamKey]*gatewayStream
	// order has the names with routes, sorted.
	order sortedList[*gatewayStream]
	// terminated are the servers that end TLS, by the names that they take.
	terminated map[string]*gatewayServer
}

func newSocketStreams(socket *gatewaySocket) socketStreams {
	s := socketStreams{byKey: map[streamKey]*gatewayStream{}, terminated: map[string]*gatewayServer{}}
	s.order.compare = func(a, b *gatewayStream) int { return cmp.Compare(a.key.name, b.key.name) }
	for _, server := range socket.servers {
		if server.kind == terminatedHTTP || server.kind == terminatedTCP {
			for _, name := range server.hosts.names() {
				s.terminated[name] = server
			}
		}
	}
	return s
}

// stream returns the connections of a key, for settle to build.
func (t *gatewaySockets) stream(socket *gatewaySocket, key streamKey) *gatewayStream {
	s := socket.streams.byKey[key]
	if s == nil {
		s = &gatewayStream{socket: socket, key: key}
		socket.streams.byKey[key] = s
	}
	t.changedStreams[s] = struct{}{}
	return s
}

// claimConnections gives a VirtualService the connections of a server that routes bytes.
func (t *gatewaySockets) claimConnections(socket *gatewaySocket, server *gatewayServer, v *virtualService) {
	u := t.compiler.unit(v, unitKey{gateway: server.gateway.name, port: server.port, rules: tcpRules})
	if u.streams != nil {
		t.claimStream(t.stream(socket, streamKey{server: server}), streamClaim{server, v, u, u.streams.list})
	}
}

// claimNames gives a VirtualService the TLS server names of its rules that are a server's,
// and of two that overlap the narrower.
func (t *gatewaySockets) claimNames(socket *gatewaySocket, server *gatewayServer, v *virtualService) {
	u := t.compiler.unit(v, unitKey{gateway: server.gateway.name, port: server.port, rules: tlsRules})
	rules := map[string][]*streamRule{}
	var names []string
	if u.streams == nil {
		return
	}
	for _, r := range u.streams.list {
		for _, name := range server.hosts.intersect(r.names, v.object.Namespace) {
			if rules[name] == nil {
				names = append(names, name)
			}
			rules[name] = append(rules[name], r)
		}
	}
	for _, name := range names {
		t.claimStream(t.stream(socket, streamKey{name: name}), streamClaim{server, v, u, rules[name]})
	}
}

func (t *gatewaySockets) claimStream(s *gatewayStream, c streamClaim) {
	s.claims = append(s.claims, c)
	t.compiler.hold(c.vs, c.unit)
	c.vs.hasStream(s)
}

// settleStream builds the connections of one key anew.
func (t *gatewaySockets) settleStream(s *gatewayStream) {
	before, server := s.routes, s.server
	conditions := s.build()
	t.compiler.conditions.replace(s, conditions)
	streams := &s.socket.streams
	if len(s.claims) == 0 && s.key.server == nil {
		delete(streams.byKey, s.key)
	}
	if reflect.DeepEqual(before, s.routes) {
		s.routes = before
		if s.server == server {
			return
		}
	}
	s.socket.changed = true
	if s.key.server == nil {
		streams.list(s)
	}
}

// list keeps order in step.
func (s *socketStreams) list(stream *gatewayStream) {
	s.order.set(stream, len(stream.routes) > 0)
}

// adopt takes over what was built for the socket before.
func (s *socketStreams) adopt(old *socketStreams) {
	whole := map[string]*gatewayStream{}
	for key, stream := range old.byKey {
		if key.server != nil {
			whole[key.server.chainName("")] = stream
		}
	}
	for key, now := range s.byKey {
		before := old.byKey[key]
		if key.server != nil {
			before = whole[key.server.chainName("")]
		}
		if before == nil {
			continue
		}
		if now.routes = before.routes; key.server == nil {
			s.list(now)
		}
	}
}

// build sets the routes of the first claims, up to one that takes every connection, and
// returns what is wrong with the claims behind it.
func (s *gatewayStream) build() []config.Condition {
	s.server, s.routes = s.key.server, nil
	slices.SortFunc(s.claims, streamClaim.compare)
	var conditions []config.Condition
	if server := s.socket.streams.terminated[s.key.name]; server != nil && s.key.server == nil {
		for _, c := range s.claims {
			conditions = append(conditions, endsBefore(server, s.key.name, c.rules[0].origin))
		}
		return conditions
	}
	var all *virtualService
	for _, c := range s.claims {
		if s.key.server == nil && s.server == nil {
			s.server = c.server
		}
		for _, r := range c.rules {
			switch {
			case all == nil && !slices.Contains(s.routes, r.route):
				s.routes = append(s.routes, r.route)
				if len(r.route.Subnets) == 0 {
					all = c.vs
				}
			case all != nil && all != c.vs:
				// Within one object that is package validate's to say.
				conditions = append(conditions, s.shadowed(r.origin, all))
			}
		}
	}
	return conditions
}

// endsBefore says that a server ends the TLS that a rule would pass through.
func endsBefore(server *gatewayServer, name string, origin source) config.Condition {
	return newCondition(config.Warning, UnreachableRule, origin.object, origin.field,
		fmt.Sprintf("%q: %s %s has the name on port %d and ends its TLS, so none of its connections gets here. Take the host out of that server, or write mode: PASSTHROUGH there",
			name, server.gateway.object.Key, server.field, server.port))
}

// shadowed says that an older VirtualService leaves nothing for a rule.
func (s *gatewayStream) shadowed(origin source, by *virtualService) config.Condition {
	what := fmt.Sprintf("has the port %d", s.server.port)
	if s.key.name != "" {
		what = fmt.Sprintf("has the server name %q", s.key.name)
	}
	return newCondition(config.Warning, UnreachableRule, origin.object, origin.field,
		fmt.Sprintf("%s, which %s too and comes first, takes all of this rule's connections. Take it out of one of them", by.object.Key, what))
}

// notRouted says that no rule is for a server that routes connections.
func (s *gatewayServer) notRouted() config.Condition {
	rules := "tcp rule"
	if s.kind == passedThrough {
		rules = "tls rule with one of the hosts in sniHosts"
	}
	return newCondition(config.Warning, ServerNotRouted, s.gateway.object, s.field,
		fmt.Sprintf("no VirtualService that names this Gateway has a %s for port %d: clients are turned away. Add one", rules, s.port))
}

// chains returns the chains of the servers that route connections, for each server.
func (s *socketStreams) chains() map[*gatewayServer][]*router.Chain {
	all := map[*gatewayServer][]*router.Chain{}
	for key, stream := range s.byKey {
		if key.server != nil && len(stream.routes) > 0 {
			all[key.server] = []*router.Chain{key.server.streamChain(stream.routes)}
		}
	}
	alike := map[router.Origin][]*router.Chain{}
	for _, stream := range s.order.list() {
		s.join(all, alike, stream)
	}
	return all
}

// join adds a name to the chain with the same routes of the same server, or makes one.
func (s *socketStreams) join(all map[*gatewayServer][]*router.Chain, alike map[router.Origin][]*router.Chain, stream *gatewayStream) {
	first := stream.routes[0].Origin
	for _, chain := range alike[first] {
		if chain.Origin == stream.server.origin() && reflect.DeepEqual(chain.Streams, stream.routes) {
			chain.ServerNames = append(chain.ServerNames, stream.key.name)
			return
		}
	}
	chain := &router.Chain{
		Name:        stream.server.chainName("tls") + "/" + stream.key.name,
		ServerNames: []string{stream.key.name},
		Streams:     stream.routes,
		Port:        stream.server.port,
		Origin:      stream.server.origin(),
	}
	alike[first] = append(alike[first], chain)
	all[stream.server] = append(all[stream.server], chain)
}

// origin is where the server is written.
func (s *gatewayServer) origin() router.Origin { return originOf(s.gateway.object, s.field) }
