package admin

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestMetricsServer(t *testing.T) {
	t.Parallel()
	h := NewMetricsHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeText(w, "up 1\n") }))
	get := func(method, target string) *httptest.ResponseRecorder {
		return ask(h, method, target, "", "Host", "prometheus.example")
	}
	for _, target := range []string{"/metrics", "/stats/prometheus"} {
		if w := get("GET", target); w.Code != 200 || w.Body.String() != "up 1\n" {
			t.Errorf("%s: status %d: %s", target, w.Code, w.Body)
		}
	}
	for _, target := range []string{"/", "/config_dump", "/certs", "/healthz/ready", "/debug/pprof/"} {
		if w := get("GET", target); w.Code != 404 {
			t.Errorf("%s: status %d", target, w.Code)
		}
	}
	if w := get("POST", "/metrics"); w.Code != 405 {
		t.Errorf("POST: status %d", w.Code)
	}
}
