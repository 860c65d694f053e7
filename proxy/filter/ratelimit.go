package filter

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"

	"github.com/sluicegate/sluice/router"
)

const (
	// shards of the counters have a lock each; sets of counters are where one may stand, so
	// that finding it looks at ways of them. All together are 131,072, in 4 MB, of which a
	// shard takes its part once it is used.
	shards = 64
	sets   = 256
	ways   = 8
	// endless is a time that nobody waits for, in nanoseconds: some 70 years.
	endless = int64(1) << 61
)

// Limiter counts what clients ask of routes that limit it. It is bounded: where more clients
// come than it has room for, those are forgotten first that would be free again soonest, and
// never one with a request in progress. It is safe for concurrent use.
type Limiter struct {
	now    func() int64
	seed   maphash.Seed
	shards [shards]shard
}

// shard holds the counters of some clients: all those of a client are in one.
type shard struct {
	mu       sync.Mutex
	counters []counter
	_        [128 - 8 - 24]byte // shards share no line of the processor's cache
}

// counter is what is known of one client and one limit. It is free for another where it says
// nothing any more.
type counter struct {
	limit, client uint64
	// due is when the client would have been allowed its next request, had it spread them
	// evenly (the theoretical arrival time of the generic cell rate algorithm, ITU-T I.371).
	due int64
	// active counts the requests in progress.
	active int64
}

// NewLimiter returns a Limiter that has seen nobody. now is a clock in nanoseconds, which
// never goes back.
func NewLimiter(now func() int64) *Limiter { return &Limiter{now: now, seed: maphash.MakeSeed()} }

// Held is what a request holds of a Limiter while it is in progress. The zero value holds
// nothing.
type Held struct {
	shard    *shard
	counters [router.MaxLimits]*counter
	n        int
}

// Enter counts a request of a client, and tells whether that is within all limits; where not,
// it is counted in none. What held holds then is to be given to Leave. Clients without an
// address count as one.
func (l *Limiter) Enter(limits []router.LocalLimit, client netip.Addr, held *Held) bool {
	limits = limits[:min(len(limits), router.MaxLimits)]
	key, family := clientKey(client)
	s := &l.shards[l.hash(key, family)%shards]
	now := l.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids [router.MaxLimits]uint64
	for i := range limits {
		if limits[i].Exempts(client) {
			continue
		}
		ids[i] = maphash.String(l.seed, limits[i].Name)&^1 | family
		if !s.find(l.hash(key, ids[i]), ids[i], key, now).allows(&limits[i], now) {
			return false
		}
	}
	for i := range limits {
		if limits[i].Exempts(client) {
			continue
		}
		if c := s.find(l.hash(key, ids[i]), ids[i], key, now); c != nil {
			held.count(s, c, &limits[i], now)
		}
	}
	return true
}

// Leave ends a request that Enter let in.
func (l *Limiter) Leave(held *Held) {
	if held.n == 0 {
		return
	}
	held.shard.mu.Lock()
	defer held.shard.mu.Unlock()
	for _, c := range held.counters[:held.n] {
		c.active--
	}
	held.n = 0
}

// find returns the counter of a client and a limit, which may be one that is new, or takes the
// place of another. It is nil where every one that it might be has a request in progress: such
// a request is not counted.
func (s *shard) find(hash, limit, client uint64, now int64) *counter {
	if s.counters == nil {
		s.counters = make([]counter, sets*ways)
	}
	at := int(hash/shards%sets) * ways
	var next *counter
	for i := range s.counters[at : at+ways] {
		c := &s.counters[at+i]
		if c.limit == limit && c.client == client {
			return c
		}
		if c.active == 0 && (next == nil || c.due < next.due) {
			next = c
		}
	}
	if next != nil {
		*next = counter{limit: limit, client: client, due: now}
	}
	return next
}

// allows tells whether one more request is within a limit.
func (c *counter) allows(l *router.LocalLimit, now int64) bool {
	if c == nil {
		return true
	}
	if l.Concurrent > 0 && c.active >= int64(l.Concurrent) {
		return false
	}
	interval := int64(l.Interval())
	if interval == 0 {
		return true
	}
	burst := endless
	if int64(l.Burst) < endless/interval {
		burst = int64(l.Burst) * interval
	}
	// The limit may have been a slower one when the client used it up.
	c.due = min(c.due, now+burst+interval)
	return c.due-now <= burst
}

// count counts a request in a counter.
func (h *Held) count(s *shard, c *counter, l *router.LocalLimit, now int64) {
	if interval := int64(l.Interval()); interval > 0 {
		c.due = max(c.due, now) + interval
	}
	if l.Concurrent > 0 {
		c.active++
		h.shard, h.counters[h.n] = s, c
		h.n++
	}
}

// hash is where a client's counter of a limit is.
func (l *Limiter) hash(client, limit uint64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], client)
	binary.LittleEndian.PutUint64(b[8:], limit)
	return maphash.Bytes(l.seed, b[:])
}

// clientKey is what is counted as one client: an address of IPv4, or the first half of one of
// IPv6. family tells them apart.
func clientKey(client netip.Addr) (key, family uint64) {
	switch client = client.Unmap(); {
	case !client.IsValid():
		return 0, 0
	case client.Is4():
		b := client.As4()
		return uint64(binary.BigEndian.Uint32(b[:])), 0
	}
	b := client.As16()
	return binary.BigEndian.Uint64(b[:8]), 1
}
