package upstream

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unsafe"

	"github.com/sluicegate/sluice/router"
)

// keys is how many hashes the tests of shares look at.
const keys = 100_000

// owners returns the endpoint of each of the hashes.
func (s *scales) owners() []string {
	all := make([]string, keys)
	for i := range all {
		all[i] = s.pick(Choice{Hash: mix(uint64(i)), Hashed: true})
	}
	return all
}

// moved counts the keys of each endpoint in before that belong to another in after.
func moved(before, after []string) (own map[string]int, total int) {
	own = map[string]int{}
	for i := range before {
		if before[i] != after[i] {
			own[before[i]]++
			total++
		}
	}
	return own, total
}

func hashed(kind router.Balancer, all []*router.Endpoint) router.Cluster {
	return router.Cluster{Balancer: kind, Endpoints: all}
}

var hashers = map[string]router.Balancer{"RING_HASH": router.RingHash, "MAGLEV": router.Maglev}

// The same hash goes to the same endpoint: after reloads, in another process, and whatever
// the order of the endpoints.
func TestHashStays(t *testing.T) {
	t.Parallel()
	for name, kind := range hashers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := numbered(20)
			for i, e := range all {
				e.Weight = uint32(1 + i%3)
			}
			s := newScales(t, hashed(kind, all))
			before := s.owners()
			spec := hashed(kind, slices.Clone(all))
			slices.Reverse(spec.Endpoints)
			spec.ConnectTimeout = time.Second
			s.update(spec)
			if _, n := moved(before, s.owners()); n != 0 {
				t.Errorf("%d keys moved with a reload", n)
			}
			if _, n := moved(before, newScales(t, spec).owners()); n != 0 {
				t.Errorf("%d keys moved with a restart", n)
			}
			if got := s.c.Pick(&Choice{Hash: 42, Hashed: true, Random: 1}); got != s.c.Pick(&Choice{Hash: 42, Hashed: true, Random: 2}) {
				t.Error("the random number decides beside the hash")
			}
		})
	}
}

// An endpoint that goes leaves its own keys to the others, and one that comes takes its
// share from all. On the ring no other key moves; a Maglev table moves few.
func TestHashMovesOwnShare(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind   router.Balancer
		n      int
		others float64 // the part of the other endpoints' keys that may move
		uneven float64 // by how much a share may differ from the fair one, in parts of it
	}{
		{router.RingHash, 2, 0, .15}, {router.RingHash, 3, 0, .15}, {router.RingHash, 4, 0, .15}, {router.RingHash, 5, 0, .15},
		{router.RingHash, 10, 0, .15}, {router.RingHash, 64, 0, .2}, {router.RingHash, 200, 0, .25},
		{router.Maglev, 3, .02, .02}, {router.Maglev, 10, .02, .05}, {router.Maglev, 64, .03, .1},
	} {
		t.Run(fmt.Sprintf("%d/%d", test.kind, test.n), func(t *testing.T) {
			t.Parallel()
			all := numbered(test.n)
			s := newScales(t, hashed(test.kind, all))
			before := s.owners()
			gone := all[test.n/2].Address
			fair := float64(keys) / float64(test.n)
			own := 0
			for _, o := range before {
				if o == gone {
					own++
				}
			}
			if math.Abs(float64(own)-fair) > test.uneven*fair+4*math.Sqrt(fair) {
				t.Errorf("%s has %d keys, want about %.0f", gone, own, fair)
			}
			s.update(hashed(test.kind, slices.Delete(slices.Clone(all), test.n/2, test.n/2+1)))
			after := s.owners()
			by, total := moved(before, after)
			if by[gone] != own {
				t.Errorf("%d of the %d keys of %s moved", by[gone], own, gone)
			}
			if others := total - own; float64(others) > test.others*float64(keys-own) {
				t.Errorf("%d keys of other endpoints moved (%.2f %%)", others, 100*float64(others)/keys)
			}
			// It comes back: the way there is the way back.
			s.update(hashed(test.kind, all))
			if _, n := moved(before, s.owners()); n != 0 {
				t.Errorf("%d keys are not where they were when the endpoint is back", n)
			}
		})
	}
}

// The keys of an ejected endpoint go to all the others alike, no others move, and they
// come back with it.
func TestHashEjection(t *testing.T) {
	t.Parallel()
	for name, kind := range hashers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := hashed(kind, numbered(10))
			spec.Outlier = &router.Outlier{}
			s := newScales(t, spec)
			before := s.owners()
			out := spec.Endpoints[3].Address
			s.eject(true, out)
			after := s.owners()
			by, total := moved(before, after)
			if by[out] != total || total == 0 {
				t.Errorf("moved %v, want those of %s alone", by, out)
			}
			heirs := map[string]int{}
			for i := range before {
				if before[i] == out {
					heirs[after[i]]++
				}
			}
			want := map[string]float64{}
			for _, e := range spec.Endpoints {
				if e.Address != out {
					want[e.Address] = 1. / 9
				}
			}
			near(t, heirs, want, map[router.Balancer]float64{router.RingHash: .05, router.Maglev: .02}[kind])
			s.eject(false, out)
			if _, n := moved(before, s.owners()); n != 0 {
				t.Errorf("%d keys did not come back", n)
			}
		})
	}
}

// A reload that leaves the endpoints alone does not make the ring or the table anew.
func TestHashIndexIsReused(t *testing.T) {
	t.Parallel()
	spec := hashed(router.RingHash, numbered(5))
	s := newScales(t, spec)
	first := s.c.plan.groups[0].ring
	spec.ConnectTimeout = time.Second
	s.update(spec)
	if s.c.plan.groups[0].ring != first {
		t.Error("the ring was made anew for another timeout")
	}
	spec.RingSize = 5000
	s.update(spec)
	if n := len(s.c.plan.groups[0].ring.points); n < 5000 {
		t.Errorf("%d points after minimumRingSize became 5000", n)
	}
	spec.Endpoints = slices.Clone(spec.Endpoints)
	spec.Endpoints[0] = &router.Endpoint{Address: spec.Endpoints[0].Address, Weight: 9}
	second := s.c.plan.groups[0].ring
	s.update(spec)
	if s.c.plan.groups[0].ring == second {
		t.Error("another weight did not change the ring")
	}
	spec.Balancer, spec.TableSize = router.Maglev, 5000
	s.update(spec)
	table := s.c.plan.groups[0].maglev
	spec.ConnectTimeout = time.Minute
	s.update(spec)
	if g := s.c.plan.groups[0]; g.maglev != table || g.maglev == nil || g.ring != nil {
		t.Error("the table was made anew for another timeout")
	}
}

func TestHashWeights(t *testing.T) {
	t.Parallel()
	for name, kind := range hashers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			count := func(spec router.Cluster) map[string]int {
				got := map[string]int{}
				for _, o := range newScales(t, spec).owners() {
					got[o]++
				}
				return got
			}
			near(t, count(hashed(kind, endpoints("a:1*1", "b:1*2", "c:1*5"))), map[string]float64{"a:1": 1. / 8, "b:1": 2. / 8, "c:1": 5. / 8}, .03)
			near(t, count(hashed(kind, endpoints("a:1*10007", "b:1*29989"))), map[string]float64{"a:1": .25, "b:1": .75}, .03)
		})
	}
}

// Without a hash any endpoint serves.
func TestHashMissing(t *testing.T) {
	t.Parallel()
	for name, kind := range hashers {
		s := newScales(t, hashed(kind, endpoints("a", "b", "c", "d")))
		got := s.count(10_000, Choice{Hash: 42})
		for _, a := range []string{"a", "b", "c", "d"} {
			if got[a] < 2000 {
				t.Errorf("%s: %v, want all alike", name, got)
			}
		}
	}
}

func TestRingSize(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		least  int
		shares uint64
		want   float64
	}{
		{0, 2, 512}, {1024, 2, 512}, {0, 256, 512}, {0, 512, 256}, {0, 1 << 18, .5}, {7, 3, 4}, {100_000, 2, 50_000},
		{100_000, 1000, router.MaxRingSize / 1000.}, {math.MaxInt, 2, router.MaxRingSize / 2}, {math.MaxInt, 4, router.MaxRingSize / 4},
	} {
		if got := pointsPer(test.least, test.shares); got != test.want {
			t.Errorf("minimumRingSize %d gives each of %d shares %v points, want %v", test.least, test.shares, got, test.want)
		}
	}
	// Memory and the time for each change of the endpoints grow with the points, whatever a
	// DestinationRule asks for.
	for _, least := range []int{1 << 16, 1 << 20, 8 << 20} {
		for _, endpoints := range []int{2, 300} {
			spec := hashed(router.RingHash, numbered(endpoints))
			spec.RingSize = least
			r := newScales(t, spec).c.plan.groups[0].ring
			if bytes, most := uintptr(cap(r.points))*unsafe.Sizeof(point{}), uintptr(17<<20); bytes > most {
				t.Errorf("%d endpoints make a ring of %d bytes of minimumRingSize %d, want at most %d", endpoints, bytes, least, most)
			}
		}
	}
	for endpoints, want := range map[int]int{2: 1024, 3: 1536, 10_000: 140_000} {
		if n := len(newScales(t, hashed(router.RingHash, numbered(endpoints))).c.plan.groups[0].ring.points); n != want {
			t.Errorf("%d endpoints make a ring of %d points, want %d", endpoints, n, want)
		}
	}
}

func TestTableSize(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{0: 65537, 1: 2, 7: 7, 8: 11, 1000: 1009, 5000011: 5000011, 1 << 40: 5000011} {
		spec := hashed(router.Maglev, endpoints("a", "b"))
		spec.TableSize = size
		if n := len(newScales(t, spec).c.plan.groups[0].maglev.slots); n != want {
			t.Errorf("tableSize %d makes %d slots, want %d", size, n, want)
		}
	}
	spec := hashed(router.Maglev, numbered(50))
	spec.TableSize = 7
	s := newScales(t, spec)
	if got := s.count(1000, Choice{Hash: 3, Hashed: true}); len(got) != 1 {
		t.Errorf("more endpoints than slots: %v", got)
	}
}

func TestRequestHash(t *testing.T) {
	header := func(list ...string) (h []router.Header) {
		for i := 0; i < len(list); i += 2 {
			h = append(h, router.Header{Name: list[i], Value: list[i+1]})
		}
		return h
	}
	ip := netip.MustParseAddr
	for name, test := range map[string]struct {
		policy router.HashPolicy
		r      router.Request
		client netip.Addr
		want   string // what is hashed
		none   bool
	}{
		"header":             {policy: router.HashPolicy{Name: "x-user"}, r: router.Request{Headers: header("a", "b", "x-user", "jason")}, want: "jason"},
		"empty header":       {policy: router.HashPolicy{Name: "x-user"}, r: router.Request{Headers: header("x-user", "")}, want: ""},
		"no header":          {policy: router.HashPolicy{Name: "x-user"}, r: router.Request{Headers: header("a", "b")}, none: true},
		"authority":          {policy: router.HashPolicy{Name: ":authority"}, r: router.Request{Authority: "a.com"}, want: "a.com"},
		"host":               {policy: router.HashPolicy{Name: "host"}, r: router.Request{Authority: "a.com"}, want: "a.com"},
		"path":               {policy: router.HashPolicy{Name: ":path"}, r: router.Request{Path: "/a?b"}, want: "/a?b"},
		"method":             {policy: router.HashPolicy{Name: ":method"}, r: router.Request{Method: "GET"}, want: "GET"},
		"cookie":             {policy: router.HashPolicy{Kind: router.HashCookie, Name: "user"}, r: router.Request{Headers: header("cookie", "a=1; user=jason; b=2")}, want: "jason"},
		"second header":      {policy: router.HashPolicy{Kind: router.HashCookie, Name: "user"}, r: router.Request{Headers: header("cookie", "a=1", "cookie", "user=jason")}, want: "jason"},
		"quoted cookie":      {policy: router.HashPolicy{Kind: router.HashCookie, Name: "user"}, r: router.Request{Headers: header("cookie", `user="jason"`)}, want: "jason"},
		"cookie holds =":     {policy: router.HashPolicy{Kind: router.HashCookie, Name: "user"}, r: router.Request{Headers: header("cookie", "user=a=b")}, want: "a=b"},
		"longer name":        {policy: router.HashPolicy{Kind: router.HashCookie, Name: "user"}, r: router.Request{Headers: header("cookie", "xuser=a;userx=b;user")}, none: true},
		"empty cookie":       {policy: router.HashPolicy{Kind: router.HashCookie, Name: "user"}, r: router.Request{Headers: header("cookie", "user=")}, none: true},
		"source":             {policy: router.HashPolicy{Kind: router.HashSourceIP}, client: ip("10.0.0.1"), want: "10.0.0.1"},
		"mapped source":      {policy: router.HashPolicy{Kind: router.HashSourceIP}, client: ip("::ffff:10.0.0.1"), want: "10.0.0.1"},
		"source with zone":   {policy: router.HashPolicy{Kind: router.HashSourceIP}, client: ip("fe80::1%eth0"), want: "fe80::1"},
		"no source":          {policy: router.HashPolicy{Kind: router.HashSourceIP}, none: true},
		"query":              {policy: router.HashPolicy{Kind: router.HashQuery, Name: "u"}, r: router.Request{Path: "/p?a=1&u=jason&u=x"}, want: "jason"},
		"query as it stands": {policy: router.HashPolicy{Kind: router.HashQuery, Name: "u"}, r: router.Request{Path: "/?u=a%20b"}, want: "a%20b"},
		"query without =":    {policy: router.HashPolicy{Kind: router.HashQuery, Name: "u"}, r: router.Request{Path: "/?u"}, want: ""},
		"no query":           {policy: router.HashPolicy{Kind: router.HashQuery, Name: "u"}, r: router.Request{Path: "/u=1"}, none: true},
	} {
		got, ok := RequestHash(&test.policy, &test.r, test.client)
		if ok == test.none || ok && got != HashString(test.want) {
			t.Errorf("%s: %x, %v; want %x, %v", name, got, ok, HashString(test.want), !test.none)
		}
		if n := testing.AllocsPerRun(10, func() { RequestHash(&test.policy, &test.r, test.client) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	// The order of a header's values does not matter, the values do.
	p := router.HashPolicy{Name: "x"}
	a, _ := RequestHash(&p, &router.Request{Headers: header("x", "1", "x", "2")}, netip.Addr{})
	b, _ := RequestHash(&p, &router.Request{Headers: header("x", "2", "x", "1")}, netip.Addr{})
	c, _ := RequestHash(&p, &router.Request{Headers: header("x", "1")}, netip.Addr{})
	if a != b || a == c {
		t.Errorf("hashes of 1,2: %x, of 2,1: %x, of 1: %x", a, b, c)
	}
	// xxHash64 of "" and of "abc", from its specification's test values.
	if HashString("") != 0xef46db3751d8e999 || HashString("abc") != 0x44bc2cf5ad770999 {
		t.Error("HashString is not xxHash64")
	}
}

func TestAppendHashCookie(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]router.HashPolicy{
		`user="0123456789abcdef"; HttpOnly`:                      {Name: "user"},
		`user="0123456789abcdef"; Max-Age=90; Path=/p; HttpOnly`: {Name: "user", TTL: 90 * time.Second, Path: "/p"},
		`user="0123456789abcdef"; SameSite=Lax; Secure; HttpOnly`: {Name: "user",
			Attributes: []router.Header{{Name: "SameSite", Value: "Lax"}, {Name: "Secure"}}},
	} {
		p.Kind, p.IssueCookie = router.HashCookie, true
		got, hash := AppendHashCookie(nil, &p, 0x0123456789abcdef)
		if string(got) != want {
			t.Errorf("set-cookie %s, want %s", got, want)
		}
		// A client that has it sends it back, and comes to the same endpoint.
		parsed, err := http.ParseSetCookie(string(got))
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{parsed.Name + "=" + parsed.Value, parsed.Name + `="` + parsed.Value + `"`} {
			r := router.Request{Headers: []router.Header{{Name: "cookie", Value: value}}}
			if back, ok := RequestHash(&p, &r, netip.Addr{}); !ok || back != hash {
				t.Errorf("%s hashes to %x, %v; the cookie was issued for %x", value, back, ok, hash)
			}
		}
	}
}

// What net/http finds is found.
func FuzzCookie(f *testing.F) {
	f.Add("a=1; user=jason; b=2", "user")
	f.Add(`user="x"`, "user")
	f.Add(";;=;user;user=", "user")
	f.Fuzz(func(t *testing.T, line, name string) {
		if strings.ContainsFunc(line, unicode.IsControl) {
			return // no codec lets such a header in
		}
		got := cookie([]router.Header{{Name: "cookie", Value: line}}, name)
		parsed, err := http.ParseCookie(line)
		if err != nil {
			return
		}
		for _, c := range parsed {
			if c.Name == name {
				if got != c.Value {
					t.Errorf("cookie %q of %q is %q, want %q", name, line, got, c.Value)
				}
				return
			}
		}
	})
}

// The value is one that stands in the query, behind the name or alone with it.
func FuzzParameter(f *testing.F) {
	f.Add("/p?a=1&u=x", "u")
	f.Add("/p?u&u=2#u=3", "u")
	f.Add("?&&=&u", "")
	f.Fuzz(func(t *testing.T, path, name string) {
		value, found := parameter(path, name)
		_, query, _ := strings.Cut(path, "?")
		query, _, _ = strings.Cut(query, "#")
		var want []string
		if query != "" {
			for _, pair := range strings.Split(query, "&") {
				if key, v, _ := strings.Cut(pair, "="); key == name {
					want = append(want, v)
				}
			}
		}
		if found && (len(want) == 0 || want[0] != value) {
			t.Errorf("parameter %q of %q is %q, want the first of %q", name, path, value, want)
		}
		if !found && name != "" && len(want) > 0 {
			t.Errorf("parameter %q of %q is not found, want %q", name, path, want[0])
		}
	})
}
