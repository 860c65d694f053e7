package admin

import (
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

// TestOperations: what changes the process takes POST, and no other page's script.
func TestOperations(t *testing.T) {
	t.Parallel()
	o := everything(t)
	var done []string
	o.Drain = func(graceful bool) {
		done = append(done, map[bool]string{true: "drain gracefully", false: "drain"}[graceful])
	}
	o.Quit = func() { done = append(done, "quit") }
	o.FailHealth = func(fail bool) { done = append(done, map[bool]string{true: "fail", false: "recover"}[fail]) }
	h := NewHandler(o)
	for target, want := range map[string]string{
		"/drain_listeners": "drain", "/drain_listeners?graceful": "drain gracefully", "/quitquitquit": "quit", "/healthcheck/fail": "fail", "/healthcheck/ok": "recover",
	} {
		done = nil
		if w := ask(h, "GET", target, ""); w.Code != 405 || w.Header().Get("Allow") != "POST" || !strings.Contains(w.Body.String(), "POST") {
			t.Errorf("GET %s: %d, Allow %q, %s", target, w.Code, w.Header().Get("Allow"), w.Body)
		}
		for _, headers := range [][]string{{"Origin", "https://attacker.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Host", "attacker.example"}} {
			if w := ask(h, "POST", target, "", headers...); w.Code != 403 {
				t.Errorf("POST %s with %v: %d", target, headers, w.Code)
			}
		}
		if len(done) > 0 {
			t.Errorf("%s was done, though nobody might ask for it", done)
		}
		if w := ask(h, "POST", target, ""); w.Code/100 != 2 || len(done) != 1 || done[0] != want {
			t.Errorf("POST %s: %d, did %v", target, w.Code, done)
		}
	}
	if w := ask(h, "POST", "/drain_listeners?inboundonly", ""); w.Code != 400 {
		t.Errorf("inboundonly: %d", w.Code)
	}
}

func TestLogging(t *testing.T) {
	t.Parallel()
	o := everything(t)
	o.LogLevel.Set(slog.LevelInfo)
	h := NewHandler(o)
	for _, c := range []struct {
		method, target, want string
		status               int
		level                slog.Level
	}{
		{"GET", "/logging", "sluice: info", 200, slog.LevelInfo},
		{"POST", "/logging?level=debug", "sluice: debug", 200, slog.LevelDebug},
		{"POST", "/logging?sluice=Warning&format=json", `"level": "warn"`, 200, slog.LevelWarn},
		{"GET", "/logging?level=error", "sluice: warn", 200, slog.LevelWarn},
		{"POST", "/logging?level=loud", "debug, info, warn or error", 400, slog.LevelWarn},
		{"POST", "/logging", "say which level", 400, slog.LevelWarn},
	} {
		w := ask(h, c.method, c.target, "")
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || o.LogLevel.Level() != c.level {
			t.Errorf("%s %s: %d %s, level %s", c.method, c.target, w.Code, w.Body, o.LogLevel.Level())
		}
	}
}

// TestWithoutOperations: what the process does not offer is not there, and profiles are not
// shown to everybody.
func TestWithoutOperations(t *testing.T) {
	t.Parallel()
	h := NewHandler(options(t))
	for _, target := range []string{"/logging", "/drain_listeners", "/quitquitquit", "/healthcheck/fail", "/why", "/failures", "/tap", "/stats/routes", "/ui/"} {
		if w := ask(h, "POST", target, ""); w.Code != 404 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	if w := ask(h, "GET", "/debug/pprof/heap", ""); w.Code != 403 || !strings.Contains(w.Body.String(), "--admin-profiles") {
		t.Errorf("profiles: %d %s", w.Code, w.Body)
	}
}

// ending is the reason of a process that is about to end.
type ending struct{}

func (ending) Error() string { return "draining" }
func (ending) Draining()     {}

func TestServerInfo(t *testing.T) {
	t.Parallel()
	o := everything(t)
	o.Node = "router~1"
	uptime := regexp.MustCompile(`"uptime_current_epoch": "\d+s"`)
	for state, err := range map[string]error{"LIVE": nil, "INITIALIZING": errors.New("no configuration yet"), "DRAINING": ending{}} {
		o.Ready = func() error { return err }
		text := ask(NewHandler(o), "GET", "/server_info", "").Body.String()
		for _, want := range []string{`"state": "` + state + `"`, `"id": "router~1"`, `"version": "v1.2.3`, `"log_level": "INFO"`} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in %s", want, text)
			}
		}
		if !uptime.MatchString(text) {
			t.Errorf("no %s in %s", uptime, text)
		}
	}
	if text := ask(NewHandler(o), "GET", "/memory", "").Body.String(); !strings.Contains(text, `"allocated": "`) || !strings.Contains(text, `"goroutines": `) {
		t.Errorf("memory: %s", text)
	}
}
