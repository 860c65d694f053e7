package role

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/router"
)

// once makes a connection for each request.
var once = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// post asks an admin server to do something, and returns the status.
func post(t *testing.T, address string) int {
	t.Helper()
	resp, err := once.Post("http://"+address, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// serving is a process with a listener whose only route is to an origin.
func serving(t *testing.T, change func(*Options)) (*proxyProcess, Status) {
	t.Helper()
	p := run(t, change)
	return p, p.set([]*router.Listener{to("a", "127.0.0.1:0", "x")}, origin(t, "x", text("ok")))
}

// TestHealthcheck: readiness follows what the admin server is told.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	p, s := serving(t, nil)
	for _, c := range []struct {
		path string
		want int
	}{{"/healthcheck/fail", 503}, {"/healthcheck/ok", 200}} {
		if code := post(t, s.Admin+c.path); code != 200 {
			t.Errorf("%s: %d", c.path, code)
		}
		for _, at := range []string{s.Admin + "/ready", s.Status + "/healthz/ready"} {
			if code, body := fetch(t, "http://"+at); code != c.want {
				t.Errorf("after %s, %s: %d %s", c.path, at, code, body)
			}
		}
		if code, _ := fetch(t, "http://"+s.Address("a")+"/"); code != 200 {
			t.Errorf("after %s requests get %d", c.path, code)
		}
	}
	p.stop()
}

// TestQuit: the process ends as it does when its context ends.
func TestQuit(t *testing.T) {
	t.Parallel()
	p, s := serving(t, nil)
	if code := post(t, s.Admin+"/quitquitquit"); code != 202 {
		t.Fatalf("status %d", code)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			t.Error(err)
		}
		p.ended <- err
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}

// TestDrainListeners: the process stops accepting, says why, and goes on to answer operators
// until it is ended.
func TestDrainListeners(t *testing.T) {
	t.Parallel()
	p, s := serving(t, nil)
	address := s.Address("a")
	if code := post(t, s.Admin+"/drain_listeners?graceful"); code != 202 {
		t.Fatalf("status %d", code)
	}
	for s = p.next(); s.NotReady == nil; s = p.next() {
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		resp, err := once.Get("http://" + address + "/")
		if err != nil {
			break
		}
		resp.Body.Close()
		if time.Now().After(deadline) {
			t.Fatal("it goes on accepting")
		}
	}
	var info admin.ServerInfo
	if code, body := fetch(t, "http://"+s.Admin+"/server_info"); code != 200 || json.Unmarshal([]byte(body), &info) != nil || info.State != "DRAINING" {
		t.Errorf("%d %s", code, body)
	}
	if code := post(t, s.Admin+"/drain_listeners"); code != 202 {
		t.Errorf("again: %d", code)
	}
	p.stop()
	if err := <-p.ended; err != nil {
		t.Error(err)
	} else {
		p.ended <- nil
	}
}

// TestLogLevel: the level of the log changes while the process runs.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	level := &slog.LevelVar{}
	_, s := serving(t, func(o *Options) { o.LogLevel = level })
	if code := post(t, s.Admin+"/logging?level=error"); code != 200 || level.Level() != slog.LevelError {
		t.Errorf("%d, %s", code, level.Level())
	}
}

// TestProfiles are shown on this machine only, unless it is meant.
func TestProfiles(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"127.0.0.1:15000": true, "localhost:1": true, "[::1]:1": true, "unix:///run/x": true, "0.0.0.0:15000": false, "10.0.0.1:1": false, "": false} {
		p := &process{o: Options{Admin: address}}
		if got := p.profiles(); got != want {
			t.Errorf("%q: %v", address, got)
		}
		p.o.AdminProfiles = true
		if !p.profiles() {
			t.Errorf("%q: not even where it is meant", address)
		}
	}
}

// TestWhyOfAProcess: what fails is explained with the state of its cluster.
func TestWhyOfAProcess(t *testing.T) {
	t.Parallel()
	p := run(t, nil)
	gone := &router.Cluster{Name: "outbound|80||gone", Endpoints: []*router.Endpoint{{Address: "127.0.0.1:1"}}, Outlier: &router.Outlier{Consecutive5xx: 1, MaxEjectionPercent: 100}}
	s := p.set([]*router.Listener{to("a", "127.0.0.1:0", gone.Name)}, gone)
	for range 2 {
		if code, _ := fetch(t, "http://"+s.Address("a")+"/x?token=geheim"); code != 503 {
			t.Fatalf("status %d", code)
		}
	}
	var why admin.Why
	code, body := fetch(t, "http://"+s.Admin+"/why?last=UH")
	for until := time.Now().Add(patience); code != 200 && time.Now().Before(until); time.Sleep(time.Millisecond) {
		// A failure is remembered a moment after its response has been received.
		code, body = fetch(t, "http://"+s.Admin+"/why?last=UH")
	}
	if code != 200 || json.Unmarshal([]byte(body), &why) != nil {
		_, all := fetch(t, "http://"+s.Admin+"/failures")
		t.Fatalf("%d %s %s", code, body, all)
	}
	if e := why.Upstream.Endpoints; len(e) != 1 || e[0].Healthy || e[0].EjectedAt.IsZero() || !strings.Contains(e[0].Ejection, "consecutive5xxErrors") || why.Explanation == nil || strings.Contains(body, "geheim") {
		t.Errorf("%s", body)
	}
	if _, body := fetch(t, "http://"+s.Admin+"/why?last=UF"); !strings.Contains(body, "connection refused") {
		t.Errorf("%s", body)
	}
	if _, body := fetch(t, "http://"+s.Admin+"/stats/routes"); !strings.Contains(body, `"cluster": "outbound|80||gone"`) {
		t.Errorf("%s", body)
	}
}
