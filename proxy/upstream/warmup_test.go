package upstream

import (
	"math"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

func TestWarmth(t *testing.T) {
	t.Parallel()
	const window = 100 * time.Second
	for _, test := range []struct {
		w    router.Warmup
		age  time.Duration
		want float64
	}{
		{router.Warmup{Duration: window}, 0, .1},
		{router.Warmup{Duration: window}, 10 * time.Second, .1},
		{router.Warmup{Duration: window}, 50 * time.Second, .5},
		{router.Warmup{Duration: window}, window - time.Nanosecond, 1},
		{router.Warmup{Duration: window}, window, 1},
		{router.Warmup{Duration: window, MinPercent: 1}, 0, .01},
		{router.Warmup{Duration: window, MinPercent: 30}, 20 * time.Second, .3},
		{router.Warmup{Duration: window, Aggression: 2}, 25 * time.Second, .5},
		{router.Warmup{Duration: window, Aggression: .5}, 50 * time.Second, .25},
		{router.Warmup{Duration: time.Second / 2}, 0, 1},
	} {
		if got := warmth(&test.w, test.age); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("warmth of %+v after %v is %v, want %v", test.w, test.age, got, test.want)
		}
	}
}

// warmScales is a cluster with a clock of its own.
func warmScales(t *testing.T, spec router.Cluster) (*scales, *int64) {
	s := newScales(t, router.Cluster{})
	clock := int64(time.Hour)
	s.m.clock = func() int64 { return clock }
	s.m.mu.Lock()
	s.m.states = map[string]*clusterState{}
	s.m.mu.Unlock()
	s.c = nil
	s.update(spec)
	return s, &clock
}

// A new endpoint ramps up among old ones; those of the first load do not.
func TestWarmup(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]router.Balancer{"ROUND_ROBIN": router.RoundRobin, "LEAST_REQUEST": router.LeastRequest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within := .01
			if kind == router.RoundRobin {
				within = .0005
			}
			spec := router.Cluster{Balancer: kind, Warmup: &router.Warmup{Duration: 100 * time.Second}, Endpoints: endpoints("a", "b")}
			s, clock := warmScales(t, spec)
			near(t, s.count(50_000, Choice{}), map[string]float64{"a": .5, "b": .5}, within)
			spec.Endpoints = endpoints("a", "b", "c")
			s.update(spec)
			parts := func(c float64) map[string]float64 {
				return map[string]float64{"a": 1 / (2 + c), "b": 1 / (2 + c), "c": c / (2 + c)}
			}
			near(t, s.count(50_000, Choice{}), parts(.1), within)
			*clock += int64(50 * time.Second)
			s.c.state.warm()
			near(t, s.count(50_000, Choice{}), parts(.5), within)
			// A reload does not begin anew.
			spec.ConnectTimeout = time.Second
			s.update(spec)
			near(t, s.count(50_000, Choice{}), parts(.5), within)
			if st := s.c.Status().Endpoints[2]; !st.Warming || st.EffectiveWeight != .5 {
				t.Errorf("status %+v, want warming at 0.5", st.BalanceStatus)
			}
			*clock += int64(50 * time.Second)
			s.c.state.warm()
			near(t, s.count(50_000, Choice{}), parts(1), within)
			if s.c.state.balance.warming {
				t.Error("still warming after the window")
			}
			// One that went and came back is new.
			spec.Endpoints = endpoints("a", "b")
			s.update(spec)
			spec.Endpoints = endpoints("a", "b", "c")
			s.update(spec)
			near(t, s.count(50_000, Choice{}), parts(.1), within)
		})
	}
}

func TestWarmupElsewhere(t *testing.T) {
	t.Parallel()
	for _, kind := range []router.Balancer{router.Random, router.RingHash, router.Maglev} {
		spec := router.Cluster{Balancer: kind, Warmup: &router.Warmup{Duration: time.Minute}, Endpoints: endpoints("a")}
		s, _ := warmScales(t, spec)
		spec.Endpoints = endpoints("a", "b")
		s.update(spec)
		near(t, s.count(50_000, Choice{}), map[string]float64{"a": .5, "b": .5}, .06)
	}
	// The policy does not make those new that were there before it.
	spec := router.Cluster{Balancer: router.RoundRobin, Endpoints: endpoints("a", "b")}
	s, _ := warmScales(t, spec)
	spec.Warmup = &router.Warmup{Duration: time.Minute}
	s.update(spec)
	if got := sequence(s, 4); got != "abab" {
		t.Errorf("turns %s, want abab", got)
	}
}
