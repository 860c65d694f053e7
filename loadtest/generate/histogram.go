package generate

import (
	"math/bits"
	"time"
)

const (
	// subBits is how finely a power of two is divided: 128 buckets, each 0.8 % wide at most.
	subBits = 7
	// lowest and highest are the powers of two, in nanoseconds, that bound what is told
	// apart: half a microsecond and 69 s.
	lowest, highest = 9, 36
)

// Histogram counts times in buckets of under 1 % width from half a microsecond to 69 s; shorter and longer
// ones fall in the first and the last. The zero Histogram is empty. It is of fixed size, adding
// allocates nothing, and it is not for concurrent use.
type Histogram struct {
	counts [(highest - lowest) << subBits]uint64
	n      uint64
	sum    time.Duration
	max    time.Duration
}

// Add counts a time.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(d)]++
	h.n++
	h.sum += d
	h.max = max(h.max, d)
}

// bucket is the index of the bucket that a time falls in.
func bucket(d time.Duration) int {
	if d < 1<<lowest {
		return 0
	}
	power := bits.Len64(uint64(d)) - 1
	if power >= highest {
		return len(Histogram{}.counts) - 1
	}
	return (power-lowest)<<subBits | int(d>>(power-subBits))&(1<<subBits-1)
}

// middle is the time in the middle of a bucket.
func middle(i int) time.Duration {
	width := time.Duration(1) << (i>>subBits + lowest - subBits)
	return (1<<subBits|time.Duration(i&(1<<subBits-1)))*width + width/2
}

// Count returns how many times were added.
func (h *Histogram) Count() int { return int(h.n) }

// Mean returns their mean, exactly; 0 where there are none.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return h.sum / time.Duration(h.n)
}

// Max returns the longest, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the time that the share q (0 to 1) of all did not exceed, to within 1 %; 0
// where there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q*float64(h.n) + .5)
	rank = min(max(rank, 1), h.n)
	for i, seen := 0, uint64(0); i < len(h.counts) && rank > 0; i++ {
		if seen += h.counts[i]; seen >= rank {
			return min(middle(i), h.max)
		}
	}
	return 0
}

// Merge adds what another has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.n += other.n
	h.sum += other.sum
	h.max = max(h.max, other.max)
}
