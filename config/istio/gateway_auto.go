package istio

import (
	"cmp"
	"maps"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// autoChains are the chains of a socket's servers in mode AUTO_PASSTHROUGH: one for each
// port, and subset, of every service in the mesh, by the name that sidecars of other
// clusters ask for.
type autoChains struct {
	sockets *gatewaySockets
	socket  *gatewaySocket
	servers []*gatewayServer
	// byHost are the clusters of each service's host, in the order of ports and subsets.
	byHost map[string][]clusterKey
}

// newAutoChains returns those of a socket, nil where no server wants any.
func (t *gatewaySockets) newAutoChains(socket *gatewaySocket) *autoChains {
	a := &autoChains{sockets: t, socket: socket, byHost: map[string][]clusterKey{}}
	for _, s := range socket.servers {
		if s.kind == autoPassthrough {
			a.servers = append(a.servers, s)
		}
	}
	if len(a.servers) == 0 {
		return nil
	}
	for host := range t.compiler.registry.byHost {
		a.look(host)
	}
	return a
}

// autoChanged looks at a host anew whose services, or DestinationRules, changed.
func (t *gatewaySockets) autoChanged(host string) {
	for _, socket := range t.sockets {
		a := socket.auto
		switch {
		case a == nil:
		case !isWildcard(host):
			a.look(host)
		default:
			for h := range t.compiler.registry.byHost {
				if covers(host, h) {
					a.look(h)
				}
			}
		}
	}
}

// look brings the clusters of a host up to date.
func (a *autoChains) look(host string) {
	before, now := a.byHost[host], a.clustersOf(host)
	if len(now) > 0 {
		// Another rule may have another idle timeout.
		a.socket.changed = true
	}
	if slices.Equal(before, now) {
		return
	}
	a.use(now, 1)
	a.use(before, -1)
	if a.socket.changed = true; len(now) == 0 {
		delete(a.byHost, host)
	} else {
		a.byHost[host] = now
	}
}

func (a *autoChains) use(keys []clusterKey, by int) {
	for _, key := range keys {
		a.sockets.compiler.clusters.use(key, by)
	}
}

// drop gives up all that is held.
func (a *autoChains) drop() {
	for _, keys := range a.byHost {
		a.use(keys, -1)
	}
}

// clustersOf are the clusters of a host. Services outside of the mesh have none, whose
// endpoints do not speak Istio's mutual TLS.
func (a *autoChains) clustersOf(host string) []clusterKey {
	c := a.sockets.compiler
	s := c.registry.lookup(host)
	if s == nil || s.alias != "" || s.external() || !slices.ContainsFunc(a.servers, func(server *gatewayServer) bool { return server.takes(host) }) {
		return nil
	}
	var keys []clusterKey
	policy := c.rules.forService(s)
	for _, p := range s.ports {
		keys = append(keys, clusterKey{host: host, port: p.number, asIs: true})
		if policy == nil {
			continue
		}
		for _, sub := range policy.subsets {
			keys = append(keys, clusterKey{host: host, subset: sub.Name, port: p.number, asIs: true})
		}
	}
	return keys
}

// external says whether the service is outside of the mesh.
func (s *service) external() bool {
	return s.entry != nil && s.entry.Location == networking.ServiceEntry_MESH_EXTERNAL
}

// takes says whether one of the server's hosts covers a host.
func (s *gatewayServer) takes(host string) bool {
	return slices.ContainsFunc(s.hosts.names(), func(wide string) bool { return covers(wide, host) })
}

// chains returns the chains of one of the servers: those of the hosts that no server
// before it takes.
func (a *autoChains) chains(server *gatewayServer) []*router.Chain {
	var out []*router.Chain
	for _, host := range slices.SortedFunc(maps.Keys(a.byHost), cmp.Compare[string]) {
		first := slices.IndexFunc(a.servers, func(s *gatewayServer) bool { return s.takes(host) })
		if first < 0 || a.servers[first] != server {
			continue
		}
		for _, key := range a.byHost[host] {
			out = append(out, a.chain(server, key))
		}
	}
	return out
}

// chain returns the chain for a cluster, the one there was where there was one.
func (a *autoChains) chain(server *gatewayServer, key clusterKey) *router.Chain {
	name := server.chainName("tls") + "/" + key.String()
	if before := a.socket.chains[name]; before != nil && before.Origin == server.origin() && before.Streams[0].IdleTimeout == a.sockets.compiler.clusters.idleTimeoutOf(key) {
		return before
	}
	return &router.Chain{
		Name:        name,
		ServerNames: []string{key.String()},
		Port:        server.port,
		IstioALPN:   true,
		Origin:      server.origin(),
		Streams: []*router.StreamRoute{{
			Name:         key.String(),
			Origin:       server.origin(),
			Destinations: []router.Destination{{Cluster: key.String(), Weight: 1}},
			IdleTimeout:  a.sockets.compiler.clusters.idleTimeoutOf(key),
		}},
	}
}
