package telemetry

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

var quiet = slog.New(slog.DiscardHandler)

// forwarded is an exchange as a gateway has it after a request to bookinfo.
func forwarded() *proxy.Exchange {
	return &proxy.Exchange{
		Request: router.Request{
			Listener:  "0.0.0.0_8080",
			Method:    "GET",
			Scheme:    "http",
			Authority: "bookinfo.example.com",
			Path:      "/productpage?u=test",
			Headers: []router.Header{
				{Name: "accept", Value: "*/*"},
				{Name: "user-agent", Value: "curl/8.5.0"},
				{Name: "x-forwarded-for", Value: "10.1.2.3"},
			},
		},
		Protocol:            "HTTP/1.1",
		Local:               netip.MustParseAddrPort("127.0.0.1:8080"),
		Remote:              netip.MustParseAddrPort("10.1.2.3:40123"),
		Client:              netip.MustParseAddr("10.1.2.3"),
		RequestID:           "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
		Decision:            router.Decision{Outcome: router.Forward, Route: &router.CompiledRoute{Route: &router.Route{}, Handling: &router.Handling{Configured: router.Configured{RouteAction: &router.RouteAction{Name: "productpage"}, RoutePolicy: &router.RoutePolicy{}}}}},
		Destination:         &router.CompiledDestination{Cluster: router.ClusterRef{Name: "outbound|9080||productpage.default.svc.cluster.local"}},
		Status:              200,
		Details:             "via_upstream",
		UpstreamHost:        "127.0.0.1:19080",
		UpstreamLocal:       "127.0.0.1:51234",
		BytesReceived:       12,
		BytesSent:           5183,
		Start:               1_000_000,
		End:                 25_900_000,
		ResponseServiceTime: 23,
	}
}

// carried is a connection as a gateway has it when a client of MySQL has gone.
func carried() *proxy.Stream {
	return &proxy.Stream{
		Connection: &proxy.Connection{
			Local:  netip.MustParseAddrPort("127.0.0.1:3306"),
			Remote: netip.MustParseAddrPort("10.1.2.3:40123"),
		},
		Route:         "mysql",
		Cluster:       "outbound|3306||mysql.default.svc.cluster.local",
		UpstreamHost:  "127.0.0.1:13306",
		UpstreamLocal: netip.MustParseAddrPort("127.0.0.1:51234"),
		Attempts:      1,
		BytesReceived: 12,
		BytesSent:     5183,
		Start:         1_000_000,
		End:           25_900_000,
	}
}
