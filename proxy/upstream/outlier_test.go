package upstream

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// happen lets exchanges with an endpoint end as the words say: a status, or what failed.
func (b *bench) happen(address, words string) {
	b.t.Helper()
	failures := map[string]proxy.Failure{
		"closed": proxy.FailClosed, "reset": proxy.FailReset, "protocol": proxy.FailProtocol, "send": proxy.FailSend,
		"timeout": proxy.FailTimeout, "client": proxy.FailDownstream,
	}
	e := b.endpoint(address)
	for _, word := range strings.Fields(words) {
		if word == "refused" {
			b.refuse[address] = syscall.ECONNREFUSED
			if _, _, err := b.c.Acquire(e, &Need{}, true, 0, nil); err == nil {
				b.t.Fatal("connected")
			}
			delete(b.refuse, address)
			continue
		}
		r := Report{Reusable: true}
		// "200+closed" is a response that was cut short.
		status, failure, _ := strings.Cut(word, "+")
		if f, ok := failures[status]; ok {
			r = Report{Failure: f}
		} else {
			for _, d := range status {
				r.Status = 10*r.Status + int(d-'0')
			}
			if r.Failure = failures[failure]; r.Failure != proxy.FailNone {
				r.Reusable = false
			}
		}
		b.c.Release(e, b.acquire(address), r)
	}
}

func outlier(o router.Outlier) func(*router.Cluster) {
	return func(c *router.Cluster) { c.Outlier = &o }
}

// What ejects an endpoint, and what is not held against it.
func TestWhatEjects(t *testing.T) {
	t.Parallel()
	five := router.Outlier{Consecutive5xx: 3}
	gateway := router.Outlier{ConsecutiveGateway: 3}
	split := router.Outlier{Consecutive5xx: 3, ConsecutiveLocal: 3, SplitLocal: true}
	codes := router.Outlier{Consecutive5xx: 3, ConsecutiveGateway: 2, ErrorCodes: []int{429, 503}}
	tests := map[string]struct {
		policy router.Outlier
		words  string
		kind   Stat // 0 where it is not ejected
	}{
		"5xx":                                      {five, "500 501 503", Ejections5xx},
		"too few":                                  {five, "500 500", 0},
		"a success between":                        {five, "500 500 200 500 500", 0},
		"a 404 between":                            {five, "500 500 404 500 500", 0},
		"no responses":                             {five, "refused closed timeout", Ejections5xx},
		"both":                                     {five, "500 reset protocol", Ejections5xx},
		"clients that leave":                       {five, "500 client client client 500", 0},
		"cut short, a success each":                {five, "200+closed 200+closed 200+reset", 0},
		"cut short after an error":                 {five, "500+closed 500", Ejections5xx},
		"off":                                      {router.Outlier{}, "500 500 500 500 500 500 refused refused", 0},
		"gateway errors":                           {gateway, "502 503 504", EjectionsGateway},
		"gateway errors, no responses":             {gateway, "refused timeout send", EjectionsGateway},
		"a 500 is no gateway error":                {gateway, "502 503 500 502 503", 0},
		"gateway errors before 5xx":                {router.Outlier{Consecutive5xx: 5, ConsecutiveGateway: 2}, "500 500 502 503", EjectionsGateway},
		"5xx before gateway errors":                {router.Outlier{Consecutive5xx: 3, ConsecutiveGateway: 3}, "500 502 503", Ejections5xx},
		"split: local":                             {split, "refused closed timeout", EjectionsLocal},
		"split: responses":                         {split, "500 503 500", Ejections5xx},
		"split: a mixture":                         {split, "500 refused 500 refused", 0},
		"split: local, between responses":          {split, "refused refused 500 refused refused", 0},
		"split: responses go on over local":        {split, "500 500 refused 500", Ejections5xx},
		"local without split":                      {router.Outlier{ConsecutiveLocal: 2}, "refused refused refused", 0},
		"error codes":                              {codes, "429 429 429", Ejections5xx},
		"error codes, others do not count":         {codes, "429 429 500 429 429", 0},
		"error codes, a gateway error":             {codes, "429 503 503", EjectionsGateway},
		"error codes, a gateway error not in them": {router.Outlier{ConsecutiveGateway: 2, ErrorCodes: []int{429}}, "502 502 502", 0},
		"error codes and no response":              {codes, "429 429 refused", Ejections5xx},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, outlier(test.policy), "a:1")
			b.happen("a:1", test.words)
			if got := b.endpoint("a:1").Ejected(); got != (test.kind != 0) {
				t.Errorf("ejected: %v", got)
			}
			for _, kind := range []Stat{Ejections5xx, EjectionsGateway, EjectionsLocal} {
				want := uint64(0)
				if kind == test.kind {
					want = 1
				}
				b.want(map[Stat]uint64{kind: want})
			}
		})
	}
}

// An ejection lasts for the base times the number of ejections, which shrinks again.
func TestEjectionTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, outlier(router.Outlier{Consecutive5xx: 1, Interval: 10 * time.Second, BaseEjection: 30 * time.Second}), "a:1", "b:1")
		defer b.close()
		e := b.endpoint("a:1")
		out := func() time.Duration {
			t.Helper()
			b.happen("a:1", "500")
			if !e.Ejected() {
				t.Fatal("not ejected")
			}
			began := time.Now()
			for e.Ejected() {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			return time.Since(began)
		}
		for n := 1; n <= 3; n++ {
			if took, want := out(), time.Duration(n)*30*time.Second; took != want {
				t.Errorf("ejection %d lasted %v, want %v", n, took, want)
			}
		}
		// In use for two intervals, two ejections are forgotten.
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if took := out(); took != 60*time.Second {
			t.Errorf("after 20 s of health an ejection lasted %v, want 1m0s", took)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if took := out(); took != 30*time.Second {
			t.Errorf("after an hour of health an ejection lasted %v, want 30s", took)
		}
		for range 20 {
			out()
		}
		if took := out(); took != maxEjection {
			t.Errorf("the longest ejection lasted %v, want %v", took, maxEjection)
		}
		b.want(map[Stat]uint64{EjectionsTotal: 26, EjectionsActive: 0, MembershipHealthy: 2})
		if n := e.status(1).Ejections; n != 26 {
			t.Errorf("%d ejections, want 26", n)
		}
	})
}

// How many may be out at once.
func TestEjectionLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ endpoints, percent, want int }{
		{1, 10, 1}, {3, 10, 1}, {10, 10, 1}, {10, 30, 3}, {10, 39, 3}, {4, 50, 2}, {3, 67, 2}, {3, 100, 3}, {2, 50, 1},
	} {
		var addresses []string
		for i := range test.endpoints {
			addresses = append(addresses, string(rune('a'+i))+":1")
		}
		b := newBench(t, outlier(router.Outlier{Consecutive5xx: 2, MaxEjectionPercent: test.percent}), addresses...)
		for _, a := range addresses {
			b.happen(a, "503 503")
		}
		b.want(map[Stat]uint64{
			EjectionsActive: uint64(test.want), EjectionsTotal: uint64(test.want), EjectionsOverflow: uint64(test.endpoints - test.want),
			MembershipTotal: uint64(test.endpoints), MembershipHealthy: uint64(test.endpoints - test.want),
		})
	}
}

// No more stay out than the policy in force lets: not when it becomes stricter, nor when others
// leave. Those come back first whose time would be over first.
func TestEjectionLimitHoldsLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		policy := func(percent int) func(*router.Cluster) {
			return outlier(router.Outlier{Consecutive5xx: 1, MaxEjectionPercent: percent, BaseEjection: time.Hour})
		}
		all := []string{"a:1", "b:1", "c:1", "d:1", "e:1", "f:1"}
		b := newBench(t, policy(100), all...)
		defer b.close()
		out := func() (list string) {
			seen := map[*Endpoint]bool{}
			for i := range 60 {
				seen[b.c.Pick(&Choice{Random: uint64(i)})] = true
			}
			for _, e := range b.c.members {
				if e.Ejected() {
					list += e.Address[:1]
				}
				if e.Ejected() == seen[e] {
					t.Errorf("%s: ejected %v, picked %v", e.Address, e.Ejected(), seen[e])
				}
			}
			b.want(map[Stat]uint64{EjectionsActive: uint64(len(list))})
			return list
		}
		for _, a := range all[:5] {
			b.happen(a, "503")
			time.Sleep(time.Second)
		}
		if got := out(); got != "abcde" {
			t.Errorf("%s are out, want abcde", got)
		}
		b.update(policy(50), all...)
		if got := out(); got != "cde" {
			t.Errorf("%s are out under the stricter policy, want cde", got)
		}
		b.update(policy(50), all[2:]...)
		if got := out(); got != "de" {
			t.Errorf("%s are out of four, want de", got)
		}
		b.update(policy(50), all[3:]...)
		if got := out(); got != "e" {
			t.Errorf("%s are out of three, want e", got)
		}
		b.update(policy(10), all[3:]...)
		if got := out(); got != "e" {
			t.Errorf("%s are out, want e: one always may be", got)
		}
	})
}

// Where very many endpoints fail together, each ejection does not cost as much as all of them.
func TestManyEjections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 5_000
		s := newScales(t, router.Cluster{Endpoints: numbered(n), Outlier: &router.Outlier{MaxEjectionPercent: 100}})
		defer s.m.Close()
		time.Sleep(time.Second)
		made, last := 0, s.c.picks.Load()
		for i, e := range s.c.members[1:] {
			s.c.state.eject(e, Ejections5xx, proxy.Now())
			if now := s.c.picks.Load(); now != last {
				made, last = made+1, now
			}
			if i == 0 && made != 1 {
				t.Error("the first ejection has to wait")
			}
			if i%100 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		if made > 20 {
			t.Errorf("the set to pick from was made %d times within half a second", made)
		}
		time.Sleep(n * rebuildPause)
		synctest.Wait()
		first := s.c.members[0].Address
		if got := s.count(100, Choice{}); got[first] != 100 {
			t.Errorf("%d of 100 picks are of the one that is left", got[first])
		}
	})
}

// Endpoints that are out get no requests, and get them again.
func TestEjectedEndpointsAreNotPicked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, outlier(router.Outlier{Consecutive5xx: 1, MaxEjectionPercent: 100, Interval: time.Second, BaseEjection: 5 * time.Second}), "a:1", "b:1")
		defer b.close()
		picked := func() string {
			seen := map[string]bool{}
			for i := range 8 {
				if e := b.c.Pick(&Choice{Random: uint64(i)}); e != nil {
					seen[e.Address] = true
				}
			}
			list := ""
			for _, a := range []string{"a:1", "b:1"} {
				if seen[a] {
					list += a + " "
				}
			}
			return list
		}
		b.happen("a:1", "500")
		if got := picked(); got != "b:1 " {
			t.Errorf("picked %s, want b:1", got)
		}
		b.happen("b:1", "500")
		if got := picked(); got != "" {
			t.Errorf("picked %s, want none", got)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := picked(); got != "a:1 b:1 " {
			t.Errorf("picked %s, want both", got)
		}
	})
}

// Ejections outlive reloads, but not the policy, nor the endpoint.
func TestEjectionsAndReloads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		policy := outlier(router.Outlier{Consecutive5xx: 2, MaxEjectionPercent: 100, BaseEjection: 30 * time.Second})
		b := newBench(t, policy, "a:1", "b:1")
		defer b.close()
		b.happen("a:1", "500 500")
		b.happen("b:1", "500")
		// Reloads that come more often than the interval do not put off the looks.
		for range 25 {
			b.update(policy, "a:1", "b:1", "c:1")
			if !b.endpoint("a:1").Ejected() {
				t.Fatal("let in by a reload")
			}
			time.Sleep(time.Second)
		}
		b.happen("b:1", "500")
		b.want(map[Stat]uint64{EjectionsActive: 2, MembershipHealthy: 1})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		b.want(map[Stat]uint64{EjectionsActive: 1})

		b.update(policy, "a:1", "c:1")
		b.want(map[Stat]uint64{EjectionsActive: 0, MembershipTotal: 2, MembershipHealthy: 2})
		b.update(policy, "a:1", "b:1", "c:1")
		if b.endpoint("b:1").Ejected() {
			t.Error("an endpoint that came back is out")
		}
		b.happen("b:1", "500 500")
		b.update(nil, "a:1", "b:1", "c:1")
		b.want(map[Stat]uint64{EjectionsActive: 0, MembershipHealthy: 3})
		b.happen("b:1", "500 500 500")
		b.update(policy, "a:1", "b:1", "c:1")
		b.happen("b:1", "500")
		b.want(map[Stat]uint64{EjectionsActive: 0})
		b.happen("b:1", "500")
		b.want(map[Stat]uint64{EjectionsActive: 1, EjectionsTotal: 4})
	})
}
