package upstream

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// scales is a manager and the newest of one cluster, whose picks are counted.
type scales struct {
	t    testing.TB
	m    *Manager
	c    *Cluster
	spec router.Cluster
	seed uint64
}

func newScales(t testing.TB, spec router.Cluster) *scales {
	t.Helper()
	s := &scales{t: t, m: NewManager(Options{})}
	t.Cleanup(s.m.Close)
	s.update(spec)
	return s
}

// update publishes another specification.
func (s *scales) update(spec router.Cluster) {
	s.t.Helper()
	spec.Name = "c"
	var previous []*Cluster
	if s.c != nil {
		previous = []*Cluster{s.c}
	}
	s.spec = spec
	s.c = s.m.Update([]*router.Cluster{&spec}, previous)[0]
}

func (s *scales) endpoint(address string) *Endpoint {
	s.t.Helper()
	i := slices.IndexFunc(s.c.members, func(e *Endpoint) bool { return e.Address == address })
	if i < 0 {
		s.t.Fatalf("no endpoint %s", address)
	}
	return s.c.members[i]
}

// eject takes endpoints out of use, or lets them in again.
func (s *scales) eject(out bool, addresses ...string) {
	for _, a := range addresses {
		s.endpoint(a).health.ejected.Store(out)
	}
	s.c.refresh()
}

// pick picks once, with the next of a fixed row of random numbers.
func (s *scales) pick(ch Choice) string {
	s.seed++
	ch.Random = mix(s.seed)
	if e := s.c.Pick(&ch); e != nil {
		return e.Address
	}
	return ""
}

// count counts n picks by endpoint.
func (s *scales) count(n int, ch Choice) map[string]int {
	got := map[string]int{}
	for range n {
		got[s.pick(ch)]++
	}
	return got
}

// near fails where a part of the picks is further than within, in parts of all, from what
// it should be.
func near(t testing.TB, got map[string]int, want map[string]float64, within float64) {
	t.Helper()
	total := 0
	for address, n := range got {
		total += n
		if _, ok := want[address]; !ok {
			t.Errorf("%d picks of %q, want none", n, address)
		}
	}
	for address, w := range want {
		if part := float64(got[address]) / float64(total); math.Abs(part-w) > within {
			t.Errorf("%q has %.4f of the picks, want %.4f (within %.4f)", address, part, w, within)
		}
	}
}

// endpoints makes endpoints of "address" or "address*weight" or "address@locality".
func endpoints(list ...string) (all []*router.Endpoint) {
	for _, text := range list {
		e := &router.Endpoint{}
		text, e.Locality, _ = strings.Cut(text, "@")
		address, weight, _ := strings.Cut(text, "*")
		e.Address = address
		fmt.Sscan(weight, &e.Weight)
		all = append(all, e)
	}
	return all
}

// numbered makes n endpoints.
func numbered(n int) (all []*router.Endpoint) {
	for i := range n {
		all = append(all, &router.Endpoint{Address: fmt.Sprintf("10.%d.%d.%d:8080", i>>16, i>>8&255, i&255)})
	}
	return all
}

func sequence(s *scales, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(s.pick(Choice{}))
	}
	return b.String()
}

func TestRoundRobinTurns(t *testing.T) {
	t.Parallel()
	s := newScales(t, router.Cluster{Balancer: router.RoundRobin, Endpoints: endpoints("a", "b", "c")})
	if got := sequence(s, 7); got != "abcabca" {
		t.Errorf("turns %s, want abcabca", got)
	}
	// A reload goes on where the one before stood.
	s.update(router.Cluster{Balancer: router.RoundRobin, ConnectTimeout: time.Second, Endpoints: endpoints("a", "b", "c")})
	if got := sequence(s, 3); got != "bca" {
		t.Errorf("turns after a reload %s, want bca", got)
	}
	s.eject(true, "b")
	got := s.count(10, Choice{})
	if got["a"] != 5 || got["c"] != 5 {
		t.Errorf("with b ejected: %v, want a and c 5 times each", got)
	}
}

func TestRoundRobinWeights(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		endpoints []string
		turns     int
		want      string
	}{
		"small":           {[]string{"a*5", "b*1", "c*1"}, 7, "aaabaac"},
		"common divisor":  {[]string{"a*200", "b*100"}, 3, "aab"},
		"equal":           {[]string{"a*7", "b*7"}, 4, "abab"},
		"zero counts one": {[]string{"a", "b*1"}, 4, "abab"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScales(t, router.Cluster{Balancer: router.RoundRobin, Endpoints: endpoints(test.endpoints...)})
			if got := sequence(s, test.turns); got != test.want {
				t.Errorf("turns %s, want %s", got, test.want)
			}
			if got := sequence(s, test.turns); got != test.want {
				t.Errorf("turns of the next round %s, want %s", got, test.want)
			}
		})
	}
}

// Weights decide about the parts of idle endpoints, whichever way they are picked, and
// however odd and many they are.
func TestWeightShares(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]router.Balancer{"RR": router.RoundRobin, "RANDOM": router.Random, "LEAST_REQUEST": router.LeastRequest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScales(t, router.Cluster{Balancer: kind, Endpoints: endpoints("a*1", "b*2", "c*7")})
			near(t, s.count(100_000, Choice{}), map[string]float64{"a": .1, "b": .2, "c": .7}, .005)
			s = newScales(t, router.Cluster{Balancer: kind, Endpoints: endpoints("a*1000003", "b*3000017", "c*3")})
			near(t, s.count(100_000, Choice{}), map[string]float64{"a": .25, "b": .75, "c": 0}, .005)
			s = newScales(t, router.Cluster{Balancer: kind, Endpoints: endpoints("a", "b", "c", "d")})
			near(t, s.count(100_000, Choice{}), map[string]float64{"a": .25, "b": .25, "c": .25, "d": .25}, .005)
		})
	}
}

// More endpoints than a schedule has entries by default keep their weights.
func TestRoundRobinManyWeights(t *testing.T) {
	t.Parallel()
	all := numbered(6000)
	for i, e := range all {
		e.Weight = uint32(1 + i%3)
	}
	s := newScales(t, router.Cluster{Balancer: router.RoundRobin, Endpoints: all})
	got := s.count(12_000, Choice{})
	for i, e := range all {
		if got[e.Address] != 1+i%3 {
			t.Fatalf("%s of weight %d was picked %d times in a round", e.Address, e.Weight, got[e.Address])
		}
	}
}

func TestLeastRequest(t *testing.T) {
	t.Parallel()
	s := newScales(t, router.Cluster{Endpoints: endpoints("a", "b")})
	s.endpoint("a").active.Store(1)
	if got := s.count(1000, Choice{}); got["b"] != 1000 {
		t.Errorf("of two, one of them busy: %v", got)
	}
	// Two of three are compared: the busiest is never the less busy one.
	s = newScales(t, router.Cluster{Endpoints: endpoints("a", "b", "c")})
	s.endpoint("a").active.Store(2)
	s.endpoint("b").active.Store(1)
	near(t, s.count(30_000, Choice{}), map[string]float64{"b": 1. / 3, "c": 2. / 3}, .01)
	// With weights, what counts is requests for their weight: 2 of 3 are less than 1 of 1.
	s = newScales(t, router.Cluster{Endpoints: endpoints("a*3", "b*1")})
	s.endpoint("a").active.Store(2)
	s.endpoint("b").active.Store(1)
	near(t, s.count(30_000, Choice{}), map[string]float64{"a": 15. / 16, "b": 1. / 16}, .01)
}

// Requests that stay settle by weight.
func TestLeastRequestSettles(t *testing.T) {
	t.Parallel()
	s := newScales(t, router.Cluster{Endpoints: endpoints("a*1", "b*3")})
	for range 4000 {
		s.endpoint(s.pick(Choice{})).active.Add(1)
	}
	if n := s.endpoint("a").active.Load(); n < 980 || n > 1020 {
		t.Errorf("a, a quarter of the weight, has %d of 4000 requests", n)
	}
}

func TestTriedArePassedOver(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]router.Cluster{
		"LEAST_REQUEST": {}, "ROUND_ROBIN": {Balancer: router.RoundRobin}, "RANDOM": {Balancer: router.Random},
		"RING_HASH": {Balancer: router.RingHash}, "MAGLEV": {Balancer: router.Maglev},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec.Endpoints = endpoints("a", "b", "c")
			s := newScales(t, spec)
			a, b, c := s.endpoint("a"), s.endpoint("b"), s.endpoint("c")
			for i := range uint64(500) {
				ch := Choice{Hash: mix(i), Hashed: true, Tried: []*Endpoint{a, b}}
				if got := s.pick(ch); got != "c" {
					t.Fatalf("a and b were tried, and %s is picked", got)
				}
				ch.Tried = []*Endpoint{a, b, c}
				if got := s.pick(ch); got == "" {
					t.Fatal("all were tried, and none is picked")
				}
			}
		})
	}
}

func TestNoUsableEndpoint(t *testing.T) {
	t.Parallel()
	for _, kind := range []router.Balancer{router.LeastRequest, router.RoundRobin, router.Random, router.RingHash, router.Maglev} {
		s := newScales(t, router.Cluster{Balancer: kind})
		if got := s.pick(Choice{}); got != "" {
			t.Errorf("kind %d: %q of no endpoints", kind, got)
		}
		s.update(router.Cluster{Balancer: kind, Endpoints: endpoints("a", "b"), Outlier: &router.Outlier{}})
		s.eject(true, "a", "b")
		if got := s.pick(Choice{}); got != "" {
			t.Errorf("kind %d: %q, of two that are ejected", kind, got)
		}
		s.eject(false, "b")
		if got := s.count(100, Choice{}); got["b"] != 100 {
			t.Errorf("kind %d: %v, with a ejected", kind, got)
		}
	}
}

// Below minHealthPercent the ejected ones are used again.
func TestMinHealth(t *testing.T) {
	t.Parallel()
	for _, kind := range []router.Balancer{router.LeastRequest, router.RoundRobin, router.Random, router.RingHash, router.Maglev} {
		s := newScales(t, router.Cluster{Balancer: kind, Endpoints: endpoints("a", "b", "c", "d"), Outlier: &router.Outlier{MinHealthPercent: 50}})
		s.eject(true, "a", "b")
		if got := s.count(1000, Choice{}); got["a"]+got["b"] != 0 {
			t.Errorf("kind %d: %v at 50 %% of health", kind, got)
		}
		s.eject(true, "c")
		got := s.count(1000, Choice{})
		for _, a := range []string{"a", "b", "c", "d"} {
			if got[a] < 100 {
				t.Errorf("kind %d: %v at 25 %% of health, want all in use", kind, got)
			}
		}
		s.eject(true, "d")
		if got := s.count(1000, Choice{}); got[""] != 0 {
			t.Errorf("kind %d: none is picked with all ejected", kind)
		}
	}
}

// picked are the ways to pick, each with endpoints of equal and of different weights.
func picked(n int, f func(name string, spec router.Cluster)) {
	for name, kind := range map[string]router.Balancer{
		"LEAST_REQUEST": router.LeastRequest, "ROUND_ROBIN": router.RoundRobin, "RANDOM": router.Random, "RING_HASH": router.RingHash, "MAGLEV": router.Maglev,
	} {
		spec := router.Cluster{Balancer: kind, Endpoints: numbered(n)}
		f(name+"/equal", spec)
		spec.Endpoints = numbered(n)
		for i, e := range spec.Endpoints {
			e.Weight = uint32(1 + i%3)
			e.Locality = fmt.Sprintf("r/z%d/s", i%2)
		}
		f(name+"/weights", spec)
		spec.Outlier, spec.Locality = &router.Outlier{}, &router.Locality{Own: "r/z0/s"}
		f(name+"/localities", spec)
	}
}

func TestPickAllocates(t *testing.T) {
	picked(10, func(name string, spec router.Cluster) {
		s := newScales(t, spec)
		s.eject(true, s.c.members[0].Address, s.c.members[2].Address)
		tried := []*Endpoint{s.c.members[4], s.c.members[6]}
		if n := testing.AllocsPerRun(100, func() {
			s.seed++
			ch := Choice{Random: mix(s.seed), Hash: mix(s.seed), Hashed: true}
			s.c.Pick(&ch)
			ch.Tried, ch.AnyLocality = tried, true
			s.c.Pick(&ch)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	})
}

// Picks go on while endpoints come, go, are ejected and let in.
func TestPickBesideChanges(t *testing.T) {
	t.Parallel()
	picked(6, func(name string, spec router.Cluster) {
		s := newScales(t, spec)
		var now sync.Mutex
		current := s.c
		var wait sync.WaitGroup
		stop := make(chan struct{})
		for range 2 {
			wait.Go(func() {
				for i := uint64(0); ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					now.Lock()
					c := current
					now.Unlock()
					if c.Pick(&Choice{Random: mix(i), Hash: mix(i), Hashed: true}) == nil {
						t.Errorf("%s: none is picked", name)
						return
					}
				}
			})
		}
		for i := range 30 {
			next := spec
			next.Endpoints = spec.Endpoints[:3+i%4]
			s.update(next)
			now.Lock()
			current = s.c
			now.Unlock()
			s.eject(true, spec.Endpoints[i%3].Address)
			s.eject(false, spec.Endpoints[i%3].Address)
		}
		close(stop)
		wait.Wait()
	})
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100, 10_000} {
		picked(n, func(name string, spec router.Cluster) {
			if strings.HasSuffix(name, "/localities") {
				return
			}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				s := newScales(b, spec)
				b.ReportAllocs()
				i := uint64(0)
				for b.Loop() {
					i++
					s.c.Pick(&Choice{Random: mix(i), Hash: mix(i), Hashed: true})
				}
			})
		})
	}
}

func BenchmarkRefresh(b *testing.B) {
	for _, n := range []int{3, 100, 10_000} {
		picked(n, func(name string, spec router.Cluster) {
			if !strings.HasSuffix(name, "/weights") {
				return
			}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				s := newScales(b, spec)
				for b.Loop() {
					s.c.refresh()
				}
			})
		})
	}
}
