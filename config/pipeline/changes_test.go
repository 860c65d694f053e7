package pipeline_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
)

// TestChanges changes objects of all kinds at random: whatever came before, and however it came,
// what is in force is what a pipeline makes of it that sees the last state alone. That is the
// table, what it makes of requests, the conditions, and what is asked of sources and said of
// statuses. SLUICE_CHANGES is how many seeds to try, and SLUICE_CHANGES_FROM the first.
func TestChanges(t *testing.T) {
	seeds, first := number("SLUICE_CHANGES", 2), number("SLUICE_CHANGES_FROM", 1)
	for _, name := range slices.Sorted(maps.Keys(views)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := first; seed < first+seeds && !t.Failed(); seed++ {
				replay(t, views[name], seed)
			}
		})
	}
}

// number reads a number from the environment.
func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 32); err == nil {
		return n
	}
	return otherwise
}

// replay makes the changes of a seed.
func replay(t *testing.T, v view, seed uint64) {
	c := newChanger(seed)
	c.only = c.only[:min(manifests, 4+c.IntN(2*manifests))]
	var all [][]edit
	for step := range 30 {
		all = append(all, c.change(step))
	}
	step, diff := firstDifference(v, all)
	if diff == "" {
		return
	}
	all = reduce(v, all[:step+1])
	var b strings.Builder
	for i, edits := range all {
		fmt.Fprintf(&b, "===== change %d\n", i)
		for _, e := range edits {
			b.WriteString(e.String())
		}
	}
	_, reduced := firstDifference(v, all)
	t.Errorf("seed %d, step %d; reduced to:\n%s%s", seed, step, b.String(), cmp.Or(reduced, diff))
}

// firstDifference makes changes, and returns the first after which there is a difference, and
// which.
func firstDifference(v view, all [][]edit) (int, string) {
	h := &history{changer: newChanger(1), known: map[config.Key]*written{}, inUse: map[config.Key]bool{}}
	proxy := newProxy(v)
	for step, edits := range all {
		proxy.apply(h.apply(edits))
		want := newProxy(v)
		for _, d := range h.again() {
			want.apply(d)
		}
		if diff := proxy.differs(want, h.requests()); diff != "" {
			return step, diff
		}
		h.settle(want.table)
	}
	return 0, ""
}

// reduce leaves out of changes what makes no difference to there being one.
func reduce(v view, all [][]edit) [][]edit {
	fails := func(all [][]edit) bool {
		for range 2 {
			if _, diff := firstDifference(v, all); diff != "" {
				return true
			}
		}
		return false
	}
	for n := len(all); n > 1; {
		n = (n + 1) / 2
		for at := 0; at < len(all); {
			if some := slices.Delete(slices.Clone(all), at, min(at+n, len(all))); fails(some) {
				all = some
			} else {
				at += n
			}
		}
	}
	for at := range all {
		for n := len(all[at]) + 1; n > 1; {
			n = (n + 1) / 2
			for from := 0; from < len(all[at]); {
				some := slices.Clone(all)
				some[at] = slices.Delete(slices.Clone(all[at]), from, min(from+n, len(all[at])))
				if fails(some) {
					all = some
				} else {
					from += n
				}
			}
		}
	}
	return all
}
