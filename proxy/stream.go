package proxy

import (
	"net/netip"

	"github.com/sluicegate/sluice/router"
)

// Stream is a client's connection whose bytes were carried to an endpoint and back, as what
// counts and logs it sees it when it is over.
type Stream struct {
	// Connection is the client's.
	Connection *Connection
	// Route is the router.StreamRoute's name, and Cluster that of the destination that was
	// picked; empty where there was none.
	Route, Cluster string
	// Missing names that cluster where there is none of that name; else it is nil. It is the
	// table's, and does not change.
	Missing *router.ClusterRef
	// Target is that cluster, and Endpoint the one that was connected to, or tried last; nil
	// where it did not come to that. They are what the table was built from, and do not change.
	Target   *router.Cluster
	Endpoint *router.Endpoint
	Flags    Flags
	// Termination says in a word why the connection ended, where neither side ended it.
	Termination string
	// UpstreamHost is the endpoint's address, UpstreamLocal our side of the connection to
	// it, UpstreamFailure what went wrong there.
	UpstreamHost    string
	UpstreamLocal   netip.AddrPort
	UpstreamFailure string
	// Attempts counts the tries to connect.
	Attempts int
	// BytesReceived came from the client, BytesSent went to it.
	BytesReceived, BytesSent int64
	// Start, Connected and End are moments of Now; Connected is 0 where it did not come to
	// that.
	Start, Connected, End int64
}
