// Package backend is what stands behind the proxies: a server that costs as little as can be,
// since it shares its processor with the load generator. One goroutine waits for all sockets
// of all backends and answers from responses that were built beforehand. The same loop makes the
// relay, which stands in a proxy's place and tells what one costs at least.
//
// It must not know which proxy asks. It is for Linux, as all of the load test is.
package backend
