package role

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// TestRelease: what a change leaves behind goes back to the system without anybody waiting for
// it, and the GC percent is the program's own again after the first load.
func TestRelease(t *testing.T) {
	own := debug.SetGCPercent(100)
	defer debug.SetGCPercent(own)
	r := newRelease()
	if other := newRelease(); other != nil {
		other.after()
	}
	if percent := debug.SetGCPercent(firstLoadPercent); percent != firstLoadPercent {
		t.Errorf("GC percent %d while one of two processes loads", percent)
	}
	stop := make(chan struct{})
	defer close(stop)
	garbage := make([]*[1 << 16]byte, 1000)
	for i := range garbage {
		garbage[i] = new([1 << 16]byte)
	}
	clear(garbage)
	before := released()
	r.after()
	if percent := debug.SetGCPercent(100); percent != 100 {
		t.Errorf("GC percent %d after the loads", percent)
	}
	go r.follow(stop)
	for deadline := time.Now().Add(20 * time.Second); released() < before+32<<20; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes were given back", released()-before)
		}
	}
}

// released is how many bytes of the heap are with the system.
func released() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
