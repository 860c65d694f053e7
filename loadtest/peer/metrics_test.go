package peer

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

// TestMetrics has requests counted where the site says so, and not else.
func TestMetrics(t *testing.T) {
	prepare(t, "sluice")
	for _, metrics := range []bool{true, false} {
		r := start(t, "sluice", work.Site{Body: 100, Metrics: metrics})
		counted := func() bool {
			resp, err := http.Get("http://" + r.in.Admin + "/stats/prometheus")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(string(text), "\nistio_requests_total{")
		}
		got := counted()
		// A request is counted after it was answered.
		for until := time.Now().Add(30 * time.Second); got != metrics && time.Now().Before(until); got = counted() {
			time.Sleep(10 * time.Millisecond)
		}
		if got != metrics {
			t.Errorf("with metrics %v there is istio_requests_total: %v", metrics, got)
		}
	}
}
