package upstream

import (
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// ownedIdle is how long a connection may be idle that serves a single connection of a client:
// nobody will use it once that has ended, and the pool does not hear of it.
const ownedIdle = int64(10 * time.Second)

// terms are how the connections of a cluster are made. Clusters that follow each other
// share them while they stay the same: a connection that was made on other terms, say
// before a policy asked for TLS, is not used again.
type terms struct {
	protocol      router.Protocol
	proxyProtocol uint8
	tls           *router.ClientTLS
	// everybody is the identity of connections that serve any exchange.
	everybody identity
}

// identity is what a connection was made for. Only those of the same identity may use it.
type identity struct {
	terms *terms
	// serverName is set with AutoServerName: for this name the endpoint has shown a
	// certificate. It is clear of a port, and of brackets.
	serverName string
	// http2 is set with ProtocolDownstream, for clients that speak it; http1 with ProtocolAuto,
	// for what HTTP/2 cannot, or an endpoint does not.
	http2, http1 bool
	// source and destination are set with ProxyProtocol: the connection belongs to that of
	// one client, whose exchanges may follow each other on it.
	source, destination netip.AddrPort
}

// agree returns the terms of a specification: those of the cluster before it, if they are
// the same.
func (s *clusterState) agree(spec *router.Cluster) *terms {
	if old := s.current.Load(); old != nil {
		t := old.terms
		if t.protocol == spec.Protocol && t.proxyProtocol == spec.ProxyProtocol && reflect.DeepEqual(t.tls, spec.TLS) {
			return t
		}
	}
	t := &terms{protocol: spec.Protocol, proxyProtocol: spec.ProxyProtocol, tls: spec.TLS}
	t.everybody.terms = t
	return t
}

// autoServerName tells whether the request's authority says for whom the certificate must
// be.
func (t *terms) autoServerName() bool {
	return t.tls != nil && t.tls.AutoServerName && t.tls.ServerName == ""
}

// identity returns that of a connection for need, in room where it is not everybody's. It
// may alias what need does.
func (t *terms) identity(need *Need, room *identity) *identity {
	http1 := need.Upgrade && t.protocol == router.ProtocolAuto
	if t.proxyProtocol == 0 && t.protocol != router.ProtocolDownstream && !t.autoServerName() && !http1 {
		return &t.everybody
	}
	*room = identity{terms: t, http2: need.HTTP2 && t.protocol == router.ProtocolDownstream, http1: http1}
	if t.autoServerName() {
		room.serverName = strings.Trim(router.NormalizeHost(need.Authority), "[]")
	}
	if t.proxyProtocol != 0 {
		room.source, room.destination = need.Source, need.Destination
	}
	return room
}

// shares tells whether connections may be of HTTP/2, which several exchanges share.
func (id *identity) shares() bool {
	switch id.terms.protocol {
	case router.ProtocolHTTP2:
		return true
	case router.ProtocolAuto:
		return !id.http1
	}
	return id.http2
}

// keep returns the identity in memory of its own.
func (id *identity) keep() *identity {
	if id == &id.terms.everybody {
		return &id.terms.everybody
	}
	kept := *id
	kept.serverName = strings.Clone(id.serverName)
	return &kept
}

// serves tells whether a connection was made for id.
func serves(conn *http1.Conn, id *identity) bool {
	made, _ := conn.For.(*identity)
	return made == id || made != nil && *made == *id
}

// outdated tells whether a connection was made on other terms than those in force.
func (t *terms) outdated(conn *http1.Conn) bool {
	made, _ := conn.For.(*identity)
	return made == nil || made.terms != t
}
