package generate

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestHistogramQuantiles compares with the exact ones.
func TestHistogramQuantiles(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	var halves [2]Histogram
	for i := range 100_000 {
		d := time.Duration(float64(time.Microsecond) * (1 + 1000*rnd.ExpFloat64()*rnd.ExpFloat64()))
		all = append(all, d)
		halves[i%2].Add(d)
	}
	h := &halves[0]
	h.Merge(&halves[1])
	slices.Sort(all)
	for _, q := range []float64{0, .01, .5, .9, .99, .999, .9999, 1} {
		want := all[max(int(q*float64(len(all))+.5), 1)-1]
		if got := h.Quantile(q); got < want*99/100 || got > want*101/100 {
			t.Errorf("quantile %v is %s, want %s", q, got, want)
		}
	}
	if h.Count() != len(all) || h.Max() != all[len(all)-1] {
		t.Errorf("%d times up to %s, want %d up to %s", h.Count(), h.Max(), len(all), all[len(all)-1])
	}
}

// TestHistogramEdges has times outside of what it tells apart.
func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(.5) != 0 || h.Mean() != 0 {
		t.Error("an empty histogram has a quantile or a mean")
	}
	for _, d := range []time.Duration{-1, 0, time.Nanosecond, time.Minute, time.Hour} {
		h.Add(d)
	}
	if got := h.Quantile(.2); got > 2*time.Microsecond {
		t.Errorf("the lowest is %s", got)
	}
	if got := h.Quantile(.8); got < time.Minute*99/100 || got > time.Minute*101/100 {
		t.Errorf("a minute counts as %s", got)
	}
	if h.Max() != time.Hour {
		t.Errorf("the longest is %s", h.Max())
	}
}

// TestHistogramAllocates nothing.
func TestHistogramAllocates(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Add(time.Millisecond) }); n > 0 {
		t.Errorf("%v allocations to add a time", n)
	}
}
