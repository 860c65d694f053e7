package recent

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// shop is a table with one host, a rule for /cart and one for those with a cookie.
func shop(t testing.TB) *router.Table {
	t.Helper()
	table, problems := router.Build(&router.Spec{
		Listeners: []*router.Listener{{Name: "0.0.0.0_8080", Port: 8080, Tables: []*router.RouteTable{{
			Name: "http.80",
			VirtualHosts: []*router.VirtualHost{{Name: "shop.example.com:80", Domains: []string{"shop.example.com"}, Routes: []*router.Route{
				{
					Object:      &router.Object{Kind: "VirtualService", Namespace: "default", Name: "shop"},
					Field:       "http[0]",
					Match:       router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/cart"}},
					RouteAction: &router.RouteAction{Name: "cart", Destinations: []router.Destination{{Cluster: "outbound|80|v1|cart", Weight: 1}, {Cluster: "outbound|80|v2|cart", Weight: 1}}},
				},
				{
					Object:      &router.Object{Kind: "VirtualService", Namespace: "default", Name: "shop"},
					Field:       "http[1]",
					Match:       router.Match{Rest: &router.Conditions{Headers: []router.HeaderMatch{{Name: "cookie", Match: router.StringMatch{Kind: router.MatchExact, Value: "user=vip"}}}}},
					RouteAction: &router.RouteAction{Name: "vip", Destinations: []router.Destination{{Cluster: "outbound|80||vip"}}},
				},
			}}},
		}}}},
		Clusters: []*router.Cluster{{Name: "outbound|80|v1|cart"}, {Name: "outbound|80|v2|cart"}},
	}, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return table
}

// ended is an exchange for a path at its end, routed by the table.
func ended(table *router.Table, path string) *proxy.Exchange {
	ex := &proxy.Exchange{
		Connection: &proxy.Connection{Listener: "0.0.0.0_8080"}, Protocol: "HTTP/1.1", RequestID: "id-of" + path,
		Remote: netip.MustParseAddrPort("192.0.2.1:5000"), Client: netip.MustParseAddr("192.0.2.1"),
		Status: 200, Details: viaUpstream, Start: 1000, End: 1000 + int64(12*time.Millisecond),
		UpstreamStart: 2000, UpstreamFirst: 2000 + int64(10*time.Millisecond),
	}
	ex.Request = router.Request{
		Listener: "0.0.0.0_8080", Method: "GET", Scheme: "http", Authority: "shop.example.com", Path: path,
		Headers: []router.Header{{Name: "user-agent", Value: "curl"}, {Name: "cookie", Value: "session=geheim"}},
	}
	ex.Decision = table.Route(&ex.Request)
	ex.Destination = ex.Decision.Pick(0)
	return ex
}

// missed is one that no route took.
func missed(table *router.Table, path string) *proxy.Exchange {
	ex := ended(table, path)
	ex.Status, ex.Details, ex.Flags = 404, "route_not_found", proxy.FlagNoRoute
	ex.UpstreamStart, ex.UpstreamFirst = 0, 0
	return ex
}

// bubble runs a test in which time stands still but when all wait.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}
