package telemetry

import (
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// What a CORS policy made of requests is counted on its routes alone.
func TestCORSCounts(t *testing.T) {
	t.Parallel()
	from := func(origin string, route *router.CompiledRoute, allowed, details string) *proxy.Exchange {
		ex := &proxy.Exchange{AllowedOrigin: allowed, Details: details, Status: 200}
		ex.Request.Headers = []router.Header{{Name: "origin", Value: origin}}
		ex.Decision.Route = route
		return ex
	}
	with := &router.CompiledRoute{Route: &router.Route{CORS: &router.CORS{}}}
	without := &router.CompiledRoute{Route: &router.Route{}}
	var c requestCounts
	for _, ex := range []*proxy.Exchange{
		from("https://a", with, "https://a", "via_upstream"),
		from("https://a", with, "https://a", "cors_response"),
		from("https://b", with, "", "via_upstream"),
		from("https://b", with, "", "via_upstream"),
		from("", with, "", "via_upstream"),
		from("https://a", without, "", "via_upstream"),
		from("https://a", nil, "", "route_not_found"),
	} {
		c.add(ex)
	}
	sum := requestCounts{}
	sum.merge(&c)
	if want := [corsResults]uint64{corsAllowed: 1, corsRefused: 2, corsPreflight: 1}; sum.cors != want {
		t.Errorf("counts %v, want %v", sum.cors, want)
	}
}
