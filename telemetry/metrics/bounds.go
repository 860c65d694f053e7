package metrics

import "math/bits"

// MaxBuckets is how many bounds a histogram may have, beside infinity.
const MaxBuckets = 31

// bounds are those of a histogram's buckets.
type bounds struct {
	// upper are as they are shown, and limits the same in what is counted.
	upper  []float64
	limits []int64
	// first is, by the length in bits of a value, the first bucket that it may be in.
	first [65]uint8
}

// newBounds returns bounds for values of which scale make one of upper's.
func newBounds(upper []float64, scale float64) *bounds {
	b := &bounds{upper: upper, limits: make([]int64, len(upper))}
	for i, u := range upper {
		b.limits[i] = int64(u * scale)
	}
	for n := 1; n <= 64; n++ {
		smallest := int64(1) << (n - 1)
		if n == 64 { // beyond what is counted
			smallest = 1<<63 - 1
		}
		b.first[n] = uint8(b.from(0, smallest))
	}
	return b
}

// bucket returns the number of the bucket that a value, not negative, is in.
func (b *bounds) bucket(v int64) int { return b.from(int(b.first[bits.Len64(uint64(v))]), v) }

func (b *bounds) from(i int, v int64) int {
	for ; i < len(b.limits); i++ {
		if v <= b.limits[i] {
			break
		}
	}
	return i
}

// counts is a histogram on the request path: each value is in one bucket, the last beyond all
// bounds.
type counts struct {
	buckets [MaxBuckets + 1]uint32
	sum     uint64
}

func (c *counts) add(b *bounds, v int64) {
	v = max(v, 0)
	c.buckets[b.bucket(v)]++
	c.sum += uint64(v)
}

// Histogram is how often values were in which bucket.
type Histogram struct {
	// Bounds are the upper bounds of all buckets but the last, which has none; Counts has one
	// number more.
	Bounds []float64
	Counts []uint64
	// Sum is that of all values.
	Sum float64
}

func newHistogram(b *bounds) Histogram {
	return Histogram{Bounds: b.upper, Counts: make([]uint64, len(b.upper)+1)}
}

// add adds what was counted; unit is how many of its values make one here.
func (h *Histogram) add(c *counts, unit float64) {
	for i := range h.Counts {
		h.Counts[i] += uint64(c.buckets[i])
	}
	h.Sum += float64(c.sum) / unit
}

// Total returns the number of values.
func (h *Histogram) Total() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile returns the value that the share q (0 to 1) of values does not exceed, as Prometheus
// does: by a straight line within a bucket. It is 0 where there are no values, and the highest
// bound where the answer is beyond it.
func (h *Histogram) Quantile(q float64) float64 {
	total := float64(h.Total())
	if total == 0 || len(h.Bounds) == 0 {
		return 0
	}
	rank, below := q*total, 0.0
	for i, upper := range h.Bounds {
		n := float64(h.Counts[i])
		if below+n >= rank && n > 0 {
			lower := 0.0
			if i > 0 {
				lower = h.Bounds[i-1]
			}
			return lower + (upper-lower)*max(0, rank-below)/n
		}
		below += n
	}
	return h.Bounds[len(h.Bounds)-1]
}
