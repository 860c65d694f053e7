package trace

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestCloseWaitsOnce: a collector that no policy names any more, and that takes its time, holds
// up the end of the process once, however often the tracer is closed.
func TestCloseWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := New(Options{})
		tr.ending.Go(func() { time.Sleep(drainPatience) })
		began := time.Now()
		tr.Close()
		tr.Close()
		if took := time.Since(began); took != closePatience+time.Second/2 {
			t.Errorf("it took %v to close", took)
		}
		time.Sleep(drainPatience)
	})
}
