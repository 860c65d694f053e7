// Package http2 is the codec for HTTP/2 (RFC 9113), with clients and with upstreams, over
// TLS and, with prior knowledge, over plaintext.
//
// It owns frames, header compression (RFC 7541), flow control, the order in which streams
// are served, extended CONNECT for WebSockets (RFC 8441), and the bounds on what a peer may
// make us do. What a request may look like otherwise it takes from package http1, so that
// both codecs agree about it. It must not know where requests are routed to, nor how
// endpoints are chosen.
package http2
