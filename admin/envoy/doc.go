// Package envoy owns the shapes of Envoy's admin pages: it writes what a proxy serves as the
// JSON of Envoy's protocol buffers (config_dump, clusters), so that tools made for Envoy, such
// as istioctl proxy-config, read it.
//
// It says as much as those tools look at. It must not know Envoy's own Go types, which would
// weigh more than the proxy, nor where the state comes from.
package envoy
