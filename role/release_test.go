package role

import (
	"runtime"
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
	if percent := debug.SetGCPercent(100); percent != paced(100, live()) {
		t.Errorf("GC percent %d after the loads", percent)
	}
	go r.follow(stop)
	for deadline := time.Now().Add(20 * time.Second); released() < before+32<<20; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes were given back", released()-before)
		}
	}
}

// TestPaced: a small heap gets room, unless somebody has decided.
func TestPaced(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		asked int
		live  int64
		want  int
	}{
		{100, 0, 400}, {100, 1 << 20, 400}, {100, 4 << 20, 400}, {100, 8 << 20, 200}, {100, 16 << 20, 100}, {100, 1 << 30, 100},
		{50, 1 << 20, 50}, {300, 1 << 20, 300}, {-1, 1 << 20, -1},
	} {
		if got := paced(test.asked, test.live); got != test.want {
			t.Errorf("paced(%d, %d) = %d, want %d", test.asked, test.live, got, test.want)
		}
	}
}

// TestPaceFollows: a heap that traffic has made large has no more garbage than Go's own pace
// allows, and a small one gets its room back.
func TestPaceFollows(t *testing.T) {
	own := debug.SetGCPercent(100)
	defer debug.SetGCPercent(own)
	newRelease().after()
	now := func() int {
		runtime.GC()
		pace()
		percent := debug.SetGCPercent(100)
		debug.SetGCPercent(percent)
		return percent
	}
	small := now()
	large := make([]byte, 10*leastHeadroom)
	if percent := now(); percent != defaultPercent {
		t.Errorf("GC percent %d with %d bytes in use", percent, len(large))
	}
	runtime.KeepAlive(large)
	large = nil
	if percent := now(); small <= defaultPercent || percent <= defaultPercent {
		t.Errorf("GC percent %d with little in use, %d before", percent, small)
	}
}

// released is how many bytes of the heap are with the system.
func released() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
