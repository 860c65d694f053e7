package recent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// TestFailures: what failed is remembered with the decision, what did not is not, and nothing
// that could let somebody in is told.
func TestFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		table := shop(t)
		r := New(Options{Upstream: func(name string) *Upstream {
			if name != "outbound|80|v1|cart" {
				t.Errorf("asked for %q", name)
			}
			return &Upstream{Endpoints: []Endpoint{{Address: "10.0.0.1:80", Ejection: "5 times 5xx in a row"}}}
		}})
		defer r.Close()
		r.Publish(table)
		r.Complete(0, ended(table, "/cart"))
		r.Complete(0, missed(table, "/basket?token=geheim&x=1"))
		down := ended(table, "/cart/1?password=geheim")
		down.Status, down.Details, down.Flags = 503, "no_healthy_upstream", proxy.FlagNoHealthyUpstream
		r.Complete(1, down)
		synctest.Wait()

		got := r.Failures()
		if len(got) != 2 {
			t.Fatalf("%d failures, want 2: %+v", len(got), got)
		}
		if f := got[0]; f.Status != 503 || f.Cluster != "outbound|80|v1|cart" || f.Upstream == nil || f.Upstream.Endpoints[0].Address != "10.0.0.1:80" ||
			f.Explanation.Outcome != "Forward" || f.Explanation.Route.Name != "cart" || f.Rule.Name != "shop" || f.Outdated {
			t.Errorf("no healthy upstream: %+v, %+v", f, f.Explanation)
		}
		if path := got[0].Explanation.Route.Path; path != "/cart/1?password=[redacted]" {
			t.Errorf("the upstream's path is %s", path)
		}
		f := got[1]
		if f.ID != "id-of/basket?token=geheim&x=1" || f.Flags != "NR" || f.Generation != 1 || f.Duration != 12 || f.Client != "192.0.2.1:5000" {
			t.Errorf("no route: %+v", f)
		}
		if f.Explanation == nil || f.Explanation.Nearest == nil || len(f.Explanation.Earlier) != 2 {
			t.Fatalf("no nearest rule: %+v", f.Explanation)
		}
		if f.Path != "/basket?token=[redacted]&x=1" || f.Headers[1] != (Header{"cookie", redacted}) || f.Headers[0].Value != "curl" {
			t.Errorf("path %q, headers %v", f.Path, f.Headers)
		}
		f.ID = ""
		if text := fmt.Sprintf("%+v %+v", f.Summary, f.Explanation); strings.Contains(text, "geheim") {
			t.Errorf("a secret is told: %s", text)
		}
	})
}

// TestSecretsInURLs: what could let somebody in is told neither of the page that a request came from
// nor of other headers that are URLs; nor where a rule looked at one.
func TestSecretsInURLs(t *testing.T) {
	t.Parallel()
	ex := &proxy.Exchange{Status: 503, Flags: proxy.FlagNoHealthyUpstream}
	ex.Request.Headers = []router.Header{
		{Name: "referer", Value: "https://shop.example.com/in?user=joe&access_token=geheim#top"},
		{Name: "x-original-url", Value: "/a?password=geheim"},
		{Name: "x-plain", Value: "why? because"},
	}
	var rec record
	rec.take(ex)
	got := rec.summary().Headers
	want := []Header{{"referer", "https://shop.example.com/in?user=joe&access_token=[redacted]"}, {"x-original-url", "/a?password=[redacted]"}, {"x-plain", "why? because"}}
	if !slices.Equal(got, want) {
		t.Errorf("headers %v, want %v", got, want)
	}
	conditions := []router.FailedCondition{{Condition: "header referer", Got: ex.Request.Headers[0].Value}, {Condition: "header x-plain", Got: "why? because"}}
	tidyConditions(conditions)
	if conditions[0].Got != want[0].Value || conditions[1].Got != "why? because" {
		t.Errorf("conditions %v", conditions)
	}
}

// TestSecretsDecide: a rule that looks at a cookie explains as it routed, although the cookie
// is not told.
func TestSecretsDecide(t *testing.T) {
	bubble(t, func(t *testing.T) {
		table := shop(t)
		r := New(Options{})
		defer r.Close()
		r.Publish(table)
		ex := ended(table, "/")
		ex.Request.Headers[1].Value = "user=vip"
		ex.Decision = table.Route(&ex.Request)
		ex.Destination = ex.Decision.Pick(0)
		ex.Status, ex.Flags, ex.Details = 503, proxy.FlagNoCluster, "cluster_not_found"
		r.Complete(0, ex)
		synctest.Wait()
		f := r.Failures()[0]
		if f.Outdated || f.Explanation.Route == nil || f.Explanation.Route.Name != "vip" {
			t.Errorf("got %+v, %+v", f, f.Explanation)
		}
	})
}

// TestOutdated: a request that was answered by an older table says so.
func TestOutdated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := shop(t)
		r := New(Options{})
		defer r.Close()
		empty, _ := router.Build(&router.Spec{Listeners: old.Spec().Listeners[:0]}, nil)
		r.Publish(empty)
		ex := ended(old, "/cart")
		ex.Status = 502
		r.Complete(0, ex)
		synctest.Wait()
		if f := r.Failures()[0]; !f.Outdated {
			t.Errorf("got %+v", f)
		}
	})
}

// TestWhatFails tells what is remembered.
func TestWhatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*proxy.Exchange)
		want   bool
	}{
		"a good answer":              {func(*proxy.Exchange) {}, false},
		"an upstream's 404":          {func(ex *proxy.Exchange) { ex.Status = 404 }, false},
		"an upstream's 500":          {func(ex *proxy.Exchange) { ex.Status = 500 }, true},
		"a delay":                    {func(ex *proxy.Exchange) { ex.Flags = proxy.FlagDelayInjected }, false},
		"a fault":                    {func(ex *proxy.Exchange) { ex.Status, ex.Flags = 418, proxy.FlagFaultInjected }, true},
		"a route's own 403":          {func(ex *proxy.Exchange) { ex.Status, ex.Details = 403, "direct_response" }, true},
		"a redirect":                 {func(ex *proxy.Exchange) { ex.Status, ex.Details = 301, "direct_response" }, false},
		"a response that was cut":    {func(ex *proxy.Exchange) { ex.Flags = proxy.FlagUpstreamTermination }, true},
		"nothing answered":           {func(ex *proxy.Exchange) { ex.Status = 0 }, true},
		"a gRPC call that was fine":  {func(ex *proxy.Exchange) { ex.GRPCStatus = "0" }, false},
		"a gRPC call, unavailable":   {func(ex *proxy.Exchange) { ex.GRPCStatus = "14" }, true},
		"a gRPC call's own NotFound": {func(ex *proxy.Exchange) { ex.GRPCStatus = "5" }, false},
	} {
		ex := ended(shop(t), "/cart")
		c.change(ex)
		if got := failed(ex); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestFloodsLeaveOthersAlone: a flood of one kind neither evicts another kind nor is kept
// whole, and what is left out is counted.
func TestFloodsLeaveOthersAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		table := shop(t)
		r := New(Options{})
		defer r.Close()
		r.Publish(table)
		r.Complete(0, missed(table, "/rare"))
		flood := ended(table, "/cart")
		flood.Status, flood.Flags = 503, proxy.FlagUpstreamConnectFailure
		for range 5000 {
			r.Complete(0, flood)
		}
		// A second later some more of the flood are welcome.
		flood.End += int64(time.Second)
		for range 5000 {
			r.Complete(0, flood)
		}
		list := r.Failures()
		if len(list) != keptPerReason+1 {
			t.Errorf("%d failures", len(list))
		}
		if last := list[len(list)-1]; last.Path != "/rare" {
			t.Errorf("the rare one is gone: %+v", last)
		}
		all, skipped := r.Failed()
		if fresh := int64(time.Second) / pause; all != 10001 || skipped != uint64(10000-burst-fresh) {
			t.Errorf("%d failed, %d skipped", all, skipped)
		}
	})
}

// TestLongTexts are cut.
func TestLongTexts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		table := shop(t)
		r := New(Options{})
		defer r.Close()
		r.Publish(table)
		ex := missed(table, "/"+strings.Repeat("a", 100_000))
		for range 200 {
			ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: strings.Repeat("n", 500), Value: strings.Repeat("v", 50_000)})
		}
		r.Complete(0, ex)
		synctest.Wait()
		f := r.Failures()[0]
		size := len(f.Path)
		for _, h := range f.Headers {
			size += len(h.Name) + len(h.Value)
		}
		if len(f.Path) != maxPath || len(f.Headers) != maxHeaders || size > maxRecord {
			t.Errorf("path of %d, %d headers, %d bytes", len(f.Path), len(f.Headers), size)
		}
	})
}
