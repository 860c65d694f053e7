package router

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// explainedTable has one of every kind of chain.
func explainedTable(t *testing.T) *Table {
	t.Helper()
	mutual := chainOf("mutual", "secure.example.com")
	mutual.TLS = &ServerTLS{ClientAuth: RequireClientCertificate, Certificates: []Credential{{Secret: "istio-system/secure"}}, Authorities: Authorities{Secrets: []string{"istio-system/secure"}}}
	between := streamsOf("between", []string{"*.local"}, streamTo("c"))
	between.IstioALPN = true
	spec := chainsSpec(
		chainOf("shop", "shop.example.com"), mutual, chainOf("wild", "*.example.com"), chainOf("late", "shop.example.com", "late.example.com"),
		streamsOf("pass", []string{"pass.example.com"}, streamTo("ten", "10.0.0.0/8"), streamTo("rest")),
		streamsOf("ten only", []string{"ten.example.com"}, streamTo("ten", "10.0.0.0/8", "fd00::/8")),
		between,
	)
	spec.Clusters = []*Cluster{{Name: "rest"}}
	table, problems := Build(spec, nil)
	if len(problems) != 1 {
		t.Fatal(problems)
	}
	return table
}

func TestExplainConnection(t *testing.T) {
	t.Parallel()
	table := explainedTable(t)
	for _, c := range []struct {
		connection Connection
		outcome    string
		// chain, domain and stream took it; miss is among the reasons why others did not.
		chain, domain, stream, miss string
	}{
		{Connection{TLS: true, ServerName: "Shop.Example.com"}, ConnectionRequests, "shop", "shop.example.com", "",
			"late: shop.example.com fits, but shop has that name: it comes first"},
		{Connection{TLS: true, ServerName: "shop.example.com"}, ConnectionRequests, "shop", "shop.example.com", "",
			"wild: *.example.com fits, but shop.example.com of shop is more exact"},
		{Connection{TLS: true, ServerName: "x.example.com"}, ConnectionRequests, "wild", "*.example.com", "",
			`late: wants server name shop.example.com or late.example.com, is "x.example.com"`},
		{Connection{TLS: true}, ConnectionNoChain, "", "", "", "shop: wants a server name, shop.example.com, and the client sent none"},
		{Connection{}, ConnectionNoChain, "", "", "", "shop: takes connections that begin with TLS"},
		{Connection{TLS: true, ServerName: "a.local"}, ConnectionNoChain, "", "", "",
			"between: has the best name (*.local), but takes clients only that offer one of Istio's protocols by ALPN"},
		{Connection{TLS: true, ServerName: "a.local", ALPN: []string{"istio"}}, ConnectionStream, "between", "*.local", "c", ""},
		{Connection{TLS: true, ServerName: "pass.example.com", Local: netip.MustParseAddr("192.0.2.1")}, ConnectionStream, "pass", "pass.example.com", "rest",
			"stream ten: wants destination 10.0.0.0/8, is 192.0.2.1"},
		{Connection{TLS: true, ServerName: "ten.example.com"}, ConnectionNoStream, "ten only", "ten.example.com", "",
			"stream ten: wants destination 10.0.0.0/8 or fd00::/8, and the address is not known"},
	} {
		c.connection.Listener = "l"
		e := table.ExplainConnection(&c.connection)
		chain, stream, reasons := "", "", ""
		if e.Chain != nil {
			chain = e.Chain.Name
		}
		if e.Stream != nil {
			stream = e.Stream.Name
		}
		for _, m := range e.Others {
			reasons += m.Name + ": " + m.Reason + "\n"
		}
		for _, m := range e.EarlierStreams {
			reasons += "stream " + m.Name + ": " + m.Reason + "\n"
		}
		if e.Outcome != c.outcome || chain != c.chain || e.Domain != c.domain || stream != c.stream || !strings.Contains(reasons, c.miss) {
			t.Errorf("%+v: got %+v %+v, reasons\n%swant %+v", c.connection, e, e.Chain, reasons, c)
		}
	}
	if e := table.ExplainConnection(&Connection{Listener: "none"}); e.Outcome != ConnectionNoListener {
		t.Errorf("no listener: %+v", e)
	}
	if e := tableOf(t, on(Match{})).ExplainConnection(&Connection{Listener: "l"}); e.Outcome != ConnectionRequests || e.Chain != nil {
		t.Errorf("a listener without chains: %+v", e)
	}
	if e := table.ExplainConnection(&Connection{Listener: "l", TLS: true, ServerName: "shops.example.org"}); len(e.KnownServerNames) == 0 || e.KnownServerNames[0] != "shop.example.com" {
		t.Errorf("known names: %v", e.KnownServerNames)
	}
}

func TestExplainedStream(t *testing.T) {
	t.Parallel()
	table := explainedTable(t)
	e := table.ExplainConnection(&Connection{Listener: "l", TLS: true, ServerName: "pass.example.com"})
	if s := e.Stream; s == nil || s.Index != 1 || s.IdleTimeout != "1h0m0s" || s.Match != "any connection" || len(s.Destinations) != 1 || s.Destinations[0].Missing {
		t.Errorf("got %+v", e.Stream)
	}
	e = table.ExplainConnection(&Connection{Listener: "l", TLS: true, ServerName: "pass.example.com", Local: netip.MustParseAddr("10.0.0.1")})
	if s := e.Stream; s == nil || s.Index != 0 || !s.Destinations[0].Missing {
		t.Errorf("got %+v", e.Stream)
	}
}

// TestExplainManyChains tells of a few, those that have a name for the connection first.
func TestExplainManyChains(t *testing.T) {
	t.Parallel()
	spec := manyChains(100)
	spec.Listeners[0].Chains = append(spec.Listeners[0].Chains, chainOf("any", "*"))
	table, _ := Build(spec, nil)
	e := table.ExplainConnection(&Connection{Listener: "l", TLS: true, ServerName: "h7.example.com"})
	if len(e.Others) != maxChainMisses || e.OthersOmitted != 100-maxChainMisses || e.Others[0].Name != "any" {
		t.Errorf("%d others, %d omitted, first %+v", len(e.Others), e.OthersOmitted, e.Others[0])
	}
}

func TestExplainOn(t *testing.T) {
	t.Parallel()
	table := explainedTable(t)
	const unless = "the request would be answered 421 (Misdirected Request) unless the certificate presented covers it"
	for _, c := range []struct {
		sni, authority              string
		outcome, chain, misdirected string
	}{
		{"shop.example.com", "shop.example.com:443", "Forward", "shop", ""},
		{"x.example.com", "y.example.com", "Forward", "wild", ""},
		{"x.example.com", "elsewhere.org", "Forward", "wild", ""},
		{"x.example.com", "shop.example.com", "Forward", "shop", "shop.example.com belongs to chain shop: " + unless},
		{"shop.example.com", "secure.example.com", "Forward", "mutual", "secure.example.com belongs to chain mutual: " + unless + " and asks clients for the same"},
		{"shop.example.com", "pass.example.com", RequestMisdirected, "pass", "pass.example.com belongs to chain pass, which passes TLS through: the request is answered 421 (Misdirected Request)"},
		{"elsewhere.org", "shop.example.com", ConnectionNoChain, "", ""},
		{"pass.example.com", "pass.example.com", ConnectionStream, "", ""},
	} {
		r := request("/")
		r.Authority, r.Scheme = c.authority, "https"
		e := table.ExplainOn(&Connection{Listener: "l", TLS: true, ServerName: c.sni}, r)
		if e.Outcome != c.outcome || e.Chain != c.chain || e.Misdirected != c.misdirected || e.Connection == nil {
			t.Errorf("%s on %s: got %s by chain %q, %q", c.authority, c.sni, e.Outcome, e.Chain, e.Misdirected)
		}
		if r.Chain != "" {
			t.Error("the caller's request was changed")
		}
	}
	r := request("/")
	if e := table.Explain(r); e.Outcome != "NotFound" || len(e.KnownChains) != 7 {
		t.Errorf("without a chain: %+v", e)
	}
}

func TestDescribeConnection(t *testing.T) {
	t.Parallel()
	full := &ServerTLS{
		Certificates: []Credential{{Secret: "ns/rsa"}, {CertificateFile: "/c.pem", KeyFile: "/k.pem"}}, ClientAuth: OptionalClientCertificate,
		Authorities: Authorities{CAFile: "/ca.pem", CRLFile: "/crl.pem"}, SubjectAltNames: []string{"a", "b"}, SPKIs: []string{"x"},
		MinVersion: 0x0304, MaxVersion: 0x0304, CipherSuites: []uint16{1, 2}, Protocols: []string{"h2", "http/1.1"},
	}
	cluster := &Cluster{
		Protocol: ProtocolHTTP2, HTTP2: HTTP2{MaxConcurrentStreams: 10, KeepaliveInterval: 5e9}, ProxyProtocol: 2,
		TLS: &ClientTLS{Certificate: &Credential{Secret: "ns/client"}, Authorities: Authorities{Secrets: []string{"ns/client", "ns/client-cacert"}}, ServerName: "a.example.com", SubjectAltNames: []string{"spiffe://x"}},
	}
	for _, c := range []struct{ got, want string }{
		{full.String(), "OPTIONAL_MUTUAL, secret ns/rsa, file /c.pem, clients by file /ca.pem without those of /crl.pem, subjects a,b, keys x, TLS 1.3, 2 cipher suites, ALPN h2,http/1.1"},
		{(&ServerTLS{Certificates: []Credential{{ACME: true, Hosts: []string{"a.com", "b.com"}}}, MaxVersion: 0x0303}).String(), "SIMPLE, ACME for a.com,b.com, TLS 1.2"},
		{(&ServerTLS{Certificates: []Credential{{Mesh: true}}, ClientAuth: RequireClientCertificate, Authorities: Authorities{Mesh: true}}).String(),
			"ISTIO_MUTUAL, the mesh's certificate, clients by the mesh's root, TLS 1.2 and newer"},
		{chainOf("a", "a.com", "*.b.com").Match(), "SNI: a.com,*.b.com"},
		{chainOf("a", "a.com").Action(), "Route: a"},
		{chainOf("a", "a.com").Mode(), "SIMPLE"},
		{streamsOf("a", nil, streamTo("c")).Match() + " " + streamsOf("a", nil).Mode(), "ALL PLAINTEXT"},
		{streamsOf("a", []string{"*"}).Mode(), "PASSTHROUGH"},
		{streamsOf("a", nil, streamTo("c", "10.0.0.0/8"), streamTo("d")).Action(), "Cluster: c (destination 10.0.0.0/8); Cluster: d"},
		{(&Chain{ServerNames: []string{"*.local"}, IstioALPN: true}).Match(), "SNI: *.local; App: istio"},
		{(&Chain{ServerNames: []string{"*.local"}, IstioALPN: true}).Mode(), "AUTO_PASSTHROUGH"},
		{fmt.Sprint(cluster.Policies()), "[{balancer LEAST_REQUEST} {protocol HTTP/2, 10 streams per connection, ping every 5s} " +
			"{tls MUTUAL, secret ns/client, verified by secret ns/client or ns/client-cacert, SNI a.example.com, subjects spiffe://x} {proxy protocol version 2}]"},
		{strings.Join((&ClientTLS{SkipVerify: true, AutoServerName: true, Protocols: []string{"h2"}}).brief(), ", "), "SIMPLE, NOT verified, SNI by authority, ALPN h2"},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

// TestSecretsStaySecret prints a key in every way, and takes a Spec to JSON and back.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const hidden = "hush"
	spec := &Spec{Secrets: []*Secret{{Name: "ns/a", Certificate: []byte("public"), Key: Sensitive(hidden)}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
		for _, v := range []any{spec.Secrets[0].Key, spec.Secrets[0], *spec.Secrets[0]} {
			text := fmt.Sprintf(verb, v)
			for _, form := range []string{"%s", "%x", "%X", "%d", "%o", "%b", "%U"} {
				if leak := fmt.Sprintf(form, []byte(hidden)); strings.Contains(text, strings.Trim(leak, "[]")) {
					t.Errorf("%s of %T prints %s", verb, v, text)
				}
			}
		}
	}
	text, err := json.Marshal(spec)
	if err != nil || strings.Contains(string(text), hidden) || !strings.Contains(string(text), redacted) {
		t.Fatalf("%s, %v", text, err)
	}
	var back Spec
	if err := json.Unmarshal(text, &back); err != nil || string(back.Secrets[0].Certificate) != "public" || len(back.Secrets[0].Key) > 0 {
		t.Errorf("%+v, %v", back.Secrets[0], err)
	}
}
