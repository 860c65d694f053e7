package admin

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	var reason error
	h := NewStatusHandler(func() error { return reason })
	get := func(method, target string) *httptest.ResponseRecorder {
		return ask(h, method, target, "", "Host", "kubelet.example")
	}
	if w := get("GET", "/healthz/ready"); w.Code != 200 {
		t.Errorf("ready: status %d", w.Code)
	}
	reason = errors.New("draining")
	if w := get("GET", "/healthz/ready"); w.Code != 503 || !strings.Contains(w.Body.String(), "draining") {
		t.Errorf("draining: status %d: %s", w.Code, w.Body)
	}
	if w := get("GET", "/healthz/live"); w.Code != 200 {
		t.Errorf("live: status %d", w.Code)
	}
	for _, target := range []string{"/", "/config_dump", "/stats/prometheus", "/debug/pprof/"} {
		if w := get("GET", target); w.Code != 404 {
			t.Errorf("%s: status %d", target, w.Code)
		}
	}
	if w := get("POST", "/healthz/ready"); w.Code != 405 {
		t.Errorf("POST: status %d", w.Code)
	}
}
