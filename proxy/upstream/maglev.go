package upstream

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

const (
	// defaultTableSize is Envoy's for a Maglev table, maxTableSize its bound.
	defaultTableSize = 65537
	maxTableSize     = 5000011
)

// maglev is a Maglev lookup table (Eisenbud and others: Maglev: A fast and reliable
// software network load balancer, 2016), with weights as Envoy has them.
type maglev struct {
	members []*Endpoint
	slots   []uint32
}

// newMaglev makes a table of the first prime of size slots or more.
func newMaglev(members []*Endpoint, weights []uint64, size int) *maglev {
	size = prime(min(max(cmp.Or(size, defaultTableSize), 2), maxTableSize))
	m := &maglev{members: members, slots: make([]uint32, size)}
	if len(members) == 0 {
		return m
	}
	// The table is the same whatever order the endpoints come in.
	order := make([]uint32, len(members))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return strings.Compare(members[a].Address, members[b].Address) })
	m.fill(order, weights)
	return m
}

// fill has the endpoints take slots in turn, each by its own permutation and as often as
// its weight allows beside the largest.
func (m *maglev) fill(order []uint32, weights []uint64) {
	const free = ^uint32(0)
	for i := range m.slots {
		m.slots[i] = free
	}
	size := uint64(len(m.slots))
	at, skip, target := make([]uint64, len(order)), make([]uint64, len(order)), make([]float64, len(order))
	for k, i := range order {
		address := m.members[i].Address
		at[k] = xxhash.Sum64String(address) % size
		skip[k] = seeded(1, address)%(size-1) + 1
	}
	largest := float64(slices.Max(weights))
	for round, taken := 1.0, uint64(0); ; round++ {
		for k, i := range order {
			weight := float64(weights[i])
			if round*weight < target[k] {
				continue
			}
			target[k] += largest
			for m.slots[at[k]] != free {
				at[k] = (at[k] + skip[k]) % size
			}
			m.slots[at[k]] = i
			if taken++; taken == size {
				return
			}
		}
	}
}

// pick returns the endpoint for a key. barred endpoints are passed over, and where it can
// be those that were tried.
func (m *maglev) pick(key uint64, ch *Choice, barred []bool) *Endpoint {
	var used *Endpoint
	look := func(i uint32) *Endpoint {
		if barred != nil && barred[i] {
			return nil
		}
		e := m.members[i]
		if ch.tried(e) {
			if used == nil {
				used = e
			}
			return nil
		}
		return e
	}
	// Other slots take over for one that cannot be used, the same for the same key.
	const others = 64
	for range others {
		if e := look(m.slots[key%uint64(len(m.slots))]); e != nil {
			return e
		}
		key = mix(key)
	}
	n := uint64(len(m.members))
	for i := range n {
		if e := look(uint32((key + i) % n)); e != nil {
			return e
		}
	}
	return used
}

// prime returns the first prime from n up.
func prime(n int) int {
	for ; ; n++ {
		divisor := 2
		for divisor*divisor <= n && n%divisor != 0 {
			divisor++
		}
		if divisor*divisor > n {
			return n
		}
	}
}
