package metrics

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// kind is what was carried.
type kind uint8

const (
	kindHTTP kind = iota
	kindGRPC
	kindTCP
)

var protocols = [...]string{kindHTTP: "http", kindGRPC: "grpc", kindTCP: "tcp"}

// maxTags bounds the tags by expression of a direction's metrics.
const maxTags = 8

// key is what exchanges have in common that are counted together. Its pointers are compared,
// not what they point to: those of a new table make new keys, and the same series.
type key struct {
	policy   *policy
	listener string
	cluster  *router.Cluster
	endpoint *router.Endpoint
	// host is the virtual host of a request that came to no cluster.
	host *router.CompiledVirtualHost
	// missing names a cluster that a route named and that is not there.
	missing *router.ClusterRef
	// caller and callee are the other end by its own word.
	caller, callee *peer
	// principal is that of the caller's certificate.
	principal string
	// tags are the values, by number, of the policy's expressions.
	tags   [maxTags]uint8
	flags  proxy.Flags
	status uint16
	kind   kind
	grpc   grpcStatus
	mutual bool
	// overflow stands for all keys beyond those that a shard holds.
	overflow bool
}

// failed tells whether the exchange did not come to what was asked for.
func (k *key) failed() bool {
	return k.kind != kindTCP && (k.status >= 500 || k.status < 100) || k.kind == kindGRPC && k.grpc.failed()
}

// grpcStatus is that of a gRPC call; grpcNone where there is none.
type grpcStatus uint8

const (
	grpcLast  grpcStatus = 16
	grpcOther grpcStatus = 254
	grpcNone  grpcStatus = 255
)

// parseGRPCStatus reads a grpc-status; those that do not exist are one.
func parseGRPCStatus(s string) grpcStatus {
	switch {
	case s == "":
		return grpcNone
	case len(s) == 1 && s[0] >= '0' && s[0] <= '9':
		return grpcStatus(s[0] - '0')
	case len(s) == 2 && s[0] == '1' && s[1] >= '0' && s[1] <= '6':
		return grpcStatus(s[1]-'0') + 10
	}
	return grpcOther
}

func (g grpcStatus) failed() bool { return g != 0 && g != grpcNone }

// validStatus returns a response's code, 0 for what is none.
func validStatus(status int) uint16 {
	if status < 100 || status > 599 {
		return 0
	}
	return uint16(status)
}

// exchangeKey returns the key of an exchange. The caller holds the shard's lock.
func (m *Metrics) exchangeKey(s *shard, a *applied, ex *proxy.Exchange) key {
	k := key{
		policy: a.outbound, listener: ex.Request.Listener,
		cluster: ex.Cluster, endpoint: ex.Endpoint,
		flags: ex.Flags, status: validStatus(ex.Status), grpc: grpcNone,
	}
	if ex.GRPC {
		k.kind, k.grpc = kindGRPC, parseGRPCStatus(ex.GRPCStatus)
	}
	if k.cluster == nil {
		k.host = ex.Decision.VirtualHost
		if ex.Destination != nil {
			k.missing = &ex.Destination.Cluster
		}
	}
	if c := ex.Connection; c != nil {
		m.caller(s, a, &k, c, ex.PeerMetadata)
	}
	if k.endpoint == nil || k.endpoint.Workload == "" {
		if k.cluster != nil && !k.cluster.External && k.policy == a.outbound {
			k.callee = s.peers.lookup(&m.peers, ex.UpstreamPeerMetadata)
		}
	}
	if len(k.policy.tags) > 0 {
		s.evaluate(&k, ex, nil)
	}
	return k
}

// streamKey returns the key of a connection that carries bytes.
func (m *Metrics) streamKey(s *shard, a *applied, st *proxy.Stream) key {
	k := key{
		policy: a.outbound, cluster: st.Target, endpoint: st.Endpoint,
		missing: st.Missing, flags: st.Flags, kind: kindTCP, grpc: grpcNone,
	}
	if c := st.Connection; c != nil {
		k.listener = c.Listener
		m.caller(s, a, &k, c, "")
	}
	if len(k.policy.tags) > 0 {
		s.evaluate(&k, nil, st)
	}
	return k
}

// caller fills in what the client's connection tells, and which policy holds.
func (m *Metrics) caller(s *shard, a *applied, k *key, c *proxy.Connection, metadata string) {
	if !c.Inbound {
		return
	}
	k.policy = a.inbound
	if c.TLS != nil && c.TLS.Peer != nil && len(c.TLS.Peer.URIs) > 0 {
		k.mutual, k.principal = true, c.TLS.Peer.URIs[0]
	}
	if m.o.Mesh {
		k.caller = s.peers.lookup(&m.peers, metadata)
	}
}
