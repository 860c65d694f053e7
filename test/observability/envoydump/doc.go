// Package envoydump judges the admin server's pages in Envoy's shapes by Envoy's own protocol
// buffers: everything in them must be known there, and mean what was configured.
//
// With ISTIOCTL=PATH an unmodified istioctl reads them too. Where its release cannot be
// downloaded, a module builds it that imports istio.io/istio/istioctl/cmd@latest and replaces
// istio.io/api and istio.io/client-go by v1.31.1 and go-control-plane's envoy by v1.40.0.
package envoydump
