package telemetry

import "github.com/sluicegate/sluice/proxy"

// corsResult is what a route's CORS policy made of a request with an Origin.
type corsResult uint8

const (
	corsAllowed corsResult = iota
	corsRefused
	corsPreflight
	corsResults
)

var corsNames = [corsResults]string{corsAllowed: "allowed", corsRefused: "refused", corsPreflight: "preflight"}

// addCORS counts an exchange of a route with a CORS policy, if a page of another origin may
// have made it.
func (c *requestCounts) addCORS(ex *proxy.Exchange) {
	origin, named := ex.Request.Header("origin")
	switch {
	case ex.Details == "cors_response":
		c.cors[corsPreflight]++
	case ex.AllowedOrigin != "":
		c.cors[corsAllowed]++
	case named && origin != "":
		c.cors[corsRefused]++
	}
}
