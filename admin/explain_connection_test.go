package admin

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// chainOptions are those of a gateway whose listener has chains.
func chainOptions(t *testing.T) Options {
	t.Helper()
	https := func(name string, auth router.ClientAuth) *router.Chain {
		return &router.Chain{
			Name: name, ServerNames: []string{name + ".example.com"}, TLS: &router.ServerTLS{ClientAuth: auth, Certificates: []router.Credential{{Secret: "ns/" + name}}},
			Table: &router.RouteTable{Name: "https.443." + name, Port: 443, VirtualHosts: []*router.VirtualHost{{
				Name: name, Domains: []string{"*"}, Routes: []*router.Route{{RouteAction: &router.RouteAction{Name: name, Destinations: []router.Destination{{Cluster: "web"}}}}},
			}}},
		}
	}
	spec := &router.Spec{
		Listeners: []*router.Listener{{
			Name: "0.0.0.0_8443", Port: 8443,
			Chains: []*router.Chain{https("shop", router.NoClientCertificate), https("secure", router.RequireClientCertificate), {
				Name: "pass", ServerNames: []string{"pass.example.com"}, Port: 443,
				Streams: []*router.StreamRoute{{Name: "ten", Subnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Destinations: []router.Destination{{Cluster: "ten"}}}, {Destinations: []router.Destination{{Cluster: "rest"}}}},
			}},
		}, {
			Name: "0.0.0.0_6379", Port: 6379,
			Chains: []*router.Chain{{Name: "tcp.6379", Port: 6379, Streams: []*router.StreamRoute{{Name: "redis", Destinations: []router.Destination{{Cluster: "redis"}}}}}},
		}},
		Secrets: []*router.Secret{{Name: "ns/shop", Certificate: []byte("public"), Key: router.Sensitive("hush")}},
	}
	table, problems := router.Build(spec, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	o := options(t)
	o.Table = func() *router.Table { return table }
	o.Config = func() Config { return Config{Spec: spec} }
	return o
}

func TestExplainConnection(t *testing.T) {
	t.Parallel()
	h := NewHandler(chainOptions(t))
	for name, c := range map[string]struct {
		query string
		body  string
		// outcome, chain and stream are the answer's; misdirected is in it.
		outcome, chain, stream, misdirected string
	}{
		"by SNI":            {query: "url=https://shop.example.com/", outcome: "Forward", chain: "shop"},
		"by socket":         {query: "url=https://shop.example.com:8443/", outcome: "Forward", chain: "shop"},
		"another SNI":       {query: "url=https://secure.example.com/&sni=shop.example.com", outcome: "Forward", chain: "secure", misdirected: "asks clients for the same"},
		"SNI in JSON":       {body: `{"url":"https://shop.example.com/","sni":"secure.example.com"}`, outcome: "Forward", chain: "shop", misdirected: "421"},
		"no SNI":            {query: "url=https://shop.example.com/&sni=", outcome: router.ConnectionNoChain},
		"an address":        {query: "url=https://127.0.0.1/", outcome: router.ConnectionNoChain},
		"plaintext":         {query: "url=http://shop.example.com:443/", outcome: router.ConnectionNoChain},
		"passed through":    {query: "url=https://pass.example.com/", outcome: router.ConnectionStream, chain: "pass", stream: "rest"},
		"TLS alone":         {query: "url=tls://pass.example.com", outcome: router.ConnectionStream, chain: "pass", stream: "rest"},
		"TLS that ends":     {query: "url=tls://shop.example.com:443", outcome: router.ConnectionRequests, chain: "shop"},
		"TCP":               {query: "url=tcp://10.0.0.1:6379", outcome: router.ConnectionStream, chain: "tcp.6379", stream: "redis"},
		"TCP to a TLS port": {query: "url=tcp://10.0.0.1:443", outcome: router.ConnectionNoChain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := "GET"
			if c.body != "" {
				method = "POST"
			}
			w := ask(h, method, "/explain?"+c.query, c.body)
			var a Answer
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 || a.Connection == nil {
				t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
			}
			chain, stream := a.Chain, ""
			if a.Connection.Chain != nil && chain == "" {
				chain = a.Connection.Chain.Name
			}
			if s := a.Connection.Stream; s != nil {
				stream = s.Destinations[0].Cluster
			}
			if a.Outcome != c.outcome || chain != c.chain || stream != c.stream || !strings.Contains(a.Misdirected, c.misdirected) || c.misdirected == "" && a.Misdirected != "" {
				t.Errorf("got %s", w.Body)
			}
		})
	}
}

func TestRoutesOfChains(t *testing.T) {
	t.Parallel()
	w := ask(NewHandler(chainOptions(t)), "GET", "/routes", "")
	for _, want := range []string{"https.443.shop", "Cluster: rest", "destination 10.0.0.0/8", "pass.example.com", "Cluster: redis"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q in\n%s", want, w.Body)
		}
	}
}

// TestDumpHidesKeys: the configuration in force has the certificates, not their keys.
func TestDumpHidesKeys(t *testing.T) {
	t.Parallel()
	body := ask(NewHandler(chainOptions(t)), "GET", "/config_dump", "").Body.String()
	if strings.Contains(body, "hush") || strings.Contains(body, "aHVzaA") || !strings.Contains(body, "[redacted]") {
		t.Errorf("got %s", body)
	}
}

// TestExplainTellsOfEndpoints: the state of the destinations stands beside the explanation.
func TestExplainTellsOfEndpoints(t *testing.T) {
	t.Parallel()
	h := NewHandler(options(t))
	var a Answer
	w := ask(h, "GET", "/explain?url=http://bookinfo.example.com/v2", "")
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || len(a.Upstreams) != 1 || a.Upstreams[0].Name != "outbound|9080|v2|productpage" || len(a.Upstreams[0].Endpoints) != 2 {
		t.Errorf("%v: %s", err, w.Body)
	}
	if w := ask(h, "GET", "/explain?url=http://bookinfo.example.com/", ""); strings.Contains(w.Body.String(), "upstreams") {
		t.Errorf("a redirect has upstreams: %s", w.Body)
	}
}
