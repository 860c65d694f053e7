// Package proxyproto reads and writes the PROXY protocol's header, versions 1 and 2: what a
// load balancer sends in front of a connection's bytes to say whose connection it is
// (HAProxy's proxy-protocol.txt).
//
// It owns the header's bytes. It must not know who is trusted to send one.
//
// The parser is our own. A header comes from a stranger before anything else is known of
// the connection, so it is held to the letter: [Parse] works on the bytes that have come,
// allocates next to nothing, wants no buffered reader that the connection would then have to keep,
// accepts headers split over segments, and finds a header without reading a byte behind it
// that it does not hand back. Tests compare it with github.com/pires/go-proxyproto.
package proxyproto
