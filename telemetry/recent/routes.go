package recent

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

const (
	// maxShards bounds how many copies of a route's counts there are.
	maxShards = 16
	// maxRoutes bounds the routes, each with each of its destinations, that are told apart.
	maxRoutes = 1024
)

// Route identifies what requests met: a route and the destination that was picked.
type Route struct {
	// Listener, VirtualHost and Cluster are names. VirtualHost is empty where nothing matched,
	// Cluster where there is no destination.
	Listener    string `json:"listener"`
	VirtualHost string `json:"virtualHost,omitempty"`
	// Name is the route's, Rule where it stands.
	Name    string        `json:"name,omitempty"`
	Rule    router.Origin `json:"rule,omitzero"`
	Cluster string        `json:"cluster,omitempty"`
}

// RouteCounts are the counts of one Route since the process began, or since it was last
// forgotten for want of traffic. Rates are the differences of two looks.
type RouteCounts struct {
	Route
	// Classes are the requests by the class of their status: 0 where nothing was answered, 4
	// for 4xx. A gRPC call counts with the status that its grpc-status stands for.
	Classes [6]uint64 `json:"classes"`
	// Failed are those that flags tell of: what went wrong between proxy and upstream.
	Failed  uint64  `json:"failed"`
	Latency Latency `json:"latency"`
}

// Requests returns how many there were.
func (c *RouteCounts) Requests() (n uint64) {
	for _, class := range c.Classes {
		n += class
	}
	return n
}

// Errors returns how many were answered 5xx or not at all.
func (c *RouteCounts) Errors() uint64 { return c.Classes[0] + c.Classes[5] }

// Since returns what came after the counts were as earlier says; all, where they were begun
// anew since.
func (c RouteCounts) Since(earlier *RouteCounts) RouteCounts {
	if c.begunAnew(earlier) {
		return c
	}
	for i, n := range earlier.Classes {
		c.Classes[i] -= n
	}
	c.Failed -= earlier.Failed
	c.Latency = c.Latency.Since(&earlier.Latency)
	return c
}

// begunAnew tells whether there is less of anything than earlier. There may be more requests by now
// all the same.
func (c *RouteCounts) begunAnew(earlier *RouteCounts) bool {
	for i, n := range earlier.Classes {
		if c.Classes[i] < n {
			return true
		}
	}
	for i, n := range earlier.Latency.Buckets {
		if c.Latency.Buckets[i] < n {
			return true
		}
	}
	return c.Failed < earlier.Failed
}

// add adds another's counts.
func (c *RouteCounts) add(other *RouteCounts) {
	for class, n := range other.Classes {
		c.Classes[class] += n
	}
	c.Failed += other.Failed
	c.Latency.Add(&other.Latency)
}

// routes counts requests by route.
type routes struct {
	shards []routeShard
	// known are the routes that are told apart, at most maxRoutes.
	known atomic.Pointer[knownRoutes]
	// full is there once there are as many: whoever is one of many others finds out without a
	// lock. While it is there, known stays as it is.
	full atomic.Pointer[crowd]
	// other has the requests of the routes beyond those.
	other *counted

	mu sync.Mutex
	// listeners are the names in known, each once. mu guards it, and which tallies there are.
	listeners map[string]*string
}

// routeShard is where a part of the request path counts.
type routeShard struct {
	mu sync.Mutex
	// at is where to count what is known.
	at    places
	other *tally
	_     [128]byte
}

func (s *routes) start(shards int) {
	s.shards = make([]routeShard, shards)
	s.known.Store(newKnown(0))
	s.listeners = make(map[string]*string)
	s.other = &counted{Route: Route{Name: "(others)"}}
	for i := range s.shards {
		s.shards[i].other = s.other.in(i, &s.other.Listener)
	}
}

// in returns a route's counts in a shard. The caller holds the lock.
func (c *counted) in(shard int, listener *string) *tally {
	for t := c.tallies; t != nil; t = t.next {
		if int(t.shard) == shard {
			return t
		}
	}
	c.tallies = &tally{shard: uint8(shard), listener: listener, next: c.tallies}
	return c.tallies
}

// record counts an exchange.
func (s *routes) record(shard uint32, ex *proxy.Exchange) {
	n := int(shard) % len(s.shards)
	at := &s.shards[n]
	key := placeKey{ex.Request.Listener, ex.Decision.Route, ex.Destination}
	at.mu.Lock()
	counts := at.other
	if !s.full.Load().knows(&ex.Decision) {
		if counts = at.at.find(&key); counts == nil {
			counts = s.find(n, &key, ex)
		}
	}
	counts.add(class(effectiveStatus(ex)), ex.Flags&^harmless != 0, time.Duration(ex.End-ex.Start))
	at.mu.Unlock()
}

// find returns where a shard, whose lock the caller holds, counts what has a key that it does not
// know. It learns that, but for the others: of these there may be any number.
func (s *routes) find(shard int, key *placeKey, ex *proxy.Exchange) *tally {
	at := &s.shards[shard]
	if s.full.Load().meets(&ex.Decision) {
		return at.other
	}
	route := routeOf(ex)
	counts := s.countsOf(shard, &route)
	if counts == nil {
		return at.other
	}
	at.at.add(key, counts)
	return counts
}

func class(status int) int {
	if status < 100 || status > 599 {
		return 0
	}
	return status / 100
}

// routeOf returns what an exchange met. The listener's name is the exchange's.
func routeOf(ex *proxy.Exchange) Route {
	r := Route{Listener: ex.Request.Listener}
	if v := ex.Decision.VirtualHost; v != nil && ex.Decision.Route != nil {
		r.VirtualHost = v.Name
	}
	if route := ex.Decision.Route; route != nil {
		r.Name, r.Rule = route.Name, route.Origin()
	}
	if d := ex.Destination; d != nil {
		r.Cluster = d.Cluster.Name
	}
	return r
}

// countsOf returns a route's counts in a shard, whose lock the caller holds; nil for one of the
// others.
func (s *routes) countsOf(shard int, route *Route) *tally {
	hash := route.hash()
	if s.full.Load() != nil && s.known.Load().find(hash, route) == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.known.Load()
	c := known.find(hash, route)
	if c == nil && known.used >= maxRoutes {
		if s.full.Load() == nil {
			s.full.Store(newCrowd(known))
		}
		return nil
	}
	listener := s.listener(route.Listener)
	if c == nil {
		c = &counted{Route: *route, hash: hash}
		c.Listener = *listener
		s.known.Store(known.with(c))
	}
	return c.in(shard, listener)
}

// listener returns the one copy of a listener's name. The caller holds the lock.
func (s *routes) listener(name string) *string {
	l := s.listeners[name]
	if l == nil {
		name = strings.Clone(name)
		l = &name
		s.listeners[name] = l
	}
	return l
}

// Routes returns the counts of every route that had requests, the busiest first.
func (r *Recorder) Routes() []RouteCounts {
	s := &r.routes
	all := append(s.known.Load().all(), s.other)
	list := make([]RouteCounts, 0, len(all))
	for _, c := range all {
		if sum := s.sum(c); sum.Requests() > 0 {
			list = append(list, sum)
		}
	}
	slices.SortFunc(list, func(a, b RouteCounts) int {
		return cmp.Or(cmp.Compare(b.Requests(), a.Requests()), a.Route.compare(&b.Route))
	})
	return list
}

func (r *Route) compare(with *Route) int {
	return cmp.Or(strings.Compare(r.Listener, with.Listener), strings.Compare(r.VirtualHost, with.VirtualHost),
		strings.Compare(r.Rule.String(), with.Rule.String()), strings.Compare(r.Name, with.Name), strings.Compare(r.Cluster, with.Cluster))
}

// sum adds up what the shards have of a route.
func (s *routes) sum(c *counted) RouteCounts {
	sum := RouteCounts{Route: c.Route}
	s.mu.Lock()
	first := c.tallies
	s.mu.Unlock()
	for t := first; t != nil; t = t.next {
		at := &s.shards[t.shard]
		at.mu.Lock()
		t.addTo(&sum)
		at.mu.Unlock()
	}
	return sum
}

// forget drops the routes that had no requests since the last time, once there are many.
func (s *routes) forget() {
	all := s.known.Load().all()
	idle := make(map[*counted]bool)
	var sums []RouteCounts // of those that are idle, in the order of all
	for _, c := range all {
		sum := s.sum(c)
		if n := uint32(sum.Requests()); n != c.seen {
			c.seen = n
		} else {
			idle[c] = true
			sums = append(sums, sum)
		}
	}
	if len(all) < maxRoutes/2 || len(idle) == 0 {
		return
	}
	s.drop(idle)
	// Shards must not go on counting where nobody looks.
	s.refresh()
	for _, c := range all {
		if !idle[c] {
			continue
		}
		sum := s.sum(c)
		if late := sum.Since(&sums[0]); late.Requests() > 0 {
			s.carryOver(&late)
		}
		sums = sums[1:]
	}
}

// carryOver counts anew what a route was asked for after it was found idle.
func (s *routes) carryOver(late *RouteCounts) {
	const shard = 0
	at := &s.shards[shard]
	at.mu.Lock()
	defer at.mu.Unlock()
	counts := s.countsOf(shard, &late.Route)
	if counts == nil {
		counts = at.other
	}
	counts.addWide(late)
}

// drop forgets routes, and the listeners that no other has.
func (s *routes) drop(idle map[*counted]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := slices.DeleteFunc(s.known.Load().all(), func(c *counted) bool { return idle[c] })
	s.known.Store(newKnown(len(rest)).addAll(rest))
	s.full.Store(nil)
	listeners := make(map[string]*string)
	for _, c := range rest {
		listeners[c.Listener] = s.listeners[c.Listener]
	}
	s.listeners = listeners
}

// refresh has the shards look anew where to count, and lets go of what an old table holds.
func (s *routes) refresh() {
	for i := range s.shards {
		at := &s.shards[i]
		at.mu.Lock()
		at.at.clear()
		at.mu.Unlock()
	}
}
