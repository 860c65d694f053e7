package proxy

import (
	"net/netip"
	"time"
	"unsafe"

	"github.com/sluicegate/sluice/router"
)

// Exchange is one request and its response, as far as they got. A codec owns it and
// uses it again for the next request, so whoever is handed one must not keep it, nor
// any of its strings, which alias the codec's buffers.
type Exchange struct {
	// Request is what routing sees. Its headers are those that arrived, cleaned of
	// what must not be forwarded; once it was sent on, they are those that the upstream got
	// last, with the proxy's own and the policies' changes, as Envoy's logs have them. Path
	// and Authority stay what was asked for, where Envoy's :path and :authority become
	// UpstreamPath and UpstreamAuthority.
	Request router.Request
	// Connection is the client's.
	Connection *Connection
	// Protocol is "HTTP/1.1", "HTTP/1.0", "HTTP/2" or "HTTP/3", as the client spoke.
	Protocol string
	// Local and Remote are the addresses of the client's connection; Client is the
	// address that is believed to be the caller's (x-forwarded-for through the
	// trusted hops, else Remote's).
	Local, Remote netip.AddrPort
	Client        netip.Addr
	// RequestID is the x-request-id, given or made.
	RequestID string
	// TLS server name, empty on plaintext.
	ServerName string

	// Decision is what the table said; Destination the cluster picked from it, nil
	// where there was none to pick.
	Decision    router.Decision
	Destination *router.CompiledDestination
	// Cluster is Destination's, and Endpoint the one that was tried last; nil where it did
	// not come to that, Endpoint also where the request itself named it. They are what the
	// table was built from: whoever keeps them may.
	Cluster  *router.Cluster
	Endpoint *router.Endpoint

	// AllowedOrigin is the request's Origin where the route's CORS policy names it, else
	// empty.
	AllowedOrigin string

	// Body says how the request's body is delimited. Payload is the whole of it, decoded,
	// where Buffered says that it had arrived with the head; else the body is read from
	// the Downstream.
	Body     Body
	Buffered bool
	Payload  []byte
	// GRPC tells that the request is a gRPC call, or a translated one of gRPC-Web: what the
	// proxy itself answers, it answers in gRPC.
	GRPC bool
	// Expect100 tells that the client waits for 100 (Continue) before it sends its body.
	Expect100 bool
	// WantsTrailers tells that the client takes trailers (TE: trailers).
	WantsTrailers bool
	// UpstreamPath and UpstreamAuthority are what the upstream is asked for, after rewrites.
	UpstreamPath, UpstreamAuthority string
	// Scratch is memory for header values that live as long as the exchange.
	Scratch []byte
	// Room is memory to make a head in that is written at once; the codec lends it, where it
	// has some. Its length is 0.
	Room []byte
	// Carrier is what a Handler keeps with the exchange to be used again for the next one; it
	// must not know this one any more when that is over.
	Carrier any

	// Reply is room for the head of a response that the proxy makes itself.
	Reply Response
	local [6]router.Header

	// Status is what the client was answered; 0 if nothing.
	Status int
	Flags  Flags
	// Details says in a word where the response comes from ("via_upstream",
	// "route_not_found", ...).
	Details string
	// Termination says why the client's connection ended, where that matters.
	Termination string
	// UpstreamStatus is the status of the last response that an upstream gave; 0 if none.
	UpstreamStatus int
	// GRPCStatus is the grpc-status that it ended with, "14" for UNAVAILABLE; empty if none.
	GRPCStatus string
	// UpstreamHost is the endpoint's address, UpstreamLocal our side of the
	// connection to it, UpstreamFailure what went wrong there.
	UpstreamHost    string
	UpstreamLocal   string
	UpstreamFailure string
	// Attempts counts the tries to send the request upstream.
	Attempts int
	// BytesReceived and BytesSent count bodies, without framing.
	BytesReceived, BytesSent int64
	// HeadReceived and HeadSent count the bytes of heads and trailers, as they were on the wire
	// of the client's connection (compressed, in HTTP/2 and HTTP/3).
	HeadReceived, HeadSent int64
	// MessagesReceived and MessagesSent count the messages of a gRPC call, a retried one's
	// once.
	MessagesReceived, MessagesSent uint64
	// ResponseHeaders and ResponseTrailers are those of the response, as the client was sent
	// them, that somebody asked for: see forward.Engine.Capture. They live in Scratch.
	ResponseHeaders, ResponseTrailers []router.Header
	// ResponseFlushed, on the clock of Start, is when the head of the response was sent; 0
	// where none was. Codecs set it where the response goes on after its head: else it is End.
	ResponseFlushed int64
	// PeerMetadata and PeerMetadataID are what a caller's proxy said of itself to a sidecar
	// (Istio's x-envoy-peer-metadata, x-envoy-peer-metadata-id), and UpstreamPeerMetadata and
	// UpstreamPeerMetadataID what that of the endpoint did; empty where none did. Nobody has
	// looked into them: they may be anything.
	PeerMetadata, PeerMetadataID                 string
	UpstreamPeerMetadata, UpstreamPeerMetadataID string
	// Trace is what is known of the trace that the request belongs to.
	Trace Trace

	// Start, UpstreamStart, UpstreamFirst and End are nanoseconds of the engine's
	// monotonic clock: request head read, sent upstream, first response byte from
	// there, and all done. 0 where it did not come to that. StartTime returns the
	// wall clock.
	Start, UpstreamStart, UpstreamFirst, End int64
	// UpgradeType is the protocol that the connection was switched to ("websocket").
	UpgradeType string
	// ResponseServiceTime is x-envoy-upstream-service-time as sent, in milliseconds;
	// -1 where it was not sent.
	ResponseServiceTime int64
}

// IdleTimeout is how long nothing may move in the exchange: as its route says, which has been
// found, or else the bound.
func (ex *Exchange) IdleTimeout(bound time.Duration) time.Duration {
	if r := ex.Decision.Route; r != nil && r.IdleTimeout > 0 {
		return r.IdleTimeout
	}
	return bound
}

// Keep joins parts in Scratch and returns them as a string that lives as long as the
// exchange.
func (ex *Exchange) Keep(parts ...string) string {
	at := len(ex.Scratch)
	for _, p := range parts {
		ex.Scratch = append(ex.Scratch, p...)
	}
	return ex.KeptFrom(at)
}

// KeptFrom returns what was appended to Scratch since it had the length at.
func (ex *Exchange) KeptFrom(at int) string {
	return stringOf(ex.Scratch[at:])
}

// stringOf views bytes as a string without copying.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// LocalHeaders returns an empty list of headers with room for those of a local response.
func (ex *Exchange) LocalHeaders() []router.Header { return ex.local[:0] }
