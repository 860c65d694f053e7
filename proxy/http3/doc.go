// Package http3 is the codec for HTTP/3 (RFC 9114), for clients: quic-go speaks QUIC and
// frames, and this package turns its requests into exchanges.
//
// It owns UDP sockets' servers, their bounds and their drain. It must not know where requests
// are routed to, nor where certificates come from. Only a gateway has it.
package http3
