package admin

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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

// Who asks for metrics and does not read them keeps others from them for a while only, and holds
// no more than a few answers in memory.
func TestMetricsUnread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		page := strings.Repeat("x", 1<<20)
		server := NewServer(NewMetricsHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeText(w, page) })), slog.New(slog.DiscardHandler))
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		go server.Serve(l)
		defer server.Close()
		ask := func() net.Conn {
			ours, theirs := net.Pipe()
			l.conns <- theirs
			fmt.Fprint(ours, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
			return ours
		}
		status := func() int {
			c := ask()
			defer c.Close()
			line := make([]byte, 12)
			if _, err := c.Read(line); err != nil {
				t.Fatal(err)
			}
			var code int
			fmt.Sscanf(string(line), "HTTP/1.1 %d", &code)
			return code
		}
		for range maxScrapes {
			defer ask().Close()
		}
		synctest.Wait()
		if got := status(); got != http.StatusServiceUnavailable {
			t.Errorf("one more: status %d", got)
		}
		time.Sleep(slowScrape)
		synctest.Wait()
		if got := status(); got != http.StatusOK {
			t.Errorf("later: status %d", got)
		}
	})
}
