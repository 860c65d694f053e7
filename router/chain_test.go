package router

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// chainOf is a chain of requests for some server names.
func chainOf(name string, serverNames ...string) *Chain {
	return &Chain{
		Name: name, ServerNames: serverNames, TLS: &ServerTLS{}, Origin: Origin{Kind: "Gateway", Name: name},
		Table: &RouteTable{Name: name, Port: 443, VirtualHosts: []*VirtualHost{{Name: name, Domains: []string{"*"}, Routes: []*Route{forwardTo(name)}}}},
	}
}

// streamsOf is a chain of bytes.
func streamsOf(name string, serverNames []string, streams ...*StreamRoute) *Chain {
	return &Chain{Name: name, ServerNames: serverNames, Streams: streams, Origin: Origin{Kind: "Gateway", Name: name}}
}

func streamTo(cluster string, subnets ...string) *StreamRoute {
	s := &StreamRoute{Name: cluster, Destinations: []Destination{{Cluster: cluster}}}
	for _, p := range subnets {
		s.Subnets = append(s.Subnets, netip.MustParsePrefix(p))
	}
	return s
}

func chainsSpec(chains ...*Chain) *Spec {
	return &Spec{Listeners: []*Listener{{Name: "l", Port: 443, Chains: chains}}}
}

func TestChain(t *testing.T) {
	t.Parallel()
	between := streamsOf("between", []string{"*.mesh"}, streamTo("c"))
	between.IstioALPN = true
	named := []*Chain{
		chainOf("exact", "shop.example.com", "Other.Example.com."), chainOf("long", "*.shop.example.com"),
		chainOf("wild", "*.example.com"), streamsOf("plain", nil, streamTo("c")), between,
	}
	all := append(slices.Clone(named), chainOf("any", "*"))
	for _, c := range []struct {
		serverName string
		plain      bool
		alpn       []string
		named, all string
	}{
		{serverName: "shop.example.com", named: "exact", all: "exact"},
		{serverName: "SHOP.example.COM", named: "exact", all: "exact"},
		{serverName: "shop.example.com.", named: "exact", all: "exact"},
		{serverName: "other.example.com", named: "exact", all: "exact"},
		{serverName: "a.shop.example.com", named: "long", all: "long"},
		{serverName: "a.b.shop.example.com", named: "long", all: "long"},
		{serverName: "a.example.com", named: "wild", all: "wild"},
		{serverName: "example.com", named: "", all: "any"},
		{serverName: "", named: "", all: "any"},
		{serverName: strings.Repeat("a", 300), named: "", all: "any"},
		{serverName: "a.mesh", alpn: []string{"h2", "http/1.1"}, named: "", all: ""},
		{serverName: "a.mesh", named: "", all: ""},
		{serverName: "a.mesh", alpn: []string{"istio-peer-exchange", "istio"}, named: "between", all: "between"},
		{plain: true, named: "plain", all: "plain"},
		{serverName: "shop.example.com", plain: true, named: "plain", all: "plain"},
	} {
		for _, set := range []struct {
			chains []*Chain
			want   string
		}{{named, c.named}, {all, c.all}} {
			table, problems := Build(chainsSpec(set.chains...), nil)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			got := ""
			if chain := table.Chain("l", c.serverName, !c.plain, c.alpn); chain != nil {
				got = chain.Name
			}
			if got != set.want {
				t.Errorf("%q (plain %v, %v): got %q, want %q", c.serverName, c.plain, c.alpn, got, set.want)
			}
		}
	}
}

// TestChainOfNoServerName: TLS lets a client send any bytes as a server name, which "*" would take.
func TestChainOfNoServerName(t *testing.T) {
	t.Parallel()
	table, _ := Build(chainsSpec(chainOf("any", "*")), nil)
	for _, name := range []string{
		"a.example\r\nx-admin: 1", "a.example\n", "a\x00.example", "a example", "b\u00fccher.example", "\xff", "a/../b", "a@b", `a"b`, "a%0d",
	} {
		if chain := table.Chain("l", name, true, nil); chain != nil {
			t.Errorf("%q goes to %s", name, chain.Name)
		}
		if why := table.ExplainConnection(&Connection{Listener: "l", TLS: true, ServerName: name}); why.Outcome != ConnectionNoChain {
			t.Errorf("%q is explained as %s", name, why.Outcome)
		}
	}
	for _, name := range []string{"", "a.example", "A-b_c.Example", "192.0.2.1", "::1", "[::1]", "outbound_.80_.v1_.shop.default.svc"} {
		if table.Chain("l", name, true, nil) == nil {
			t.Errorf("nobody takes %q", name)
		}
	}
}

func TestChainOfNoListener(t *testing.T) {
	t.Parallel()
	table := tableOf(t, on(Match{}))
	if table.HasChains("l") || table.HasChains("none") {
		t.Error("a listener with tables has chains")
	}
	for _, listener := range []string{"l", "none"} {
		if table.Chain(listener, "a", true, nil) != nil || table.Chain(listener, "", false, nil) != nil || table.NamedChain(listener, "a") != nil {
			t.Errorf("listener %s has a chain", listener)
		}
	}
}

// TestChainProblems says what of a listener's chains is left out, and what serves still.
func TestChainProblems(t *testing.T) {
	t.Parallel()
	both, neither := chainOf("both", "both.example.com"), &Chain{Name: "neither", ServerNames: []string{"neither.example.com"}}
	both.Streams = []*StreamRoute{streamTo("c")}
	light := &StreamRoute{Name: "light", Destinations: []Destination{{Cluster: "c"}, {Cluster: "d"}}}
	for name, c := range map[string]struct {
		chains []*Chain
		want   string
		// taken is who has "a.example.com".
		taken string
	}{
		"the same name": {
			[]*Chain{chainOf("a", "a.example.com"), chainOf("a", "b.example.com")},
			"Gateway a: listener l has a chain named a already; give each its own name", "a",
		},
		"a server name of another": {
			[]*Chain{chainOf("a", "A.example.com"), chainOf("b", "a.example.com", "b.example.com")},
			"Gateway b: chain b: server name a.example.com of listener l is that of chain a, which comes before it", "a",
		},
		"two without TLS": {
			[]*Chain{streamsOf("a", nil, streamTo("c")), streamsOf("b", nil, streamTo("c"))},
			"Gateway b: chain b: a takes the connections to listener l that do not begin with TLS", "",
		},
		"both": {
			[]*Chain{both, chainOf("a", "*.example.com")},
			"Gateway both: chain both: it must have either a table or streams, and has both or neither", "a",
		},
		"neither": {
			[]*Chain{neither, chainOf("a", "*.example.com")},
			" : chain neither: it must have either a table or streams, and has both or neither", "a",
		},
		"a server name that is none": {
			[]*Chain{chainOf("a", "a..com", "*.example.com")},
			`Gateway a: chain a: server name: domain "a..com" has an empty label`, "a",
		},
		"a stream without destination": {
			[]*Chain{streamsOf("a", []string{"*.example.com"}, &StreamRoute{}, streamTo("c"))},
			" : chain a: the route has no destination; give it one", "a",
		},
		"a stream without shares": {
			[]*Chain{streamsOf("a", []string{"*.example.com"}, light)},
			" : chain a: all destinations have weight 0; give one a share", "a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, problems := Build(chainsSpec(c.chains...), nil)
			if len(problems) != 1 || problems[0].String() != c.want {
				t.Errorf("got  %v\nwant %s", problems, c.want)
			}
			if _, again := Build(table.Spec(), table); !slices.Equal(again, problems) {
				t.Errorf("a second build says %v", again)
			}
			if got := table.Chain("l", "a.example.com", true, nil); (got == nil) != (c.taken == "") || got != nil && got.Name != c.taken {
				t.Errorf("a.example.com goes to %+v, want %q", got, c.taken)
			}
		})
	}
}

func TestListenerWithChainsAndTables(t *testing.T) {
	t.Parallel()
	spec := specOf(&VirtualHost{Name: "v", Domains: []string{"*"}, Routes: []*Route{forwardTo("plain")}})
	spec.Listeners[0].Chains = []*Chain{chainOf("a", "*")}
	table, problems := Build(spec, nil)
	if want := "Listener l: it has both chains and tables; the chains serve"; len(problems) != 1 || problems[0].String() != want {
		t.Errorf("got %v, want %s", problems, want)
	}
	if d := table.Route(request("/")); d.Outcome != NotFound {
		t.Errorf("a request without a chain: %+v", d)
	}
}

// TestRouteByChain routes by the table of the request's chain.
func TestRouteByChain(t *testing.T) {
	t.Parallel()
	table, _ := Build(chainsSpec(chainOf("a", "a.example.com"), chainOf("b", "b.example.com"), streamsOf("bytes", []string{"c.example.com"}, streamTo("c"))), nil)
	for chain, want := range map[string]string{"a": "a", "b": "b"} {
		r := request("/")
		r.Chain = chain
		if d := table.Route(r); d.Outcome != Forward || d.Route.Name != want || d.Chain == nil || d.Chain.Name != chain {
			t.Errorf("chain %s: %+v", chain, d)
		}
	}
	for chain, known := range map[string]bool{"bytes": true, "gone": false, "": false} {
		r := request("/")
		r.Chain = chain
		if d := table.Route(r); d.Outcome != NotFound || d.Listener == nil || d.Table != nil || (d.Chain != nil) != known {
			t.Errorf("chain %s: %+v", chain, d)
		}
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	table, _ := Build(chainsSpec(streamsOf("a", []string{"*"}, streamTo("ten", "10.0.0.0/8", "fd00::/8"), streamTo("host", "192.0.2.1/32"), streamTo("rest"), streamTo("never"))), nil)
	chain := table.NamedChain("l", "a")
	for address, want := range map[string]string{
		"10.1.2.3": "ten", "::ffff:10.1.2.3": "ten", "fd00::1": "ten", "192.0.2.1": "host", "192.0.2.2": "rest", "2001:db8::1": "rest",
	} {
		if got := chain.Stream(netip.MustParseAddr(address)); got == nil || got.Name != want {
			t.Errorf("%s: got %+v, want %s", address, got, want)
		}
	}
	if got := chain.Stream(netip.Addr{}); got == nil || got.Name != "rest" {
		t.Errorf("no address: got %+v", got)
	}
	bound, _ := Build(chainsSpec(streamsOf("a", []string{"*"}, streamTo("ten", "10.0.0.0/8"))), nil)
	if got := bound.NamedChain("l", "a").Stream(netip.MustParseAddr("11.0.0.1")); got != nil {
		t.Errorf("11.0.0.1: got %+v, want nothing", got)
	}
}

func TestStreamPick(t *testing.T) {
	t.Parallel()
	s := &StreamRoute{Destinations: []Destination{{Cluster: "one", Weight: 1}, {Cluster: "none"}, {Cluster: "three", Weight: 3}}}
	spec := chainsSpec(streamsOf("a", []string{"*"}, s))
	spec.Clusters = []*Cluster{{Name: "three"}}
	table, problems := Build(spec, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	stream := table.NamedChain("l", "a").Stream(netip.Addr{})
	counts := map[string]int{}
	for i := range uint64(400) {
		d := stream.Pick(i)
		counts[d.Cluster.Name]++
		if defined := table.Clusters()[d.Cluster.ID]; (defined != nil) != (d.Cluster.Name == "three") {
			t.Fatalf("%+v leads to %+v", d.Cluster, defined)
		}
	}
	if counts["one"] != 100 || counts["three"] != 300 || len(counts) != 2 {
		t.Errorf("got %v, want one for every three", counts)
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	table, _ := Build(chainsSpec(chainOf("a", "a.example.com", "*.Shop.example.com"), chainOf("any", "*"), streamsOf("plain", nil, streamTo("c"))), nil)
	for host, want := range map[string]bool{
		"a.example.com": true, "A.example.com.:443": true, "x.shop.example.com": true, "shop.example.com": false, "b.example.com": false, "": false,
	} {
		if got := table.NamedChain("l", "a").Takes(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
		if !table.NamedChain("l", "any").Takes(host) || table.NamedChain("l", "plain").Takes(host) {
			t.Errorf("%s: any takes all, plain nothing", host)
		}
	}
}

// TestChallengesAreNotRedirected: whoever solves HTTP-01 challenges is reached in plaintext
// though everything else is sent to https.
func TestChallengesAreNotRedirected(t *testing.T) {
	t.Parallel()
	table, _ := Build(specOf(&VirtualHost{
		Name: "v", Domains: []string{"*"}, RequireTLS: true,
		Routes: []*Route{{Match: Match{Path: prefix("/.well-known/")}, RouteAction: &RouteAction{Destinations: []Destination{{Cluster: "solver"}}}}},
	}, &VirtualHost{Name: "empty", Domains: []string{"empty"}, RequireTLS: true}), nil)
	for target, want := range map[string]Outcome{
		"/.well-known/acme-challenge/token": Forward, "/.well-known/acme-challenge/": Forward,
		"/.well-known/acme-challenge": TLSRedirect, "/.well-known/acme-challenges": TLSRedirect, "/": TLSRedirect,
		"/x?/.well-known/acme-challenge/": TLSRedirect,
	} {
		if d := table.Route(request(target)); d.Outcome != want {
			t.Errorf("%s: %v, want %v", target, d.Outcome, want)
		}
	}
	r := request("/.well-known/acme-challenge/token")
	r.Authority = "empty"
	if d := table.Route(r); d.Outcome != NotFound {
		t.Errorf("without a route: %v", d.Outcome)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	first, second := &Secret{Name: "ns/a", Origin: Origin{Kind: "Secret", Namespace: "ns", Name: "a"}}, &Secret{Name: "ns/a", Origin: Origin{Kind: "Secret", Namespace: "ns", Name: "a"}}
	table, problems := Build(&Spec{Secrets: []*Secret{first, {Name: "ns/b"}, second}}, nil)
	if want := "Secret ns/a: secret ns/a is already defined; the first definition serves"; len(problems) != 1 || problems[0].String() != want {
		t.Errorf("got %v, want %s", problems, want)
	}
	if table.Secret("ns/a") != first || table.Secret("ns/b") == nil || table.Secret("a") != nil {
		t.Error("a name leads to another secret")
	}
	table, problems = Build(&Spec{Secrets: []*Secret{second}}, table)
	if len(problems) > 0 || table.Secret("ns/a") != second || table.Secret("ns/b") != nil {
		t.Errorf("afterwards %v", problems)
	}
}

// manyChains are so many HTTPS servers, each with its own name and table.
func manyChains(n int) *Spec {
	var chains []*Chain
	for i := range n {
		name := "h" + strconv.Itoa(i)
		chains = append(chains, chainOf(name, name+".example.com", "*."+name+".example.com"))
	}
	return chainsSpec(chains...)
}

// withChain returns the Spec with one chain replaced, and the rest shared.
func withChain(old *Spec, i int, c *Chain) *Spec {
	l := *old.Listeners[0]
	l.Chains = slices.Clone(l.Chains)
	l.Chains[i] = c
	return &Spec{Listeners: []*Listener{&l}, Clusters: old.Clusters}
}

// TestRebuildKeepsChains holds a rebuild to what changed: of one chain, one virtual host.
func TestRebuildKeepsChains(t *testing.T) {
	t.Parallel()
	spec := manyChains(1000)
	first, _ := Build(spec, nil)
	changed := *spec.Listeners[0].Chains[500]
	changed.Table = &RouteTable{Name: "h500", VirtualHosts: append(slices.Clone(changed.Table.VirtualHosts), &VirtualHost{Name: "more", Domains: []string{"more"}})}
	second, problems := Build(withChain(spec, 500, &changed), first)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	old, now := first.listeners["l"].chains, second.listeners["l"].chains
	for i := range now.compiled {
		if (old.compiled[i] == now.compiled[i]) != (i != 500) {
			t.Errorf("chain %d: taken over is %v", i, old.compiled[i] == now.compiled[i])
		}
	}
	if old.compiled[500].table.compiled[0] != now.compiled[500].table.compiled[0] {
		t.Error("the changed chain's virtual host was compiled again")
	}
	if second.Chain("l", "h500.example.com", true, nil) != now.compiled[500] || first.Chain("l", "h500.example.com", true, nil) != old.compiled[500] {
		t.Error("a table has a chain of the other")
	}
}

func TestChainAllocatesNothing(t *testing.T) {
	table, _ := Build(manyChains(1000), nil)
	alpn := []string{"h2", "http/1.1"}
	for _, name := range []string{"h7.example.com", "A.H7.example.com", "none", ""} {
		noAllocs(t, name, func() { table.Chain("l", name, true, alpn) })
	}
	r := request("/page")
	r.Chain = "h7"
	noAllocs(t, "route", func() { table.Route(r) })
	streams, _ := Build(chainsSpec(streamsOf("a", nil, streamTo("ten", "10.0.0.0/8"), streamTo("rest"))), nil)
	dst := netip.MustParseAddr("192.0.2.1")
	noAllocs(t, "stream", func() { streams.Chain("l", "", false, nil).Stream(dst).Pick(1) })
}

// BenchmarkChain asks for every chain in turn.
func BenchmarkChain(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			table, _ := Build(manyChains(n), nil)
			names := make([]string, min(n, 1000))
			for i := range names {
				names[i] = num("h", i*(n/len(names))) + ".example.com"
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				table.Chain("l", names[i%len(names)], true, nil)
			}
		})
	}
}

// BenchmarkRebuildChain changes one of many chains.
func BenchmarkRebuildChain(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			spec := manyChains(n)
			table, _ := Build(spec, nil)
			for b.Loop() {
				changed := *spec.Listeners[0].Chains[n/2]
				Build(withChain(spec, n/2, &changed), table)
			}
		})
	}
}
