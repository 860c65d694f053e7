package recent

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestTally: a tally has what wide numbers have, before and after they are carried over.
func TestTally(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var narrow tally
	var wide RouteCounts
	for range 20_000 {
		class, failed := random.IntN(6), random.IntN(3) == 0
		took := time.Duration(random.Int64N(int64(time.Minute)))>>random.IntN(40) - time.Nanosecond
		narrow.add(class, failed, took)
		wide.Classes[class]++
		if failed {
			wide.Failed++
		}
		wide.Latency.add(took)
		if random.IntN(1000) == 0 {
			narrow.carry()
		}
	}
	sum := RouteCounts{}
	if narrow.addTo(&sum); sum != wide {
		t.Errorf("got %+v, want %+v", sum, wide)
	}
}

// TestTallyNeverOverflows: at its limit it begins anew, and forgets nothing.
func TestTallyNeverOverflows(t *testing.T) {
	t.Parallel()
	var c tally
	c.add(2, true, time.Millisecond)
	for class := range c.classes {
		c.classes[class] = tallyCarry
	}
	const all = 6 * tallyCarry
	c.failed, c.rows[0] = all, [rowBuckets]uint32{0, 0, 0, all}
	for range 3 {
		c.add(2, true, time.Millisecond)
	}
	var sum RouteCounts
	c.addTo(&sum)
	if sum.Requests() != all+3 || sum.Failed != all+3 || sum.Latency.Count != all+3 {
		t.Errorf("%d requests, %d failed, %d times, want %d", sum.Requests(), sum.Failed, sum.Latency.Count, uint64(all+3))
	}
	if c.classes[2] != 3 || len(c.rows) != 1 {
		t.Errorf("it goes on with %d, in %d rows", c.classes[2], len(c.rows))
	}
}

// TestTallyHoldsNoEmptyRows: its size follows from what times there were.
func TestTallyHoldsNoEmptyRows(t *testing.T) {
	t.Parallel()
	var c tally
	for _, took := range []time.Duration{time.Hour, 0, 1200 * time.Microsecond, 1100 * time.Microsecond, time.Second} {
		c.add(2, false, took)
	}
	if len(c.rows) != 4 {
		t.Errorf("%d rows", len(c.rows))
	}
}
