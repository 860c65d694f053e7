package telemetry

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// TestAccessLogs: exchanges and connections come to the log of the process, and to those of
// the configuration; lines are counted.
func TestAccessLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, other := filepath.Join(dir, "own"), filepath.Join(dir, "other")
	tel, err := New(Options{AccessLog: own, AccessLogFormat: "%PROTOCOL% %ROUTE_NAME%", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	tel.Complete(forwarded())
	tel.CompleteStream(carried())
	tel.Apply(&router.Spec{Telemetry: &router.Telemetry{Outbound: router.TelemetryPolicy{LogsDecided: true, AccessLogs: []router.AccessLog{{File: other, Text: "%RESPONSE_CODE%"}}}}})
	tel.Complete(forwarded())
	tel.ReopenLogs()
	tel.Close()
	for file, want := range map[string]string{own: "- mysql\nHTTP/1.1 productpage", other: "200"} {
		b, err := os.ReadFile(file)
		lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		slices.Sort(lines)
		if got := strings.Join(lines, "\n"); err != nil || got != want {
			t.Errorf("%s holds %q (%v), want %q", file, got, err, want)
		}
	}
	expect(t, scrape(t, tel), map[string]string{"sluice_access_log_lines_total": "3", "sluice_access_log_dropped_lines_total": "0", "sluice_access_log_write_failures_total": "0"})
}

// TestCaptured: what logs, metrics and spans ask for of responses, each once.
func TestCaptured(t *testing.T) {
	t.Parallel()
	tel, err := New(Options{AccessLog: os.DevNull, AccessLogFormat: "%RESP(SERVER)% %TRAILER(X-SUM)%", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer tel.Close()
	check := func(wantHeaders, wantTrailers string) {
		t.Helper()
		headers, trailers := tel.Captured()
		if h, r := strings.Join(headers, " "), strings.Join(trailers, " "); h != wantHeaders || r != wantTrailers {
			t.Errorf("headers %q, trailers %q, want %q and %q", h, r, wantHeaders, wantTrailers)
		}
	}
	check("server", "x-sum")
	tel.Apply(&router.Spec{Telemetry: &router.Telemetry{
		Outbound: router.TelemetryPolicy{
			LogsDecided: true,
			AccessLogs:  []router.AccessLog{{File: os.DevNull, Text: "%RESP(ETAG)%", Filter: "response.headers['x-log'] == 'yes'"}},
			Metrics:     []router.MetricOverride{{Tags: []router.TagOverride{{Name: "kind", Value: "response.headers['content-type']"}}}},
			Tracing:     &router.Tracing{Tags: []router.SpanTag{{Name: "cache", Formatter: "%RESP(X-CACHE)% %RESP(ETAG)% %TRAILER(X-END)%"}}},
		},
	}})
	check("content-type etag server x-cache x-log", "x-end x-sum") // calls in have the log of the process
	tel.Apply(&router.Spec{})
	check("server", "x-sum")
}
