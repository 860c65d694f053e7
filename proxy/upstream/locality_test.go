package upstream

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/router"
)

func TestLocalityMatches(t *testing.T) {
	t.Parallel()
	l := parseLocality("us/east/a")
	for pattern, want := range map[string]bool{
		"*": true, "us": true, "us/*": true, "us/east": true, "us/east/*": true, "us/east/a": true, "us/*/a": true,
		"eu": false, "us/west": false, "us/west/*": false, "us/east/b": false, "": false,
	} {
		if got := l.matches(pattern); got != want {
			t.Errorf("%s matches %q: %v, want %v", "us/east/a", pattern, got, want)
		}
	}
	if !parseLocality("").matches("*") {
		t.Error("* does not take an endpoint without locality")
	}
}

func TestPriorities(t *testing.T) {
	t.Parallel()
	const own = "us/east/a"
	labelled := func(locality string, labels ...string) *router.Endpoint {
		e := &router.Endpoint{Address: "x", Locality: locality, Labels: map[string]string{}}
		for i := 0; i < len(labels); i += 2 {
			e.Labels[labels[i]] = labels[i+1]
		}
		return e
	}
	failover := router.Locality{Failover: []router.LocalityFailover{{From: "eu", To: "asia"}, {From: "us", To: "eu"}}}
	byLabel := router.Locality{FailoverPriority: []string{"network=n1", "topology.kubernetes.io/region=us", "version=v1"}}
	byName := router.Locality{FailoverPriority: []string{"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "version"}}
	byValue := router.Locality{FailoverPriority: []string{"version=v2"}}
	both := router.Locality{FailoverPriority: []string{"version=v1"}, Failover: failover.Failover}
	for _, test := range []struct {
		l    router.Locality
		e    *router.Endpoint
		want int
	}{
		{router.Locality{}, labelled("us/east/a"), 0},
		{router.Locality{}, labelled("us/east/b"), 1},
		{router.Locality{}, labelled("us/west/a"), 2},
		{router.Locality{}, labelled("eu/east/a"), 3},
		{router.Locality{}, labelled(""), 3},
		{failover, labelled("eu/x/y"), 3},
		{failover, labelled("asia/x/y"), 4},
		{failover, labelled("us/west/b"), 2},
		{byLabel, labelled("us/x/y", "network", "n1", "version", "v1"), 0},
		{byLabel, labelled("us/x/y", "network", "n1", "version", "v2"), 1},
		{byLabel, labelled("eu/x/y", "network", "n1", "version", "v1"), 2},
		{byLabel, labelled("us/x/y", "network", "n2", "version", "v1"), 3},
		{byLabel, labelled("eu", "network", "n1", "topology.kubernetes.io/region", "us", "version", "v1"), 0},
		{byName, labelled("us/east/b"), 0},
		{byName, labelled("us/east/b", "version", "v1"), 1},
		{byName, labelled("us/west/a"), 2},
		{byName, labelled("eu", "topology.kubernetes.io/region", "us"), 2},
		{byName, labelled("eu/east/a"), 3},
		{byValue, labelled("", "version", "v2"), 0},
		{byValue, labelled("", "version", "v1"), 1},
		{both, labelled("us/east/a", "version", "v1"), 0},
		{both, labelled("asia", "version", "v1"), 4},
		{both, labelled("us/east/a", "version", "v2"), 5},
	} {
		test.l.Own = own
		if got := priorityOf(&test.l, test.e); got != test.want {
			t.Errorf("%+v: endpoint in %q with %v has priority %d, want %d", test.l, test.e.Locality, test.e.Labels, got, test.want)
		}
	}
	if got := priorityOf(&failover, labelled("eu/x/y")); got != 0 {
		t.Errorf("a proxy that does not know its place has priorities: %d", got)
	}
	for name, want := range map[string]int{"version": 0, "version=v2": 1, "version=": 1} {
		l := router.Locality{FailoverPriority: []string{name}}
		if got := priorityOf(&l, labelled("us", "version", "v1")); got != want {
			t.Errorf("a proxy without labels has priority %d by %q, want %d", got, name, want)
		}
	}
}

// zones is three priorities for a proxy in us/east/a: four endpoints near, two in the same
// region, two far.
var zones = []string{"a1@us/east/a", "a2@us/east/a", "a3@us/east/a", "a4@us/east/a", "b1@us/west/a", "b2@us/west/a", "c1@eu/x/y", "c2@eu/x/y"}

func localityScales(t *testing.T, change func(*router.Cluster), list ...string) *scales {
	t.Helper()
	spec := router.Cluster{Balancer: router.RoundRobin, Outlier: &router.Outlier{}, Locality: &router.Locality{Own: "us/east/a"}, Endpoints: endpoints(list...)}
	if change != nil {
		change(&spec)
	}
	return newScales(t, spec)
}

// byGroup sums the picks of 20,000 by the first letter of the endpoint.
func byGroup(s *scales, ch Choice) map[string]int {
	got := map[string]int{}
	for address, n := range s.count(20_000, ch) {
		got[address[:min(1, len(address))]] += n
	}
	return got
}

// Priorities spill over as their health falls, with Envoy's factor of 1.4.
func TestFailoverSpills(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		out  []string
		want map[string]float64
	}{
		{nil, map[string]float64{"a": 1}},
		{[]string{"a1"}, map[string]float64{"a": 1}},                                          // 105 %
		{[]string{"a1", "a2"}, map[string]float64{"a": .70, "b": .30}},                        // 70 %
		{[]string{"a1", "a2", "a3"}, map[string]float64{"a": .35, "b": .65}},                  // 35 %
		{[]string{"a1", "a2", "a3", "b1"}, map[string]float64{"a": .35, "b": .65}},            // 35 + 70
		{[]string{"a1", "a2", "a3", "b1", "b2"}, map[string]float64{"a": .35, "c": .65}},      // 35 + 0 + 100
		{[]string{"a1", "a2", "a3", "a4"}, map[string]float64{"b": 1}},                        //
		{[]string{"a1", "a2", "a3", "a4", "b1", "b2"}, map[string]float64{"c": 1}},            //
		{[]string{"a1", "a2", "a3", "b1", "b2", "c1", "c2"}, map[string]float64{"a": 1}},      // 35 of 35
		{[]string{"a1", "a2", "a3", "a4", "b1", "b2", "c1", "c2"}, map[string]float64{"": 1}}, // none
		{[]string{"a1", "a2", "a3", "a4", "b1", "c1"}, map[string]float64{"b": .7, "c": .3}},  // 0 + 70 + 70
		{[]string{"a1", "a2", "a3", "a4", "b1", "c1", "c2"}, map[string]float64{"b": 1}},      // 70 of 70
	} {
		s := localityScales(t, nil, zones...)
		s.eject(true, test.out...)
		t.Run(fmt.Sprint(test.out), func(t *testing.T) { near(t, byGroup(s, Choice{}), test.want, .01) })
	}
}

// One healthy endpoint of very many serves, whichever priority or locality it is of.
func TestLastOfMany(t *testing.T) {
	t.Parallel()
	const each = 1_000
	var list, out []string
	for i := range each {
		near, far := fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)
		list = append(list, near+"@r/z1", far+"@r/z2")
		out = append(out, near, far)
	}
	for name, locality := range map[string]*router.Locality{
		"failover":   {Own: "r/z1"},
		"distribute": {Own: "r/z1", Distribute: []router.LocalityShare{{Locality: "r/z1", Percent: 70}, {Locality: "r/z2", Percent: 30}}},
	} {
		s := newScales(t, router.Cluster{Endpoints: endpoints(list...), Outlier: &router.Outlier{}, Locality: locality})
		for _, last := range []string{"a7", "b7"} {
			s.eject(true, out...)
			s.eject(false, last)
			if got := s.count(100, Choice{}); got[last] != 100 {
				t.Errorf("%s: %v with %s in use", name, got, last)
			}
		}
	}
}

// In panic the endpoints of a priority are used, healthy or not.
func TestFailoverPanic(t *testing.T) {
	t.Parallel()
	s := localityScales(t, func(c *router.Cluster) { c.Outlier.MinHealthPercent = 60 }, zones...)
	s.eject(true, "a1", "a2")
	got := s.count(10_000, Choice{})
	if got["a1"]+got["a2"] != 0 {
		t.Errorf("%v while the priorities can take the load together", got)
	}
	s.eject(true, "a3", "b1", "b2", "c1", "c2")
	got = s.count(10_000, Choice{})
	if got["a1"] == 0 || got["a4"] == 0 || got["b1"] == 0 || got[""] != 0 {
		t.Errorf("%v with one healthy of eight, want all in use", got)
	}
	near(t, byGroup(s, Choice{}), map[string]float64{"a": .5, "b": .25, "c": .25}, .01)
}

// Locality acts with outlier detection only, and not for a proxy whose place is unknown.
func TestLocalityInactive(t *testing.T) {
	t.Parallel()
	even := map[string]float64{"a": .5, "b": .25, "c": .25}
	s := localityScales(t, func(c *router.Cluster) { c.Outlier = nil }, zones...)
	near(t, byGroup(s, Choice{}), even, .001)
	s = localityScales(t, func(c *router.Cluster) { c.Locality = nil }, zones...)
	near(t, byGroup(s, Choice{}), even, .001)
	s = localityScales(t, nil, zones...)
	near(t, byGroup(s, Choice{}), map[string]float64{"a": 1}, 0)
	// A reload may say another place, or none.
	for _, test := range []struct {
		own  string
		want map[string]float64
		off  float64
	}{
		{"", even, .001},
		{"eu/x/y", map[string]float64{"c": 1}, 0},
		{"us/west/a", map[string]float64{"b": 1}, 0},
	} {
		spec := s.spec
		spec.Locality = &router.Locality{Own: test.own}
		s.update(spec)
		near(t, byGroup(s, Choice{}), test.want, test.off)
	}
}

func TestDistribute(t *testing.T) {
	t.Parallel()
	share := func(shares ...router.LocalityShare) func(*router.Cluster) {
		return func(c *router.Cluster) { c.Locality.Distribute = shares }
	}
	s := localityScales(t, share(router.LocalityShare{Locality: "us/east/*", Percent: 80}, router.LocalityShare{Locality: "us/west/a", Percent: 20}), zones...)
	near(t, byGroup(s, Choice{}), map[string]float64{"a": .8, "b": .2}, .01)
	// 70 % of health, with the factor of 1.4, keeps the whole share; 50 % keeps 70 % of it.
	s.eject(true, "a1")
	near(t, byGroup(s, Choice{}), map[string]float64{"a": .8, "b": .2}, .01)
	s.eject(true, "a2")
	near(t, byGroup(s, Choice{}), map[string]float64{"a": .56 / .76, "b": .2 / .76}, .01)
	s.eject(true, "a3", "a4")
	near(t, byGroup(s, Choice{}), map[string]float64{"b": 1}, 0)
	s.eject(true, "b1", "b2")
	near(t, byGroup(s, Choice{}), map[string]float64{"": 1}, 0)

	// Localities under one pattern divide its share by their weights.
	s = localityScales(t, share(router.LocalityShare{Locality: "us/*", Percent: 60}, router.LocalityShare{Locality: "*", Percent: 40}), zones...)
	near(t, byGroup(s, Choice{}), map[string]float64{"a": .4, "b": .2, "c": .4}, .01)
	// Nothing falls under a share.
	s = localityScales(t, share(router.LocalityShare{Locality: "asia", Percent: 100}), zones...)
	near(t, byGroup(s, Choice{}), map[string]float64{"": 1}, 0)
	// Of no health all are used, in their shares, where minHealthPercent asks for it.
	s = localityScales(t, func(c *router.Cluster) {
		c.Outlier.MinHealthPercent = 50
		c.Locality.Distribute = []router.LocalityShare{{Locality: "us", Percent: 50}, {Locality: "eu", Percent: 50}}
	}, "a1@us", "c1@eu", "c2@eu")
	s.eject(true, "a1", "c1")
	near(t, byGroup(s, Choice{}), map[string]float64{"a": .5, "c": .5}, .01)
}

// The same key stays with its locality and endpoint.
func TestLocalityHash(t *testing.T) {
	t.Parallel()
	for name, kind := range hashers {
		s := localityScales(t, func(c *router.Cluster) {
			c.Balancer = kind
			c.Locality.Distribute = []router.LocalityShare{{Locality: "us", Percent: 75}, {Locality: "eu", Percent: 25}}
		}, zones...)
		before := s.owners()
		got := map[string]int{}
		for _, o := range before {
			got[o[:1]]++
		}
		near(t, got, map[string]float64{"a": .5, "b": .25, "c": .25}, .01)
		s.eject(true, "a1")
		by, total := moved(before, s.owners())
		if by["a1"] != total {
			t.Errorf("%s: moved %v, want those of a1 alone", name, by)
		}
	}
}

// Where a locality can take a little less than before, few keys go to another one.
func TestLocalityHashMovesLittle(t *testing.T) {
	t.Parallel()
	var list []string
	for i := range 50 {
		list = append(list, fmt.Sprintf("a%d@r/z1", i), fmt.Sprintf("b%d@r/z2", i))
	}
	for _, balancer := range []router.Balancer{router.RingHash, router.Maglev} {
		s := newScales(t, router.Cluster{
			Balancer: balancer, Endpoints: endpoints(list...), Outlier: &router.Outlier{},
			Locality: &router.Locality{Own: "r/z1", Distribute: []router.LocalityShare{{Locality: "r/z1", Percent: 50}, {Locality: "r/z2", Percent: 50}}},
		})
		const keys = 2_000
		var before [keys]string
		where := func(key int) string { return s.pick(Choice{Hash: mix(uint64(key)), Hashed: true}) }
		for i := range 20 {
			s.eject(true, fmt.Sprintf("a%d", i))
		}
		for key := range keys {
			before[key] = where(key)
		}
		s.eject(true, "a20")
		moved := 0
		for key := range keys {
			if after := where(key); after != before[key] && before[key] != "a20" {
				moved++
			}
		}
		if moved > keys/20 {
			t.Errorf("%v: %d of %d keys moved when an endpoint of 100 went that had %d", balancer, moved, keys, keys/100)
		}
	}
}

// With retryRemoteLocalities a retry leaves the priorities of two earlier tries alone.
func TestAnyLocality(t *testing.T) {
	t.Parallel()
	s := localityScales(t, nil, zones...)
	a1, a2, b1, b2 := s.endpoint("a1"), s.endpoint("a2"), s.endpoint("b1"), s.endpoint("b2")
	for _, test := range []struct {
		any   bool
		tried []*Endpoint
		want  map[string]float64
	}{
		{true, nil, map[string]float64{"a": 1}},
		{true, []*Endpoint{a1}, map[string]float64{"a": 1}},
		{true, []*Endpoint{a1, a2}, map[string]float64{"b": 1}},
		{false, []*Endpoint{a1, a2}, map[string]float64{"a": 1}},
		{true, []*Endpoint{a1, a2, b1}, map[string]float64{"b": 1}},
		{true, []*Endpoint{a1, a2, b1, b2}, map[string]float64{"c": 1}},
		{true, []*Endpoint{a1, b1, b2, s.endpoint("c1")}, map[string]float64{"a": 1}},
	} {
		near(t, byGroup(s, Choice{AnyLocality: test.any, Tried: test.tried}), test.want, 0)
	}
}

func TestBalanceStatus(t *testing.T) {
	t.Parallel()
	s := localityScales(t, nil, "a*3@us/east/a", "b@us/east/a", "c@eu/x/y")
	s.eject(true, "b")
	st := s.c.Status()
	if st.Balancer != "ROUND_ROBIN" {
		t.Errorf("balancer %s", st.Balancer)
	}
	for i, want := range []BalanceStatus{
		{Locality: "us/east/a", EffectiveWeight: 3, Share: 70},
		{Locality: "us/east/a"},
		{Locality: "eu/x/y", Priority: 1, EffectiveWeight: 1, Share: 30},
	} {
		if got := st.Endpoints[i].BalanceStatus; got != want {
			t.Errorf("%s: %+v, want %+v", st.Endpoints[i].Address, got, want)
		}
	}
}
