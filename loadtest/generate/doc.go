// Package generate offers load to a proxy and checks every answer: at a fixed rate, counting
// each request's time from when it was due, so that a proxy that stalls cannot hide it; or as
// much as the proxy bears.
//
// It must not know which proxy it is.
package generate
