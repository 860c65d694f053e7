package merge

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// application answers with a page.
func application(t *testing.T, page string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Accept"), "text/plain") {
			t.Errorf("it is asked for %q", r.Header.Get("Accept"))
		}
		io.WriteString(w, page)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/metrics"
}

// read returns the page, which must be in Prometheus' format.
func read(t *testing.T, p *Page, header ...string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/stats/prometheus", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("status %d, %s: %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(w.Body.String())); err != nil {
		t.Errorf("%v in\n%s", err, w.Body)
	}
	return w.Body.String()
}

func own() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "istio_build", Help: "b"}, func() float64 { return 1 }))
	return r
}

func TestPage(t *testing.T) {
	t.Parallel()
	text := application(t, "# HELP go_goroutines g\n# TYPE go_goroutines gauge\ngo_goroutines 7\n")
	open := application(t, "# TYPE app_requests counter\napp_requests_total{path=\"/a # b\\\"\"} 3 # {trace_id=\"x\"} 1 2\n\r\n# EOF\n")
	page := read(t, New(Options{Own: own(), Targets: []string{text, open}}))
	for _, line := range []string{
		"istio_build 1", "go_goroutines 7", `app_requests_total{path="/a # b\""} 3`,
		`sluice_application_metrics_up{target="` + text + `"} 1`, `sluice_application_metrics_failures_total{target="` + open + `"} 0`,
	} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("no %s in\n%s", line, page)
		}
	}
	if !strings.Contains(page, "\nistio_agent_go_goroutines ") || strings.Contains(page, "# EOF") || strings.Contains(page, "trace_id") {
		t.Errorf("page\n%s", page)
	}
}

func TestOpenMetrics(t *testing.T) {
	t.Parallel()
	const in = `# HELP orders Orders that came in.
# TYPE orders counter
# UNIT orders
orders_total{shop="a"} 3 # {trace_id="x"} 1
orders_created{shop="a"} 1.6e9
# TYPE build info
build_info{version="1"} 1
# TYPE mode stateset
mode{mode="on"} 1
# TYPE odd unknown
odd 1
# TYPE size histogram
size_bucket{le="+Inf"} 1
size_count 1
size_sum 2
# EOF
`
	const want = `# HELP orders_total Orders that came in.
# TYPE orders_total counter
# UNIT orders
orders_total{shop="a"} 3
orders_created{shop="a"} 1.6e9
# TYPE build_info gauge
build_info{version="1"} 1
# TYPE mode gauge
mode{mode="on"} 1
# TYPE odd untyped
odd 1
# TYPE size histogram
size_bucket{le="+Inf"} 1
size_count 1
size_sum 2
`
	if got := string(plain([]byte(in))); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	// What is in Prometheus' own format stays as it is.
	const plainText = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"
	if got := string(plain([]byte(plainText))); got != plainText {
		t.Errorf("got\n%s", got)
	}
}

// TestFailures: an application that fails, is away or takes too long does not hide the proxy's
// metrics, nor another target's.
func TestFailures(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	failing := httptest.NewServer(http.NotFoundHandler())
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	t.Cleanup(func() {
		close(release)
		slow.Close()
		failing.Close()
	})
	good := application(t, "good 1\n")
	var p *Page
	var page string
	var took time.Duration
	// On a busy machine even the good one may not answer in time.
	for until := time.Now().Add(30 * time.Second); ; {
		p = New(Options{Own: own(), Targets: []string{slow.URL, failing.URL, away.URL, good}})
		began := time.Now()
		page = read(t, p, "X-Prometheus-Scrape-Timeout-Seconds", "0.2")
		took = time.Since(began)
		if strings.Contains(page, "good 1\n") && took <= DefaultTimeout/2 || time.Now().After(until) {
			break
		}
	}
	if took > DefaultTimeout/2 {
		t.Errorf("it took %v", took)
	}
	read(t, p, "X-Prometheus-Scrape-Timeout-Seconds", "0.1")
	for _, line := range []string{
		"istio_build 1", "good 1", `sluice_application_metrics_up{target="` + slow.URL + `"} 0`,
		`sluice_application_metrics_up{target="` + failing.URL + `"} 0`, `sluice_application_metrics_failures_total{target="` + away.URL + `"} 1`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no %s in\n%s", line, page)
		}
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	huge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
		for range MaxPage/len(line) + 2 {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}))
	t.Cleanup(huge.Close)
	if page := read(t, New(Options{Own: own(), Targets: []string{huge.URL}})); !strings.Contains(page, "metrics_up{target=\""+huge.URL+"\"} 0") {
		t.Error("a page without end is read")
	}
}

func TestCheckTarget(t *testing.T) {
	t.Parallel()
	for target, ok := range map[string]bool{
		"http://127.0.0.1:9090/metrics": true, "https://localhost/": true,
		"": false, "127.0.0.1:9090": false, "file:///etc/passwd": false, "http://": false, "http://a b/": false,
	} {
		if err := CheckTarget(target); (err == nil) != ok {
			t.Errorf("%q: %v", target, err)
		}
	}
}

// FuzzPlain: what is left has neither a mark of the end nor a line's end too few.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{"", "# EOF", "a 1 # {x=\"y\"} 1\n# EOF\n", "a{b=\"\\\"#\"} 1", "\r\n", "#"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		out := string(plain(page))
		if len(out) > 0 && !strings.HasSuffix(out, "\n") {
			t.Errorf("%q has no end", out)
		}
		for line := range strings.Lines(out) {
			if strings.TrimRight(line, "\r\n") == "# EOF" {
				t.Errorf("an end in %q", out)
			}
		}
	})
}
