package listener

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestCrew: all work is done, at once where nobody rests; no more goroutines rest than may, and
// all end when they are dismissed, those that are at work with that.
func TestCrew(t *testing.T) {
	// Of a test before this one some may be about to end, so that fewer may be left in the end.
	before := runtime.NumGoroutine()
	var w crew
	var done atomic.Int64
	var all sync.WaitGroup
	hold := make(chan struct{})
	for range 3 * mostResting {
		all.Add(1)
		w.do(func() { defer all.Done(); <-hold; done.Add(1) })
	}
	close(hold)
	all.Wait()
	for range 1000 {
		all.Add(1)
		w.do(func() { defer all.Done(); done.Add(1) })
	}
	all.Wait()
	if got := done.Load(); got != 3*mostResting+1000 {
		t.Errorf("%d pieces of work were done", got)
	}
	settled(t, func() bool { return runtime.NumGoroutine()-before <= mostResting })
	last := make(chan struct{})
	w.do(func() { <-last })
	w.dismiss()
	settled(t, func() bool { return runtime.NumGoroutine()-before <= 1 })
	close(last)
	settled(t, func() bool { return runtime.NumGoroutine() <= before })
	w.do(func() { done.Store(-1) })
	settled(t, func() bool { return done.Load() == -1 && runtime.NumGoroutine() <= before })
}

// settled waits until what is looked at holds.
func settled(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines", runtime.NumGoroutine())
		}
	}
}
