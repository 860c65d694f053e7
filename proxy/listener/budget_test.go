package listener

import (
	"runtime"
	"sync"
	"testing"
)

// TestBudgetAtItsEnd: of two that ask for the one place that is left, one has it, though the
// other asked just before there was one.
func TestBudgetAtItsEnd(t *testing.T) {
	t.Parallel()
	b := NewBudget(1)
	for round := range 20_000 {
		b.Take()
		var first, second bool
		var both sync.WaitGroup
		both.Go(func() { first = b.Take() })
		both.Go(func() {
			if round%2 == 0 {
				runtime.Gosched()
			}
			b.Give()
			second = b.Take()
		})
		both.Wait()
		if first == second {
			t.Fatalf("round %d: both had it: %t", round, first)
		}
		b.Give()
		if b.Open() != 0 {
			t.Fatalf("round %d: %d places are taken", round, b.Open())
		}
	}
}
