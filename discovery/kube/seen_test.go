package kube

import (
	"strings"
	"testing"
	"time"
)

// TestSeen: a change says when the cluster told of it; the first delta says nothing.
func TestSeen(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	bookinfo(f)
	w := follow(t, bookinfoOptions(f))
	w.wants(bookinfoNames)
	began := time.Now()
	f.set("gateways", "edge/new", "", `"spec":{}`)
	w.eventually("the new Gateway", func() bool { return strings.Contains(w.names(), "Gateway edge/new") })
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.deltas[0].Seen.IsZero() {
		t.Errorf("the first delta was seen at %v", w.deltas[0].Seen)
	}
	if seen := w.deltas[len(w.deltas)-1].Seen; seen.Before(began) || seen.After(time.Now()) {
		t.Errorf("the change was seen at %v, not since %v", seen, began)
	}
}
