package role

import (
	"net"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// TestMetricsServer: what Prometheus on another machine reads is what the admin server
// shows, and nothing else of it is there.
func TestMetricsServer(t *testing.T) {
	t.Parallel()
	p := run(t, func(o *Options) { o.Metrics = "127.0.0.1:0" })
	s := p.set([]*router.Listener{to("a", "127.0.0.1:0", "x")}, origin(t, "x", text("ok")))
	for _, path := range []string{"/stats/prometheus", "/metrics"} {
		if status, body := fetch(t, "http://"+s.Metrics+path); status != 200 || !strings.Contains(body, "\nsluice_") {
			t.Errorf("%s: status %d:\n%s", path, status, body)
		}
	}
	if status, _ := fetch(t, "http://"+s.Metrics+"/config_dump"); status != 404 {
		t.Errorf("/config_dump: status %d", status)
	}
}

// TestMetricsServerCannotListen: the failure says which flag helps.
func TestMetricsServerCannotListen(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p := run(t, func(o *Options) { o.Metrics = taken.Addr().String() })
	err = <-p.ended
	p.ended <- err
	if err == nil || !strings.Contains(err.Error(), "--metrics") {
		t.Errorf("Run: %v, want one that names --metrics", err)
	}
}
