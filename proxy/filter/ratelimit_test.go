package filter

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/router"
)

// clock is one that stands still until it is moved.
type clock struct{ at atomic.Int64 }

func (c *clock) now() int64              { return c.at.Load() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }
func newClock() *clock                   { c := &clock{}; c.at.Store(1); return c }
func addr(s string) netip.Addr           { return netip.MustParseAddr(s) }
func perSecond(name string, n, burst int) []router.LocalLimit {
	return []router.LocalLimit{{Name: name, Requests: n, Period: time.Second, Burst: burst}}
}

// admitted makes n requests, each of which ends at once, and returns how many were let in.
func admitted(l *Limiter, limits []router.LocalLimit, client string, n int) (in int) {
	for range n {
		var held Held
		if l.Enter(limits, addr(client), &held) {
			in++
			l.Leave(&held)
		}
	}
	return in
}

// TestRate: what nginx' limit_req lets in with nodelay: a burst, and then evenly.
func TestRate(t *testing.T) {
	t.Parallel()
	c := newClock()
	l, limits := NewLimiter(c.now), perSecond("a", 10, 50)
	const me = "192.0.2.1"
	for i, step := range []struct {
		wait time.Duration
		want int
	}{
		{0, 51},                     // the burst, and the one that is due
		{0, 0},                      // none is counted that is not let in
		{99 * time.Millisecond, 0},  // not yet
		{time.Millisecond, 1},       // one each 100 ms
		{250 * time.Millisecond, 2}, // the rest of the time is not lost:
		{50 * time.Millisecond, 1},
		{time.Second, 10},
		{5100 * time.Millisecond, 51}, // all is forgotten
		{time.Hour, 51},               // and nothing is saved up
	} {
		c.advance(step.wait)
		if got := admitted(l, limits, me, 100); got != step.want {
			t.Errorf("step %d: %d requests let in, want %d", i, got, step.want)
		}
	}
}

// TestConcurrent: requests in progress count, and make room when they end.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	c := newClock()
	l, limits := NewLimiter(c.now), []router.LocalLimit{{Name: "a", Concurrent: 2}}
	var first, second, third Held
	if !l.Enter(limits, addr("192.0.2.1"), &first) || !l.Enter(limits, addr("192.0.2.1"), &second) {
		t.Fatal("two were not let in")
	}
	c.advance(time.Hour)
	if l.Enter(limits, addr("192.0.2.1"), &third) {
		t.Fatal("a third was let in")
	}
	if got := admitted(l, limits, "192.0.2.2", 3); got != 3 {
		t.Errorf("of another client %d of 3 one after the other were let in", got)
	}
	l.Leave(&third) // holds nothing
	if l.Enter(limits, addr("192.0.2.1"), &third) {
		t.Fatal("what was not let in made room")
	}
	l.Leave(&first)
	l.Leave(&first) // and nothing any more
	if !l.Enter(limits, addr("192.0.2.1"), &first) || l.Enter(limits, addr("192.0.2.1"), &third) {
		t.Error("one that ended made room for other than one")
	}
}

// TestAllOrNone: a request beyond one limit is counted in none.
func TestAllOrNone(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := NewLimiter(c.now)
	limits := append(perSecond("rate", 1, 9), router.LocalLimit{Name: "busy", Concurrent: 1})
	var held, refused Held
	if !l.Enter(limits, addr("192.0.2.1"), &held) {
		t.Fatal("the first was not let in")
	}
	for range 100 {
		if l.Enter(limits, addr("192.0.2.1"), &refused) {
			t.Fatal("two are in progress")
		}
	}
	l.Leave(&held)
	if got := admitted(l, limits, "192.0.2.1", 100); got != 9 {
		t.Errorf("%d were let in after one, want 9", got)
	}
}

// TestClients: what is one client, and who is none.
func TestClients(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first, second string
		shared        bool
	}{
		"an address":            {"192.0.2.1", "192.0.2.1", true},
		"two":                   {"192.0.2.1", "192.0.2.2", false},
		"written as IPv6":       {"192.0.2.1", "::ffff:192.0.2.1", true},
		"a network of IPv6":     {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		"two networks of IPv6":  {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		"one link, with a zone": {"fe80::1%eth0", "fe80::2%eth1", true},
		"alike in their bits":   {"0.0.0.1", "0:0:0:1::", false},
	} {
		l, limits := NewLimiter(newClock().now), perSecond("a", 1, 0)
		admitted(l, limits, test.first, 1)
		if got := admitted(l, limits, test.second, 1) == 0; got != test.shared {
			t.Errorf("%s: %s and %s count as one: %t", name, test.first, test.second, got)
		}
	}
	l := NewLimiter(newClock().now)
	var held Held
	if limits := perSecond("a", 1, 0); !l.Enter(limits, netip.Addr{}, &held) || l.Enter(limits, netip.Addr{}, &held) {
		t.Error("clients without an address are not one")
	}
	exempt := perSecond("a", 1, 0)
	exempt[0].Exempt = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for client, want := range map[string]int{"10.1.2.3": 5, "::ffff:10.1.2.3": 5, "2001:db8::1": 5, "11.0.0.1": 1} {
		if got := admitted(l, exempt, client, 5); got != want {
			t.Errorf("of %s %d were let in, want %d", client, got, want)
		}
	}
}

// TestNames: routes share counters by the limit's name alone, and so do configurations.
func TestNames(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := NewLimiter(c.now)
	if got := admitted(l, perSecond("a", 1, 4), "192.0.2.1", 10); got != 5 {
		t.Fatalf("%d let in", got)
	}
	if got := admitted(l, perSecond("b", 1, 4), "192.0.2.1", 10); got != 5 {
		t.Errorf("by another limit: %d let in", got)
	}
	if got := admitted(l, perSecond("a", 1, 7), "192.0.2.1", 10); got != 3 {
		t.Errorf("by a new burst: %d let in, want 3 more", got)
	}
	// A slow limit that becomes a fast one has not made up for a minute.
	slow := []router.LocalLimit{{Name: "c", Requests: 1, Period: time.Minute, Burst: 9}}
	admitted(l, slow, "192.0.2.1", 10)
	admitted(l, perSecond("c", 100, 0), "192.0.2.1", 1)
	c.advance(10 * time.Millisecond)
	if got := admitted(l, perSecond("c", 100, 0), "192.0.2.1", 10); got != 1 {
		t.Errorf("once the limit is a fast one: %d let in, want 1", got)
	}
}

// TestStrangeLimits: none of them blocks, overflows or counts.
func TestStrangeLimits(t *testing.T) {
	t.Parallel()
	c := newClock()
	for name, limit := range map[string]router.LocalLimit{
		"nothing":             {},
		"no period":           {Requests: 5},
		"no requests":         {Period: time.Second, Burst: 5},
		"an endless burst":    {Requests: 1, Period: 24 * time.Hour, Burst: 1<<62 + 1},
		"beyond nanoseconds":  {Requests: 1 << 40, Period: time.Second, Burst: 1000},
		"many, and in no way": {Requests: 1, Period: time.Nanosecond, Burst: 1000},
	} {
		limit.Name = name
		if got := admitted(NewLimiter(c.now), []router.LocalLimit{limit}, "192.0.2.1", 1000); got != 1000 {
			t.Errorf("%s: %d of 1,000 let in", name, got)
		}
	}
	many := make([]router.LocalLimit, router.MaxLimits+5)
	for i := range many {
		many[i] = router.LocalLimit{Name: fmt.Sprint(i), Concurrent: 1}
	}
	var held Held
	l := NewLimiter(c.now)
	if !l.Enter(many, addr("192.0.2.1"), &held) {
		t.Error("many limits let nobody in")
	}
	l.Leave(&held)
	if got := admitted(l, many, "192.0.2.1", 5); got != 5 {
		t.Errorf("many limits: %d let in", got)
	}
}

// TestFlood: any number of clients takes bounded memory, and neither makes the limiter forget
// one that is far beyond its limit, nor a request in progress.
func TestFlood(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := NewLimiter(c.now)
	rate, busy := perSecond("rate", 1, 100), []router.LocalLimit{{Name: "busy", Concurrent: 1}}
	var held Held
	l.Enter(busy, addr("192.0.2.1"), &held)
	admitted(l, rate, "192.0.2.1", 200)
	for i := range uint32(1 << 20) {
		b := [16]byte{0x20, 0x01, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		var one Held
		if !l.Enter(rate, netip.AddrFrom16(b), &one) {
			t.Fatal("a new client was not let in")
		}
	}
	for i := range l.shards {
		if n := len(l.shards[i].counters); n > sets*ways {
			t.Fatalf("shard %d has %d counters", i, n)
		}
	}
	if got := admitted(l, rate, "192.0.2.1", 10); got != 0 {
		t.Errorf("%d requests let in of a client whose burst was used up", got)
	}
	if got := admitted(l, busy, "192.0.2.1", 10); got != 0 {
		t.Errorf("%d requests let in beside one in progress", got)
	}
	l.Leave(&held)
	if got := admitted(l, busy, "192.0.2.1", 10); got != 10 {
		t.Errorf("%d of 10 let in one after the other", got)
	}
}

// TestFull: where every place has a request in progress, others are let in without being
// counted, rather than kept out.
func TestFull(t *testing.T) {
	t.Parallel()
	l := NewLimiter(newClock().now)
	busy := []router.LocalLimit{{Name: "busy", Concurrent: 1}}
	held := make([]Held, 2*shards*sets*ways)
	for i := range held {
		if !l.Enter(busy, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), &held[i]) {
			t.Fatalf("client %d was not let in", i)
		}
	}
	for i := range held {
		l.Leave(&held[i])
	}
	for i := range l.shards {
		for _, c := range l.shards[i].counters {
			if c.active != 0 {
				t.Fatalf("%d requests are in progress for ever", c.active)
			}
		}
	}
}

// TestLimiterInParallel: many at once are let in exactly as often as one.
func TestLimiterInParallel(t *testing.T) {
	t.Parallel()
	l := NewLimiter(newClock().now)
	limits := append(perSecond("rate", 1, 999), router.LocalLimit{Name: "busy", Concurrent: 4})
	var in, most, running atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				var held Held
				if !l.Enter(limits, addr("192.0.2.1"), &held) {
					continue
				}
				in.Add(1)
				now := running.Add(1)
				for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
				}
				running.Add(-1)
				l.Leave(&held)
			}
		})
	}
	all.Wait()
	if in.Load() != 1000 {
		t.Errorf("%d let in, want 1,000", in.Load())
	}
	if most.Load() > 4 {
		t.Errorf("%d were in progress", most.Load())
	}
}

// TestLimiterAllocates: nothing, once a client's shard is there.
func TestLimiterAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c := newClock()
	l := NewLimiter(c.now)
	limits := append(perSecond("rate", 1000, 5), router.LocalLimit{Name: "busy", Concurrent: 4, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	client := addr("2001:db8::1")
	n := testing.AllocsPerRun(1000, func() {
		c.advance(time.Millisecond)
		var held Held
		if !l.Enter(limits, client, &held) {
			t.Fatal("not let in")
		}
		l.Leave(&held)
	})
	if n != 0 {
		t.Errorf("%v allocations for a request", n)
	}
}

func BenchmarkLimiter(b *testing.B) {
	l := NewLimiter(func() int64 { return 1 })
	limits := append(perSecond("shop/shop/rps", 1, 1<<60), router.LocalLimit{Name: "shop/shop/connections", Concurrent: 1000})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		client := addr("192.0.2.1")
		for pb.Next() {
			var held Held
			if !l.Enter(limits, client, &held) {
				b.Error("not let in")
			}
			l.Leave(&held)
		}
	})
}
