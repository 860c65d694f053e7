// Package filter owns what a route does to an exchange besides forwarding it: its CORS
// policy, its faults, and its mirrors, which get copies of its requests.
//
// The forwarding engine calls it, for a route that has such a policy, in this order, which
// is that of Envoy's filters: [Preflight], [Fault] and [AbortResponse], and, once the request
// is as the upstream is to get it, [Mirrors.Send]. [CORSResponse] comes last of all changes to
// a response, be it an upstream's or the proxy's own.
//
// It must not know codecs: a mirror's request goes through the upstream's connections like
// any other. Nothing here is done, allocated or counted for routes that have no such policy.
package filter
