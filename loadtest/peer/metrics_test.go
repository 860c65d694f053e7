package peer

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/loadtest/work"
)

// TestMetrics has requests counted where the site says so, and not else.
func TestMetrics(t *testing.T) {
	prepare(t, "sluice")
	for _, metrics := range []bool{true, false} {
		r := start(t, "sluice", work.Site{Body: 100, Metrics: metrics})
		resp, err := http.Get("http://" + r.in.Admin + "/stats/prometheus")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(text), "\nistio_requests_total{"); got != metrics {
			t.Errorf("with metrics %v there is istio_requests_total: %v", metrics, got)
		}
	}
}
