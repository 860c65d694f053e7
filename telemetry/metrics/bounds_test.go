package metrics

import (
	"testing"
	"time"
)

func TestHistograms(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	ex := exchange() // 3.2 ms, 432 and 5363 bytes
	for range 3 {
		m.Complete(0, ex)
	}
	ex.End = ex.Start + int64(2*time.Hour)
	m.Complete(0, ex)
	for name, want := range map[string]struct {
		sum     float64
		le      float64
		buckets uint64 // of le
		below   uint64 // of the bound before
	}{
		"istio_request_duration_milliseconds": {3*3.2 + 7_200_000, 5, 3, 0},
		"istio_request_bytes":                 {4 * 432, 500, 4, 0},
		"istio_response_bytes":                {4 * 5363, 10_000, 4, 0},
	} {
		list := gather(t, m, name)
		if len(list) != 1 {
			t.Fatalf("%s: %d series", name, len(list))
		}
		h := list[0].GetHistogram()
		if h.GetSampleCount() != 4 || h.GetSampleSum() < want.sum-0.001 || h.GetSampleSum() > want.sum+0.001 {
			t.Errorf("%s: %d values of sum %v, want 4 of %v", name, h.GetSampleCount(), h.GetSampleSum(), want.sum)
		}
		if len(h.Bucket) != len(DefaultBuckets) {
			t.Errorf("%s: %d buckets", name, len(h.Bucket))
		}
		for i, b := range h.Bucket {
			if b.GetUpperBound() == want.le && (b.GetCumulativeCount() != want.buckets || h.Bucket[i-1].GetCumulativeCount() != want.below) {
				t.Errorf("%s: %d up to %v and %d below, want %d and %d", name, b.GetCumulativeCount(), want.le, h.Bucket[i-1].GetCumulativeCount(), want.buckets, want.below)
			}
		}
	}
}

// Other bounds, as with Istio's annotation.
func TestBuckets(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Buckets: []float64{1, 10, 1000}})
	m.Complete(0, exchange())
	h := gather(t, m, "istio_request_duration_milliseconds")[0].GetHistogram()
	if len(h.Bucket) != 3 || h.Bucket[0].GetCumulativeCount() != 0 || h.Bucket[1].GetCumulativeCount() != 1 {
		t.Errorf("buckets %v", h.Bucket)
	}
}

// FuzzBounds: every value is in the first bucket whose bound it does not exceed.
func FuzzBounds(f *testing.F) {
	for _, v := range []int64{0, 1, 499_999, 500_000, 500_001, 1 << 40, 1<<63 - 1} {
		f.Add(v)
	}
	b := newBounds(DefaultBuckets, float64(time.Millisecond))
	f.Fuzz(func(t *testing.T, v int64) {
		if v < 0 {
			return
		}
		want := 0
		for want < len(b.limits) && v > b.limits[want] {
			want++
		}
		if got := b.bucket(v); got != want {
			t.Errorf("%d is in bucket %d, want %d", v, got, want)
		}
	})
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	h := Histogram{Bounds: []float64{10, 20}, Counts: []uint64{10, 10, 0}}
	for q, want := range map[float64]float64{0: 0, 0.25: 5, 0.5: 10, 0.75: 15, 1: 20} {
		if got := h.Quantile(q); got != want {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if got := (&Histogram{Bounds: []float64{10}, Counts: []uint64{0, 4}}).Quantile(0.5); got != 10 {
		t.Errorf("beyond all bounds: %v", got)
	}
	if got := (&Histogram{}).Quantile(0.5); got != 0 {
		t.Errorf("nothing: %v", got)
	}
}
