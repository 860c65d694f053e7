package filter

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Preflight looks at a request that a route with a CORS policy takes, before its headers are
// changed, and tells whether it is a preflight to answer here: r is then that answer, without
// a body, and ex.Details is set. Else the request goes on, and where its origin is allowed,
// [CORSResponse] will say so to the client.
//
// A preflight is an OPTIONS with an Origin and an Access-Control-Request-Method (Fetch
// standard, section 3.3.2). One of an origin that is not allowed is forwarded, or answered
// without an allowed origin, as CORS.ForwardUnmatched says. A route that redirects or answers
// by itself has no CORS. All of this follows Envoy's cors filter.
func Preflight(ex *proxy.Exchange, route *router.CompiledRoute, r *proxy.Response) bool {
	policy := route.CORS
	if policy == nil || route.Redirect != nil || route.Direct != nil {
		return false
	}
	origin, _ := ex.Request.Header("origin")
	if origin == "" {
		return false
	}
	allowed := route.AllowsOrigin(origin)
	method, _ := ex.Request.Header("access-control-request-method")
	if ex.Request.Method != http.MethodOptions || method == "" || !allowed && policy.ForwardUnmatched {
		if allowed {
			ex.AllowedOrigin = origin
		}
		return false
	}
	headers := ex.LocalHeaders()
	if allowed {
		headers = append(headers, router.Header{Name: "access-control-allow-origin", Value: origin})
	}
	if policy.AllowCredentials {
		headers = append(headers, allowCredentials)
	}
	wanted, _ := ex.Request.Header("access-control-request-headers")
	headers = appendList(headers, "access-control-allow-methods", policy.AllowMethods, method)
	headers = appendList(headers, "access-control-allow-headers", policy.AllowHeaders, wanted)
	if policy.HasMaxAge {
		headers = append(headers, router.Header{Name: "access-control-max-age", Value: seconds(ex, policy.MaxAge)})
	}
	*r = proxy.Response{Status: http.StatusOK, Headers: headers}
	ex.Details = "cors_response"
	return true
}

var allowCredentials = router.Header{Name: "access-control-allow-credentials", Value: "true"}

// appendList appends a header that lists what is allowed; "*" allows what was asked for, by
// its name, since browsers take no "*" from a response with credentials.
func appendList(headers []router.Header, name, allowed, asked string) []router.Header {
	if allowed == "*" {
		allowed = asked
	}
	if allowed == "" {
		return headers
	}
	return append(headers, router.Header{Name: name, Value: allowed})
}

// seconds returns a duration's whole seconds as text that lives as long as the exchange.
func seconds(ex *proxy.Exchange, d time.Duration) string {
	at := len(ex.Scratch)
	ex.Scratch = strconv.AppendInt(ex.Scratch, int64(d/time.Second), 10)
	return ex.KeptFrom(at)
}

// CORSResponse tells the client of an allowed origin that it may read the response: the
// headers of the policy take the place of the upstream's. A response to any other caller
// stays as it is. Preflight must have seen the request.
func CORSResponse(ex *proxy.Exchange, route *router.CompiledRoute, r *proxy.Response) {
	policy := route.CORS
	if policy == nil || ex.AllowedOrigin == "" {
		return
	}
	set(r, router.Header{Name: "access-control-allow-origin", Value: ex.AllowedOrigin})
	if policy.AllowCredentials {
		set(r, allowCredentials)
	}
	if policy.ExposeHeaders != "" {
		set(r, router.Header{Name: "access-control-expose-headers", Value: policy.ExposeHeaders})
	}
}

// set puts a header in the place of all of its name.
func set(r *proxy.Response, header router.Header) {
	kept := r.Headers[:0]
	for _, h := range r.Headers {
		if h.Name != header.Name {
			kept = append(kept, h)
		}
	}
	r.Headers = append(kept, header)
}
