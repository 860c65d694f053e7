package forward

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// The headers by which the proxies of a mesh tell each other for which workloads they speak
// (Istio's metadata exchange). Nobody else is to see them, or to be believed in them.
const (
	peerMetadata   = "x-envoy-peer-metadata"
	peerMetadataID = "x-envoy-peer-metadata-id"
)

// identifyInMesh takes what a caller says of itself. The headers of a sidecar's own workload are
// left as they are, but for those that speak for a proxy.
func (e *Engine) identifyInMesh(ex *proxy.Exchange) {
	headers := ex.Request.Headers
	kept := headers[:0]
	for i := range headers {
		h := &headers[i]
		switch {
		case isPeerHeader(h.Name, peerMetadata):
			if ex.Connection.Inbound {
				ex.PeerMetadata = h.Value
			}
			continue
		case isPeerHeader(h.Name, peerMetadataID):
			if ex.Connection.Inbound {
				ex.PeerMetadataID = h.Value
			}
			continue
		case ex.RequestID == "" && h.Name == "x-request-id":
			ex.RequestID = h.Value
		}
		if len(kept) == i {
			kept = headers[:i+1]
		} else {
			kept = append(kept, *h)
		}
	}
	ex.Request.Headers = kept
}

// tellPeer tells the endpoint of a try whom this proxy speaks for, where a proxy stands before
// it.
func (d *delivery) tellPeer(endpoint *upstream.Endpoint) {
	d.meshed = endpoint.Proxied()
	headers := &d.ex.Request.Headers
	if d.introduced && !d.meshed {
		*headers = removeHeader(removeHeader(*headers, peerMetadata), peerMetadataID)
		d.introduced = false
	}
	if d.meshed && !d.introduced {
		*headers = append(*headers, d.engine.peerHeaders...)
		d.introduced = true
	}
}

// takePeer takes out of a response what the endpoint's proxy says of itself; that of others is
// not believed.
func (d *delivery) takePeer(r *proxy.Response) {
	kept := r.Headers[:0]
	for i := range r.Headers {
		h := &r.Headers[i]
		switch {
		case isPeerHeader(h.Name, peerMetadata):
			if d.meshed {
				d.ex.UpstreamPeerMetadata = d.ex.Keep(h.Value)
			}
		case isPeerHeader(h.Name, peerMetadataID):
			if d.meshed {
				d.ex.UpstreamPeerMetadataID = d.ex.Keep(h.Value)
			}
		case len(kept) == i:
			kept = r.Headers[:i+1]
		default:
			kept = append(kept, *h)
		}
	}
	r.Headers = kept
}

// isPeerHeader compares names, which most of the time differ in length.
func isPeerHeader(name, with string) bool { return len(name) == len(with) && name == with }

// answerPeer tells a caller that said for whom it speaks the same of the workload.
func (e *Engine) answerPeer(ex *proxy.Exchange, r *proxy.Response) {
	if ex.PeerMetadata != "" || ex.PeerMetadataID != "" {
		r.Headers = append(r.Headers, e.peerHeaders...)
	}
}

// peerHeaders are those that a proxy of these options tells others by.
func (o *Options) peerHeaders() (list []router.Header) {
	if o.PeerMetadataID != "" {
		list = append(list, router.Header{Name: peerMetadataID, Value: o.PeerMetadataID})
	}
	if o.PeerMetadata != "" {
		list = append(list, router.Header{Name: peerMetadata, Value: o.PeerMetadata})
	}
	return list
}
