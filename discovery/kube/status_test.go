package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/config"
)

// begin has a writer write until the test's bubble ends, and returns what ends it before.
func (w *writing) begin(t *testing.T) (end func()) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.write(ctx)
	}()
	end = func() {
		stop()
		<-done
	}
	t.Cleanup(end)
	return end
}

// pause lets time pass, and then what runs come to rest.
func pause(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func reconciledOf(t *testing.T, a *objectAPI, path string) (istioStatus, istioCondition) {
	t.Helper()
	s := readIstioStatus(a.statusOf(path))
	i, c := s.ours()
	if i < 0 {
		t.Fatalf("%s: no condition in %s", path, a.statusOf(path))
	}
	return s, c
}

// TestStatusFollowsConditions: what is wrong with an object stands in its status, with the
// generation that it is about, and goes when it is mended. Nothing is written twice.
func TestStatusFollowsConditions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		w, _ := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		path := istioPath + "virtualservices/reviews-vs"
		a.set(path, `{"metadata":{},"status":{"conditions":[{"type":"Other","status":"True"}],"theirs":1}}`)
		w.bring("VirtualService", "reviews-vs", 3,
			config.Condition{Severity: config.Warning, Reason: "Unreachable", Field: "http[1]", Message: "it is never reached"},
			bad("NoSubset", "http[0].route[0].destination.subset", `no subset "v4"`))
		good := istioPath + "gateways/edge-gw"
		w.bring("Gateway", "edge-gw", 1)
		w.begin(t)
		pause(10 * time.Second)

		s, c := reconciledOf(t, a, path)
		if c.Status != "False" || c.Reason != "NoSubset" || c.ObservedGeneration != 3 || s.ObservedGeneration != 3 || c.LastTransitionTime == "" {
			t.Errorf("got %+v", c)
		}
		if want := "Error: http[0].route[0].destination.subset: no subset \"v4\"\nWarning: http[1]: it is never reached"; c.Message != want {
			t.Errorf("message %q", c.Message)
		}
		if m := s.ValidationMessages; len(m) != 2 || m[0].Level != "ERROR" || m[0].Type.Name != "NoSubset" || m[1].Level != "WARNING" {
			t.Errorf("messages %+v", m)
		}
		if text := string(a.statusOf(path)); !strings.Contains(text, `"Other"`) || !strings.Contains(text, `"theirs":1`) {
			t.Errorf("what others wrote is gone: %s", text)
		}
		if s, c := reconciledOf(t, a, good); c.Status != "True" || c.Reason != accepted || len(s.ValidationMessages) != 0 || c.ObservedGeneration != 1 {
			t.Errorf("a good one: %+v", c)
		}
		first := c.LastTransitionTime
		writes := a.count("PATCH", "")
		if writes != 2 {
			t.Errorf("%d writes for two objects", writes)
		}

		// The same again, and an hour: nothing is written.
		w.Conditions(slices.Clone(w.all))
		pause(time.Hour)
		if n := a.count("PATCH", ""); n != writes {
			t.Errorf("%d writes when nothing changed", n-writes)
		}

		// Another generation with the same defect keeps the time of the transition.
		w.bring("VirtualService", "reviews-vs", 4, bad("NoSubset", "http[0]", "still"))
		pause(10 * time.Second)
		if _, c := reconciledOf(t, a, path); c.LastTransitionTime != first || c.ObservedGeneration != 4 {
			t.Errorf("got %+v, want the time %s", c, first)
		}
		w.bring("VirtualService", "reviews-vs", 5)
		pause(10 * time.Second)
		s, c = reconciledOf(t, a, path)
		if c.Status != "True" || len(s.ValidationMessages) != 0 || c.LastTransitionTime == first || c.Message != "in force" {
			t.Errorf("mended: %+v %+v", c, s.ValidationMessages)
		}
		if n := a.count("PATCH", ""); n != writes+2 {
			t.Errorf("%d writes for two changes", n-writes)
		}
	})
}

// TestStatusIsReadBeforeWritten: another leader writes nothing that stands there, and tells of
// nothing that has been told.
func TestStatusIsReadBeforeWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		for n, holder := range []string{"gw-1", "gw-2"} {
			w, _ := newWriting(t, a, StatusOptions{Holder: holder})
			for i := range 30 {
				w.bring("VirtualService", fmt.Sprintf("vs-%d", i), 1)
			}
			w.bring("Gateway", "edge-gw", 1, bad("PortInvalid", "servers[0]", "no such port"))
			end := w.begin(t)
			pause(time.Minute)
			if got := a.count("PATCH", ""); got != 31 {
				t.Errorf("leader %d: %d writes, want 31", n, got)
			}
			if got := a.count("POST", "/events"); got != 1 {
				t.Errorf("leader %d: %d Events", n, got)
			}
			end()
			if n == 0 {
				a.mu.Lock()
				a.requests = slices.DeleteFunc(a.requests, func(r string) bool { return strings.HasPrefix(r, "GET ") })
				a.mu.Unlock()
			} else if got := a.count("GET", "/virtualservices/"); got != 0 {
				t.Errorf("%d objects were read one by one", got)
			}
		}
	})
}

// TestStatusIsOfTheTextInForce: while a newer text of an object is not in force, nothing is said
// about either.
func TestStatusIsOfTheTextInForce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		w, _ := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		key := w.bring("VirtualService", "reviews-vs", 1)
		path := istioPath + "virtualservices/reviews-vs"
		w.begin(t)
		pause(time.Minute)
		writes := a.count("PATCH", "")
		i := &item{object: &config.Object{Key: key, Version: "v1", Source: config.Plain(`{"n":2}`)}}
		i.UID, i.Generation = "uid-reviews-vs", 2
		w.cluster.set.put(&source{cluster: w.cluster, resource: resourceOf(key)}, i)
		w.Conditions(nil)
		pause(time.Minute)
		if a.count("PATCH", "") != writes {
			t.Error("the status was written of a text that is not in force")
		}
		// The API server may know of a newer one still.
		a.set(path, `{"metadata":{"uid":"uid-reviews-vs","namespace":"shop","name":"reviews-vs","generation":3}}`)
		w.StatusWriter.apply(w.cluster.set.take())
		pause(time.Minute)
		if a.count("PATCH", "") != writes {
			t.Error("the status was written of a text that is replaced already")
		}
	})
}

// TestStatusOfForeignObjects: of what concerns other proxies only nothing is said, until it concerns
// this one.
func TestStatusOfForeignObjects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		w, _ := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		theirs := w.bring("Gateway", "theirs", 1, bad("PortInvalid", "servers[0]", "no such port"))
		w.Foreign(theirs, true)
		mine := w.bring("Gateway", "mine", 1)
		w.begin(t)
		pause(time.Minute)
		if n := a.count("PATCH", ""); n != 1 || len(a.under("/apis/events.k8s.io")) != 0 {
			t.Errorf("%d writes, want that to mine only; Events %q", n, a.under("/apis/events.k8s.io"))
		}
		reconciledOf(t, a, istioPath+"gateways/mine")
		w.Foreign(theirs, false)
		w.Foreign(mine, true)
		pause(10 * time.Second)
		if _, c := reconciledOf(t, a, istioPath+"gateways/theirs"); c.Status != "False" {
			t.Errorf("got %+v", c)
		}
		w.bring("Gateway", "mine", 2)
		pause(10 * time.Second)
		if _, c := reconciledOf(t, a, istioPath+"gateways/mine"); c.ObservedGeneration != 1 {
			t.Errorf("what others say was written over: %+v", c)
		}
	})
}

// TestEvents: one when something goes wrong, one when it is mended, none for the same again.
func TestEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		events := "/apis/events.k8s.io/v1/namespaces/shop/events"
		w, _ := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		key := w.bring("VirtualService", "reviews-vs", 1, bad("NoSubset", "http[0]", "no subset"), config.Condition{Severity: config.Info, Reason: "Note", Message: "by the way"})
		ingress := w.bring("Ingress", "shop-ingress", 1, config.Condition{Severity: config.Warning, Reason: "NoClass", Message: "it names no class"})
		end := w.begin(t)
		pause(10 * time.Second)
		list := a.under(events)
		if len(list) != 2 {
			t.Fatalf("Events: %q", list)
		}
		var e event
		if err := json.Unmarshal([]byte(list[0]), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "Warning" || e.Reason != "NoSubset" || e.Note != "http[0]: no subset" || e.Regarding.UID != "uid-reviews-vs" || e.Regarding.Kind != "VirtualService" ||
			e.Regarding.APIVersion != "networking.istio.io/v1" || e.ReportingInstance != "gw-1" || e.Action == "" || e.EventTime == "" {
			t.Errorf("got %+v", e)
		}
		// Another leader finds what has been said: the Ingress, which has no such status, costs a
		// request that is refused.
		end()
		w.opt.Holder = "gw-2"
		w.begin(t)
		pause(10 * time.Second)
		if n := len(a.under(events)); n != 2 {
			t.Errorf("%d Events after another start", n)
		}
		w.replace(key, nil)
		w.replace(ingress, nil)
		pause(10 * time.Second)
		list = a.under(events)
		mended := slices.DeleteFunc(list, func(e string) bool { return !strings.Contains(e, `"Normal"`) || !strings.Contains(e, reasonMended) })
		if len(mended) != 2 {
			t.Errorf("Events: %q", a.under(events))
		}
	})
}

// TestStatusIsBounded: many objects are written at the rate that is allowed.
func TestStatusIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		w, _ := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		for i := range 500 {
			w.bring("VirtualService", fmt.Sprintf("vs-%d", i), 1)
		}
		w.bring("VirtualService", "z-bad", 1, bad("NoSubset", "http[0]", "no subset"))
		w.begin(t)
		pause(10 * time.Second)
		if n := a.count("", ""); n > statusBurst+11*statusRate+30 {
			t.Errorf("%d requests in 10 s", n)
		}
		if _, c := reconciledOf(t, a, istioPath+"virtualservices/z-bad"); c.Status != "False" {
			t.Errorf("the bad one is not the first: %+v", c)
		}
		pause(time.Minute)
		if n := a.count("PATCH", ""); n != 501 {
			t.Errorf("%d writes", n)
		}
	})
}

// TestStatusOutage: while the API server is away nothing is lost, and it is asked ever less often.
func TestStatusOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		w, log := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		w.begin(t)
		pause(5 * time.Second)
		a.answer("GET /virtualservices", 503)
		w.bring("VirtualService", "reviews-vs", 1, bad("NoSubset", "http[0]", "one"))
		pause(10 * time.Minute)
		if n := a.count("GET", "/virtualservices"); n < 5 || n > 25 {
			t.Errorf("%d requests in 10 minutes", n)
		}
		w.bring("VirtualService", "reviews-vs", 2, bad("NoSubset", "http[0]", "two"))
		a.answer("GET /virtualservices", 0)
		pause(2 * time.Minute)
		if _, c := reconciledOf(t, a, istioPath+"virtualservices/reviews-vs"); c.ObservedGeneration != 2 {
			t.Errorf("got %+v", c)
		}
		if n := a.count("PATCH", ""); n != 1 {
			t.Errorf("%d writes", n)
		}
		if text := log.text(); strings.Count(text, "cannot be written") != 1 || strings.Count(text, "written again") != 1 {
			t.Errorf("the log:\n%s", text)
		}
	})
}

// TestStatusOfOneFails: an object whose status the API server fails to take keeps no other from its
// own.
func TestStatusOfOneFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		w, log := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		// A webhook that does not answer is a 500, and this one is the first in turn.
		a.answer("PATCH /virtualservices/a-vs", 500)
		w.bring("VirtualService", "a-vs", 1, bad("NoSubset", "http[0]", "one"))
		for _, name := range []string{"b-vs", "c-vs", "d-vs"} {
			w.bring("VirtualService", name, 1, bad("NoSubset", "http[0]", "one"))
		}
		w.begin(t)
		pause(10 * time.Second)
		for _, name := range []string{"b-vs", "c-vs", "d-vs"} {
			reconciledOf(t, a, istioPath+"virtualservices/"+name)
		}
		pause(10 * time.Minute)
		if n := a.count("PATCH", "/a-vs"); n < 5 || n > 25 {
			t.Errorf("%d writes of the one in 10 minutes", n)
		}
		if n := strings.Count(log.text(), "cannot be written"); n != 1 {
			t.Errorf("the log tells of it %d times:\n%s", n, log.text())
		}
		a.answer("PATCH /virtualservices/a-vs", 0)
		pause(2 * time.Minute)
		reconciledOf(t, a, istioPath+"virtualservices/a-vs")

		// Where every write fails, few are made.
		a.answer("PATCH /virtualservices", 500)
		before := a.count("PATCH", "")
		for i := range 100 {
			w.bring("VirtualService", fmt.Sprintf("more-%d", i), 1)
		}
		pause(10 * time.Minute)
		if n := a.count("PATCH", "") - before; n > 60 {
			t.Errorf("%d writes that all fail in 10 minutes", n)
		}
	})
}

// TestStatusRefused: what may not be written, or cannot be, is told once, and the rest is written.
func TestStatusRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code int
		want string
	}{
		"permission":     {403, "may not patch virtualservices.networking.istio.io/status (403): it goes without. To allow it: kubectl create clusterrole"},
		"no subresource": {404, "cannot patch virtualservices.networking.istio.io/status: it goes without"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newObjectAPI(t)
				a.answer("PATCH /virtualservices/", c.code)
				w, log := newWriting(t, a, StatusOptions{Holder: "gw-1"})
				for i := range 10 {
					w.bring("VirtualService", fmt.Sprintf("vs-%d", i), 1, bad("NoSubset", "http[0]", "no subset"))
				}
				w.bring("Gateway", "edge-gw", 1)
				w.begin(t)
				pause(30 * time.Second)
				if n := a.count("PATCH", "/virtualservices/"); n != 1 {
					t.Errorf("%d attempts in 30 s", n)
				}
				reconciledOf(t, a, istioPath+"gateways/edge-gw")
				if n := len(a.under("/apis/events.k8s.io")); n != 10 {
					t.Errorf("%d Events", n)
				}
				pause(10 * time.Minute)
				if strings.Count(log.text(), c.want) != 1 || strings.Count(log.text(), "\n") != 2 {
					t.Errorf("the log:\n%s", log.text())
				}
				a.answer("PATCH /virtualservices/", 0)
				pause(2 * time.Minute)
				if _, c := reconciledOf(t, a, istioPath+"virtualservices/vs-7"); c.Status != "False" {
					t.Errorf("got %+v", c)
				}
				if n := len(a.under("/apis/events.k8s.io")); n != 10 {
					t.Errorf("%d Events in the end", n)
				}
			})
		})
	}
}

// TestStatusConflict: who was overtaken looks again.
func TestStatusConflict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		a.answer("PATCH /virtualservices/", 409)
		w, _ := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		w.bring("VirtualService", "reviews-vs", 1)
		w.begin(t)
		pause(10 * time.Second)
		a.answer("PATCH /virtualservices/", 0)
		pause(10 * time.Second)
		reconciledOf(t, a, istioPath+"virtualservices/reviews-vs")
	})
}

// TestStatusMetrics: they say who leads and what was written.
func TestStatusMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newObjectAPI(t)
		w, _ := newWriting(t, a, StatusOptions{Holder: "gw-1"})
		w.bring("VirtualService", "reviews-vs", 1, bad("NoSubset", "http[0]", "no subset"))
		end := w.begin(t)
		pause(10 * time.Second)
		want := map[string]float64{"leader": 1, "pending": 0, "virtualservices success": 1, "event success": 1}
		if got := w.figures(); !maps.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		end()
		want["leader"] = 0
		if got := w.figures(); !maps.Equal(got, want) {
			t.Errorf("after the end: %v", got)
		}
	})
}

// BenchmarkWanted is what a look at 5,000 objects costs.
func BenchmarkWanted(b *testing.B) {
	a := newObjectAPI(b)
	w, _ := newWriting(b, a, StatusOptions{Holder: "gw-1"})
	for i := range 5000 {
		w.bring("VirtualService", fmt.Sprintf("vs-%d", i), 1)
	}
	w.bring("VirtualService", "bad-vs", 1, bad("NoSubset", "http[0]", "no subset"))
	for b.Loop() {
		w.wanted(nil)
	}
}
