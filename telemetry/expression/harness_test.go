package expression

import (
	"net/netip"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// answered is an exchange as a gateway has it after a request to bookinfo, over mutual TLS.
func answered() *proxy.Exchange {
	return &proxy.Exchange{
		Request: router.Request{
			Listener:  "0.0.0.0_8443",
			Method:    "GET",
			Scheme:    "https",
			Authority: "bookinfo.example.com",
			Path:      "/productpage?u=test",
			Headers: []router.Header{
				{Name: "accept", Value: "*/*"},
				{Name: "user-agent", Value: "curl/8.5.0"},
				{Name: "x-many", Value: "one"},
				{Name: "x-other", Value: ""},
				{Name: "x-many", Value: "two"},
			},
		},
		Connection: &proxy.Connection{
			Listener: "0.0.0.0_8443",
			Chain:    "bookinfo",
			TLS: &proxy.TLSState{
				ServerName: "bookinfo.example.com", Version: 0x304,
				Peer: &proxy.PeerCertificate{Subject: "CN=client", Hash: "abcd", URIs: []string{"spiffe://cluster.local/ns/default/sa/curl"}, DNSNames: []string{"client.example.com"}},
			},
		},
		Protocol:         "HTTP/2",
		Local:            netip.MustParseAddrPort("127.0.0.1:8443"),
		Remote:           netip.MustParseAddrPort("[::ffff:10.1.2.3]:40123"),
		Client:           netip.MustParseAddr("10.1.2.3"),
		RequestID:        "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
		ServerName:       "bookinfo.example.com",
		Decision:         router.Decision{Outcome: router.Forward, Route: &router.CompiledRoute{Route: &router.Route{}, Handling: &router.Handling{Configured: router.Configured{RouteAction: &router.RouteAction{Name: "productpage"}, RoutePolicy: &router.RoutePolicy{}}}}},
		Destination:      &router.CompiledDestination{Cluster: router.ClusterRef{Name: "outbound|9080||productpage.default.svc.cluster.local"}},
		Status:           503,
		Flags:            proxy.FlagUpstreamConnectFailure | proxy.FlagRetryExceeded,
		Details:          "upstream_reset_before_response_started{connection_failure}",
		UpstreamHost:     "127.0.0.1:19080",
		UpstreamLocal:    "127.0.0.1:51234",
		UpstreamFailure:  "connection refused",
		Attempts:         3,
		BytesReceived:    12,
		BytesSent:        5183,
		HeadReceived:     100,
		HeadSent:         17,
		ResponseHeaders:  []router.Header{{Name: "content-type", Value: "text/html"}},
		ResponseTrailers: []router.Header{{Name: "x-sum", Value: "9"}},
		Start:            1_000_000,
		End:              251_900_000,
	}
}

// carried is a connection as a gateway has it when a client of MySQL has gone.
func carried() *proxy.Stream {
	return &proxy.Stream{
		Connection: &proxy.Connection{
			Local:   netip.MustParseAddrPort("127.0.0.1:3306"),
			Remote:  netip.MustParseAddrPort("10.1.2.3:40123"),
			TLS:     &proxy.TLSState{ServerName: "db.example.com"},
			Inbound: true,
		},
		Route:         "mysql",
		Cluster:       "outbound|3306||mysql.default.svc.cluster.local",
		UpstreamHost:  "127.0.0.1:13306",
		UpstreamLocal: netip.MustParseAddrPort("127.0.0.1:51234"),
		Attempts:      1,
		Flags:         proxy.FlagNoHealthyUpstream,
		Termination:   "idle",
		Start:         1_000_000,
		End:           25_900_000,
	}
}
