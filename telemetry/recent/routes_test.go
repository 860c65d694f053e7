package recent

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	table := shop(t)
	r := New(Options{})
	defer r.Close()
	r.Publish(table)
	var wg sync.WaitGroup
	for shard := range uint32(4) {
		wg.Go(func() {
			for i := range 100 {
				ex := ended(table, "/cart")
				ex.Destination = ex.Decision.Pick(uint64(i))
				r.Complete(shard, ex)
				if i == 50 {
					r.Publish(table)
				}
			}
			r.Complete(shard, missed(table, "/basket"))
		})
	}
	wg.Wait()
	got := r.Routes()
	if len(got) != 3 || got[0].Requests() != 200 || got[0].Classes[2] != 200 || got[0].Cluster != "outbound|80|v1|cart" || got[1].Cluster != "outbound|80|v2|cart" ||
		got[0].VirtualHost != "shop.example.com:80" || got[0].Rule.Field != "http[0]" {
		t.Fatalf("got %+v", got)
	}
	if c := got[2]; c.Classes[4] != 4 || c.Failed != 4 || c.Name != "" || c.VirtualHost != "" || c.Errors() != 0 {
		t.Errorf("without a route: %+v", c)
	}
	if p50 := got[0].Latency.Quantile(0.5); p50 < 10*time.Millisecond || p50 > 14*time.Millisecond {
		t.Errorf("median %v of twelve milliseconds each", p50)
	}
	later := got[0]
	later.Classes[5] += 7
	later.Latency.add(time.Second)
	if d := later.Since(&got[0]); d.Requests() != 7 || d.Errors() != 7 || d.Latency.Count != 1 || d.Latency.Sum != time.Second {
		t.Errorf("difference %+v", d)
	}
}

// TestRoutesAreBounded: more routes than are told apart are counted together, and those that
// nobody asks for any more make room.
func TestRoutesAreBounded(t *testing.T) {
	t.Parallel()
	var s routes
	s.start(2)
	ex := ended(shop(t), "/cart")
	ask := func(listeners, from int) {
		for i := range listeners {
			ex.Request.Listener = fmt.Sprint("listener ", from+i)
			s.record(0, ex)
		}
	}
	ask(maxRoutes+500, 0)
	if n := s.sum(s.other); len(s.known) != maxRoutes || n.Requests() != 500 {
		t.Errorf("%d routes, %d requests of others", len(s.known), n.Requests())
	}
	s.forget() // sees that there was traffic
	ask(10, 0)
	s.forget()
	if len(s.known) != 10 {
		t.Errorf("%d routes with traffic, want 10", len(s.known))
	}
	ask(1, maxRoutes+7)
	if len(s.known) != 11 {
		t.Errorf("a new route finds no room: %d", len(s.known))
	}
}

// TestManyRoutesAllocateNothing: a request of one of tens of thousands of routes in use costs no
// memory, and all are counted.
func TestManyRoutesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var s routes
	s.start(2)
	ex := ended(shop(t), "/cart")
	names := make([]string, 20*maxRoutes)
	for i := range names {
		names[i] = fmt.Sprint("listener ", i)
	}
	at := 0
	ask := func() {
		ex.Request.Listener = names[at%len(names)]
		s.record(uint32(at), ex)
		at++
	}
	for range 2 * len(names) {
		ask()
	}
	if n := testing.AllocsPerRun(len(names), ask); n > 0 {
		t.Errorf("%v allocations for each request", n)
	}
	total := s.sum(s.other)
	sum := total.Requests()
	for _, c := range s.known {
		part := s.sum(c)
		sum += part.Requests()
		if n := part.Requests(); n < 3 {
			t.Errorf("%d requests of %s", n, c.Listener)
		}
	}
	if len(s.known) != maxRoutes || sum != uint64(at) {
		t.Errorf("%d routes, %d of %d requests", len(s.known), sum, at)
	}
}

// TestRoutesComeAndGoAtOnce: nothing is lost while some shards count, and others are refreshed.
func TestRoutesComeAndGoAtOnce(t *testing.T) {
	t.Parallel()
	var s routes
	s.start(4)
	const each = 3 * maxRoutes
	var wg sync.WaitGroup
	for shard := range uint32(4) {
		ex := ended(shop(t), "/cart")
		wg.Go(func() {
			for i := range each {
				ex.Request.Listener = fmt.Sprint("listener ", i)
				s.record(shard, ex)
				if i%500 == 0 {
					s.refresh()
				}
			}
		})
	}
	wg.Wait()
	other := s.sum(s.other)
	sum := other.Requests()
	for _, c := range s.known {
		part := s.sum(c)
		sum += part.Requests()
	}
	if len(s.known) != maxRoutes || sum != 4*each {
		t.Errorf("%d routes, %d of %d requests", len(s.known), sum, 4*each)
	}
}

func TestLatencyBuckets(t *testing.T) {
	t.Parallel()
	for i := range latencyBuckets - 1 {
		bound := LatencyBound(i)
		if latencyBucket(bound-time.Microsecond) != i || latencyBucket(bound) != i+1 {
			t.Fatalf("bucket %d ends at %v, but that falls into %d, and a microsecond less into %d", i, bound, latencyBucket(bound), latencyBucket(bound-time.Microsecond))
		}
	}
	if last := latencyBucket(10 * time.Minute); last != latencyBuckets-1 {
		t.Errorf("ten minutes fall into bucket %d", last)
	}
}

// TestQuantiles are right to a fifth.
func TestQuantiles(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var l Latency
	for range 100_000 {
		l.add(time.Duration(random.Int64N(int64(time.Second))))
	}
	for _, q := range []float64{0.1, 0.5, 0.9, 0.95, 0.99} {
		want := time.Duration(q * float64(time.Second))
		if got := l.Quantile(q); got < want*8/10 || got > want*12/10 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
	if (&Latency{}).Quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	text, err := json.Marshal(l)
	var back Latency
	if err != nil || json.Unmarshal(text, &back) != nil || back.Count != l.Count || back.Buckets != l.Buckets {
		t.Errorf("through JSON: %v %s", err, text)
	}
}

// TestNothingIsAllocated holds the request path to its budget: in the steady state, in a flood
// of failures, and while a table is published again and again.
func TestNothingIsAllocated(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	table := shop(t)
	r := New(Options{})
	defer r.Close()
	r.Publish(table)
	good, bad := ended(table, "/cart"), ended(table, "/cart")
	bad.Status, bad.Flags = 503, proxy.FlagUpstreamOverflow
	for range 1000 {
		r.Complete(0, good)
		r.Complete(0, bad)
	}
	for name, ex := range map[string]*proxy.Exchange{"good": good, "bad": bad} {
		if n := testing.AllocsPerRun(2000, func() { r.Complete(0, ex) }); n > 0 {
			t.Errorf("%s: %v allocations for each exchange", name, n)
		}
	}
	var rec record
	rec.take(bad)
	if n := testing.AllocsPerRun(2000, func() { rec.take(bad) }); n > 0 {
		t.Errorf("%v allocations for each record", n)
	}
}

func BenchmarkComplete(b *testing.B) {
	table, _ := router.Build(shop(b).Spec(), nil)
	good := ended(table, "/cart")
	flood := ended(table, "/cart")
	flood.Status, flood.Flags = 503, proxy.FlagNoHealthyUpstream
	for name, ex := range map[string]*proxy.Exchange{"good": good, "flood": flood} {
		b.Run(name, func(b *testing.B) {
			r := New(Options{})
			defer r.Close()
			r.Publish(table)
			b.ReportAllocs()
			for b.Loop() {
				r.Complete(0, ex)
			}
		})
	}
	b.Run("record", func(b *testing.B) {
		var rec record
		b.ReportAllocs()
		for b.Loop() {
			rec.take(flood)
		}
	})
}
