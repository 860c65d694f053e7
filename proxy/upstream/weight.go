package upstream

import (
	"cmp"
	"math/bits"
	"slices"
)

// scheduleSize bounds a weighted schedule, scheduleTurns how many turns each endpoint has
// in one at least as an average where there are more endpoints; weights are scaled to fit.
const (
	scheduleSize  = 4096
	scheduleTurns = 8
)

// allEqual tells whether the weights are.
func allEqual(weights []uint64) bool {
	for _, w := range weights {
		if w != weights[0] {
			return false
		}
	}
	return true
}

// newSchedule spreads indexes by weight: the k-th turn of each stands at the k-th part of
// the round that its weight makes (earliest deadline first), shifted by its place so that
// the turns of equals do not fall together.
func newSchedule(weights []uint64) []uint32 {
	turns := turnsOf(weights)
	type turn struct {
		at    float64
		index uint32
	}
	var all []turn
	for i, n := range turns {
		shift := (float64(i) + 0.5) / float64(len(turns))
		for k := range n {
			all = append(all, turn{(float64(k) + shift) / float64(n), uint32(i)})
		}
	}
	slices.SortFunc(all, func(a, b turn) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.index, b.index))
	})
	schedule := make([]uint32, len(all))
	for i, t := range all {
		schedule[i] = t.index
	}
	return schedule
}

// turnsOf returns how many turns each weight has in a round.
func turnsOf(weights []uint64) []uint64 {
	var divisor, total uint64
	for _, w := range weights {
		divisor = gcd(divisor, w)
		total += w
	}
	size := uint64(max(scheduleSize, scheduleTurns*len(weights)))
	turns := make([]uint64, len(weights))
	for i, w := range weights {
		turns[i] = w / divisor
		if total/divisor > size {
			high, low := bits.Mul64(w, size)
			quotient, _ := bits.Div64(high, low, total)
			turns[i] = max(1, quotient)
		}
	}
	return turns
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// draw picks an index by weight in constant time: Walker's alias method, in the form of
// Vose (A linear algorithm for generating random numbers with a given distribution, 1991).
type draw struct {
	// keep is how much of each slot, in 1/2^32, is its own; the rest is other's.
	keep  []uint64
	other []uint32
}

// newDraw makes a draw for weights above 0.
func newDraw(weights []uint64) *draw {
	n := len(weights)
	d := &draw{keep: make([]uint64, n), other: make([]uint32, n)}
	var total float64
	for _, w := range weights {
		total += float64(w)
	}
	part := make([]float64, n)
	var small, large []int
	for i, w := range weights {
		part[i] = float64(w) * float64(n) / total
		if part[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		d.keep[s], d.other[s] = uint64(part[s]*(1<<32)), uint32(l)
		if part[l] -= 1 - part[s]; part[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		d.keep[i] = 1 << 32
	}
	return d
}

// at returns the index that a random number stands for.
func (d *draw) at(random uint64) uint64 {
	slot, rest := bits.Mul64(random, uint64(len(d.keep)))
	if rest>>32 < d.keep[slot] {
		return slot
	}
	return uint64(d.other[slot])
}
