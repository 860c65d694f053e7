package recent

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
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

// TestSinceForgotten: counts that were begun anew between two looks are no difference, however many
// there are by now.
func TestSinceForgotten(t *testing.T) {
	t.Parallel()
	count := func(class, n int, took time.Duration) (c RouteCounts) {
		for range n {
			c.Classes[class]++
			c.Latency.add(took)
		}
		return c
	}
	for _, earlier := range []RouteCounts{count(5, 3, time.Second), count(2, 3, time.Second), count(2, 12, time.Millisecond)} {
		now := count(2, 10, time.Millisecond)
		if got := now.Since(&earlier); got != now {
			t.Errorf("of %d requests after %d: %d, %d of them failed", now.Requests(), earlier.Requests(), got.Requests(), got.Errors())
		}
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
	if n := s.sum(s.other); s.known.Load().used != maxRoutes || n.Requests() != 500 {
		t.Errorf("%d routes, %d requests of others", s.known.Load().used, n.Requests())
	}
	s.forget() // sees that there was traffic
	ask(10, 0)
	s.forget()
	if s.known.Load().used != 10 {
		t.Errorf("%d routes with traffic, want 10", s.known.Load().used)
	}
	ask(1, maxRoutes+7)
	if s.known.Load().used != 11 {
		t.Errorf("a new route finds no room: %d", s.known.Load().used)
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
	for _, c := range s.known.Load().all() {
		part := s.sum(c)
		sum += part.Requests()
		if n := part.Requests(); n < 3 {
			t.Errorf("%d requests of %s", n, c.Listener)
		}
	}
	if s.known.Load().used != maxRoutes || sum != uint64(at) {
		t.Errorf("%d routes, %d of %d requests", s.known.Load().used, sum, at)
	}
}

// TestRoutesAreSmall holds what is remembered of a route to a budget, and what a part of the
// request path does of it.
func TestRoutesAreSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	list := make([]*proxy.Exchange, maxRoutes+100)
	for i := range list {
		list[i] = anotherRoute(i)
	}
	for shards, budget := range map[int]int{1: 400, 4: 1000} {
		before := heap()
		var s routes
		s.start(4)
		for shard := range shards {
			for _, ex := range list {
				s.record(uint32(shard), ex)
			}
		}
		each := (int(heap()) - int(before)) / maxRoutes
		if each > budget {
			t.Errorf("%d bytes for each route in %d shards, want at most %d", each, shards, budget)
		}
		t.Logf("%d bytes for each route in %d shards", each, shards)
		runtime.KeepAlive(&s)
	}
	runtime.KeepAlive(list)
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
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
	for _, c := range s.known.Load().all() {
		part := s.sum(c)
		sum += part.Requests()
	}
	if s.known.Load().used != maxRoutes || sum != 4*each {
		t.Errorf("%d routes, %d of %d requests", s.known.Load().used, sum, 4*each)
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

// add counts a time, as a tally does in less room.
func (l *Latency) add(d time.Duration) {
	l.Count++
	l.Sum += d
	l.Buckets[latencyBucket(d)]++
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

// BenchmarkRoutes is of requests that each meet another route than the last: of as many as are
// told apart, and of many more.
func BenchmarkRoutes(b *testing.B) {
	for _, n := range []int{8, 64, 1000, 30_000} {
		list := make([]*proxy.Exchange, n)
		for i := range list {
			list[i] = anotherRoute(i)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var s routes
			s.start(2)
			at := 0
			b.ReportAllocs()
			for b.Loop() {
				s.record(0, list[at])
				if at += 7919; at >= n {
					at %= n
				}
			}
		})
	}
}

// anotherRoute is an exchange of one of many routes that answers in a time of its own.
func anotherRoute(i int) *proxy.Exchange {
	route := &router.Route{Object: &router.Object{Kind: "VirtualService", Namespace: "default", Name: fmt.Sprint("host", i/3)}, Field: fmt.Sprintf("http[%d]", i%3)}
	ex := &proxy.Exchange{Status: 200, Details: viaUpstream, End: int64(time.Millisecond) + int64(i%100)*int64(time.Microsecond)}
	ex.Request.Listener = "0.0.0.0_8080"
	ex.Decision.VirtualHost = &router.CompiledVirtualHost{VirtualHost: &router.VirtualHost{Name: fmt.Sprintf("host%d.example.com:80", i/3)}}
	ex.Decision.Route = &router.CompiledRoute{Route: route, Handling: &router.Handling{Configured: router.Configured{RouteAction: &router.RouteAction{}}}}
	ex.Destination = &router.CompiledDestination{Cluster: router.ClusterRef{Name: fmt.Sprintf("outbound|80||host%d", i/3)}}
	return ex
}
