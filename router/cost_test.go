package router

import (
	"fmt"
	"math/bits"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// family is a kind of table that grows, and the requests that go to its parts.
type family struct {
	name string
	// most is how many routes the tests make; 0 means 100,000.
	most int
	// route returns the i-th of n routes.
	route func(i, n int) *Route
	// request returns one whose first match is the i-th route.
	request func(i, n int) *Request
}

func request(path string, headers ...Header) *Request {
	return &Request{Listener: "l", Method: "GET", Scheme: "http", Authority: "a.example.com", Path: path, Headers: append([]Header{
		{"user-agent", "curl/8.5.0"}, {"accept", "*/*"}, {"x-request-id", "5f7c7c9e-3f6b-9a2a-8f3b-2f9d0f1f7a55"},
	}, headers...)}
}

func on(m Match) *Route {
	return &Route{Match: m, RouteAction: &RouteAction{Destinations: []Destination{{Cluster: "c"}}}}
}

func num(prefix string, i int) string { return prefix + strconv.Itoa(i) }

func exact(s string) StringMatch { return StringMatch{MatchExact, s} }

func prefix(s string) StringMatch { return StringMatch{MatchPrefix, s} }

// families are the tables whose size a request must not feel.
var families = []family{
	{
		name:    "exact path",
		route:   func(i, n int) *Route { return on(Match{Path: exact(num("/shop/item/", i))}) },
		request: func(i, n int) *Request { return request(num("/shop/item/", i) + "?q=1") },
	},
	{
		name:    "prefix",
		route:   func(i, n int) *Route { return on(Match{Path: prefix(num("/svc-", i) + "/")}) },
		request: func(i, n int) *Request { return request(num("/svc-", i) + "/some/page.html") },
	},
	{
		name: "path in any case",
		route: func(i, n int) *Route {
			return on(Match{Path: exact(num("/Shop/Item/", i)), Rest: &Conditions{IgnorePathCase: true}})
		},
		request: func(i, n int) *Request { return request(num("/sHOP/iTEM/", i)) },
	},
	{
		name: "header value",
		route: func(i, n int) *Route {
			return on(Match{Path: prefix("/"), Rest: &Conditions{Headers: []HeaderMatch{{Name: "x-tenant", Match: exact(num("t", i))}}}})
		},
		request: func(i, n int) *Request { return request("/page", Header{"x-tenant", num("t", i)}) },
	},
	{
		name: "header name",
		route: func(i, n int) *Route {
			return on(Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: num("x-", i), Match: StringMatch{Kind: MatchPresent}}}}})
		},
		request: func(i, n int) *Request { return request("/page", Header{num("x-", i), ""}) },
	},
	{
		name: "header beginning",
		route: func(i, n int) *Route {
			return on(Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: "end-user", Match: prefix(num("u", i) + "@")}}}})
		},
		request: func(i, n int) *Request { return request("/page", Header{"end-user", num("u", i) + "@example.com"}) },
	},
	{
		name: "repeated header",
		route: func(i, n int) *Route {
			return on(Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: "x-tenant", Match: exact(num("a,t", i))}}}})
		},
		request: func(i, n int) *Request {
			return request("/page", Header{"x-tenant", "a"}, Header{"x-tenant", num("t", i)})
		},
	},
	{
		name: "method",
		route: func(i, n int) *Route {
			return on(Match{Path: exact("/page"), Rest: &Conditions{Method: exact(num("M", i))}})
		},
		request: func(i, n int) *Request {
			r := request("/page")
			r.Method = num("M", i)
			return r
		},
	},
	{
		name: "query value",
		route: func(i, n int) *Route {
			return on(Match{Path: exact("/page"), Rest: &Conditions{Query: []QueryMatch{{Name: "id", Match: exact(num("", i))}}}})
		},
		request: func(i, n int) *Request { return request(num("/page?a=b&id=", i)) },
	},
	{
		name: "query name",
		route: func(i, n int) *Route {
			return on(Match{Rest: &Conditions{Query: []QueryMatch{{Name: num("k", i), Match: StringMatch{Kind: MatchPresent}}}}})
		},
		request: func(i, n int) *Request { return request(num("/page?a=b&k", i) + "&k=1") },
	},
	{
		name: "authority",
		route: func(i, n int) *Route {
			return on(Match{Rest: &Conditions{Authority: exact(num("h", i) + ".example.com:8080")}})
		},
		request: func(i, n int) *Request {
			r := request("/")
			r.Authority = num("h", i) + ".example.com:8080"
			return r
		},
	},
	{
		name: "two headers",
		route: func(i, n int) *Route {
			return on(Match{Rest: &Conditions{Headers: []HeaderMatch{
				{Name: "x-a", Match: exact(num("a", i%twoHeaders(n)))}, {Name: "x-b", Match: exact(num("b", i/twoHeaders(n)))},
			}}})
		},
		request: func(i, n int) *Request {
			return request("/", Header{"x-a", num("a", i%twoHeaders(n))}, Header{"x-b", num("b", i/twoHeaders(n))})
		},
	},
	{
		name:    "expression",
		most:    10_000, // which take a second to compile
		route:   func(i, n int) *Route { return on(Match{Path: StringMatch{MatchRegex, num("/v", i) + "/(a|b)[0-9]+"}}) },
		request: func(i, n int) *Request { return request(num("/v", i) + "/a17") },
	},
	{
		name: "expression without engine",
		route: func(i, n int) *Route {
			return on(Match{Path: StringMatch{MatchRegex, num("/v", i) + "/.*"}, Rest: &Conditions{Headers: []HeaderMatch{{Name: "x", Match: StringMatch{MatchRegex, ".*"}}}}})
		},
		request: func(i, n int) *Request { return request(num("/v", i)+"/a17", Header{"x", "y"}) },
	},
}

// twoHeaders is how many values the first of two headers has.
func twoHeaders(n int) int { return 1 << (bits.Len(uint(n)) / 2) }

// mixed interleaves all the families, each with a path or header of its own.
var mixed = family{
	name:    "mixed",
	route:   func(i, n int) *Route { return families[i%len(families)].route(i, n) },
	request: func(i, n int) *Request { return families[i%len(families)].request(i, n) },
}

func (f family) table(n int) *Table {
	vh := &VirtualHost{Domains: []string{"*"}}
	for i := range n {
		vh.Routes = append(vh.Routes, f.route(i, n))
	}
	t, problems := Build(&Spec{Listeners: []*Listener{{Name: "l", Tables: []*RouteTable{{VirtualHosts: []*VirtualHost{vh}}}}}}, nil)
	if len(problems) > 0 {
		panic(problems[0])
	}
	return t
}

// TestCostDoesNotGrow counts steps: a request among 100,000 routes examines no more
// of them than are ever scanned, and walks only as much further as texts are longer.
func TestCostDoesNotGrow(t *testing.T) {
	t.Parallel()
	for _, f := range append(families, mixed) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			few, many := f.worstCost(t, 10), f.worstCost(t, f.many())
			t.Logf("at most %+v among 10, %+v among %d", few, many, f.many())
			// Five digits lead through four more nodes, in each of the places that a
			// request leads to.
			if many.examined > scanLimit || many.visited > 3*few.visited {
				t.Errorf("at most %+v among 10, but %+v among %d", few, many, f.many())
			}
		})
	}
}

// steps are what a search takes.
type steps struct{ visited, examined int }

// many is the size of a family's biggest table.
func (f family) many() int {
	switch {
	case f.most > 0:
		return f.most
	case testing.Short():
		return 10_000
	}
	return 100_000
}

// worstCost returns the most steps that hits and misses take among n routes.
func (f family) worstCost(t *testing.T, n int) (worst steps) {
	table := f.table(n)
	for i := 0; i < n; i += 1 + n/997 {
		taken, route := cost(table, f.request(i, n))
		if route == nil || route.Index() != i {
			t.Fatalf("%d routes: the request for route %d got %v", n, i, route)
		}
		worst = steps{max(worst.visited, taken.visited), max(worst.examined, taken.examined)}
	}
	taken, route := cost(table, request("/none"))
	if route != nil {
		t.Fatalf("%d routes: /none got %v", n, route)
	}
	return steps{max(worst.visited, taken.visited), max(worst.examined, taken.examined)}
}

// cost returns the steps that finding a route takes, and the route.
func cost(t *Table, r *Request) (steps, *CompiledRoute) {
	s := search{request: r}
	defer s.free()
	route := t.listeners["l"].tables[0].hosts.any.search(&s, pathOf(r.Path))
	return steps{s.visited, s.examined}, route
}

// TestRepeatedNamesCostOnce holds a request that repeats what routes are filed by to
// the cost of one that does not.
func TestRepeatedNamesCostOnce(t *testing.T) {
	t.Parallel()
	vh := &VirtualHost{Domains: []string{"*"}}
	for i := range 400 {
		m := Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: num("x", i), Match: prefix("1")}}, Method: exact("PUT")}}
		if i%2 == 0 {
			m = Match{Rest: &Conditions{Query: []QueryMatch{{Name: num("x", i), Match: exact("1")}}, Method: exact("PUT")}}
		}
		vh.Routes = append(vh.Routes, on(m))
	}
	table, _ := Build(&Spec{Listeners: []*Listener{{Name: "l", Tables: []*RouteTable{{VirtualHosts: []*VirtualHost{vh}}}}}}, nil)
	r := request("/?" + strings.Repeat("x2=1&", 500))
	for range 50 {
		r.Headers = append(r.Headers, Header{"x1", "1"})
	}
	if taken, _ := cost(table, r); taken.examined != 2 {
		t.Errorf("%+v: want two routes examined, one for the query and one for the header", taken)
	}
}

// TestManyLists leads a search through more lists than it has room for inline.
func TestManyLists(t *testing.T) {
	vh := &VirtualHost{Domains: []string{"*"}}
	for i := range 500 {
		vh.Routes = append(vh.Routes, on(Match{Path: prefix("/" + strings.Repeat("a", i*7%500)), Rest: &Conditions{Method: exact(num("M", i))}}))
	}
	table, _ := Build(&Spec{Listeners: []*Listener{{Name: "l", Tables: []*RouteTable{{VirtualHosts: []*VirtualHost{vh}}}}}}, nil)
	r := request("/" + strings.Repeat("a", 600))
	for i := range 500 {
		r.Method = num("M", i)
		if d := table.Route(r); d.Route == nil || d.Route.Index() != i {
			t.Fatalf("method %s got %+v", r.Method, d.Route)
		}
	}
	noAllocs(t, "many lists", func() { table.Route(r) })
}

func TestRouteAllocatesNothing(t *testing.T) {
	for _, f := range append(families, mixed) {
		table := f.table(1000)
		for i := range 20 {
			r := f.request(i, 1000)
			noAllocs(t, f.name, func() { table.Route(r) })
		}
	}
	hosts, _ := Build(hostsSpec(100), nil)
	for _, authority := range []string{"h7.example.com", "H7.Example.COM.:80", "none"} {
		r := request("/api/x")
		r.Authority = authority
		noAllocs(t, authority, func() { hosts.Route(r) })
	}
}

// TestActionsAllocateNothing holds what follows a decision to the caller's buffer.
func TestActionsAllocateNothing(t *testing.T) {
	spec := hostsSpec(1)
	routes := spec.Listeners[0].Tables[0].VirtualHosts[0].Routes
	routes[0].Rewrite = &Rewrite{HasPrefix: true, Prefix: "/"}
	routes[1] = &Route{Match: Match{Path: exact("/login")}, RouteAction: &RouteAction{Redirect: &Redirect{Status: 301, PrefixRewrite: "/x", HasPrefix: true, Scheme: "https"}}}
	table, _ := Build(spec, nil)
	buffer := make([]byte, 0, 256)
	for _, path := range []string{"/api/x?q=1", "/login?q=1", "/"} {
		r := request(path)
		r.Authority = "h0.example.com:80"
		noAllocs(t, path, func() {
			d := table.Route(r)
			d.Authority(d.Pick(7), r)
			buffer = d.AppendPath(buffer[:0], r)
			buffer = d.AppendLocation(buffer[:0], r)
		})
	}
}

func noAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	if raced {
		return
	}
	f() // fills the pools
	if n := testing.AllocsPerRun(100, f); n > 0 {
		t.Errorf("%s: %v allocations, want none", what, n)
	}
}

// TestTimeDoesNotGrow is the same property by the clock, with room for a busy machine.
func TestTimeDoesNotGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at the clock")
	}
	const allowed = 8
	compare := func(name string, few *Table, one *Request, many *Table, other *Request) {
		best, among := nanoseconds(few, one), nanoseconds(many, other)
		// What grows is never as fast; what others had the processor, or its cache, for is in
		// the end.
		for range 20 {
			if among <= allowed*best {
				break
			}
			among = min(among, nanoseconds(many, other))
		}
		t.Logf("%-26s %7.0f ns among 10, %7.0f ns among many", name, best, among)
		if among > allowed*best {
			t.Errorf("%s: %.0f ns among 10, %.0f ns among many", name, best, among)
		}
	}
	for _, f := range append(families, mixed) {
		compare(f.name, f.table(10), f.request(9, 10), f.table(f.many()), f.request(f.many()-1, f.many()))
	}
	host := request("/")
	host.Authority = "H7.example.com:80"
	few, _ := Build(hostsSpec(10), nil)
	many, _ := Build(hostsSpec(100_000), nil)
	compare("host", few, host, many, host)
}

// nanoseconds measures a routed request: the best of a few rounds over the same one.
func nanoseconds(table *Table, r *Request) float64 {
	best := time.Hour
	for range 20 {
		begin := time.Now()
		for range 500 {
			table.Route(r)
		}
		best = min(best, time.Since(begin))
	}
	return float64(best) / 500
}

// BenchmarkRoute asks for every route in turn, so that the table does not stay in
// the processor's cache as it does with one.
func BenchmarkRoute(b *testing.B) {
	for _, f := range append(families, mixed) {
		for _, n := range []int{10, 1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(f.name, " ", "-"), n), func(b *testing.B) {
				n := min(n, f.many())
				table := f.table(n)
				requests := make([]*Request, min(n, 1000))
				for i := range requests {
					requests[i] = f.request(i*(n/len(requests)), n)
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; b.Loop(); i++ {
					table.Route(requests[i%len(requests)])
				}
			})
		}
	}
}

func BenchmarkHost(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		exact, wildcard := hostsSpec(n), hostsSpec(n)
		for _, vh := range wildcard.Listeners[0].Tables[0].VirtualHosts {
			vh.Domains[0] = "*." + vh.Domains[0]
		}
		for name, spec := range map[string]*Spec{"exact": exact, "wildcard": wildcard} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				table, _ := Build(spec, nil)
				requests := make([]*Request, min(n, 1000))
				for i := range requests {
					requests[i] = request("/api/page")
					requests[i].Authority = num("h", i*(n/len(requests))) + ".example.com"
					if name == "wildcard" {
						requests[i].Authority = "www." + requests[i].Authority
					}
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; b.Loop(); i++ {
					table.Route(requests[i%len(requests)])
				}
			})
		}
	}
}

// TestMemory holds the compiled form of 10,000 hosts with 3 routes each to a budget,
// beside the Spec.
func TestMemory(t *testing.T) {
	const budget = 20 << 20
	spec := hostsSpec(10_000)
	before := heapBytes()
	table, _ := Build(spec, nil)
	used := heapBytes() - before
	t.Logf("%.1f MB for 10,000 hosts with 3 routes each", float64(used)/(1<<20))
	if used > budget {
		t.Errorf("%d bytes, want at most %d", used, budget)
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(spec)
}

// TestVirtualHostFitsALine: a request fetches one line of the processor's caches for all that
// it needs of a virtual host before it comes to the routes.
func TestVirtualHostFitsALine(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(CompiledVirtualHost{}); size > 64 {
		t.Errorf("%d bytes", size)
	}
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		spec := hostsSpec(n)
		b.Run(fmt.Sprintf("hosts/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Build(spec, nil)
			}
		})
	}
}
