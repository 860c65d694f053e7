package router

import (
	"encoding/json"
	"strings"
	"testing"
)

// tableOf builds a table of one listener and one virtual host "*" with these routes,
// and fails where there is a problem.
func tableOf(t testing.TB, routes ...*Route) *Table {
	t.Helper()
	table, problems := Build(specOf(&VirtualHost{Name: "all", Domains: []string{"*"}, Routes: routes}), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return table
}

// specOf is one listener "l" with one table of these virtual hosts.
func specOf(hosts ...*VirtualHost) *Spec {
	return &Spec{Listeners: []*Listener{{Name: "l", Port: 8080, Tables: []*RouteTable{{Name: "http.80", Port: 80, VirtualHosts: hosts}}}}}
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	toPrefix := func(s string) *Rewrite { return &Rewrite{Prefix: s, HasPrefix: true} }
	regex := func(s string) StringMatch { return StringMatch{MatchRegex, s} }
	cases := []struct {
		name    string
		match   Match
		rewrite *Rewrite
		path    string
		want    string
	}{
		{"none", Match{}, nil, "/a?b", "/a?b"},
		{"authority only", Match{}, &Rewrite{Authority: "x"}, "/a?b", "/a?b"},
		{"prefix", Match{Path: prefix("/api")}, toPrefix("/v2"), "/api/x?q=1", "/v2/x?q=1"},
		{"prefix is text", Match{Path: prefix("/foo")}, toPrefix("/"), "/foo/bar", "//bar"},
		{"prefix to nothing", Match{Path: prefix("/foo")}, toPrefix(""), "/foo?q", "/?q"},
		{"prefix gains a slash", Match{Path: prefix("/foo/")}, toPrefix(""), "/foo/bar", "/bar"},
		{"prefix of the same length", Match{Path: prefix("/api/v1")}, toPrefix("/new"), "/api/v12/x", "/new2/x"},
		{"prefix in any case", Match{Path: prefix("/API"), Rest: &Conditions{IgnorePathCase: true}}, toPrefix("/v2"), "/aPi/X", "/v2/X"},
		{"no match is the prefix /", Match{}, toPrefix("/new"), "/api/v1", "/newapi/v1"},
		{"no match, no slash", Match{}, toPrefix("/new"), "*", "/new*"},
		{"exact takes all", Match{Path: exact("/login")}, toPrefix("/"), "/login?q=", "/?q="},
		{"exact in any case", Match{Path: exact("/Login"), Rest: &Conditions{IgnorePathCase: true}}, toPrefix("/x"), "/LOGIN", "/x"},
		{"expression takes all", Match{Path: regex(".*")}, toPrefix("/new"), "/static/x.css?q", "/new?q"},
		{"expression that is a prefix takes all", Match{Path: regex("/static/.*")}, toPrefix("/new"), "/static/x.css", "/new"},
		{"path", Match{Path: prefix("/a")}, &Rewrite{Path: "/whole"}, "/a/b?c", "/whole?c"},
		{"groups", Match{}, &Rewrite{Regex: "/api/(.*)", Substitution: `/x/\1`}, "/api/v1?q=/api/z", "/x/v1?q=/api/z"},
		{"no match of the expression", Match{}, &Rewrite{Regex: "/api/(.*)", Substitution: `/x/\1`}, "/b", "/b"},
		{"every match", Match{}, &Rewrite{Regex: "a(b?)", Substitution: `[\0\1]`}, "/aabc", "/[a][abb]c"},
		{"backslash", Match{}, &Rewrite{Regex: "a", Substitution: `\\`}, "/a", `/\`},
		{"group that took no part", Match{}, &Rewrite{Regex: "/(a)|/(b)", Substitution: `/<\1\2>`}, "/b", "/<b>"},
		{"two groups swapped", Match{}, &Rewrite{Regex: "^/([^/]+)/([^/]+)", Substitution: `/\2/\1`}, "/a/b/c", "/b/a/c"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			table := tableOf(t, &Route{Match: c.match, RouteAction: &RouteAction{Rewrite: c.rewrite, Destinations: []Destination{{Cluster: "c"}}}})
			r := request(c.path)
			d := table.Route(r)
			if got := string(d.AppendPath([]byte("GET "), r)); got != "GET "+c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if want := c.rewrite != nil && c.rewrite.Authority == ""; d.RewritesPath() != want {
				t.Errorf("RewritesPath is %v, want %v", d.RewritesPath(), want)
			}
		})
	}
}

func TestAuthority(t *testing.T) {
	t.Parallel()
	cases := []struct {
		route, destination, want string
	}{
		{"", "", "a.example.com:80"},
		{"", "dest", "dest"},
		{"route", "", "route"},
		{"route", "dest", "route"},
	}
	for _, c := range cases {
		table := tableOf(t, &Route{RouteAction: &RouteAction{Rewrite: &Rewrite{Authority: c.route}, Destinations: []Destination{{Cluster: "c", Authority: c.destination}}}})
		r := request("/")
		r.Authority = "a.example.com:80"
		d := table.Route(r)
		if got := d.Authority(d.Pick(0), r); got != c.want {
			t.Errorf("route %q, destination %q: got %q, want %q", c.route, c.destination, got, c.want)
		}
	}
	none := Decision{}
	if got := none.Authority(nil, request("/")); got != "a.example.com" {
		t.Errorf("without a route: got %q", got)
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name      string
		redirect  Redirect
		scheme    string
		authority string
		path      string
		want      string
	}{
		{"path, query kept", Redirect{Path: "/moved"}, "http", "a.com", "/x?q=1", "http://a.com/moved?q=1"},
		{"path, port kept", Redirect{Path: "/moved"}, "http", "a.com:80", "/x", "http://a.com:80/moved"},
		{"path with query", Redirect{Path: "/moved?a=b"}, "http", "a.com", "/x?q=1", "http://a.com/moved?a=b"},
		{"host", Redirect{Host: "new.com"}, "http", "a.com:8080", "/x?q", "http://new.com/x?q"},
		{"scheme drops its old default port", Redirect{Scheme: "https"}, "http", "a.com:80", "/x", "https://a.com/x"},
		{"scheme keeps another port", Redirect{Scheme: "https"}, "http", "a.com:8080", "/x", "https://a.com:8080/x"},
		{"back to http", Redirect{Scheme: "http"}, "https", "a.com:443", "/x", "http://a.com/x"},
		{"port", Redirect{Port: 8443}, "http", "a.com:8080", "/x", "http://a.com:8443/x"},
		{"port on IPv6", Redirect{Port: 8443}, "http", "[::1]:80", "/x", "http://[::1]:8443/x"},
		{"port on IPv6 without one", Redirect{Port: 8443}, "http", "[::1]", "/x", "http://[::1]:8443/x"},
		{"IPv6 without port", Redirect{Scheme: "https"}, "http", "[::1]", "/x", "https://[::1]/x"},
		{"default port", Redirect{Host: "n.org", Port: 80, Scheme: "http"}, "http", "a.com", "/x", "http://n.org/x"},
		{"default port of the request's scheme", Redirect{Port: 443}, "https", "a.com:8443", "/x", "https://a.com/x"},
		{"port 80 of https", Redirect{Scheme: "https", Port: 80}, "http", "a.com", "/x", "https://a.com:80/x"},
		{"port from request", Redirect{PortFromRequest: true, Host: "n.org", Scheme: "https"}, "http", "a.com", "/x", "https://n.org:80/x"},
		{"port from request is the default", Redirect{PortFromRequest: true}, "http", "a.com:9999", "/x", "http://a.com/x"},
		{"prefix", Redirect{HasPrefix: true, PrefixRewrite: "/new"}, "http", "a.com", "/old/x?q", "http://a.com/new/x?q"},
		{"prefix to nothing", Redirect{HasPrefix: true}, "http", "a.com", "/old/x?q", "http://a.com/x?q"},
		{"nothing but the code", Redirect{}, "http", "a.com", "/old", "http://a.com/old"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.redirect.Status = 308
			match := Match{}
			if c.redirect.HasPrefix {
				match.Path = prefix("/old")
			}
			table := tableOf(t, &Route{Match: match, RouteAction: &RouteAction{Redirect: &c.redirect}})
			r := request(c.path)
			r.Scheme, r.Authority = c.scheme, c.authority
			d := table.Route(r)
			if got := string(d.AppendLocation(nil, r)); d.Outcome != Redirected || got != c.want {
				t.Errorf("got %v %q, want %q", d.Outcome, got, c.want)
			}
		})
	}
}

func TestTLSRedirect(t *testing.T) {
	t.Parallel()
	table, problems := Build(specOf(&VirtualHost{Domains: []string{"*"}, RequireTLS: true, Routes: []*Route{forwardTo("c")}}), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, c := range []struct{ scheme, authority, want string }{
		{"http", "a.com", "https://a.com/x?q=1"},
		{"http", "A.com:8080", "https://A.com/x?q=1"},
		{"http", "[::1]:80", "https://[::1]/x?q=1"},
		{"https", "a.com", ""},
	} {
		r := request("/x?q=1")
		r.Scheme, r.Authority = c.scheme, c.authority
		d := table.Route(r)
		if got := string(d.AppendLocation(nil, r)); got != c.want || (d.Outcome == TLSRedirect) != (c.want != "") {
			t.Errorf("%s %s: got %v %q, want %q", c.scheme, c.authority, d.Outcome, got, c.want)
		}
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	dest := func(cluster string, weight uint32) Destination {
		return Destination{Cluster: cluster, Weight: weight}
	}
	cases := []struct {
		name         string
		destinations []Destination
		want         map[string]int
	}{
		{"single without weight", []Destination{dest("a", 0)}, map[string]int{"a": 1000}},
		{"shares", []Destination{dest("a", 9), dest("b", 1)}, map[string]int{"a": 900, "b": 100}},
		{"zero is dropped", []Destination{dest("a", 0), dest("b", 1)}, map[string]int{"b": 1000}},
		{"not of a hundred", []Destination{dest("a", 1), dest("b", 2), dest("a", 1)}, map[string]int{"a": 500, "b": 500}},
		{"no overflow", []Destination{dest("a", 1<<32-1), dest("b", 1<<32-1)}, map[string]int{"a": 1000}},
	}
	for _, c := range cases {
		table := tableOf(t, &Route{RouteAction: &RouteAction{Destinations: c.destinations}})
		d := table.Route(request("/"))
		got := map[string]int{}
		for i := range uint64(1000) {
			got[d.Pick(i).Cluster.Name]++
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		for name, n := range c.want {
			if got[name] != n {
				t.Errorf("%s: got %v, want %v", c.name, got, c.want)
			}
		}
	}
	if d := (&Decision{Outcome: NotFound}); d.Pick(1) != nil {
		t.Error("picked a destination where there is no route")
	}
}

func TestHeaderOps(t *testing.T) {
	t.Parallel()
	route := &Route{
		RouteAction: &RouteAction{Destinations: []Destination{{Cluster: "c", Headers: HeaderPolicy{
			Request: HeaderOps{Set: []Header{{"X-Set", "d"}, {":path", "/no"}, {"Host", "no"}}, Add: []Header{{"x-add", "%REQ(a)%"}}, Remove: []string{"X-Gone", "host"}},
		}}}, Policy: &RoutePolicy{Headers: HeaderPolicy{
			Request:  HeaderOps{Set: []Header{{"x-set", "r"}}},
			Response: HeaderOps{Remove: []string{"server", "Connection"}, Set: []Header{{"Content-Length", "7"}, {"transfer-encoding", "chunked"}, {"Upgrade", "x"}}, Add: []Header{{"x-r", "100%%"}}},
		}}},
	}
	table := tableOf(t, route)
	d := table.Route(request("/"))
	format := func(ops []HeaderOp) string {
		var b strings.Builder
		for _, op := range ops {
			b.WriteString([]string{"remove ", "set ", "add "}[op.Kind] + op.Name + "=" + op.Value.String() + ";")
		}
		return b.String()
	}
	dest := d.Pick(0)
	if got, want := format(dest.RequestOps), "remove x-gone=;set x-set=d;add x-add=%REQ(a)%;set x-set=r;"; got != want {
		t.Errorf("request: got %s, want %s", got, want)
	}
	if got, want := format(dest.ResponseOps), "remove server=;add x-r=100%%;"; got != want {
		t.Errorf("response: got %s, want %s", got, want)
	}
	if got, want := format(d.Route.ResponseOps), "remove server=;add x-r=100%%;"; got != want {
		t.Errorf("response without destination: got %s, want %s", got, want)
	}
}

// TestSiblingsShare: routes of one rule share what was compiled for the first.
func TestSiblingsShare(t *testing.T) {
	t.Parallel()
	destinations := []Destination{{Cluster: "c"}}
	headers := HeaderPolicy{Response: HeaderOps{Remove: []string{"server"}}}
	rewrite := &Rewrite{Path: "/x"}
	table := tableOf(t,
		&Route{Match: Match{Path: exact("/a")}, RouteAction: &RouteAction{Destinations: destinations, Policy: &RoutePolicy{Headers: headers}, Rewrite: rewrite}},
		&Route{Match: Match{Path: exact("/b")}, RouteAction: &RouteAction{Destinations: destinations, Policy: &RoutePolicy{Headers: headers}, Rewrite: rewrite}},
		&Route{Match: Match{Path: exact("/c")}, RouteAction: &RouteAction{Destinations: destinations, Rewrite: rewrite}},
	)
	a, b, c := table.Route(request("/a")), table.Route(request("/b")), table.Route(request("/c"))
	if &a.Route.Destinations[0] != &b.Route.Destinations[0] || a.Route.rewrite != b.Route.rewrite || len(b.Route.ResponseOps) != 1 {
		t.Error("routes of one rule do not share their destinations")
	}
	if len(c.Route.Destinations[0].ResponseOps) != 0 || len(c.Route.ResponseOps) != 0 {
		t.Error("a route has the header changes of another")
	}
}

// TestProblems: each broken part is reported, and the rest serves.
func TestProblems(t *testing.T) {
	t.Parallel()
	to := []Destination{{Cluster: "c"}}
	cases := []struct {
		name  string
		route Route
		want  string
	}{
		{"no action", Route{}, "no action"},
		{"two actions", Route{RouteAction: &RouteAction{Destinations: to, Direct: &DirectResponse{Status: 200}}}, "more than one of"},
		{"path expression", Route{Match: Match{Path: StringMatch{MatchRegex, "("}}, RouteAction: &RouteAction{Destinations: to}}, "path: error parsing regexp"},
		{"unbalanced", Route{Match: Match{Path: StringMatch{MatchRegex, "a)(b"}}, RouteAction: &RouteAction{Destinations: to}}, "path: error parsing regexp"},
		{"look-ahead", Route{Match: Match{Rest: &Conditions{Method: StringMatch{MatchRegex, "(?!a)"}}}, RouteAction: &RouteAction{Destinations: to}}, "method: error parsing regexp"},
		{"header expression", Route{Match: Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: "x", Match: StringMatch{MatchRegex, "*"}}}}}, RouteAction: &RouteAction{Destinations: to}}, "header x: error parsing regexp"},
		{"query expression", Route{Match: Match{Rest: &Conditions{Query: []QueryMatch{{Name: "q", Match: StringMatch{MatchRegex, "["}}}}}, RouteAction: &RouteAction{Destinations: to}}, "query parameter q: error parsing regexp"},
		{"unknown kind", Route{Match: Match{Rest: &Conditions{Scheme: StringMatch{Kind: 99}}}, RouteAction: &RouteAction{Destinations: to}}, "scheme: unknown kind"},
		{"rewrite expression", Route{RouteAction: &RouteAction{Destinations: to, Rewrite: &Rewrite{Regex: "["}}}, "rewrite: error parsing regexp"},
		{"missing group", Route{RouteAction: &RouteAction{Destinations: to, Rewrite: &Rewrite{Regex: "a", Substitution: `\1`}}}, "only 0 groups"},
		{"stray backslash", Route{RouteAction: &RouteAction{Destinations: to, Rewrite: &Rewrite{Regex: "a", Substitution: `\x`}}}, "neither a group"},
		{"backslash at the end", Route{RouteAction: &RouteAction{Destinations: to, Rewrite: &Rewrite{Regex: "a", Substitution: `\`}}}, "single backslash"},
		{"two rewrites", Route{RouteAction: &RouteAction{Destinations: to, Rewrite: &Rewrite{Path: "/a", Regex: "a"}}}, "more than one of prefix, path and regex"},
		{"rewrite that splits a request", Route{RouteAction: &RouteAction{Destinations: to, Rewrite: &Rewrite{Path: "/a HTTP/1.1\r\nx: y"}}}, "percent-encode"},
		{"authority that splits a request", Route{RouteAction: &RouteAction{Destinations: to, Rewrite: &Rewrite{Authority: "a\nb"}}}, "percent-encode"},
		{"destination's authority", Route{RouteAction: &RouteAction{Destinations: []Destination{{Cluster: "c", Authority: "a\r\nb"}}}}, "percent-encode"},
		{"redirect status", Route{RouteAction: &RouteAction{Redirect: &Redirect{Status: 200}}}, "status 200"},
		{"redirect to both", Route{RouteAction: &RouteAction{Redirect: &Redirect{Status: 301, Path: "/a", HasPrefix: true}}}, "both set"},
		{"redirect host", Route{RouteAction: &RouteAction{Redirect: &Redirect{Status: 301, Host: "a\r\nset-cookie: b"}}}, "percent-encode"},
		{"direct status", Route{RouteAction: &RouteAction{Direct: &DirectResponse{Status: 100}}}, "status 100"},
		{"weights", Route{RouteAction: &RouteAction{Destinations: []Destination{{Cluster: "a"}, {Cluster: "b"}}}}, "weight 0"},
		{"header name", Route{RouteAction: &RouteAction{Destinations: to, Policy: &RoutePolicy{Headers: HeaderPolicy{Request: HeaderOps{Remove: []string{"a b"}}}}}}, "not a token"},
		{"header value", Route{RouteAction: &RouteAction{Destinations: to, Policy: &RoutePolicy{Headers: HeaderPolicy{Response: HeaderOps{Set: []Header{{"a", "%BROKEN"}}}}}}}, "closing percent sign"},
		{"header that splits", Route{RouteAction: &RouteAction{Destinations: to, Policy: &RoutePolicy{Headers: HeaderPolicy{Response: HeaderOps{Add: []Header{{"a", "b\r\nc: d"}}}}}}}, "control character"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.route.Object, c.route.Field = &Object{"VirtualService", "default", "broken"}, "http[0]"
			spec := specOf(&VirtualHost{Name: "all", Domains: []string{"*"}, Routes: []*Route{&c.route, forwardTo("good")}})
			table, problems := Build(spec, nil)
			if len(problems) != 1 || problems[0].Origin != c.route.Origin() || !strings.Contains(problems[0].Message, c.want) {
				t.Fatalf("got %v, want one with %q", problems, c.want)
			}
			if got := problems[0].String(); !strings.HasPrefix(got, "VirtualService default/broken: http[0]: ") {
				t.Errorf("reads %q", got)
			}
			if d := table.Route(request("/")); d.Route == nil || d.Route.Name != "good" || d.Route.Index() != 0 {
				t.Errorf("the other route does not serve: %+v", d)
			}
			// The next table still tells.
			next := withHost(spec, 0, spec.Listeners[0].Tables[0].VirtualHosts[0])
			next.Listeners[0].Tables[0].VirtualHosts = append(next.Listeners[0].Tables[0].VirtualHosts, &VirtualHost{Name: "more", Domains: []string{"more"}})
			if _, again := Build(next, table); len(again) != 1 {
				t.Errorf("the next table reports %v", again)
			}
		})
	}
}

func TestProblemsBesideRoutes(t *testing.T) {
	t.Parallel()
	spec := specOf(&VirtualHost{Name: "v", Domains: []string{"", "a*.com", "*.*.com", "*com", ".com", "a..com", "*..com", strings.Repeat("a", 256), "good.com"}, Routes: []*Route{forwardTo("c")}})
	spec.Listeners[0].Tables = append(spec.Listeners[0].Tables, &RouteTable{Name: "again", Port: 80})
	spec.Listeners = append(spec.Listeners, &Listener{Name: "l"})
	spec.Clusters = []*Cluster{{Name: "c", Port: 1}, {Name: "c", Port: 2, Origin: Origin{Kind: "ServiceEntry", Name: "second"}}}
	table, problems := Build(spec, nil)
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		`VirtualHost v: domain "" names no host`,
		`VirtualHost v: domain "a*.com": a star`,
		`VirtualHost v: domain "*.*.com": a star`,
		`VirtualHost v: domain "*com": a star`,
		`domain ".com" has an empty label`,
		`domain "a..com" has an empty label`,
		`domain "*..com" has an empty label`,
		`is longer than 255 bytes`,
		`Listener l: again: a table for port 80 exists`,
		`Listener l: a listener of this name exists`,
		`ServiceEntry second: cluster c is already defined`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no problem says %q in\n%s", want, all)
		}
	}
	if len(problems) != 11 {
		t.Errorf("%d problems, want 11:\n%s", len(problems), all)
	}
	r := request("/")
	r.Authority = "good.com"
	d := table.Route(r)
	if d.Outcome != Forward || table.Clusters()[d.Pick(0).Cluster.ID].Port != 1 {
		t.Errorf("got %+v", d)
	}
	if len(table.Listeners()) != 1 {
		t.Errorf("serves %d listeners", len(table.Listeners()))
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	origin := Origin{Kind: "VirtualService", Namespace: "default", Name: "reviews", Field: "http[0].match[0]"}
	spec := specOf(
		&VirtualHost{Name: "reviews:80", Domains: []string{"*.example.com", "reviews.example.com"}, Routes: []*Route{
			{
				Object: &Object{origin.Kind, origin.Namespace, origin.Name},
				Field:  origin.Field,
				Match: Match{
					Path: prefix("/Reviews"), Rest: &Conditions{
						IgnorePathCase: true,
						Method:         StringMatch{MatchRegex, "GET|PUT"},
						Headers:        []HeaderMatch{{Name: "end-user", Match: exact("jason")}, {Name: "x-skip", Match: StringMatch{Kind: MatchPresent}, Invert: true}},
					},
				},
				RouteAction: &RouteAction{Name: "jason", Destinations: []Destination{{Cluster: "v2"}}},
			},
			{Match: Match{Path: exact("/other"), Rest: &Conditions{Query: []QueryMatch{{Name: "q", Match: prefix("1")}}}}, RouteAction: &RouteAction{Name: "other", Destinations: []Destination{{Cluster: "v3"}}}},
			{Match: Match{Path: exact("/moved")}, RouteAction: &RouteAction{Name: "moved", Redirect: &Redirect{Status: 302, Path: "/new"}}},
			{Match: Match{Path: exact("/hi")}, RouteAction: &RouteAction{Name: "hi", Direct: &DirectResponse{Status: 418, Body: []byte("hi")}}},
			{
				Match:       Match{Path: prefix("/reviews")},
				RouteAction: &RouteAction{Name: "v1", Policy: &RoutePolicy{Timeout: 1500e6}, Rewrite: &Rewrite{Prefix: "/r", HasPrefix: true}, Destinations: []Destination{{Cluster: "v1", Weight: 3, Authority: "v1.local"}, {Cluster: "gone", Weight: 1}}},
			},
		}},
		&VirtualHost{Name: "tls", Domains: []string{"tls.org"}, RequireTLS: true},
	)
	spec.Clusters = []*Cluster{{Name: "v1"}, {Name: "v2"}}
	table, problems := Build(spec, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	cases := []struct {
		name    string
		request Request
		want    string
	}{
		{"forwarded", Request{Listener: "l", Method: "GET", Scheme: "http", Authority: "reviews.example.com:80", Path: "/reviews/7?q=1", Headers: []Header{{"x-skip", ""}, {"x-skip", "1"}}},
			`{"outcome":"Forward","listener":"l","table":"http.80","virtualHost":"reviews:80","host":"reviews.example.com","domain":"reviews.example.com",
			"route":{"name":"v1","index":4,"origin":{},"path":"/r/7?q=1","destinations":[{"cluster":"v1","weight":3,"authority":"v1.local","policies":[{"name":"balancer","text":"LEAST_REQUEST"}]},{"cluster":"gone","weight":1,"authority":"reviews.example.com:80","missing":true}],"timeout":"1.5s"},
			"earlier":[
			{"name":"jason","index":0,"origin":{"kind":"VirtualService","namespace":"default","name":"reviews","field":"http[0].match[0]"},"failed":[{"condition":"header end-user","wanted":"exact \"jason\"","got":"","absent":true},{"condition":"header x-skip","wanted":"not present","got":",1"}],"held":2},
			{"name":"other","index":1,"origin":{},"failed":[{"condition":"path","wanted":"exact \"/other\"","got":"/reviews/7"}],"held":1},
			{"name":"moved","index":2,"origin":{},"failed":[{"condition":"path","wanted":"exact \"/moved\"","got":"/reviews/7"}],"held":0},
			{"name":"hi","index":3,"origin":{},"failed":[{"condition":"path","wanted":"exact \"/hi\"","got":"/reviews/7"}],"held":0}]}`},
		{"nearest miss", Request{Listener: "l", Method: "POST", Scheme: "http", Authority: "x.example.com", Path: "/REVIEWS"},
			`{"outcome":"NotFound","listener":"l","table":"http.80","virtualHost":"reviews:80","host":"x.example.com","domain":"*.example.com",
			"earlier":5,"nearest":{"name":"jason","index":0,"origin":{"kind":"VirtualService","namespace":"default","name":"reviews","field":"http[0].match[0]"},
			"failed":[{"condition":"method","wanted":"regex \"GET|PUT\"","got":"POST"},{"condition":"header end-user","wanted":"exact \"jason\"","got":"","absent":true}],"held":2}}`},
		{"redirected", Request{Listener: "l", Method: "GET", Scheme: "http", Authority: "x.example.com", Path: "/moved"},
			`{"outcome":"Redirected","listener":"l","table":"http.80","virtualHost":"reviews:80","host":"x.example.com","domain":"*.example.com","route":{"name":"moved","index":2,"origin":{},"status":302},"location":"http://x.example.com/new","earlier":2}`},
		{"responded", Request{Listener: "l", Method: "GET", Scheme: "http", Authority: "x.example.com", Path: "/hi"},
			`{"outcome":"Responded","listener":"l","table":"http.80","virtualHost":"reviews:80","host":"x.example.com","domain":"*.example.com","route":{"name":"hi","index":3,"origin":{},"status":418,"body":"hi"},"earlier":3}`},
		{"tls", Request{Listener: "l", Scheme: "http", Authority: "tls.org:80", Path: "/x"},
			`{"outcome":"TLSRedirect","listener":"l","table":"http.80","virtualHost":"tls","host":"tls.org","domain":"tls.org","location":"https://tls.org/x"}`},
		{"host miss", Request{Listener: "l", Authority: "revues.example.org", Path: "/"},
			`{"outcome":"NotFound","listener":"l","table":"http.80","host":"revues.example.org","knownHosts":["reviews.example.com","*.example.com","tls.org"]}`},
		{"no listener", Request{Listener: "m", Authority: "a"}, `{"outcome":"NoListener","host":"a","knownListeners":["l"]}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var want map[string]any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(table.Explain(&c.request))
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if n, ok := want["earlier"].(float64); ok { // only their number
				want["earlier"] = got["earlier"]
				if misses, _ := got["earlier"].([]any); len(misses) != int(n) {
					t.Errorf("%d earlier rules, want %v", len(misses), n)
				}
			}
			a, _ := json.MarshalIndent(got, "", " ")
			b, _ := json.MarshalIndent(want, "", " ")
			if string(a) != string(b) {
				t.Errorf("got %s\nwant %s", a, b)
			}
		})
	}
}

// TestExplainAgrees: what Explain says of earlier rules is that each fails somewhere.
func TestExplainAgrees(t *testing.T) {
	t.Parallel()
	for seed := range rounds(t, 40) {
		w := newWorld(seed, 3)
		table, _ := Build(w.spec(), nil)
		for range 50 {
			r := w.request()
			d, e := table.Route(r), table.Explain(r)
			if e.Outcome != d.Outcome.String() || (e.Route != nil) != (d.Route != nil) {
				t.Fatalf("seed %d: decided %v, explained %v", seed, d.Outcome, e.Outcome)
			}
			if e.Route != nil && (e.Route.Index != d.Route.Index() || len(e.Earlier) != e.Route.Index) {
				t.Errorf("seed %d: route %d has %d earlier rules", seed, d.Route.Index(), len(e.Earlier))
			}
			if d.VirtualHost != nil && e.Domain == "" {
				t.Errorf("seed %d: no domain of %v for %s", seed, d.VirtualHost.Domains, e.Host)
			}
			for _, miss := range e.Earlier {
				if len(miss.Failed) == 0 {
					t.Errorf("seed %d: rule %+v did not match, though nothing failed for %+v", seed, miss, r)
				}
			}
		}
	}
}
