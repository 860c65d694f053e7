// Package http1 is the HTTP/1.0 and HTTP/1.1 codec (RFC 9110, RFC 9112), both sides:
// the strict parser of message heads and chunked bodies, the [Server] that reads
// requests from clients, and the [Conn] that sends them to an endpoint.
//
// It owns message framing, keep-alive, pipelining and what a connection may hold in
// memory. It must not know routes, clusters or policies: it hands each request to a
// [proxy.Handler] and writes the response that it is told to.
//
// A message whose framing is in any doubt is refused, never repaired (RFC 9112
// section 11.2): the parser accepts less than the RFC allows where two readers could
// disagree.
package http1
