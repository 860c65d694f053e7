//go:build !race

package upstream

import "testing"

// In the steady state a stream costs no memory. The race detector's would.
func TestSharedAllocations(t *testing.T) {
	b := shareBench(t, nil, nil, "a:1")
	e := b.endpoint("a:1")
	b.over("a:1", b.share("a:1"))
	n := testing.AllocsPerRun(1000, func() {
		up, _, err := b.c.Acquire(e, &Need{}, false, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.c.Release(e, up, Report{Status: 200})
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
