package istio

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSortedListKeepsStep makes few and many changes at a time and holds the list to a set.
func TestSortedListKeepsStep(t *testing.T) {
	t.Parallel()
	type item struct{ n, version int }
	random := rand.New(rand.NewPCG(1, 2))
	l := sortedList[*item]{compare: func(a, b *item) int { return cmp.Compare(a.n, b.n) }}
	want := map[int]*item{}
	for round := range 2000 {
		for range random.IntN(30) {
			n := random.IntN(100)
			switch have := want[n]; {
			case have != nil && random.IntN(3) == 0:
				// Another one takes its place.
				l.set(have, false)
				want[n] = &item{n, round}
				l.set(want[n], true)
			case have != nil:
				l.set(have, false)
				delete(want, n)
			default:
				want[n] = &item{n, round}
				l.set(want[n], true)
			}
		}
		got := l.list()
		if len(got) != len(want) || !slices.IsSortedFunc(got, l.compare) {
			t.Fatalf("round %d: %d items, want %d", round, len(got), len(want))
		}
		for _, it := range got {
			if want[it.n] != it {
				t.Fatalf("round %d: %v, want %v", round, it, want[it.n])
			}
		}
	}
}
