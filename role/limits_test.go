package role

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

func TestLimitsDefaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given       Limits
		descriptors uint64
		want        Limits
		told        bool
	}{
		"nothing said":        {Limits{}, 1 << 20, Limits{MaxConnections: 10_000, MaxConnectionsTotal: 50_000}, false},
		"few descriptors":     {Limits{}, 1024, Limits{MaxConnections: 10_000, MaxConnectionsTotal: 512}, true},
		"unknown descriptors": {Limits{}, 0, Limits{MaxConnections: 10_000, MaxConnectionsTotal: 50_000}, false},
		"few wanted":          {Limits{MaxConnectionsTotal: 100}, 1024, Limits{MaxConnections: 10_000, MaxConnectionsTotal: 100}, false},
		"no bounds": {
			Limits{MaxConnections: -1, MaxConnectionsPerIP: -1, MaxConnectionsTotal: -1}, 1 << 20,
			Limits{MaxConnections: math.MaxInt, MaxConnectionsTotal: 1 << 19}, true,
		},
		"endless descriptors": {Limits{}, math.MaxUint64, Limits{MaxConnections: 10_000, MaxConnectionsTotal: 50_000}, false},
	} {
		var log bytes.Buffer
		if got := c.given.withDefaults(c.descriptors, slog.New(slog.NewTextHandler(&log, nil))); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if told := strings.Contains(log.String(), "open files"); told != c.told {
			t.Errorf("%s: the log says %q", name, &log)
		}
	}
}

// TestLimits: every bound reaches the sockets, and its metric tells when it is hit.
func TestLimits(t *testing.T) {
	t.Parallel()
	standing := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	const rest = "Host: a\r\n\r\n"
	rejected := func(reason string) string {
		return `sluice_rejected_requests_total{listener="a",reason="` + reason + `"} 1`
	}
	event := func(name string) string {
		return `sluice_downstream_connection_events_total{event="` + name + `",listener="a"} 1`
	}
	for name, c := range map[string]struct {
		limits Limits
		policy http1.Policy
		// crowd connections are served before the one that counts.
		crowd  int
		send   string
		status string // of the answer; empty for an end without one
		metric string
	}{
		"header bytes": {Limits{Head: http1.Limits{HeadBytes: 200}}, http1.Policy{}, 0,
			"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 300) + "\r\n" + rest, "431", rejected("http1.headers_too_large")},
		"header fields": {Limits{Head: http1.Limits{Fields: 2}}, http1.Policy{}, 0,
			"GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n" + rest, "431", rejected("http1.too_many_headers")},
		"target bytes": {Limits{Head: http1.Limits{TargetBytes: 10}}, http1.Policy{}, 0,
			"GET /0123456789 HTTP/1.1\r\n" + rest, "414", rejected("http1.uri_too_long")},
		"escaped slashes": {Limits{}, http1.Policy{}, 0, "GET /a%2fb HTTP/1.1\r\n" + rest, "400", rejected("http1.escaped_slash_in_path")},
		"redirected slashes": {Limits{}, http1.Policy{EscapedSlashes: http1.RedirectEscapedSlashes}, 0,
			"GET /a%2fb HTTP/1.1\r\n" + rest, "307", rejected("http1.escaped_slash_redirect")},
		"underscores": {Limits{}, http1.Policy{}, 0, "GET / HTTP/1.1\r\nA_b: 1\r\n" + rest, "400", rejected("http1.header_name_with_underscore")},
		"header timeout": {Limits{Timeouts: http1.Timeouts{Head: 100 * time.Millisecond}}, http1.Policy{}, 0,
			"GET / HTTP/1.1\r\n", "408", event("head_timeout")},
		"idle timeout": {Limits{Timeouts: http1.Timeouts{Idle: 100 * time.Millisecond}}, http1.Policy{}, 0, "", "", event("idle_timeout")},
		"stream idle timeout": {Limits{Timeouts: http1.Timeouts{Stream: 100 * time.Millisecond}}, http1.Policy{}, 0,
			"GET / HTTP/1.1\r\n" + rest, "504", event("stream_timeout")},
		"connections":        {Limits{MaxConnections: 1}, http1.Policy{}, 1, "", "503", event("refused")},
		"connections per ip": {Limits{MaxConnectionsPerIP: 1}, http1.Policy{}, 1, "", "503", event("refused_per_ip")},
		"connections total":  {Limits{MaxConnectionsTotal: 1}, http1.Policy{}, 1, "", "503", event("refused_total")},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, func(o *Options) { o.Limits, o.Policy, o.Drain = c.limits, c.policy, -1 })
			s := p.set([]*router.Listener{to("a", "127.0.0.1:0", "x")}, origin(t, "x", standing))
			for n := range c.crowd {
				dialListener(t, s.Address("a"))
				p.metrics(`sluice_downstream_connections{listener="a"} ` + string('1'+rune(n)))
			}
			conn := dialListener(t, s.Address("a"))
			io.WriteString(conn, c.send)
			line, err := bufio.NewReader(conn).ReadString('\n')
			if c.status == "" && err != io.EOF || c.status != "" && !strings.HasPrefix(line, "HTTP/1.1 "+c.status+" ") {
				t.Errorf("got %q, %v; want status %q", line, err, c.status)
			}
			p.metrics(c.metric + "\n")
			p.stop()
		})
	}
}

func dialListener(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// TestLameDuck: for a while the process says that it is not ready, and accepts all the
// same. It follows its configuration until the end.
func TestLameDuck(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	p := run(t, func(o *Options) {
		o.LameDuck = 500 * time.Millisecond
		o.sleep = func(d time.Duration) {
			if d != 500*time.Millisecond {
				t.Errorf("the lame duck lives for %s", d)
			}
			<-over
		}
	})
	end := sync.OnceFunc(func() { close(over) })
	defer end()
	s := p.set([]*router.Listener{to("a", "127.0.0.1:0", "x")}, origin(t, "x", text("ok")))
	p.stop()
	if s = p.next(); s.NotReady == nil {
		t.Fatal("the process is ready while it drains")
	}
	if code, _ := fetch(t, "http://"+s.Status+"/healthz/ready"); code != 503 {
		t.Errorf("readiness answers %d, want 503", code)
	}
	if code, body := fetch(t, "http://"+s.Address("a")+"/"); code != 200 || body != "ok" {
		t.Errorf("a new connection gets %d %q", code, body)
	}
	p.set([]*router.Listener{to("a", "127.0.0.1:0", "x")}, origin(t, "x", text("moved")))
	if code, body := fetch(t, "http://"+s.Address("a")+"/"); code != 200 || body != "moved" {
		t.Errorf("after a change it answers %d %q", code, body)
	}
	select {
	case err := <-p.ended:
		p.ended <- err
		t.Fatalf("ended too early: %v", err)
	default:
	}
	end()
	if err := <-p.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	p.ended <- nil
}
