// Package envoydump judges the admin server's pages in Envoy's shapes by Envoy's own protocol
// buffers: everything in them must be known there, and mean what was configured.
package envoydump
