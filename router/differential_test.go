package router

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// world makes random Specs and Requests out of few words, so that they meet often.
type world struct{ *rand.Rand }

func newWorld(seed, stream int) world {
	return world{rand.New(rand.NewPCG(uint64(seed), uint64(stream)))}
}

func (w world) oneIn(n int) bool { return w.IntN(n) == 0 }

func pick[T any](w world, of ...T) T { return of[w.IntN(len(of))] }

var (
	pathWords  = []string{"a", "ab", "A", "aB", "api", "API", "v1", "v12", ".", "%2F", "é", ""}
	valueWords = []string{"", "a", "ab", "abc", "A", "b", "a,b", "a,", ",", "v1", "v12", "GET", "b,a,b"}
	nameWords  = []string{"x", "y", "z", "x-a", "x-version", "end-user", "cookie", "h7", "h8", "h9"}
	queryWords = []string{"q", "p", "qq", "", "a", "b", "c", "%71"}
	hostWords  = []string{"a.com", "b.a.com", "c.b.a.com", "xa.com", "com", "a.com:80", "[::1]", "A.cOm.", "b.A.com.:8080", "x", "[::1]:80", "1.2.3.4", ".a.com", "", ".", "a..com", "::1"}
	domains    = []string{"a.com", "*.a.com", "*.com", "*", "b.a.com", "B.a.COM.", "c.b.a.com:80", "*.b.a.com", "[::1]", "x", "1.2.3.4:9", "*.c.b.a.com", "xa.com"}
	methods    = []string{"GET", "PUT", "POST", "G", "get", "GETX"}
	regexes    = []string{".*", ".+", "a", "a.*", "a.+b", ".*b", "(a|b)+", "a|ab", "[a-z]+", "(?i)a.*", "^a.*$", "", "a?b*", ".*a.*", "(a)(b)", "v[0-9]+", "a.b", "(GET|PUT)", "(?i:a)b", "(?s).*", "a{2}", "(a.*)", "a$", "^", ".*,b", "a\\.b"}
	pathRegexs = []string{"/.*", "/a.*", "/api/v[0-9]+", "/(api|a)(/.*)?", ".*", "/a", "/.+", "/.*1", "/(?i)a", "(?i)/api", "/ab?", "/a/.*/a", "", "/[^/]*", "/a.*b", "^/a$"}
)

func (w world) path() string {
	var b strings.Builder
	for range w.IntN(5) {
		b.WriteString("/" + pick(w, pathWords...))
	}
	if b.Len() == 0 {
		return pick(w, "/", "", "*", "/a")
	}
	return b.String()
}

func (w world) target() string {
	p := w.path()
	if w.oneIn(2) {
		return p
	}
	p += "?"
	for i := range w.IntN(12) {
		if i > 0 || w.oneIn(6) {
			p += "&"
		}
		p += pick(w, queryWords...)
		if !w.oneIn(4) {
			p += "=" + pick(w, valueWords...)
		}
	}
	return p
}

func (w world) string(values, expressions []string, kinds ...MatchKind) StringMatch {
	m := StringMatch{Kind: pick(w, kinds...)}
	switch m.Kind {
	case MatchExact, MatchPrefix:
		m.Value = pick(w, values...)
	case MatchRegex:
		m.Value = pick(w, expressions...)
	}
	return m
}

func (w world) match() Match {
	var m Match
	c := &Conditions{}
	m.Path = w.string([]string{w.path()}, pathRegexs, MatchAny, MatchExact, MatchExact, MatchPrefix, MatchPrefix, MatchPrefix, MatchRegex)
	c.IgnorePathCase = w.oneIn(4)
	if w.oneIn(4) {
		c.Method = w.string(methods, regexes, MatchExact, MatchExact, MatchPrefix, MatchRegex)
	}
	if w.oneIn(10) {
		c.Scheme = w.string([]string{"http", "https", "h"}, regexes, MatchExact, MatchPrefix, MatchRegex)
	}
	if w.oneIn(6) {
		c.Authority = w.string(hostWords, []string{".*", ".*a.com", "[a-z.]+"}, MatchExact, MatchPrefix, MatchRegex)
	}
	for w.oneIn(2) {
		c.Headers = append(c.Headers, HeaderMatch{
			Name:                pick(w, nameWords...),
			Match:               w.string(valueWords, regexes, MatchAny, MatchExact, MatchExact, MatchExact, MatchPrefix, MatchRegex, MatchPresent),
			Invert:              w.oneIn(4),
			TreatMissingAsEmpty: w.oneIn(4),
		})
	}
	for w.oneIn(4) {
		c.Query = append(c.Query, QueryMatch{
			Name:  pick(w, queryWords...),
			Match: w.string(valueWords, regexes, MatchAny, MatchExact, MatchExact, MatchPrefix, MatchRegex, MatchPresent),
		})
	}
	if !reflect.DeepEqual(c, noConditions) || w.oneIn(4) {
		m.Rest = c
	}
	return m
}

func (w world) route(n int) *Route {
	r := &Route{Match: w.match(), RouteAction: &RouteAction{Name: "r" + strconv.Itoa(n)}}
	switch w.IntN(6) {
	case 0:
		r.Redirect = &Redirect{Status: 301, Path: "/moved"}
	case 1:
		r.Direct = &DirectResponse{Status: 200}
	default:
		for i := range 1 + w.IntN(3) {
			r.Destinations = append(r.Destinations, Destination{Cluster: "c" + strconv.Itoa(w.IntN(8)), Weight: uint32(i + 1)})
		}
	}
	return r
}

func (w world) virtualHost(n int) *VirtualHost {
	vh := &VirtualHost{Name: "vh" + strconv.Itoa(n), RequireTLS: w.oneIn(12)}
	for range 1 + w.IntN(3) {
		vh.Domains = append(vh.Domains, pick(w, domains...))
	}
	same := w.match()
	for i := range pick(w, 0, 1, 3, 9, 20, 60, 200) {
		route := w.route(i)
		if w.oneIn(2) {
			// Many routes of one path, so that they are filed by other conditions.
			c := *route.Match.Conditions()
			c.IgnorePathCase = same.Conditions().IgnorePathCase
			route.Match = Match{Path: same.Path, Rest: &c}
		}
		vh.Routes = append(vh.Routes, route)
	}
	return vh
}

func (w world) spec() *Spec {
	s := &Spec{}
	for i := range 1 + w.IntN(2) {
		l := &Listener{Name: "l" + strconv.Itoa(i)}
		for j := range pick(w, 1, 1, 2, 3) {
			t := &RouteTable{Name: fmt.Sprint("t", i, j), Port: uint16(j * 80)}
			if w.oneIn(3) {
				t.Port++
			}
			for k := range w.IntN(6) {
				t.VirtualHosts = append(t.VirtualHosts, w.virtualHost(k))
			}
			l.Tables = append(l.Tables, t)
		}
		s.Listeners = append(s.Listeners, l)
	}
	for i := range 8 {
		if w.oneIn(2) {
			s.Clusters = append(s.Clusters, &Cluster{Name: "c" + strconv.Itoa(i)})
		}
	}
	return s
}

func (w world) request() *Request {
	r := &Request{
		Listener:  pick(w, "l0", "l0", "l0", "l0", "l1", "l2"),
		Port:      pick[uint16](w, 0, 80, 81, 160, 9),
		Method:    pick(w, methods...),
		Scheme:    pick(w, "http", "https"),
		Authority: pick(w, hostWords...),
		Path:      w.target(),
	}
	for range w.IntN(7) {
		r.Headers = append(r.Headers, Header{Name: pick(w, nameWords...), Value: pick(w, valueWords...)})
	}
	return r
}

// agree fails the test where the table and the naive router differ about a request.
func agree(t *testing.T, spec *Spec, table *Table, r *Request) Outcome {
	t.Helper()
	d := table.Route(r)
	outcome, host, route := naiveRoute(spec, r)
	gotHost, gotRoute := (*VirtualHost)(nil), (*Route)(nil)
	if d.VirtualHost != nil {
		gotHost = d.VirtualHost.VirtualHost
	}
	if d.Route != nil {
		gotRoute = d.Route.Route
	}
	if d.Outcome != outcome || gotHost != host || gotRoute != route {
		t.Errorf("request %+v:\n got %v %s %s\nwant %v %s %s", r, d.Outcome, describe(gotHost), describe(gotRoute), outcome, describe(host), describe(route))
	}
	return outcome
}

func describe(v any) string {
	switch v := v.(type) {
	case *VirtualHost:
		if v != nil {
			return fmt.Sprintf("%s %v", v.Name, v.Domains)
		}
	case *Route:
		if v != nil {
			return fmt.Sprintf("%s %+v", v.Name, v.Match)
		}
	}
	return "none"
}

// rounds is how many random worlds a test goes through; SLUICE_ROUNDS asks for more.
func rounds(t *testing.T, usual int) int {
	if s := os.Getenv("SLUICE_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return usual
}

// TestAgreesWithNaive compares the engine with a plain scan over random Specs.
func TestAgreesWithNaive(t *testing.T) {
	t.Parallel()
	outcomes := map[Outcome]int{}
	for seed := range rounds(t, 300) {
		w := newWorld(seed, 1)
		spec := w.spec()
		table, problems := Build(spec, nil)
		for _, p := range problems {
			if !strings.Contains(p.Message, "a table for port") {
				t.Fatalf("seed %d: %v", seed, p)
			}
		}
		for range 100 {
			outcomes[agree(t, spec, table, w.request())]++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for outcome := NoListener; outcome <= Forward; outcome++ {
		if outcomes[outcome] == 0 {
			t.Errorf("no request came out as %v: the worlds are too poor", outcome)
		}
	}
	t.Log(outcomes)
}
