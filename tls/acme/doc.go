// Package acme has certificates issued by a certificate authority that speaks ACME (RFC
// 8555), for the hosts that the configuration names and no others, and renews them. It proves
// that the hosts are served here by HTTP-01 and TLS-ALPN-01 (RFC 8737).
//
// It owns the account, the orders and their cache. It must not know routes or listeners.
package acme
