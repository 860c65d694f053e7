package recent

import (
	"encoding/json"
	"math/bits"
	"time"
)

const (
	// firstBound is what fits into the first bucket, in microseconds: a power of two.
	firstBound = 64
	// octaves are the powers of two above it that have buckets, four each: to 67 s.
	octaves = 20
	// latencyBuckets are those, the first, and one for what takes longer.
	latencyBuckets = 1 + 4*octaves + 1
)

// Latency is a histogram of times. The zero value is empty.
type Latency struct {
	// Count and Sum are of all times.
	Count uint64
	Sum   time.Duration
	// Buckets count them by LatencyBound, each for itself.
	Buckets [latencyBuckets]uint64
}

// LatencyBound returns the longest time that is counted in a bucket.
func LatencyBound(bucket int) time.Duration {
	if bucket == 0 {
		return firstBound * time.Microsecond
	}
	octave, quarter := (bucket-1)/4, (bucket-1)%4
	return time.Duration((5+quarter)*firstBound/4<<octave) * time.Microsecond
}

// latencyBucket returns the bucket for a time.
func latencyBucket(d time.Duration) int {
	us := uint64(max(d, 0)) / 1000
	if us < firstBound {
		return 0
	}
	length := bits.Len64(us)
	octave := length - bits.Len64(firstBound)
	return min(1+4*octave+int(us>>(length-3)&3), latencyBuckets-1)
}

// Add adds other's times.
func (l *Latency) Add(other *Latency) {
	l.Count += other.Count
	l.Sum += other.Sum
	for i, n := range other.Buckets {
		l.Buckets[i] += n
	}
}

// Since returns the times that came after l was as earlier says.
func (l Latency) Since(earlier *Latency) Latency {
	l.Count -= earlier.Count
	l.Sum -= earlier.Sum
	for i, n := range earlier.Buckets {
		l.Buckets[i] -= n
	}
	return l
}

// Quantile returns the time that a share of all, from 0 to 1, does not exceed, to a fifth; 0
// where there are none.
func (l *Latency) Quantile(q float64) time.Duration {
	if l.Count == 0 {
		return 0
	}
	rank := q * float64(l.Count)
	var below float64
	for i, n := range l.Buckets {
		if n == 0 {
			continue
		}
		if below+float64(n) >= rank {
			var from time.Duration
			if i > 0 {
				from = LatencyBound(i - 1)
			}
			share := max(rank-below, 0) / float64(n)
			return from + time.Duration(share*float64(LatencyBound(i)-from))
		}
		below += float64(n)
	}
	return LatencyBound(latencyBuckets - 1)
}

// latencyJSON is a Latency for programs: buckets without the empty ones at the end.
type latencyJSON struct {
	Count   uint64   `json:"count"`
	Sum     float64  `json:"sumMs"`
	P50     float64  `json:"p50Ms"`
	P95     float64  `json:"p95Ms"`
	P99     float64  `json:"p99Ms"`
	Buckets []uint64 `json:"buckets"`
}

// MarshalJSON implements json.Marshaler. The bounds of the buckets are LatencyBound's.
func (l Latency) MarshalJSON() ([]byte, error) {
	n := len(l.Buckets)
	for n > 0 && l.Buckets[n-1] == 0 {
		n--
	}
	return json.Marshal(latencyJSON{
		Count: l.Count, Sum: milliseconds(l.Sum), Buckets: append([]uint64{}, l.Buckets[:n]...),
		P50: milliseconds(l.Quantile(0.5)), P95: milliseconds(l.Quantile(0.95)), P99: milliseconds(l.Quantile(0.99)),
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Latency) UnmarshalJSON(text []byte) error {
	var j latencyJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*l = Latency{Count: j.Count, Sum: time.Duration(j.Sum * float64(time.Millisecond))}
	copy(l.Buckets[:], j.Buckets)
	return nil
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
