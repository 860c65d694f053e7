package admin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// finish tells the recorder of a request for a path that ended so.
func finish(o Options, path string, status int, flags proxy.Flags) {
	table := o.Table()
	ex := &proxy.Exchange{
		Connection: &proxy.Connection{}, RequestID: "id" + path, Status: status, Flags: flags, Details: "route_not_found",
		Remote: netip.MustParseAddrPort("192.0.2.1:99"), Start: 1, End: 1 + int64(3*time.Millisecond),
		Request: router.Request{Listener: "0.0.0.0_8080", Method: "GET", Scheme: "http", Authority: "bookinfo.example.com", Path: path},
	}
	if flags == 0 {
		ex.Details = "via_upstream"
	}
	ex.Decision = table.Route(&ex.Request)
	share := uint64(0)
	if flags == proxy.FlagNoCluster {
		share = 95 // the one that does not exist
	}
	ex.Destination = ex.Decision.Pick(share)
	o.Recent.Complete(0, ex)
}

// failing are options with a good request and two that failed.
func failing(t *testing.T) Options {
	t.Helper()
	o := everything(t)
	o.Recent.Publish(o.Table())
	o.Locate = func(router.Origin) (string, int) { return "bookinfo.yaml", 9 }
	finish(o, "/v2", 200, 0)
	finish(o, "/nothing", 404, proxy.FlagNoRoute)
	finish(o, "/v2/gone", 503, proxy.FlagNoCluster)
	return o
}

func TestWhy(t *testing.T) {
	t.Parallel()
	h := NewHandler(failing(t))
	for target, want := range map[string]struct {
		status      int
		path, cause string
	}{
		"/why":              {200, "/v2/gone", "does not exist"},
		"/why?last=any":     {200, "/v2/gone", ""},
		"/why?last=404":     {200, "/nothing", "none of its rules"},
		"/why?last=4xx":     {200, "/nothing", ""},
		"/why?last=nr":      {200, "/nothing", ""},
		"/why?last=NC":      {200, "/v2/gone", ""},
		"/why?last=500-599": {200, "/v2/gone", ""},
		"/why?last=UH":      {404, "", ""},
		"/why?last=2xx":     {404, "", ""},
		"/why?last=abc":     {400, "", ""},
		"/why/id%2Fnothing": {200, "/nothing", ""},
		"/why/id/nothing":   {404, "", ""},
		"/why/nobody":       {404, "", ""},
	} {
		w := ask(h, "GET", target, "")
		var a Why
		if w.Code != want.status {
			t.Errorf("%s: status %d: %s", target, w.Code, w.Body)
			continue
		}
		if w.Code != 200 {
			continue
		}
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.Request.Path != want.path || !strings.Contains(a.Cause, want.cause) || a.Fix.Text == "" {
			t.Errorf("%s: %v %+v", target, err, a)
		}
	}
	var a Why
	if err := json.Unmarshal(ask(h, "GET", "/why?last=NC", "").Body.Bytes(), &a); err != nil || len(a.Conditions) != 1 || a.Conditions[0].Kind != "VirtualService" || a.Fix.File == "" {
		t.Errorf("%v %+v", err, a)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	h := NewHandler(failing(t))
	for query, want := range map[string]int{"": 2, "?last=404": 1, "?last=UH": 0} {
		var list Failures
		if err := json.Unmarshal(ask(h, "GET", "/failures"+query, "").Body.Bytes(), &list); err != nil || len(list.Requests) != want || list.Failed != 2 {
			t.Errorf("%s: %v %+v", query, err, list)
		}
	}
	if w := ask(h, "GET", "/failures?last=x", ""); w.Code != 400 || !strings.Contains(w.Body.String(), "response flag") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	h := NewHandler(failing(t))
	text := ask(h, "GET", "/stats", "").Body.String()
	for _, want := range []string{
		"server.live: 1\n", "config.generation: 4\n", "listener.127.0.0.1_8080.downstream_cx_active: 3\n", "listener_manager.total_listeners_active: 1\n",
		"cluster.outbound|9080|v2|productpage.upstream_rq_pending_overflow: 6\n", "cluster_manager.active_clusters: 2\n",
		"vhost.bookinfo.example.com:80.route.canary.cluster.outbound|9080|v2|productpage.upstream_rq_2xx: 1\n", "vhost.none.route.none.upstream_rq_4xx: 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if text := ask(h, "GET", "/stats?filter=%5Eserver%5C.&usedonly", "").Body.String(); !strings.HasPrefix(text, "server.concurrency: ") || strings.Contains(text, "cluster") || strings.Contains(text, ": 0\n") {
		t.Errorf("filtered:\n%s", text)
	}
	var list struct{ Stats []statValue }
	if err := json.Unmarshal(ask(h, "GET", "/stats?format=json", "").Body.Bytes(), &list); err != nil || len(list.Stats) < 10 {
		t.Errorf("%v %+v", err, list)
	}
	if text := ask(h, "GET", "/stats?format=prometheus", "").Body.String(); text != "sluice_up 1\n" {
		t.Errorf("Prometheus: %s", text)
	}
	if w := ask(h, "GET", "/stats?filter=(", ""); w.Code != 400 {
		t.Errorf("a bad expression: %d", w.Code)
	}
	var routes RouteStats
	if err := json.Unmarshal(ask(h, "GET", "/stats/routes", "").Body.Bytes(), &routes); err != nil || len(routes.Routes) != 3 || routes.Routes[0].Latency.Count == 0 {
		t.Errorf("%v %+v", err, routes)
	}
}

// TestTap: a tap streams what its filter lets pass, in both forms, and ends when it was asked
// to.
func TestTap(t *testing.T) {
	t.Parallel()
	o := everything(t)
	o.Recent.Publish(o.Table())
	server := httptest.NewServer(NewHandler(o))
	defer server.Close()
	open := func(query, accept string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/tap?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	// The head comes at once, so that from here on nothing is missed.
	lines, events := open("status=404&count=2", "*/*"), open("count=1&flag=NR", "text/event-stream")
	for i := range 5 {
		finish(o, "/v2", 200, 0)
		finish(o, fmt.Sprint("/nothing", i), 404, proxy.FlagNoRoute)
	}
	if kind := lines.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		t.Errorf("content type %q", kind)
	}
	var paths []string
	for s := bufio.NewScanner(lines.Body); s.Scan(); {
		var summary struct{ Path string }
		if err := json.Unmarshal(s.Bytes(), &summary); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, summary.Path)
	}
	if got := strings.Join(paths, " "); got != "/nothing0 /nothing1" {
		t.Errorf("got %s", got)
	}
	event := bufio.NewReader(events.Body)
	first, _ := event.ReadString('\n')
	second, _ := event.ReadString('\n')
	if first != "event: request\n" || !strings.HasPrefix(second, `data: {"sequence":`) {
		t.Errorf("got %q %q", first, second)
	}
	if resp := open("duration=10ms", ""); bufio.NewScanner(resp.Body).Scan() {
		t.Error("something came")
	}
	for query, want := range map[string]string{"statsu=404": "statsu is no parameter", "status=x": "5xx", "count=0": "from 1 up", "duration=x": "30s"} {
		if w := ask(NewHandler(o), "GET", "/tap?"+query, ""); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

// TestTapsAreBounded: one more than there may be is refused, until another ends.
func TestTapsAreBounded(t *testing.T) {
	t.Parallel()
	o := everything(t)
	server := httptest.NewServer(NewHandler(o))
	defer server.Close()
	var open []*http.Response
	for range maxTaps {
		resp, err := http.Get(server.URL + "/tap")
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(err, resp)
		}
		open = append(open, resp)
	}
	if w := ask(NewHandler(o), "GET", "/tap?duration=1ms", ""); w.Code != 200 {
		t.Errorf("another server's taps count: %d", w.Code)
	}
	resp, err := http.Get(server.URL + "/tap")
	if err != nil || resp.StatusCode != 503 {
		t.Errorf("%v %v", err, resp)
	}
	resp.Body.Close()
	// The end of the recorder ends them all.
	o.Recent.Close()
	for _, resp := range open {
		if bufio.NewScanner(resp.Body).Scan() {
			t.Error("something came")
		}
		resp.Body.Close()
	}
}
