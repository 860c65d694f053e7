// Package proxy holds the words that the parts of the data path share: an
// [Exchange] (one request and its response, as far as it got), the response
// [Flags], and the two sides between which the forwarding engine stands: the
// [Downstream] that a codec offers for a request, and the [Conn] to an upstream.
//
// Its sub-packages are the codecs (http1), the clusters and their endpoints
// (upstream), and the engine between them (forward). None knows where the route
// table came from.
package proxy
