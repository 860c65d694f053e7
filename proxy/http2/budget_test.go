package http2

import (
	"runtime"
	"testing"
)

// TestNoAllocations: in the steady state a request costs no allocation, whether it comes alone
// or with others.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and empties pools")
	}
	s := serve(t, Options{Handler: fixed})
	for _, streams := range []int{1, 32} {
		const n = 20000
		load(t, s.listener.Addr().String(), n, streams)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		load(t, s.listener.Addr().String(), n, streams)
		runtime.ReadMemStats(&after)
		// A collection empties the pools, and connecting costs some.
		if each := float64(after.Mallocs-before.Mallocs) / n; each > 0.1 {
			t.Errorf("%.2f allocations a request with %d streams", each, streams)
		}
	}
}
