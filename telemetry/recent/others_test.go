package recent

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// manyRoutes are exchanges of so many routes, of which three at a time are of one virtual host.
func manyRoutes(n int) []*proxy.Exchange {
	list := make([]*proxy.Exchange, n)
	for i := range list {
		list[i] = anotherRoute(i)
		if i%3 > 0 {
			list[i].Decision.VirtualHost = list[i-1].Decision.VirtualHost
		}
	}
	return list
}

// apart tells whether a request is counted as its route's: not among the others, and not
// elsewhere. Nothing else must count meanwhile.
func apart(t *testing.T, s *routes, shard uint32, ex *proxy.Exchange) bool {
	t.Helper()
	route := routeOf(ex)
	own := func() (n uint64) {
		if c := s.known.Load().find(route.hash(), &route); c != nil {
			sum := s.sum(c)
			n = sum.Requests()
		}
		return n
	}
	other := func() uint64 {
		sum := s.sum(s.other)
		return sum.Requests()
	}
	own0, other0 := own(), other()
	s.record(shard, ex)
	own1, other1 := own(), other()
	if own1+other1 != own0+other0+1 {
		t.Fatalf("of %v: %d and %d requests, then %d and %d", route, own0, other0, own1, other1)
	}
	return own1 > own0
}

// TestOthersComeToBeToldApart: a route that was one of the others, so that its virtual host is
// marked, is told apart once another has been forgotten, and so are all that are told apart
// while a crowd is full again.
func TestOthersComeToBeToldApart(t *testing.T) {
	t.Parallel()
	var s routes
	s.start(2)
	list := manyRoutes(maxRoutes + 11)
	first, late := list[:maxRoutes], list[maxRoutes+2:]
	for _, ex := range first {
		s.record(0, ex)
	}
	for range 2 {
		for i, ex := range late {
			if apart(t, &s, uint32(i), ex) {
				t.Fatalf("route %d is told apart beyond the limit", i)
			}
		}
	}
	mark := late[0].Decision.VirtualHost.Mark.Load()
	if mark == 0 || mark != late[8].Decision.VirtualHost.Mark.Load() {
		t.Fatalf("the others' virtual hosts have the marks %d and %d", mark, late[8].Decision.VirtualHost.Mark.Load())
	}
	if n := first[0].Decision.VirtualHost.Mark.Load(); n != 0 {
		t.Errorf("a virtual host of which routes are told apart is marked %d", n)
	}

	s.forget()
	for _, ex := range first[4:] {
		s.record(1, ex)
	}
	s.forget() // of four, which makes room for four of nine
	for i, ex := range late {
		for shard := range uint32(2) {
			if got := apart(t, &s, shard, ex); got != (i < 4) {
				t.Errorf("route %d in shard %d after others were forgotten: told apart %v", i, shard, got)
			}
		}
	}
	for i, ex := range first {
		if got := apart(t, &s, 0, ex); got != (i >= 4) {
			t.Errorf("route %d of those that came first: told apart %v", i, got)
		}
	}
	for i, want := range []bool{false, false, true} { // three, one and none of three are told apart
		if n := late[3*i].Decision.VirtualHost.Mark.Load(); n > mark != want {
			t.Errorf("virtual host %d is marked %d, before it was %d", i, n, mark)
		}
	}
}

// TestOthersWithoutRoute: what no route took is counted by its listener, whatever its virtual
// host is marked with.
func TestOthersWithoutRoute(t *testing.T) {
	t.Parallel()
	var s routes
	s.start(1)
	list := manyRoutes(maxRoutes + 6)
	host := list[maxRoutes+4]
	missed := []*proxy.Exchange{{}, {}, {}}
	missed[1].Decision.VirtualHost = host.Decision.VirtualHost
	missed[2].Decision.Route = host.Decision.Route
	for i, ex := range missed {
		ex.Request.Listener = fmt.Sprint("without ", i)
		s.record(0, ex)
	}
	for _, ex := range list {
		s.record(0, ex)
	}
	if apart(t, &s, 0, host) || host.Decision.VirtualHost.Mark.Load() == 0 {
		t.Fatal("the virtual host is not marked")
	}
	for i, ex := range missed {
		if !apart(t, &s, 0, ex) {
			t.Errorf("request %d without a route is among the others", i)
		}
		ex.Request.Listener = "later"
		if apart(t, &s, 0, ex) {
			t.Errorf("request %d without a route is told apart beyond the limit", i)
		}
	}
}

// TestOthersOfSeveralRecorders: two that follow the requests of one table overwrite each
// other's marks, and never take them for their own.
func TestOthersOfSeveralRecorders(t *testing.T) {
	t.Parallel()
	var one, two routes
	one.start(1)
	two.start(1)
	list := manyRoutes(2*maxRoutes + 10)
	for i := range list {
		one.record(0, list[i])
		two.record(0, list[len(list)-1-i])
	}
	for i, ex := range list {
		if got := apart(t, &one, 0, ex); got != (i < maxRoutes) {
			t.Fatalf("route %d: told apart %v by the first", i, got)
		}
		if got := apart(t, &two, 0, ex); got != (i >= len(list)-maxRoutes) {
			t.Fatalf("route %d: told apart %v by the second", i, got)
		}
	}
}

// TestOthersWhileRoutesAreForgotten: while routes are forgotten and others come to be told
// apart, those that stay are never counted among the others; and when it is over, each is
// counted where it belongs.
func TestOthersWhileRoutesAreForgotten(t *testing.T) {
	t.Parallel()
	const (
		shards = 4
		stay   = 30
		each   = 40
	)
	var s routes
	s.start(shards)
	list := manyRoutes(2 * maxRoutes)
	staying := map[string]bool{}
	for _, ex := range list[:stay] {
		staying[ex.Decision.VirtualHost.Name] = true
		s.record(0, ex)
	}
	var counting, forgetting sync.WaitGroup
	over := make(chan struct{})
	forgetting.Go(func() {
		for odd := false; ; odd = !odd {
			select {
			case <-over:
				return
			default:
			}
			idle := map[*counted]bool{}
			for i, c := range s.known.Load().all() {
				idle[c] = !staying[c.VirtualHost] && (i%2 == 0) == odd
			}
			s.drop(idle)
			s.refresh()
		}
	})
	for shard := range uint32(shards) {
		counting.Go(func() {
			for n := range each {
				for i := range list {
					s.record(shard, list[(i+int(shard)*500)%len(list)])
					s.record(shard, list[(i+n)%stay])
				}
			}
		})
	}
	counting.Wait()
	close(over)
	forgetting.Wait()
	var sum uint64
	for _, ex := range list[:stay] {
		route := routeOf(ex)
		part := s.sum(s.known.Load().find(route.hash(), &route))
		sum += part.Requests()
	}
	if want := uint64(stay + shards*each*(stay+len(list))); sum != want {
		t.Errorf("%d of %d requests of those that stay", sum, want)
	}
	for i, ex := range list {
		s.record(uint32(i), ex)
	}
	for i, ex := range list {
		route := routeOf(ex)
		known := s.known.Load().find(route.hash(), &route) != nil
		if got := apart(t, &s, uint32(i), ex); got != known {
			t.Fatalf("route %d: told apart %v, counted so %v", i, known, got)
		}
	}
}

// TestNothingIsLostWhileForgetting: a route that requests come to while it is being forgotten has all
// of them: beside those before, where it is not forgotten after all, or alone.
func TestNothingIsLostWhileForgetting(t *testing.T) {
	t.Parallel()
	const (
		shards = 4
		rounds = 20
		each   = 3
	)
	list := manyRoutes(maxRoutes - 100)
	forgotten := 0
	for range rounds {
		var s routes
		s.start(shards)
		for _, ex := range list {
			s.record(0, ex)
		}
		s.forget() // sees that there was traffic
		var work sync.WaitGroup
		work.Go(s.forget)
		for shard := range uint32(shards) {
			work.Go(func() {
				for range each {
					for i := range list {
						s.record(shard, list[(i+int(shard)*200)%len(list)])
					}
				}
			})
		}
		work.Wait()
		for i, ex := range list {
			route := routeOf(ex)
			sum := RouteCounts{}
			if c := s.known.Load().find(route.hash(), &route); c != nil {
				sum = s.sum(c)
			}
			switch n := sum.Requests(); {
			case n != sum.Latency.Count || n != shards*each && n != shards*each+1:
				t.Fatalf("route %d has %d requests, %d times, of %d", i, n, sum.Latency.Count, shards*each)
			case n == shards*each:
				forgotten++
			}
		}
	}
	t.Logf("%d of %d routes were forgotten", forgotten, rounds*len(list))
}

// TestRequestsOfForgottenRoutes: what a shard counts where it still knows routes that have just been
// dropped comes to these routes, or to the others where there is no room.
func TestRequestsOfForgottenRoutes(t *testing.T) {
	t.Parallel()
	list := manyRoutes(2*maxRoutes - 10)
	first, more := list[:maxRoutes-10], list[maxRoutes-10:]
	for _, others := range [][]*proxy.Exchange{nil, more} {
		var s routes
		s.start(2)
		for _, ex := range first {
			s.record(1, ex)
		}
		s.forget() // sees that there was traffic
		s.shards[0].mu.Lock()
		var work sync.WaitGroup
		work.Go(s.forget) // gets as far as to have dropped them
		for until := time.Now().Add(30 * time.Second); s.known.Load().used > 0; runtime.Gosched() {
			if time.Now().After(until) {
				t.Fatal("nothing is dropped")
			}
		}
		for _, ex := range slices.Concat(first, others, first) {
			s.record(1, ex)
		}
		s.shards[0].mu.Unlock()
		work.Wait()
		requests := func(ex *proxy.Exchange) uint64 {
			route := routeOf(ex)
			c := s.known.Load().find(route.hash(), &route)
			if c == nil {
				return 0
			}
			sum := s.sum(c)
			return sum.Requests()
		}
		own, beyond := uint64(2), uint64(0)
		if len(others) == maxRoutes { // no room
			own, beyond = 0, uint64(2*len(first))
		}
		for i, ex := range first {
			if n := requests(ex); n != own {
				t.Fatalf("%d requests of route %d, want %d", n, i, own)
			}
		}
		for i, ex := range others {
			if n := requests(ex); n != 1 {
				t.Fatalf("%d requests of new route %d", n, i)
			}
		}
		if sum := s.sum(s.other); sum.Requests() != beyond || sum.Latency.Count != beyond {
			t.Errorf("%d requests of others, want %d", sum.Requests(), beyond)
		}
	}
}

// TestOthersAllocateNothing holds a request of one of the others to its budget, whether its
// virtual host is marked or not.
func TestOthersAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var s routes
	s.start(1)
	list := manyRoutes(maxRoutes + 3000)
	for _, ex := range list {
		s.record(0, ex)
	}
	for _, ex := range list { // now the times of all were seen
		s.record(0, ex)
	}
	at, forgetful := 0, false
	ask := func() {
		ex := list[maxRoutes+at%3000]
		if forgetful {
			ex.Decision.VirtualHost.Mark.Store(0)
		}
		s.record(0, ex)
		at++
	}
	for _, forgetful = range []bool{false, true} {
		if n := testing.AllocsPerRun(3000, ask); n > 0 {
			t.Errorf("without marks %v: %v allocations for each request", forgetful, n)
		}
	}
}

// BenchmarkOthers is BenchmarkRoutes for routes of which few are told apart, where one request
// comes after the other: of each the virtual host, and no more, has been fetched, as routing does.
func BenchmarkOthers(b *testing.B) {
	type met struct {
		host        *router.CompiledVirtualHost
		route       *router.CompiledRoute
		destination *router.CompiledDestination
	}
	list := make([]met, 30_000)
	for i, ex := range manyRoutes(len(list)) {
		list[i] = met{ex.Decision.VirtualHost, ex.Decision.Route, ex.Destination}
	}
	var s routes
	s.start(2)
	ex := anotherRoute(0)
	at := 0
	ask := func() {
		m := &list[at]
		if len(m.host.Routes) > 0 {
			b.Fatal("routes where none are")
		}
		ex.Decision.VirtualHost, ex.Decision.Route, ex.Destination = m.host, m.route, m.destination
		s.record(0, ex)
		at = (at + 7919) % len(list)
	}
	for range list {
		ask()
	}
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}
