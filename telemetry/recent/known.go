package recent

import (
	"hash/maphash"
	"sync/atomic"
)

// counted is a route that is told apart, with its counts in the shards that needed some.
type counted struct {
	Route
	// tallies is the first; the others are next to it. The lock of routes guards which it is.
	tallies *tally
	// hash is that of Route.
	hash uint32
	// seen is the end of the number of requests that there were at the last sweep.
	seen uint32
}

// knownRoutes is a set of routes, by their names. Whoever holds the lock of routes may add;
// anybody may look meanwhile.
type knownRoutes struct {
	// slots are a power of two, of which three quarters at least are nil: to find that a route
	// is not there mostly takes no look at any other. A route is in the first free one from
	// where its hash points to.
	slots []atomic.Pointer[counted]
	// used is how many are not nil; for those with the lock.
	used int
}

// knownSpace is how many slots there are for each route.
const knownSpace = 4

// newKnown returns a set with room for so many routes.
func newKnown(room int) *knownRoutes {
	n := 16
	for n < knownSpace*room {
		n *= 2
	}
	return &knownRoutes{slots: make([]atomic.Pointer[counted], n)}
}

// find returns a route that has a hash, or nil.
func (k *knownRoutes) find(hash uint32, r *Route) *counted {
	mask := uint32(len(k.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		c := k.slots[i].Load()
		if c == nil || c.hash == hash && c.Route == *r {
			return c
		}
	}
}

// with returns a set with one more route: the same, or a larger one with what it has.
func (k *knownRoutes) with(c *counted) *knownRoutes {
	if knownSpace*(k.used+1) > len(k.slots) {
		k = newKnown(2 * k.used).addAll(k.all())
	}
	mask := uint32(len(k.slots) - 1)
	i := c.hash & mask
	for k.slots[i].Load() != nil {
		i = (i + 1) & mask
	}
	k.slots[i].Store(c)
	k.used++
	return k
}

// addAll adds routes that there is room for.
func (k *knownRoutes) addAll(list []*counted) *knownRoutes {
	for _, c := range list {
		k = k.with(c)
	}
	return k
}

// all returns the routes in no order.
func (k *knownRoutes) all() []*counted {
	list := make([]*counted, 0, len(k.slots)/knownSpace+1)
	for i := range k.slots {
		if c := k.slots[i].Load(); c != nil {
			list = append(list, c)
		}
	}
	return list
}

var routeSeed = maphash.MakeSeed()

// hash is of what tells routes apart most often. Few have but other clusters.
func (r *Route) hash() uint32 {
	var h uint64
	for _, s := range [...]string{r.Listener, r.VirtualHost, r.Rule.Name, r.Rule.Field} {
		h = (h ^ maphash.String(routeSeed, s)) * 0x9e3779b97f4a7c15
	}
	return uint32(h >> 32)
}
