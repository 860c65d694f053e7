package upstream

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicegate/sluice/router"
)

const (
	// defaultRingSize is Istio's for minimumRingSize.
	defaultRingSize = 1024
	// ringRoom is by how much a ring may outgrow its least size before each endpoint gets
	// fewer points.
	ringRoom = 128
	// maxShares bounds what the heaviest endpoint weighs in points per unit.
	maxShares = 64
)

// ring is a consistent hash ring (ketama, as Envoy's): each endpoint has points on it, and
// a key belongs to the first point at or after it.
type ring struct {
	members []*Endpoint
	points  []point
}

type point struct {
	hash   uint64
	member uint32
}

// newRing makes a ring of no fewer than least points, where there is more than one
// endpoint.
func newRing(members []*Endpoint, weights []uint64, least int) *ring {
	shares, total := sharesOf(weights)
	per := pointsPer(least, total)
	r := &ring{members: members, points: make([]point, 0, int(per*float64(total))+len(members))}
	for i, e := range members {
		n := max(1, int(math.Ceil(per*float64(shares[i]))))
		key := append([]byte(e.Address), '_')
		for k := range n {
			r.points = append(r.points, point{xxhash.Sum64(strconv.AppendInt(key, int64(k), 10)), uint32(i)})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		}
		return cmp.Compare(members[a.member].Address, members[b.member].Address)
	})
	return r
}

// pointsPer returns the points for each of total shares on a ring of no fewer than least. It
// does not depend on how many shares there are, so long as the ring is at most ringRoom
// times as large as it must be: then an endpoint that comes or goes moves its own share of
// the keys and nothing else. In a larger ring the points of all are thinned out together.
func pointsPer(least int, total uint64) float64 {
	least = min(cmp.Or(least, defaultRingSize), router.MaxRingSize)
	// With two endpoints, the fewest that make a choice, half the ring is each one's.
	per := math.Ceil(float64(least) / 2)
	if most := float64(min(least*ringRoom, router.MaxRingSize)); per*float64(total) > most {
		return most / float64(total)
	}
	return per
}

// sharesOf reduces weights to small numbers in nearly the same proportion.
func sharesOf(weights []uint64) (shares []uint64, total uint64) {
	var divisor, largest uint64
	for _, w := range weights {
		divisor = gcd(divisor, w)
		largest = max(largest, w)
	}
	divisor = max(divisor, 1)
	for largest/divisor > maxShares {
		divisor *= 2
	}
	for _, w := range weights {
		share := max((w+divisor/2)/divisor, 1)
		shares = append(shares, share)
		total += share
	}
	return shares, total
}

// pick returns the endpoint for a key. barred endpoints are passed over, and where it can
// be those that were tried.
func (r *ring) pick(key uint64, ch *Choice, barred []bool) *Endpoint {
	n := len(r.points)
	at := sort.Search(n, func(i int) bool { return r.points[i].hash >= key })
	var used *Endpoint
	for range n {
		if at == n {
			at = 0
		}
		m := r.points[at].member
		if barred == nil || !barred[m] {
			if e := r.members[m]; !ch.tried(e) {
				return e
			} else if used == nil {
				used = e
			}
		}
		at++
	}
	return used
}
