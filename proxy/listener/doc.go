// Package listener takes clients' connections from sockets to codecs: it accepts them within
// its bounds, believes the PROXY protocol where that is configured, finds the [router.Chain] by
// the TLS server name, has TLS done, and hands the connection to the codec that it turns out
// to want. It looks after the sessions' timeouts, and ends them when it drains.
//
// It must not know requests, nor where certificates come from.
package listener
