package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/telemetry/recent"
)

const trafficConfig = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello, namespace: shop}
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
  - name: hello
    match: [{uri: {exact: /hello}}]
    directResponse: {status: 200}
  - name: teapot
    match: [{uri: {exact: /teapot}}]
    directResponse: {status: 418}
`

// trafficGateway is a live gateway that answers 200 to /hello, 418 to /teapot and 404 to all
// else.
func trafficGateway(t *testing.T) *liveGateway {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "shop.yaml"), []byte(trafficConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	return startLiveGateway(t, folder)
}

// visit sends a request with an id.
func (g *liveGateway) visit(t *testing.T, path, id string) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+g.listener+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.example.com"
	r.Header.Set("x-request-id", id)
	r.Header.Set("cookie", "session=geheim")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// remembers waits until so many failures are remembered: that is a moment after the response.
func (g *liveGateway) remembers(t *testing.T, failures int) {
	t.Helper()
	eventually(t, "failures are remembered", func() error {
		resp, err := http.Get("http://" + g.admin + "/failures")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var list admin.Failures
		if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
			return err
		}
		if n := len(list.Requests); n < failures {
			return fmt.Errorf("%d of %d", n, failures)
		}
		return nil
	})
}

func TestWhyCommand(t *testing.T) {
	t.Parallel()
	g := trafficGateway(t)
	g.visit(t, "/teapot", "pot")
	g.visit(t, "/nothing", "none")
	g.remembers(t, 2)
	for name, c := range map[string]struct {
		args   []string
		status int
		want   []string
	}{
		"by id":         {[]string{"pot"}, exitOK, []string{"=> 418", "directResponse", "\nFix\n  VirtualService shop/hello http[1].directResponse ("}},
		"by status":     {[]string{"--last", "404"}, exitOK, []string{"request none", "=> 404 (NR: no route)", "/nothing"}},
		"by flag, JSON": {[]string{"--last", "nr", "-o", "json"}, exitOK, []string{`"outcome": "404 (NR: no route)"`, `"explanation": {`, `"value": "[redacted]"`}},
		"YAML":          {[]string{"pot", "-o", "yaml"}, exitOK, []string{"outcome: 418", "fix:\n"}},
		"a list":        {[]string{"--list"}, exitOK, []string{"STATUS  FLAGS", "418     -", "404     NR", "route_not_found"}},
		"a short list":  {[]string{"--list", "--last", "418", "-o", "json"}, exitOK, []string{`"failed": 2`, `"id": "pot"`}},
		"nobody":        {[]string{"nobody"}, exitFailed, []string{"no failed request with the id nobody is remembered"}},
		"no kind":       {[]string{"--last", "UH"}, exitFailed, []string{"no request of that kind"}},
		"no status":     {[]string{"--last", "9x"}, exitMisuse, []string{"response flag (UH)", "--help"}},
		"both":          {[]string{"pot", "--last", "404"}, exitMisuse, []string{"leave --last"}},
		"two":           {[]string{"a", "b"}, exitMisuse, []string{"name one request"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, out, stderr := invoke(append(append([]string{"why"}, c.args...), "--admin", g.admin)...)
			if status != c.status {
				t.Errorf("exited %d: %s", status, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(out+stderr, want) {
					t.Errorf("no %q in\n%s%s", want, out, stderr)
				}
			}
			if strings.Contains(out, "geheim") {
				t.Errorf("a secret is told: %s", out)
			}
		})
	}
	if status, _, stderr := invoke("why", "--admin", "127.0.0.1:1"); status != exitFailed || !strings.Contains(stderr, "no admin server answers") {
		t.Errorf("exited %d: %s", status, stderr)
	}
}

func TestTapCommand(t *testing.T) {
	t.Parallel()
	g := trafficGateway(t)
	type result struct {
		status      int
		out, stderr string
	}
	begin := func(args ...string) chan result {
		done := make(chan result, 1)
		go func() {
			var r result
			r.status, r.out, r.stderr = invoke(append(append([]string{"tap"}, args...), "--admin", g.admin)...)
			done <- r
		}()
		return done
	}
	text, lines := begin("--status", "418", "--count", "2"), begin("--flag", "NR", "--host", "shop.example.com", "--count", "1", "-o", "json")
	var got, gotJSON *result
	for i := 0; got == nil || gotJSON == nil; i++ {
		g.visit(t, "/hello", "h")
		g.visit(t, "/teapot", "p")
		g.visit(t, "/nothing", "n")
		select {
		case r := <-text:
			got = &r
		case r := <-lines:
			gotJSON = &r
		case <-time.After(5 * time.Millisecond):
		}
		if i > 2000 {
			t.Fatal("the taps do not end")
		}
	}
	if rows := strings.Split(strings.TrimSpace(got.out), "\n"); got.status != exitOK || len(rows) != 2 || !strings.Contains(rows[0], " 418 ") || !strings.Contains(rows[0], "GET shop.example.com/teapot") {
		t.Errorf("exited %d: %s%s", got.status, got.out, got.stderr)
	}
	var s recent.Summary
	if err := json.Unmarshal([]byte(gotJSON.out), &s); gotJSON.status != exitOK || err != nil || s.Status != 404 || strings.Contains(gotJSON.out, "geheim") {
		t.Errorf("exited %d: %v %s", gotJSON.status, err, gotJSON.out)
	}
	// The last request's end may come after its answer, and be tapped: hence the host.
	if r := <-begin("--duration", "20ms", "--host", "nobody.example.com"); r.status != exitOK || r.out != "" {
		t.Errorf("exited %d: %s%s", r.status, r.out, r.stderr)
	}
	for want, args := range map[string][]string{
		"5xx": {"--status", "x"}, "--every \"0\"": {"--every", "0"}, "must not be negative": {"--duration", "-1s"}, "must be one of text, json": {"-o", "yaml"}, "nothing is expected": {"x"},
	} {
		if r := <-begin(args...); r.status != exitMisuse || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exited %d: %s", args, r.status, r.stderr)
		}
	}
}

func TestTopCommand(t *testing.T) {
	t.Parallel()
	g := trafficGateway(t)
	g.visit(t, "/hello", "h")
	end := make(chan struct{})
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		for {
			select {
			case <-end:
				return
			default:
				g.visit(t, "/hello", "h")
				g.visit(t, "/teapot", "p")
			}
		}
	}()
	// On a busy machine an interval may pass without a request of either kind.
	eventually(t, "both routes in one interval", func() error {
		status, out, stderr := invoke("top", "--once", "--interval", "150ms", "--sort", "errors", "--admin", g.admin)
		rows := strings.Split(out, "\n")
		if status != exitOK || len(rows) < 4 || !strings.Contains(rows[0], "requests a second") || !strings.Contains(rows[1], "RATE/S") ||
			!strings.Contains(rows[2], "teapot") || !strings.Contains(rows[2], "100.0%") || !strings.Contains(rows[3], "hello") {
			return fmt.Errorf("exited %d: %s%s", status, out, stderr)
		}
		return nil
	})
	eventually(t, "both routes in one interval, as JSON", func() error {
		_, out, _ := invoke("top", "--once", "--interval", "150ms", "-o", "json", "--admin", g.admin)
		var list []topRow
		if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 2 || list[0].Rate == 0 || list[0].P99 < list[0].P50 || list[0].Rule.Name != "hello" {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	close(end)
	<-busy
	for want, args := range map[string][]string{"must be one of rate": {"--sort", "x"}, "at least 100ms": {"--interval", "1ms"}, "no admin server": {"--admin", "127.0.0.1:1"}} {
		if _, _, stderr := invoke(append([]string{"top", "--once"}, args...)...); !strings.Contains(stderr, want) {
			t.Errorf("%v: %s", args, stderr)
		}
	}
}

// TestTopRows: rates and shares are of the interval, totals of all.
func TestTopRows(t *testing.T) {
	t.Parallel()
	route := func(name string, classes ...uint64) recent.RouteCounts {
		c := recent.RouteCounts{Route: recent.Route{Name: name, Listener: "l"}}
		copy(c.Classes[:], classes)
		return c
	}
	now := time.Now()
	before := &admin.RouteStats{Time: now, Routes: []recent.RouteCounts{route("a", 0, 0, 100), route("b", 0, 0, 50)}}
	after := &admin.RouteStats{Time: now.Add(2 * time.Second), Routes: []recent.RouteCounts{route("a", 1, 0, 110, 0, 5, 4), route("b", 0, 0, 50), route("c", 0, 0, 0, 0, 200)}}
	rows := topRows(before, after, sortRate)
	if len(rows) != 3 || rows[0].Route.Name != "c" || rows[0].Rate != 100 || rows[0].Bad != 1 {
		t.Errorf("%+v", rows)
	}
	if a := rows[1]; a.Rate != 10 || a.Bad != 0.25 || a.Errors != 0.25 || a.Total != 120 {
		t.Errorf("%+v", a)
	}
	if quiet := rows[2]; quiet.Rate != 0 || quiet.Total != 50 {
		t.Errorf("%+v", quiet)
	}
	for by, want := range map[string]string{sortErrors: "a c b", sortName: "a b c", sortRate: "c a b"} {
		var names []string
		for _, r := range topRows(before, after, by) {
			names = append(names, r.Route.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("by %s: %s, want %s", by, got, want)
		}
	}
	if got, want := topTotal(rows), "110 requests a second, 93.2% 4xx, 2.3% errors"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestTopScreen: keys sort, pause and end, and what the proxy says is shown.
func TestTopScreen(t *testing.T) {
	t.Parallel()
	now := time.Now()
	stats := func(after time.Duration, n uint64) *admin.RouteStats {
		var list []recent.RouteCounts
		for i := range uint64(30) {
			c := recent.RouteCounts{Route: recent.Route{Name: fmt.Sprintf("route%02d", i), Listener: "l"}}
			c.Classes[2] = n * i
			list = append(list, c)
		}
		return &admin.RouteStats{Time: now.Add(after), Routes: list}
	}
	var model tea.Model = topScreen{ctx: t.Context(), o: topOptions{sort: sortRate, interval: time.Hour}, now: stats(0, 1)}
	update := func(msg tea.Msg) tea.Cmd {
		var cmd tea.Cmd
		model, cmd = model.Update(msg)
		return cmd
	}
	press := func(text string) tea.Cmd { return update(tea.KeyPressMsg{Code: []rune(text)[0], Text: text}) }
	update(tea.WindowSizeMsg{Width: 100, Height: 12})
	update(topLook{stats: stats(time.Second, 3)})
	content := model.View().Content
	if lines := strings.Split(content, "\n"); len(lines) > 12 || !strings.Contains(lines[2], "route29") || !strings.Contains(lines[2], "58.0") {
		t.Errorf("%d lines:\n%s", len(lines), content)
	}
	press("n")
	if content := model.View().Content; !strings.Contains(strings.Split(content, "\n")[2], "route00") || !strings.Contains(content, "by name") {
		t.Errorf("by name:\n%s", content)
	}
	press("p")
	if content := model.View().Content; !strings.Contains(content, "(paused)") {
		t.Errorf("paused:\n%s", content)
	}
	update(topLook{err: fmt.Errorf("the proxy is gone")})
	if content := model.View().Content; !strings.Contains(content, "the proxy is gone") || !strings.Contains(content, "route00") {
		t.Errorf("without the proxy:\n%s", content)
	}
	if cmd := press("q"); cmd == nil || cmd() != (tea.QuitMsg{}) {
		t.Error("q does not end it")
	}
}

func TestDashboardCommand(t *testing.T) {
	t.Parallel()
	g := trafficGateway(t)
	if status, out, stderr := invoke("dashboard", "--print", "--admin", g.admin); status != exitOK || out != "http://"+g.admin+"/ui/\n" {
		t.Errorf("exited %d: %s%s", status, out, stderr)
	}
	if status, _, stderr := invoke("dashboard", "--print", "--admin", "127.0.0.1:1"); status != exitFailed || !strings.Contains(stderr, "no admin server") {
		t.Errorf("exited %d: %s", status, stderr)
	}
	if status, _, stderr := invoke("dashboard", "--admin", "nowhere"); status != exitMisuse || !strings.Contains(stderr, "host:port") {
		t.Errorf("exited %d: %s", status, stderr)
	}
}

// TestCompletions: a shell is offered the values of flags.
func TestCompletions(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"why --last ": "404", "tap --status ": "5xx", "tap --flag ": "UH", "top --sort ": "latency", "tap -o ": "json", "dashboard --admin ": "127.0.0.1:15005", "t": "top",
	} {
		_, out, _ := invoke(append([]string{"__complete"}, strings.Split(line, " ")...)...)
		if !strings.Contains(out, want) {
			t.Errorf("%q offers %q", line, out)
		}
	}
}
