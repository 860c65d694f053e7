package logs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lines returns the lines of a file, none where there is no file.
func lines(name string) []string {
	b, err := os.ReadFile(name)
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// TestRotation: after logrotate has moved the file and sent SIGUSR1, the moved one has what
// came before, a new one what comes after, and requests go on all the while.
func TestRotation(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "access.log")
	g := start(t, shop(t), "--access-log", name, "--access-log-format", "%REQ(:PATH)% %RESPONSE_CODE%")
	stop := make(chan struct{})
	var sent int
	var wg sync.WaitGroup
	wg.Go(func() {
		for ; ; sent++ {
			select {
			case <-stop:
				return
			default:
				g.get(t, "/shop/"+strconv.Itoa(sent))
			}
		}
	})
	await(t, "lines", func() bool { return len(lines(name)) > 20 })
	var files []string
	for i := range 3 {
		moved := fmt.Sprintf("%s.%d", name, i)
		files = append(files, moved)
		if err := os.Rename(name, moved); err != nil {
			t.Fatal(err)
		}
		if err := g.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		await(t, "a new file with lines", func() bool { return len(lines(name)) > 5 })
		before := len(lines(moved))
		await(t, "more lines", func() bool { return len(lines(name)) > 20 })
		if after := len(lines(moved)); after != before {
			t.Errorf("%s grew from %d to %d lines after a new one was begun", moved, before, after)
		}
	}
	close(stop)
	wg.Wait()
	g.stop()
	var all []string
	for _, f := range append(files, name) {
		all = append(all, lines(f)...)
	}
	if len(all) != sent {
		t.Errorf("%d lines for %d requests", len(all), sent)
	}
	for i := range sent {
		if want := fmt.Sprintf("/shop/%d 200", i); !slices.Contains(all, want) {
			t.Fatalf("no line %q", want)
		}
	}
}

// TestStuckReader: a log that nobody reads any more costs lines, which are counted, and no
// request waits.
func TestStuckReader(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	g := start(t, shop(t), "--access-log", name, "--access-log-format", strings.Repeat("%REQ(:PATH)%", 15))
	path := "/shop/" + strings.Repeat("x", 4000)
	var took []time.Duration
	dropped := 0
	for until := time.Now().Add(patience); dropped < 100 && time.Now().Before(until); {
		for range 50 {
			began := time.Now()
			if code := g.get(t, path); code != 200 {
				t.Fatalf("status %d", code)
			}
			took = append(took, time.Since(began))
		}
		dropped, _ = strconv.Atoi(g.metric(t, "sluice_access_log_dropped_lines_total"))
	}
	slices.Sort(took)
	t.Logf("%d requests, %d lines dropped, median %s, slowest %s", len(took), dropped, took[len(took)/2], took[len(took)-1])
	if dropped < 100 {
		t.Errorf("%d lines of %d are counted as dropped", dropped, len(took))
	}
	if slowest := took[len(took)-1]; slowest > 20*time.Second {
		t.Errorf("a request took %s", slowest)
	}
}

// TestSeveralLogs: a change of the configuration while requests run gives each log its own
// lines, and the one of the process steps back while there are others.
func TestSeveralLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	manifests := shop(t)
	g := start(t, manifests, "--access-log", "-", "--access-log-encoding", "json", "--access-log-format", `{"path": "%REQ(:PATH)%", "code": "%RESPONSE_CODE%", "route": {"name": "%ROUTE_NAME%"}}`)
	g.get(t, "/shop/a")
	g.write(t, "telemetry.yaml", telemetry(`
- name: text
  envoyFileAccessLog: {path: `+file("text")+`}
- name: json
  envoyFileAccessLog:
    path: `+file("json")+`
    logFormat: {labels: {code: "%RESPONSE_CODE%", shelf: "%RESP(X-SHELF)%", none: "%REQ(X-NONE)%"}}
    omitEmptyValues: true
- name: envoy2
  envoyFileAccessLog: {path: `+file("json")+`, logFormat: {text: "second %REQ(:PATH)%"}}
`, `
- providers: [{name: text}, {name: json}, {name: envoy2}]
`))
	await(t, "the new logs", func() bool {
		g.get(t, "/shop/probe")
		return len(lines(file("text"))) > 0
	})
	g.get(t, "/shop/b")
	g.get(t, "/nothing")
	if err := os.Remove(filepath.Join(g.dir, "telemetry.yaml")); err != nil {
		t.Fatal(err)
	}
	await(t, "the process's own log", func() bool {
		g.get(t, "/shop/c")
		return strings.Contains(g.out.String(), `"/shop/c"`)
	})
	g.stop()
	own := g.out.String()
	for want, there := range map[string]bool{
		`{"path":"/shop/a","code":200,"route":{"name":"shelves"}}`: true,
		`"/shop/b"`: false,
		`{"path":"/shop/c","code":200,"route":{"name":"shelves"}}`: true,
	} {
		if strings.Contains(own, want+"\n") != there && strings.Contains(own, want) != there {
			t.Errorf("%s: %t, want %t, in\n%s", want, !there, there, own)
		}
	}
	text := strings.Join(lines(file("text")), "\n")
	if !strings.Contains(text, `"GET /shop/b HTTP/1.1" 200 - via_upstream`) || !strings.Contains(text, `"GET /nothing HTTP/1.1" 404 NR route_not_found`) {
		t.Errorf("text:\n%s", text)
	}
	var objects, seconds int
	for _, l := range lines(file("json")) {
		if strings.HasPrefix(l, "second /") {
			seconds++
			continue
		}
		var o map[string]any
		if err := json.Unmarshal([]byte(l), &o); err != nil {
			t.Fatalf("%v in %s", err, l)
		}
		objects++
		// The first may have begun before the change: nobody kept its header then.
		if _, there := o["none"]; there || o["code"] == 200.0 && o["shelf"] != "7" && objects > 1 {
			t.Errorf("object %s", l)
		}
	}
	if n := len(lines(file("text"))); objects != n || seconds != n {
		t.Errorf("%d objects and %d second lines, for %d in the first log", objects, seconds, n)
	}
}
