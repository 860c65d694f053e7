package proxy

// ConnEvent is something that happened to a client's connection.
type ConnEvent uint8

const (
	// ConnOpened and ConnClosed frame a connection's life.
	ConnOpened ConnEvent = iota
	ConnClosed
	// ConnRefused: over the listener's bound of connections; ConnRefusedPerIP, over that of
	// the client's address; ConnRefusedTotal, over that of the process.
	ConnRefused
	ConnRefusedPerIP
	ConnRefusedTotal
	// ConnIdleTimeout, ConnHeadTimeout and ConnStreamTimeout: closed because nothing came,
	// or moved, for too long.
	ConnIdleTimeout
	ConnHeadTimeout
	ConnStreamTimeout
	// ConnRejected: a request that the codec refused.
	ConnRejected
	// ConnSlowBody: a request's body came too slowly.
	ConnSlowBody
	// ConnTunnelTimeout: an upgraded connection, or one that carries bytes, in which nothing
	// moved for too long.
	ConnTunnelTimeout
	// ConnBadProxyHeader: no valid PROXY protocol header where one must be.
	ConnBadProxyHeader
	// ConnNotTLS: a client that does not begin with TLS where only TLS is served.
	ConnNotTLS
	// ConnNoChain: nobody serves the TLS server name.
	ConnNoChain
	// ConnHandshakeFailed and ConnHandshakeTimeout: TLS did not come about.
	ConnHandshakeFailed
	ConnHandshakeTimeout
	// ConnHandshake: TLS came about; ConnResumed, with a session resumed.
	ConnHandshake
	ConnResumed
	// ConnHTTP2: the connection speaks HTTP/2.
	ConnHTTP2
)

// ConnEventNames are the events' names in metrics, in their order.
var ConnEventNames = []string{
	"opened", "closed", "refused", "refused_per_ip", "refused_total", "idle_timeout", "head_timeout", "stream_timeout",
	"request_rejected", "slow_body", "tunnel_timeout", "bad_proxy_header", "not_tls", "no_chain", "handshake_failed",
	"handshake_timeout", "handshake", "resumed", "http2",
}
