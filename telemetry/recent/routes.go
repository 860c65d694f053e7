package recent

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

const (
	// maxShards bounds how many copies of a route's counts there are.
	maxShards = 16
	// maxRoutes bounds the routes, each with each of its destinations, that are told apart.
	maxRoutes = 1024
	// maxCached bounds what a shard remembers of where to count.
	maxCached = 2 * maxRoutes
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
	if c.Requests() < earlier.Requests() {
		return c
	}
	for i, n := range earlier.Classes {
		c.Classes[i] -= n
	}
	c.Failed -= earlier.Failed
	c.Latency = c.Latency.Since(&earlier.Latency)
	return c
}

// routes counts requests by route.
type routes struct {
	shards []routeShard

	mu    sync.Mutex
	known map[Route]*counted
	// other has the requests of the routes beyond maxRoutes, with counts in every shard.
	other *counted
	// full is what is known once that is as much as may be, nil before. Nobody changes it, so
	// that whoever is one of many others finds out without a lock.
	full atomic.Pointer[map[Route]*counted]
}

// routeShard is where a part of the request path counts.
type routeShard struct {
	mu sync.Mutex
	// at is where to count, as far as it is known: it only saves looking. latest has some of
	// it where slot says, to be compared.
	at     map[routeKey]*routePlace
	latest [routeSlots]*routePlace
	_      [128]byte
}

// routeSlots is how many routes a shard finds without hashing their keys whole.
const routeSlots = 64

// routePlace is where a shard counts what has a key.
type routePlace struct {
	key    routeKey
	counts *RouteCounts
}

// routeKey finds a route's counts by what the exchange points to.
type routeKey struct {
	listener    string
	route       *router.CompiledRoute
	destination *router.CompiledDestination
}

// counted is a route's counts in every shard. A shard's are nil until it needs them.
type counted struct {
	Route
	shards []*RouteCounts
	// seen is how many requests there were at the last sweep.
	seen uint64
}

func (s *routes) start(shards int) {
	s.shards = make([]routeShard, shards)
	for i := range s.shards {
		s.shards[i].at = make(map[routeKey]*routePlace)
	}
	s.known = make(map[Route]*counted)
	s.other = &counted{Route: Route{Name: "(others)"}, shards: make([]*RouteCounts, shards)}
	for i := range s.other.shards {
		s.other.shards[i] = &RouteCounts{}
	}
}

// record counts an exchange.
func (s *routes) record(shard uint32, ex *proxy.Exchange) {
	n := int(shard) % len(s.shards)
	at := &s.shards[n]
	at.mu.Lock()
	key := routeKey{ex.Request.Listener, ex.Decision.Route, ex.Destination}
	counts := s.other.shards[n]
	if place := at.latest[key.slot()]; place != nil && place.key == key {
		counts = place.counts
	} else if place = s.find(n, key, ex); place != nil {
		counts = place.counts
	}
	counts.Classes[class(effectiveStatus(ex))]++
	if ex.Flags&^harmless != 0 {
		counts.Failed++
	}
	counts.Latency.add(time.Duration(ex.End - ex.Start))
	at.mu.Unlock()
}

// find returns where a shard, whose lock the caller holds, counts what has a key; nil for one of
// the others. There may be any number of these, so that nothing is remembered of them.
func (s *routes) find(shard int, key routeKey, ex *proxy.Exchange) *routePlace {
	at := &s.shards[shard]
	place := at.at[key]
	if place == nil {
		counts := s.countsOf(shard, routeOf(ex))
		if counts == nil {
			return nil
		}
		if len(at.at) >= maxCached {
			clear(at.at)
			clear(at.latest[:])
		}
		key.listener = strings.Clone(key.listener)
		place = &routePlace{key, counts}
		at.at[key] = place
	}
	at.latest[key.slot()] = place
	return place
}

// slot spreads keys by what differs between them most often.
func (k *routeKey) slot() uint64 {
	h := uint64(uintptr(unsafe.Pointer(k.route)))>>4 ^ uint64(uintptr(unsafe.Pointer(k.destination)))>>3
	return h * 0x9e3779b97f4a7c15 >> 58
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
		r.Name, r.Rule = route.Name, route.Origin
	}
	if d := ex.Destination; d != nil {
		r.Cluster = d.Cluster.Name
	}
	return r
}

// countsOf returns a route's counts in a shard, whose lock the caller holds; nil for one of the
// others.
func (s *routes) countsOf(shard int, route Route) *RouteCounts {
	if full := s.full.Load(); full != nil && (*full)[route] == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.known[route]
	if c == nil && len(s.known) >= maxRoutes {
		full := maps.Clone(s.known)
		s.full.Store(&full)
		return nil
	}
	if c == nil {
		route.Listener = strings.Clone(route.Listener)
		c = &counted{Route: route, shards: make([]*RouteCounts, len(s.shards))}
		s.known[route] = c
	}
	if c.shards[shard] == nil {
		c.shards[shard] = &RouteCounts{}
	}
	return c.shards[shard]
}

// Routes returns the counts of every route that had requests, the busiest first.
func (r *Recorder) Routes() []RouteCounts {
	s := &r.routes
	s.mu.Lock()
	all := make([]*counted, 0, len(s.known)+1)
	for _, c := range s.known {
		all = append(all, c)
	}
	all = append(all, s.other)
	s.mu.Unlock()
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
	for i := range s.shards {
		at := &s.shards[i]
		s.mu.Lock()
		part := c.shards[i]
		s.mu.Unlock()
		if part == nil {
			continue
		}
		at.mu.Lock()
		for class, n := range part.Classes {
			sum.Classes[class] += n
		}
		sum.Failed += part.Failed
		sum.Latency.Add(&part.Latency)
		at.mu.Unlock()
	}
	return sum
}

// forget drops the routes that had no requests since the last time, once there are many.
func (s *routes) forget() {
	s.mu.Lock()
	all := make([]*counted, 0, len(s.known))
	for _, c := range s.known {
		all = append(all, c)
	}
	s.mu.Unlock()
	var idle []*counted
	for _, c := range all {
		sum := s.sum(c)
		if n := sum.Requests(); n != c.seen {
			c.seen = n
		} else {
			idle = append(idle, c)
		}
	}
	if len(all) < maxRoutes/2 || len(idle) == 0 {
		return
	}
	s.mu.Lock()
	for _, c := range idle {
		delete(s.known, c.Route)
	}
	s.full.Store(nil)
	s.mu.Unlock()
	// Shards must not go on counting where nobody looks.
	s.refresh()
}

// refresh has the shards look anew where to count, and lets go of what an old table holds.
func (s *routes) refresh() {
	for i := range s.shards {
		at := &s.shards[i]
		at.mu.Lock()
		clear(at.at)
		clear(at.latest[:])
		at.mu.Unlock()
	}
}
