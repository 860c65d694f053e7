package telemetry

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/proxy"
)

// scrape returns the metrics of ours, without comments.
func scrape(t *testing.T, tel *Telemetry) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/stats/prometheus", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	series := make(map[string]string)
	for line := range strings.Lines(w.Body.String()) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			at := strings.LastIndexByte(line, ' ')
			series[line[:at]] = line[at+1:]
		}
	}
	return series
}

func expect(t *testing.T, series map[string]string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got, ok := series[name]; !ok || got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

// expectSums adds up the series of each name, whatever their labels.
func expectSums(t *testing.T, series map[string]string, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		sum := 0.0
		for s, text := range series {
			if strings.HasPrefix(s, name+"{") {
				n, err := strconv.ParseFloat(text, 64)
				if err != nil {
					t.Fatal(err)
				}
				sum += n
			}
		}
		if sum != value {
			t.Errorf("%s is %v, want %v", name, sum, value)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	tel, err := New(Options{
		AccessLog:   "-",
		Stdout:      io.Discard,
		Connections: func() map[string]int { return map[string]int{"0.0.0.0_8080": 7} },
		Conditions:  func() map[string]int { return map[string]int{"error": 1, "warning": 2, "info": 0} },
		Clusters: func() []Cluster {
			return []Cluster{{Name: "outbound|80||a", Active: 1, Idle: 2, Requests: 30, Failures: 4, Endpoints: 5, Healthy: 3,
				Stats:  []Stat{{"upstream_rq_pending_overflow", false, 6}, {"circuit_breakers.default.rq_open", true, 1}},
				Mirror: &Mirror{Active: 1, Success: 7, Failed: 8, Dropped: map[string]uint64{"memory": 9}}}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 250 {
				tel.Complete(forwarded())
			}
			missing := forwarded()
			missing.Status, missing.Flags = 404, proxy.FlagNoRoute
			tel.Complete(missing)
		})
	}
	wg.Wait()
	names := []string{"opened", "closed"}
	tel.ConnectionEvents("0.0.0.0_8080", names)(0)
	tel.ConnectionEvents("0.0.0.0_8080", names)(0)
	tel.ConnectionEvents("0.0.0.0_8080", names)(7)
	tel.ConfigUpdated(ConfigUpdate{Generation: 3, Objects: 12, Duration: 3 * time.Millisecond})
	tel.Close()

	series := scrape(t, tel)
	expect(t, series, map[string]string{
		`sluice_requests_total{code_class="2xx",listener="0.0.0.0_8080",response_flags="-"}`:  "1000",
		`sluice_requests_total{code_class="4xx",listener="0.0.0.0_8080",response_flags="NR"}`: "4",
		`sluice_request_duration_seconds_count{listener="0.0.0.0_8080"}`:                      "1004",
		`sluice_request_duration_seconds_bucket{listener="0.0.0.0_8080",le="0.01"}`:           "0",
		`sluice_request_duration_seconds_bucket{listener="0.0.0.0_8080",le="0.025"}`:          "1004",
		`sluice_downstream_connection_events_total{event="opened",listener="0.0.0.0_8080"}`:   "2",
		`sluice_downstream_connection_events_total{event="closed",listener="0.0.0.0_8080"}`:   "0",
		`sluice_downstream_connections{listener="0.0.0.0_8080"}`:                              "7",
		`sluice_upstream_connections{cluster="outbound|80||a",state="active"}`:                "1",
		`sluice_upstream_connections{cluster="outbound|80||a",state="idle"}`:                  "2",
		`sluice_upstream_requests_total{cluster="outbound|80||a"}`:                            "30",
		`sluice_upstream_failures_total{cluster="outbound|80||a"}`:                            "4",
		`sluice_cluster_endpoints{cluster="outbound|80||a",state="healthy"}`:                  "3",
		`sluice_cluster_endpoints{cluster="outbound|80||a",state="unhealthy"}`:                "2",
		`envoy_cluster_upstream_rq_pending_overflow{cluster_name="outbound|80||a"}`:           "6",
		`envoy_cluster_circuit_breakers_default_rq_open{cluster_name="outbound|80||a"}`:       "1",
		`sluice_mirror_active{cluster="outbound|80||a"}`:                                      "1",
		`sluice_mirror_requests_total{cluster="outbound|80||a",result="success"}`:             "7",
		`sluice_mirror_requests_total{cluster="outbound|80||a",result="failed"}`:              "8",
		`sluice_mirror_dropped_total{cluster="outbound|80||a",reason="memory"}`:               "9",
		`sluice_config_generation`:                     "3",
		`sluice_config_objects`:                        "12",
		`sluice_config_conditions{severity="error"}`:   "1",
		`sluice_config_conditions{severity="warning"}`: "2",
		`sluice_config_conditions{severity="info"}`:    "0",
		`sluice_config_reload_duration_seconds_count`:  "1",
		`sluice_access_log_lines_total`:                "1004",
		`sluice_access_log_dropped_lines_total`:        "0",
	})
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total"} {
		if _, ok := series[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
}

// brokenMetric is a collector whose metric cannot be shown.
type brokenMetric struct{}

func (brokenMetric) Describe(chan<- *prometheus.Desc) {}
func (brokenMetric) Collect(ch chan<- prometheus.Metric) {
	d := prometheus.NewDesc("broken_total", "", nil, nil)
	ch <- prometheus.NewInvalidMetric(d, errors.New("it cannot be shown"))
}

// TestBrokenMetric: one metric that cannot be shown, or a name that is no text, costs neither the
// others nor the process.
func TestBrokenMetric(t *testing.T) {
	t.Parallel()
	var told bytes.Buffer
	tel, err := New(Options{
		Clusters:   func() []Cluster { return []Cluster{{Name: "bad \xff", Requests: 1}, {Name: "good", Requests: 2}} },
		Collectors: []prometheus.Collector{brokenMetric{}},
		Logger:     slog.New(slog.NewTextHandler(&told, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tel.Close()
	expect(t, scrape(t, tel), map[string]string{`sluice_upstream_requests_total{cluster="good"}`: "2", "sluice_access_log_lines_total": "0"})
	if !strings.Contains(told.String(), "it cannot be shown") {
		t.Errorf("nobody was told: %s", told.String())
	}
}

// TestCompleteAllocatesNothing holds the request path to its budget.
func TestCompleteAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	tel, err := New(Options{AccessLog: "-", Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer tel.Close()
	ex := forwarded()
	for range 2000 {
		tel.Complete(ex)
	}
	if n := testing.AllocsPerRun(2000, func() { tel.Complete(ex) }); n > 0 {
		t.Errorf("%v allocations for each exchange", n)
	}
}

func BenchmarkComplete(b *testing.B) {
	for name, log := range map[string]string{"metrics": "", "metrics and access log": "-"} {
		b.Run(name, func(b *testing.B) {
			tel, err := New(Options{AccessLog: log, Stdout: io.Discard})
			if err != nil {
				b.Fatal(err)
			}
			defer tel.Close()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				ex := forwarded()
				for pb.Next() {
					tel.Complete(ex)
				}
			})
			_, dropped, _ := tel.logs.Counts()
			b.ReportMetric(float64(dropped)/float64(b.N), "dropped/op")
		})
	}
}
