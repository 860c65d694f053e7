package accesslog

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// outbound is a plan with these logs for calls out.
func outbound(logs ...router.AccessLog) *router.Telemetry {
	return &router.Telemetry{Outbound: router.TelemetryPolicy{LogsDecided: true, AccessLogs: logs}}
}

// read returns the lines of a file.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestApply: each direction has the logs that the plan has for it, or the process's own.
func TestApply(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	own := &outlet{}
	l, err := New(Options{File: "-", Text: "own %REQ(:PATH)%", Stdout: own, Stderr: io.Discard, Shards: 2, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	send := func(path string, inbound bool) {
		ex := forwarded()
		ex.Request.Path, ex.Connection = path, &proxy.Connection{Inbound: inbound}
		l.Complete(1, ex)
		st := carried()
		st.Connection.Inbound = inbound
		st.Route = path
		l.CompleteStream(0, st)
	}
	send("/before", false)
	l.Apply(outbound(
		router.AccessLog{File: at("all"), Text: "1 %REQ(:PATH)% %ROUTE_NAME%\n"},
		router.AccessLog{File: at("all"), Text: "2 %PROTOCOL%"},
		router.AccessLog{File: at("some"), Text: "%REQ(:PATH)%", Filter: "request.path != '/a' || xds.route_name == '/b'"},
		router.AccessLog{File: at("json"), JSON: true, Fields: []router.LogField{{Name: "p", Text: "%REQ(:PATH)%"}}, OmitEmpty: true},
		router.AccessLog{File: "/dev/stderr"},
		router.AccessLog{File: "/dev/stdout", Text: "shared"},
	))
	send("/a", false)
	send("/b", false)
	send("/in", true)
	l.Apply(outbound())
	send("/nobody", false)
	send("/in2", true)
	l.Apply(nil)
	send("/after", false)
	l.Close()
	sorted := func(s string) string {
		lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
		var count [8]int
		for _, l := range lines {
			for i, c := range []string{"1 /a productpage", "1 - /a", "2 HTTP/1.1", "2 -", "/b", "-", `{"p":"/a"}`, `{}`} {
				if l == c {
					count[i]++
				}
			}
		}
		var b strings.Builder
		for _, n := range count {
			b.WriteByte(byte('0' + n))
		}
		return b.String()
	}
	for name, want := range map[string]string{"all": "11220000", "some": "00001100", "json": "00000012"} {
		if got := sorted(read(t, at(name))); got != want {
			t.Errorf("%s holds %s, want %s:\n%s", name, got, want, read(t, at(name)))
		}
	}
	got := strings.Join(own.lines(), " ")
	for want, n := range map[string]int{"own /before": 1, "own /in": 2, "own /in2": 1, "own /after": 1, "own -": 4, "shared": 4, "nobody": 0} {
		if strings.Count(got, want) != n {
			t.Errorf("%d times %q, want %d, in %s", strings.Count(got, want), want, n, got)
		}
	}
}

// TestApplyTellsLogsApart: a log that only nearly looks like the one before is another.
func TestApplyTellsLogsApart(t *testing.T) {
	t.Parallel()
	l, err := New(Options{Shards: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(t.TempDir(), "log")
	list := []router.AccessLog{
		{File: file},
		{File: file, Fields: []router.LogField{}}, // an empty object for each
		{File: file, Fields: []router.LogField{{Name: "a"}}},
		{File: file, Fields: []router.LogField{{Name: "a", Fields: []router.LogField{}}}},
		{File: file, Fields: []router.LogField{{Name: "a", Text: "x Fields:[]} {Name:b Text:y"}}},
		{File: file, Fields: []router.LogField{{Name: "a", Text: "x"}, {Name: "b", Text: "y"}}},
	}
	for i := range list {
		l.Apply(outbound(list[i]))
		before := l.current.Load().outbound[0]
		for j := range list {
			l.Apply(outbound(list[i], list[j]))
			now := l.current.Load().outbound
			if now[0] != before || (now[1] == before) != (i == j) {
				t.Errorf("%+v and %+v: the same %v", list[i], list[j], now[1] == before)
			}
		}
	}
}

// TestApplyKeepsLogs: a log that stays the same is not touched by a new configuration, and a
// file is open once however many name it.
func TestApplyKeepsLogs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	l, err := New(Options{Shards: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	spec := router.AccessLog{File: file, Text: "%PROTOCOL%", OTLP: nil, Origin: router.Origin{Name: "a"}}
	remote := router.AccessLog{OTLP: &router.OTLP{Address: "127.0.0.1:1", Attributes: []router.LogField{{Name: "a", Text: "b"}}}}
	l.Apply(outbound(spec, remote, router.AccessLog{File: file}))
	first := l.current.Load().outbound
	if len(l.sinks) != 2 || first[0].sink != first[2].sink {
		t.Errorf("%d sinks", len(l.sinks))
	}
	spec.Origin.Name = "b"
	again := *remote.OTLP
	remote.OTLP = &again
	l.Apply(outbound(spec, remote))
	second := l.current.Load().outbound
	if second[0] != first[0] || second[1] != first[1] {
		t.Error("logs that did not change were made anew")
	}
	l.Apply(nil)
	if len(l.sinks) != 0 {
		t.Errorf("%d sinks are left", len(l.sinks))
	}
}

// TestApplyWrong: a log that cannot be is left out and told of; a file that cannot be opened
// comes to life when it can.
func TestApplyWrong(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	dir := filepath.Join(t.TempDir(), "later")
	l, err := New(Options{Shards: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	good := router.AccessLog{File: filepath.Join(dir, "log"), Text: "%PROTOCOL%"}
	l.Apply(outbound(router.AccessLog{Provider: "one", File: "/dev/null", Text: "%X%"}, router.AccessLog{Provider: "two", File: "/dev/null", Filter: "1"}, good))
	if n := len(l.current.Load().outbound); n != 1 {
		t.Errorf("%d logs", n)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l.Complete(0, forwarded())
	l.Close()
	if got := read(t, good.File); got != "HTTP/1.1\n" {
		t.Errorf("got %q", got)
	}
	for _, want := range []string{"provider=one", "%X% is no operator", "provider=two", "true or false, is needed", "no such file"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("nothing of %q in %s", want, log.String())
		}
	}
}

func TestNewWrong(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{File: "-", Text: "%X%"}, {File: "-", JSON: true, Text: "%PROTOCOL%"}} {
		if _, err := New(o); err == nil || !strings.HasPrefix(err.Error(), "access log format: ") {
			t.Errorf("got %v", err)
		}
	}
}

// TestReopen: on demand, what was written before goes to the old file, what comes after to a
// new one, though nothing is written for long.
func TestReopen(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "log")
	l, err := New(Options{File: name, Text: "%REQ(:PATH)%", Shards: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ex := forwarded()
	ex.Request.Path = "/before"
	l.Complete(0, ex)
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	await(t, func() bool { _, err := os.Stat(name); return err == nil })
	ex.Request.Path = "/after"
	l.Complete(0, ex)
	l.Close()
	if old, now := read(t, name+".1"), read(t, name); old != "/before\n" || now != "/after\n" {
		t.Errorf("the old file holds %q, the new one %q", old, now)
	}
}

// TestAllocatesNothing holds the request path to its budget: text, JSON, records, filters.
func TestAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for name, spec := range map[string]router.AccessLog{
		"text":            {File: "/dev/stdout"},
		"JSON":            {File: "/dev/stdout", JSON: true},
		"text and filter": {File: "/dev/stdout", Filter: "response.code < 400 && request.headers['user-agent'].startsWith('curl')"},
		"every operator":  {File: "/dev/stdout", Text: everything},
		"record":          {OTLP: &router.OTLP{Address: "127.0.0.1:1", Attributes: []router.LogField{{Name: "code", Text: "%RESPONSE_CODE%"}, {Name: "b", Fields: []router.LogField{{Name: "c", Text: "%PROTOCOL%"}}}}}},
	} {
		l, err := New(Options{Stdout: io.Discard, Shards: 1, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		l.Apply(outbound(spec))
		one := l.current.Load().outbound[0]
		ex, st := rich(), carried()
		buffer := make([]byte, 0, 1<<20)
		if n := testing.AllocsPerRun(500, func() {
			if one.filter != nil {
				if want, _ := one.filter.Bool(ex); !want {
					t.Fatal("filtered")
				}
			}
			one.line(buffer, ofExchange(ex))
			one.line(buffer, ofStream(st))
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		for range 2000 {
			l.Complete(0, ex)
		}
		if n := testing.AllocsPerRun(2000, func() { l.Complete(0, ex) }); n > 0 && spec.OTLP == nil {
			t.Errorf("%s, all of it: %v allocations", name, n)
		}
		l.CloseCollectors()
		l.Close()
	}
}

// everything is a format with the operators that do the most.
const everything = `%START_TIME(%Y-%m-%d %H:%M:%S.%3f %z)% %EMIT_TIME% %REQ(A?B)% %RESP(SET-COOKIE)% %TRAILER(X-SUM)% %PATH(NQ)% %QUERY_PARAM(u)% %COMMON_DURATION(DS_RX_BEG:US_RX_BEG:us)% ` +
	`%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_TLS_CIPHER% %GRPC_STATUS% %TRACE_ID% %UNIQUE_ID% %RESPONSE_FLAGS_LONG% %CEL(request.method + string(response.code))% ` +
	`%COALESCE({"operators": ["REQUESTED_SERVER_NAME"]})% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(64)% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %HOSTNAME%`

func BenchmarkComplete(b *testing.B) {
	for name, spec := range map[string]router.AccessLog{
		"text":            {File: "/dev/stdout"},
		"JSON":            {File: "/dev/stdout", JSON: true},
		"text and filter": {File: "/dev/stdout", Filter: "response.code < 400 || request.duration > duration('1s')"},
		"filtered out":    {File: "/dev/stdout", Filter: "response.code >= 400 || request.duration > duration('1s')"},
	} {
		b.Run(name, func(b *testing.B) {
			l, err := New(Options{Stdout: io.Discard, Shards: 1, Logger: quiet})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			l.Apply(outbound(spec))
			ex := forwarded()
			b.ReportAllocs()
			for b.Loop() {
				l.Complete(0, ex)
			}
		})
	}
}
