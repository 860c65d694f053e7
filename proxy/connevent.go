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
	// ConnUnproven: the connection is ended, because its server asks more of clients'
	// certificates than when the connection was made.
	ConnUnproven
	// ConnHTTP2: the connection speaks HTTP/2.
	ConnHTTP2
	// ConnHTTP2Error: a connection of HTTP/2 ended for what its client did; ConnHTTP2StreamError,
	// a stream. ConnHTTP2Refused: a stream beyond the bound of concurrent ones.
	ConnHTTP2Error
	ConnHTTP2StreamError
	ConnHTTP2Refused
	// Connections of HTTP/2 that ended because a client did one thing too often: reset
	// streams, or had them reset; sent frames to answer, or SETTINGS; CONTINUATION; empty
	// frames; PRIORITY; WINDOW_UPDATE.
	ConnHTTP2RapidReset
	ConnHTTP2ControlFlood
	ConnHTTP2HeaderFlood
	ConnHTTP2EmptyFlood
	ConnHTTP2PriorityFlood
	ConnHTTP2UpdateFlood
	// ConnHTTP2Stalled: no window for a response, for too long; ConnHTTP2WriteTimeout: nothing
	// was read.
	ConnHTTP2Stalled
	ConnHTTP2WriteTimeout
	// ConnHTTP3RapidReset: a connection of HTTP/3 ended because its client left too many requests
	// before they were answered.
	ConnHTTP3RapidReset

	connEvents // how many there are
)

// ConnEventNames are the events' names in metrics, in their order.
var ConnEventNames = [connEvents]string{
	"opened", "closed", "refused", "refused_per_ip", "refused_total", "idle_timeout", "head_timeout", "stream_timeout",
	"request_rejected", "slow_body", "tunnel_timeout", "bad_proxy_header", "not_tls", "no_chain", "handshake_failed",
	"handshake_timeout", "handshake", "resumed", "unproven", "http2",
	"http2_error", "http2_stream_error", "http2_stream_refused",
	"http2_rapid_reset", "http2_control_flood", "http2_header_flood", "http2_empty_flood", "http2_priority_flood",
	"http2_window_update_flood", "http2_stalled", "http2_write_timeout", "http3_rapid_reset",
}
