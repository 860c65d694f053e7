package kube

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

// replica is a candidate for a lease.
type replica struct {
	leads atomic.Bool
	terms atomic.Int32
	stop  func()
	done  chan struct{}
}

// severed is the way to an API server that can be cut.
type severed struct {
	api *objectAPI
	cut atomic.Bool
}

// RoundTrip answers unless the way is cut; then it waits for as long as it may.
func (s *severed) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.cut.Load() {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return s.api.RoundTrip(r)
}

func newReplica(t *testing.T, way http.RoundTripper, holder string) *replica {
	t.Helper()
	c, err := New(Options{REST: &rest.Config{Host: "http://api.invalid", Transport: way}, Namespace: "edge", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &replica{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		c.Lead(ctx, &Lease{Namespace: "edge", Name: "the-lease", Holder: holder}, func(ctx context.Context) {
			r.terms.Add(1)
			r.leads.Store(true)
			defer r.leads.Store(false)
			<-ctx.Done()
		})
	}()
	t.Cleanup(r.end)
	return r
}

func (r *replica) end() {
	r.stop()
	<-r.done
}

const leasePath = "/apis/coordination.k8s.io/v1/namespaces/edge/leases/the-lease"

func leaseOf(t *testing.T, a *objectAPI) (l leaseObject) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	text, _ := json.Marshal(a.objects[leasePath])
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestOneLeads: the second waits for as long as the first renews, and follows at once when that
// gives the lease back.
func TestOneLeads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		first := newReplica(t, a, "gw-1")
		pause(time.Second)
		second := newReplica(t, a, "gw-2")
		pause(time.Hour)
		if !first.leads.Load() || second.leads.Load() || first.terms.Load() != 1 {
			t.Fatalf("first %t, second %t", first.leads.Load(), second.leads.Load())
		}
		if l := leaseOf(t, a).Spec; l.Holder != "gw-1" || l.Seconds != 15 || l.Acquired == "" || l.Acquired == l.Renewed || l.Transitions != 0 {
			t.Errorf("the lease: %+v", l)
		}
		first.end()
		pause(4 * time.Second)
		if !second.leads.Load() {
			t.Error("the second does not lead 4 s after the first has ended")
		}
		if l := leaseOf(t, a).Spec; l.Holder != "gw-2" || l.Transitions != 1 {
			t.Errorf("the lease: %+v", l)
		}
	})
}

// TestLeaseExpires: a leader that is cut off stops before another may begin, and is none when it is
// back.
func TestLeaseExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		gone := &severed{api: a}
		first := newReplica(t, gone, "gw-1")
		pause(time.Second)
		second := newReplica(t, a, "gw-2")
		pause(time.Minute)
		gone.cut.Store(true)
		began := time.Now()
		for first.leads.Load() {
			pause(100 * time.Millisecond)
		}
		if took := time.Since(began); took > leaseDeadline+leaseRetry {
			t.Errorf("it stopped after %s", took)
		}
		if second.leads.Load() {
			t.Error("two lead")
		}
		for !second.leads.Load() {
			pause(100 * time.Millisecond)
		}
		// One attempt sees the last renewal, and the lease's time runs from there by the clock of
		// who looks; another attempt finds it over.
		if took := time.Since(began); took > leaseDuration+2*(leaseRetry+leaseJitter)+100*time.Millisecond {
			t.Errorf("another leads after %s", took)
		}
		gone.cut.Store(false)
		pause(time.Minute)
		if first.leads.Load() || !second.leads.Load() {
			t.Error("the first leads again though the second does")
		}
	})
}

// late is the way to an API server that does at once what it is asked to write, and says so
// late; then the way is cut.
type late struct {
	severed
	delay time.Duration
}

// RoundTrip answers the first write after the delay.
func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.severed.RoundTrip(r)
	if r.Method != http.MethodGet && !l.cut.Swap(true) {
		time.Sleep(l.delay)
	}
	return answer, err
}

// TestLeaseAnsweredLate: a leader's time runs from when it asked for the lease, not from when it
// learned that it has it.
func TestLeaseAnsweredLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		first := newReplica(t, &late{severed: severed{api: a}, delay: leaseDeadline - time.Second}, "gw-1")
		pause(time.Second)
		second := newReplica(t, a, "gw-2")
		for !second.leads.Load() {
			pause(100 * time.Millisecond)
			if first.leads.Load() && second.leads.Load() {
				t.Fatal("two lead")
			}
		}
		if first.terms.Load() != 1 {
			t.Error("the first has never led")
		}
	})
}

// TestLeaseTaken: a leader that finds another's name there stops.
func TestLeaseTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		r := newReplica(t, a, "gw-1")
		pause(time.Second)
		a.set(leasePath, `{"metadata":{"name":"the-lease","namespace":"edge","labels":{"a":"b"}},"spec":{"holderIdentity":"thief","leaseDurationSeconds":15}}`)
		pause(3 * time.Second)
		if r.leads.Load() {
			t.Error("it leads on")
		}
		pause(20 * time.Second)
		if !r.leads.Load() || r.terms.Load() != 2 {
			t.Error("it does not lead though nothing is heard of the other")
		}
		if l := leaseOf(t, a); l.Metadata["labels"] == nil || l.Spec.Transitions != 1 {
			t.Errorf("the lease: %+v", l)
		}
	})
}

// TestFollowersWriteNothing: they neither read nor write objects; and without permission for the
// lease nobody does, which is said once.
func TestFollowersWriteNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		leader, _ := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		leader.bring("VirtualService", "reviews-vs", 1)
		leader.begin(t)
		pause(time.Second)
		follower, _ := newWriting(t, a, StatusOptions{Holder: "gw-2"})
		follower.bring("VirtualService", "reviews-vs", 1, bad("NoSubset", "http[0]", "seen by the follower only"))
		follower.begin(t)
		pause(time.Minute)
		if n := a.count("PATCH", ""); n != 1 {
			t.Errorf("%d writes", n)
		}
		denied := newObjectAPI(t)
		denied.answer("* /leases", 403)
		w, log := newWriting(t, denied, StatusOptions{Holder: "gw-1"})
		w.bring("VirtualService", "reviews-vs", 1)
		w.begin(t)
		pause(time.Minute)
		if denied.count("PATCH", "") != 0 || denied.count("GET", "/virtualservices") != 0 {
			t.Error("it writes without a lease")
		}
		if text := log.text(); strings.Count(text, "may not get, create and update leases.coordination.k8s.io in the namespace edge") != 1 {
			t.Errorf("the log:\n%s", text)
		}
	})
}

// TestLeaseNames: gateways with other labels have a lease of their own, and those with the same
// share one.
func TestLeaseNames(t *testing.T) {
	t.Parallel()
	name := func(o StatusOptions) string {
		w, _ := newWriting(t, newObjectAPI(t), o)
		return w.opt.Lease
	}
	a, b := map[string]string{"istio": "ingressgateway", "app": "gw"}, map[string]string{"istio": "egressgateway"}
	if got := name(StatusOptions{Labels: a}); got != name(StatusOptions{Labels: maps.Clone(a)}) || !strings.HasPrefix(got, DefaultLease+"-app-gw-istio-ingressgateway-") {
		t.Errorf("got %q", got)
	}
	if name(StatusOptions{Labels: a}) == name(StatusOptions{Labels: b}) {
		t.Error("gateways with other labels share a lease")
	}
	if got := name(StatusOptions{Labels: b, Lease: "mine"}); got != "mine" {
		t.Errorf("got %q", got)
	}
}

// TestWriterStopsWithItsLease: no request is made once the lease is lost.
func TestWriterStopsWithItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		w, _ := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		for i := range 1000 {
			w.bring("VirtualService", "vs-"+strings.Repeat("x", i/100)+string(rune('a'+i%26))+time.Duration(i).String(), 1)
		}
		w.begin(t)
		pause(5 * time.Second)
		a.set("/apis/coordination.k8s.io/v1/namespaces/edge/leases/"+DefaultLease, `{"metadata":{"name":"x"},"spec":{"holderIdentity":"thief","leaseDurationSeconds":3600}}`)
		pause(3 * time.Second)
		n := a.count("", "/virtualservices")
		pause(time.Minute)
		if after := a.count("", "/virtualservices"); after != n || n > 300 {
			t.Errorf("%d requests, then %d more", n, after-n)
		}
	})
}
