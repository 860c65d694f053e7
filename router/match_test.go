package router

import (
	"regexp"
	"strings"
	"testing"
)

// TestMatch holds single conditions to what Envoy makes of them.
func TestMatch(t *testing.T) {
	t.Parallel()
	header := func(kind MatchKind, value string, invert, missingIsEmpty bool) Match {
		return Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: "x", Match: StringMatch{kind, value}, Invert: invert, TreatMissingAsEmpty: missingIsEmpty}}}}
	}
	query := func(kind MatchKind, value string) Match {
		return Match{Rest: &Conditions{Query: []QueryMatch{{Name: "q", Match: StringMatch{kind, value}}}}}
	}
	path := func(kind MatchKind, value string) Match { return Match{Path: StringMatch{kind, value}} }
	fold := func(m Match) Match {
		c := *m.Conditions()
		c.IgnorePathCase = true
		m.Rest = &c
		return m
	}
	x := func(values ...string) *Request {
		r := request("/")
		for _, v := range values {
			r.Headers = append(r.Headers, Header{"x", v})
		}
		return r
	}
	named := func(name string, m StringMatch, invert bool) Match {
		return Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: name, Match: m, Invert: invert}}}}
	}
	upgrading := func(to string) *Request {
		r := request("/")
		r.Upgrade, r.Connection = to, "keep-alive, Upgrade"
		return r
	}
	cases := []struct {
		name    string
		match   Match
		request *Request
		want    bool
	}{
		{"anything", Match{}, request("*"), true},
		{"exact path without query", path(MatchExact, "/a"), request("/a?b"), true},
		{"exact path is all of it", path(MatchExact, "/a"), request("/a/"), false},
		{"prefix is raw text", path(MatchPrefix, "/foo"), request("/foobar"), true},
		{"prefix minds case", path(MatchPrefix, "/foo"), request("/Foo"), false},
		{"prefix in any case", fold(path(MatchPrefix, "/fOO")), request("/Foo/Bar"), true},
		{"exact in any case", fold(path(MatchExact, "/fOO")), request("/Foo"), true},
		{"exact in any case is all of it", fold(path(MatchExact, "/fOO")), request("/Foo/"), false},
		{"only ASCII has case", fold(path(MatchExact, "/É")), request("/é"), false},
		{"expression is full", path(MatchRegex, "/api/v[0-9]+"), request("/api/v1/x"), false},
		{"expression sees no query", path(MatchRegex, "/api/v[0-9]+"), request("/api/v1?x"), true},
		{"expression minds case", fold(path(MatchRegex, "/api")), request("/API"), false},
		{"alternatives are full", path(MatchRegex, "/a|/b"), request("/bc"), false},
		{"header exact", header(MatchExact, "1", false, false), x("1"), true},
		{"header values are joined", header(MatchExact, "1,2", false, false), x("1", "2"), true},
		{"header is no single value", header(MatchExact, "2", false, false), x("1", "2"), false},
		{"empty header", header(MatchExact, "", false, false), x(""), true},
		{"missing header is not empty", header(MatchExact, "", false, false), x(), false},
		{"missing header as empty", header(MatchExact, "", false, true), x(), true},
		{"present", header(MatchPresent, "", false, false), x(""), true},
		{"absent", header(MatchPresent, "", true, false), x(), true},
		{"absent is what is", header(MatchPresent, "", false, true), x(), false},
		{"not exact", header(MatchExact, "1", true, false), x("2"), true},
		{"not exact, missing", header(MatchExact, "1", true, false), x(), false},
		{"not exact, missing as empty", header(MatchExact, "1", true, true), x(), true},
		{"not the expression, missing as empty", header(MatchRegex, ".*", true, true), x(), false},
		{"never", header(MatchAny, "", true, false), x("1"), false},
		{"method as header", Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: ":Method", Match: exact("GET")}}}}, x(), true},
		{"path as header", Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: ":path", Match: exact("/?q")}}}}, request("/?q"), true},
		{"host as header", Match{Rest: &Conditions{Headers: []HeaderMatch{{Name: "host", Match: exact("b")}}}}, x(), false},
		{"upgrade", named("Upgrade", exact("websocket"), false), upgrading("websocket"), true},
		{"upgrade minds case", named("upgrade", exact("websocket"), false), upgrading("WebSocket"), false},
		{"no upgrade", named("upgrade", exact("websocket"), false), x(), false},
		{"no upgrade is absent", named("upgrade", StringMatch{Kind: MatchPresent}, true), x(), true},
		{"connection of an upgrade", named("connection", StringMatch{MatchRegex, ".*[Uu]pgrade.*"}, false), upgrading("websocket"), true},
		{"authority with port", Match{Rest: &Conditions{Authority: exact("a.example.com")}}, x(), true},
		{"query", query(MatchExact, "1"), request("/?p=2&q=1"), true},
		{"first value of the query", query(MatchExact, "1"), request("/?q=2&q=1"), false},
		{"query is not decoded", query(MatchExact, "a b"), request("/?q=a%20b"), false},
		{"query name is not decoded", query(MatchPresent, ""), request("/?%71=1"), false},
		{"query without value", query(MatchExact, ""), request("/?q"), true},
		{"query with empty value", query(MatchPresent, ""), request("/?q="), true},
		{"no query", query(MatchPrefix, ""), request("/"), false},
		{"value with equals sign", query(MatchExact, "a=b"), request("/?q=a=b"), true},
	}
	for _, c := range cases {
		table := tableOf(t, &Route{Match: c.match, RouteAction: &RouteAction{Direct: &DirectResponse{Status: 200}}})
		if got := table.Route(c.request).Outcome == Responded; got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestPatternShapes: what needs no engine must not get one.
func TestPatternShapes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		source string
		want   pattern
	}{
		{"", pattern{shape: literal}},
		{"^$", pattern{shape: literal}},
		{"/a", pattern{shape: literal, prefix: "/a"}},
		{"^/a\\.b$", pattern{shape: literal, prefix: "/a.b"}},
		{".*", pattern{shape: around}},
		{"(.*)", pattern{shape: around}},
		{".+", pattern{shape: around, gap: 1}},
		{"/.*\\.html", pattern{shape: around, prefix: "/", suffix: ".html"}},
		{"/(api)/(.*)", pattern{shape: around, prefix: "/api/"}},
		{"/a.b", pattern{prefix: "/a"}},
		{"/(api|rate)(/.*)?", pattern{prefix: "/"}},
		{"(?i)/api", pattern{}},
		{".*a.*", pattern{}},
		{"a|b", pattern{}},
	}
	for _, c := range cases {
		p, err := compilePattern(c.source)
		if err != nil {
			t.Fatal(err)
		}
		if (p.full != nil) != (p.shape == general) {
			t.Errorf("%q: shape %v, engine %v", c.source, p.shape, p.full)
		}
		p.full = nil
		if *p != c.want {
			t.Errorf("%q: got %+v, want %+v", c.source, *p, c.want)
		}
	}
}

// FuzzPattern compares patterns with the engine, for values such as messages carry.
func FuzzPattern(f *testing.F) {
	for _, source := range append(regexes, pathRegexs...) {
		for _, value := range valueWords {
			f.Add(source, value)
			f.Add(source, "/"+value)
		}
	}
	f.Add(`/v[12]/\Qa.b`, "/v1/a.b")
	f.Fuzz(func(t *testing.T, source, value string) {
		if strings.ContainsAny(value, "\r\n") || strings.ToValidUTF8(value, "?") != value || len(source) > 200 {
			return
		}
		p, err := compilePattern(source)
		if _, want := regexp.Compile(source); (err != nil) != (want != nil) {
			t.Fatalf("%q: error %v, want %v", source, err, want)
		}
		if err != nil {
			return
		}
		whole, err := regexp.Compile(`^(?:` + source + `)$`)
		if err != nil { // A \Q is open at the end.
			whole = regexp.MustCompile(`^(?:` + source + `\E)$`)
		}
		if got, want := p.matches(value), whole.MatchString(value); got != want {
			t.Errorf("%q on %q: got %v, want %v", source, value, got, want)
		}
		if p.matches(value) && !strings.HasPrefix(value, p.prefix) {
			t.Errorf("%q matches %q, which does not begin with %q", source, value, p.prefix)
		}
	})
}

// FuzzQuery compares the search for a parameter with a walk over all of them.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "a", "a=", "a=b&a=c", "&", "&&a", "a&", "=", "=a&b", "a==b"} {
		f.Add(s, "a")
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, query, name string) {
		got, found := findParameter(query, name)
		r := &Request{Path: "/?" + query}
		want := naiveMatch(&Match{Rest: &Conditions{Query: []QueryMatch{{Name: name, Match: StringMatch{Kind: MatchPresent}}}}}, r)
		if found != want {
			t.Fatalf("%q in %q: found %v, want %v", name, query, found, want)
		}
		if found && !naiveMatch(&Match{Rest: &Conditions{Query: []QueryMatch{{Name: name, Match: exact(got)}}}}, r) {
			t.Errorf("%q in %q: got %q", name, query, got)
		}
	})
}
