package recent

import (
	"math/bits"
	"time"
)

// tallyCarry is how many requests of a class a tally counts before it carries them over, so that
// 32 bits hold those of all six classes together.
const tallyCarry = 1 << 29

// tally is what one shard counted of one route. There may be thousands, so that it holds
// RouteCounts in little room: in narrow numbers, and of the buckets of Latency only the rows that
// times were in. The shard's lock guards all but listener, shard and next, which never change.
type tally struct {
	// listener is the route's, to be compared.
	listener *string

	classes [6]uint32
	failed  uint32
	// present has a bit for each of rows, which are the rows of four buckets that have times,
	// in order. The first bucket is alone in its row, the last of four, and so is the last.
	present uint32
	rows    [][rowBuckets]uint32
	sum     time.Duration
	// carried are counts beyond tallyCarry, and those that came from elsewhere; nil while there are
	// none.
	carried *RouteCounts

	shard uint8
	// next is the same route's in another shard.
	next *tally
}

// rowBuckets are the buckets of a row: an octave's.
const rowBuckets = 4

// add counts a request. It allocates where a time is in a row that none was in before.
func (t *tally) add(class int, failed bool, took time.Duration) {
	if t.classes[class] == tallyCarry {
		t.carry()
	}
	t.classes[class]++
	if failed {
		t.failed++
	}
	t.sum += took
	bucket := uint32(latencyBucket(took) + rowBuckets - 1)
	row := uint32(1) << (bucket / rowBuckets & 31)
	at := bits.OnesCount32(t.present & (row - 1))
	if t.present&row == 0 {
		t.insert(row, at)
	}
	t.rows[at][bucket%rowBuckets]++
}

// insert makes a row, which stands at a place among those that are there. They are never more
// than there are octaves, and each is made once, so that no room is kept for the next.
//
//go:noinline
func (t *tally) insert(row uint32, at int) {
	rows := make([][rowBuckets]uint32, len(t.rows)+1)
	copy(rows, t.rows[:at])
	copy(rows[at+1:], t.rows[at:])
	t.rows = rows
	t.present |= row
}

// carry moves all counts to where they have more room.
//
//go:noinline
func (t *tally) carry() {
	all := t.carried
	if all == nil {
		all = &RouteCounts{}
	}
	t.carried = nil
	t.addTo(all)
	t.carried = all
	t.classes, t.failed, t.sum = [6]uint32{}, 0, 0
	clear(t.rows)
}

// addWide adds what was counted elsewhere.
func (t *tally) addWide(c *RouteCounts) {
	if t.carried == nil {
		t.carried = &RouteCounts{}
	}
	t.carried.add(c)
}

// addTo adds what was counted to a sum.
func (t *tally) addTo(sum *RouteCounts) {
	if t.carried != nil {
		sum.add(t.carried)
	}
	for class, n := range t.classes {
		sum.Classes[class] += uint64(n)
		sum.Latency.Count += uint64(n)
	}
	sum.Failed += uint64(t.failed)
	sum.Latency.Sum += t.sum
	at := 0
	for present := t.present; present != 0; present &= present - 1 {
		first := bits.TrailingZeros32(present)*rowBuckets - (rowBuckets - 1)
		for column, n := range t.rows[at] {
			if n > 0 {
				sum.Latency.Buckets[first+column] += uint64(n)
			}
		}
		at++
	}
}
