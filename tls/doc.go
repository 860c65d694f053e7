// Package tls turns what a configuration says of TLS (router.ServerTLS, ClientTLS, Credential,
// Authorities and Secret) into configurations for crypto/tls, and keeps them fresh: files are
// watched, Secrets followed, session tickets' keys rotated, and what is broken leaves the last
// good one in force and is told of.
//
// It owns certificates, keys, authorities, revocation lists, OCSP staples and session tickets.
// It must not know HTTP, sockets, nor who issues certificates: an ACME client is handed in.
package tls
