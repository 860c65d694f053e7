package router

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	var hosts []*VirtualHost
	for _, d := range []string{"foo.com", "*.foo.com", "*.Bar.foo.com.", "x.bar.foo.com:8080", "[::1]", "10.0.0.1", "*.com", "first.org", "FIRST.org"} {
		hosts = append(hosts, &VirtualHost{Name: d, Domains: []string{d}})
	}
	cases := map[string]string{
		"foo.com":                          "foo.com",
		"FOO.com.:80":                      "foo.com",
		"a.foo.com":                        "*.foo.com",
		"a.b.foo.com":                      "*.foo.com",
		"bar.foo.com":                      "*.foo.com",
		"a.bar.foo.com":                    "*.Bar.foo.com.",
		"x.BAR.foo.com":                    "x.bar.foo.com:8080",
		"afoo.com":                         "*.com",
		"com":                              "",
		".com":                             "",
		"[::1]":                            "[::1]",
		"[::1]:80":                         "[::1]",
		"[::1":                             "",
		"10.0.0.1:9":                       "10.0.0.1",
		"first.org":                        "first.org",
		"":                                 "",
		":80":                              "",
		"other":                            "",
		strings.Repeat("a", 9):             "",
		strings.Repeat("a", 252) + ".com":  "",
		strings.Repeat("a", 251) + ".com":  "*.com",
		strings.Repeat("a.", 126) + "com":  "*.com",
		strings.Repeat("a.", 126) + "com.": "*.com",
	}
	for _, any := range []bool{false, true} {
		if any {
			hosts = append(hosts, &VirtualHost{Name: "*", Domains: []string{"*"}})
		}
		table, problems := Build(specOf(hosts...), nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		for authority, want := range cases {
			if any && want == "" {
				want = "*"
			}
			r := request("/")
			r.Authority = authority
			got := ""
			if d := table.Route(r); d.VirtualHost != nil {
				got = d.VirtualHost.Name
			}
			if got != want {
				t.Errorf("%q: got %q, want %q", authority, got, want)
			}
		}
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	table := func(name string, port uint16) *RouteTable {
		return &RouteTable{Name: name, Port: port, VirtualHosts: []*VirtualHost{{Domains: []string{"*"}, Routes: []*Route{forwardTo("c")}}}}
	}
	built, problems := Build(&Spec{Listeners: []*Listener{
		{Name: "one", Tables: []*RouteTable{table("only", 80)}},
		{Name: "several", Tables: []*RouteTable{table("80", 80), table("9080", 9080), table("rest", 0)}},
		{Name: "closed", Tables: []*RouteTable{table("80", 80), table("9080", 9080)}},
		{Name: "empty"},
	}}, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	cases := []struct {
		listener string
		port     uint16
		outcome  Outcome
		table    string
	}{
		{"one", 0, Forward, "only"},
		{"one", 9, Forward, "only"},
		{"several", 80, Forward, "80"},
		{"several", 9080, Forward, "9080"},
		{"several", 7, Forward, "rest"},
		{"several", 0, Forward, "rest"},
		{"closed", 7, NotFound, ""},
		{"empty", 80, NotFound, ""},
		{"none", 80, NoListener, ""},
	}
	for _, c := range cases {
		r := request("/")
		r.Listener, r.Port = c.listener, c.port
		d := built.Route(r)
		got := ""
		if d.Table != nil {
			got = d.Table.Name
		}
		if d.Outcome != c.outcome || got != c.table {
			t.Errorf("%s:%d: got %v %q, want %v %q", c.listener, c.port, d.Outcome, got, c.outcome, c.table)
		}
		if e := built.Explain(r); c.outcome == NotFound && len(e.KnownPorts) != len(d.Listener.Tables) {
			t.Errorf("%s:%d: explained with ports %v", c.listener, c.port, e.KnownPorts)
		}
	}
}

// TestContestedDomains: of those that claim a domain the first has it, also when what
// comes and goes is far from it.
func TestContestedDomains(t *testing.T) {
	t.Parallel()
	hosts := hostsSpec(300).Listeners[0].Tables[0].VirtualHosts
	hosts[10].Domains = append(hosts[10].Domains, "contested.org", "*.contested.org")
	hosts[250].Domains = append(hosts[250].Domains, "contested.org", "*.contested.org")
	owner := func(table *Table) string {
		r := request("/")
		r.Authority = "contested.org"
		a := table.Route(r).VirtualHost
		r.Authority = "www.contested.org"
		if b := table.Route(r).VirtualHost; a != b {
			t.Fatalf("%v has the host, %v the wildcard", a, b)
		}
		if a == nil {
			return ""
		}
		return a.Name
	}
	shuffled := slices.Clone(hosts)
	slices.Reverse(shuffled)
	without := func(list []*VirtualHost, i int) []*VirtualHost {
		return slices.Delete(slices.Clone(list), i, i+1)
	}
	steps := []struct {
		name  string
		hosts []*VirtualHost
		want  string
	}{
		{"both", hosts, "h10"},
		{"reversed", shuffled, "h250"},
		{"back", hosts, "h10"},
		{"without the first", without(hosts, 10), "h250"},
		{"with it again", hosts, "h10"},
		{"without the second", without(hosts, 250), "h10"},
		{"without both", without(without(hosts, 250), 10), ""},
		{"none", nil, ""},
		{"both", hosts, "h10"},
	}
	var table *Table
	for _, s := range steps {
		table, _ = Build(specOf(s.hosts...), table)
		if got := owner(table); got != s.want {
			t.Errorf("%s: %q has the domain, want %q", s.name, got, s.want)
		}
	}
}

// TestCowMap compares the map with an ordinary one, and its older versions with what
// they were.
func TestCowMap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 4))
	var m cowMap[int]
	want := map[string]int{}
	check := func(m *cowMap[int], want map[string]int) {
		t.Helper()
		if m.size != len(want) {
			t.Fatalf("size %d, want %d", m.size, len(want))
		}
		m.each(func(name string, v int) {
			if got, ok := m.get([]byte(name)); !ok || got != v || want[name] != v {
				t.Fatalf("%s: got %d %v, want %d", name, got, v, want[name])
			}
		})
	}
	for _, target := range []int{5, 3000, 20, 9000, 0, 100} {
		for len(want) != target {
			old, before := m, len(want)
			e := m.edit(r.IntN(10))
			for range 1 + r.IntN(200) {
				if name := num("k", r.IntN(12_000)); len(want) < target {
					e.set(name, len(want))
					want[name] = len(want)
				} else if len(want) > target {
					for name := range want {
						e.delete(name)
						delete(want, name)
						break
					}
				}
			}
			m = e.cowMap
			if old.size != before {
				t.Fatal("an edit changed the original")
			}
			n := 0
			old.each(func(string, int) { n++ })
			if n != before {
				t.Fatalf("the original has %d entries, had %d", n, before)
			}
		}
		check(&m, want)
		if n := len(m.shards); n > 1 && target > 0 && target/n > shardSlack*shardSize {
			t.Errorf("%d entries in %d shards", target, n)
		}
	}
	if _, ok := m.get([]byte("none")); ok {
		t.Error("found what is not there")
	}
}

func FuzzHost(f *testing.F) {
	for _, s := range append(hostWords, domains...) {
		f.Add(s)
	}
	f.Add(strings.Repeat("a.", 200))
	f.Fuzz(func(t *testing.T, authority string) {
		host := NormalizeHost(authority)
		if again := NormalizeHost(host); again != host && !strings.HasSuffix(host, ".") && !strings.Contains(host, ":") {
			t.Errorf("%q normalises to %q, and that to %q", authority, host, again)
		}
		d, err := parseDomain(authority)
		if err != nil || d.wildcard {
			return
		}
		// A host that is a domain finds it, in any case and with a port.
		table, problems := Build(specOf(&VirtualHost{Domains: []string{authority}}, &VirtualHost{Domains: []string{"*"}}), nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		r := request("/")
		for _, r.Authority = range []string{host, authority, upperASCII(host)} {
			if v := table.Route(r).VirtualHost; v == nil || v.VirtualHost != table.spec.Listeners[0].Tables[0].VirtualHosts[0] {
				// A bare IPv6 address is a domain, but no authority (RFC 3986 section 3.2.2).
				if !strings.Contains(authority, ":") {
					t.Errorf("domain %q is not found by %q", authority, r.Authority)
				}
			}
		}
	})
}

func upperASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
