package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	// What the binary under test is made of: a change of it is one for go test's cache.
	_ "github.com/sluicegate/sluice/config/istio"
	_ "github.com/sluicegate/sluice/discovery/file"
	_ "github.com/sluicegate/sluice/gateway"

	"github.com/sluicegate/sluice/test/freeport"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// connections is how many keep-alive clients the load has.
const connections = 64

// tool returns the path of a program, or ends the test where it is missing.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; test/install-tools.sh installs it", name)
	}
	t.Skipf("%s is missing; test/install-tools.sh installs it", name)
	return ""
}

// start runs a program until the test ends, and returns its process.
func start(t *testing.T, env []string, path string, args ...string) *os.Process {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(path), output.String())
		}
	})
	return cmd.Process
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// waitFor polls a URL until it answers 200.
func waitFor(t *testing.T, url string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := (&http.Client{Transport: transport}).Get(url)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatalf("%s does not answer 200", url)
}

// nginx starts one worker with a configuration for http{}, and returns the worker.
func nginx(t *testing.T, http string) int {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, fmt.Sprintf(`worker_processes 1; daemon off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; client_max_body_size 0;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  %[2]s
}`, dir, http))
	os.Chmod(dir, 0o755)
	master := start(t, nil, tool(t, "nginx"), "-c", conf)
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master.Pid, master.Pid))
		if worker, err := strconv.Atoi(strings.TrimSpace(string(children))); err == nil {
			return worker
		}
	}
	t.Fatal("nginx has no worker")
	return 0
}

// backend serves a body of so many bytes at /, and returns its port.
func backend(t *testing.T, size int) int {
	t.Helper()
	port, root := freeport.Take(), t.TempDir()
	write(t, filepath.Join(root, "index.html"), strings.Repeat("x", size))
	os.Chmod(filepath.Dir(root), 0o755)
	os.Chmod(root, 0o755)
	nginx(t, fmt.Sprintf("server { listen 127.0.0.1:%d backlog=4096; root %s; open_file_cache max=10; sendfile on; }", port, root))
	return port
}

// load runs wrk for some time and returns the number of requests; a request that failed
// fails the test.
func load(t *testing.T, url string, seconds int) int {
	t.Helper()
	out, err := exec.Command(tool(t, "wrk"), "-t1", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", seconds), "--timeout", "10s", url).CombinedOutput()
	if err != nil {
		t.Fatalf("wrk: %v\n%s", err, out)
	}
	if bytes.Contains(out, []byte("Socket errors")) || bytes.Contains(out, []byte("Non-2xx")) {
		t.Errorf("requests were lost:\n%s", out)
	}
	m := regexp.MustCompile(`(\d+) requests in`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("wrk says no count:\n%s", out)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// cpu returns the processor time that a process has used, in clock ticks of 10 ms.
func cpu(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}

// TestSystemCalls counts the system calls of a proxied request at 64 keep-alive
// connections: two reads and two writes.
func TestSystemCalls(t *testing.T) {
	strace := tool(t, "strace")
	url, pid := gateway(t, newSite(t, 1024).plain)
	load(t, url, 1)

	summary := filepath.Join(t.TempDir(), "strace")
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	tracer := exec.CommandContext(ctx, strace, "-f", "-c", "-o", summary, "-p", strconv.Itoa(pid))
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	waitTraced(t, pid)
	requests := load(t, url, 2)
	tracer.Process.Signal(os.Interrupt)
	tracer.Wait()

	calls := countCalls(t, summary)
	perRequest := 0.0
	for name, n := range calls {
		// What the runtime does to wait is shared by all who are ready, and not of a
		// request.
		switch name {
		case "epoll_pwait", "epoll_wait", "futex", "nanosleep", "sched_yield", "tgkill", "rt_sigreturn", "restart_syscall", "ppoll":
		default:
			perRequest += float64(n) / float64(requests)
		}
	}
	t.Logf("%d requests: %.2f system calls each (%.2f with waiting); %v", requests, perRequest, float64(total(calls))/float64(requests), calls)
	// What it takes to set connections up, on either side, is shared by their requests: by few,
	// where the machine is slow.
	each := float64(connections) / float64(requests)
	if data := float64(calls["read"]+calls["write"]+calls["writev"]) / float64(requests); data > 4.1+4*each {
		t.Errorf("%.2f reads and writes for a request, want 4", data)
	}
	if perRequest > 4.1+20*each {
		t.Errorf("%.2f system calls for a request, want 4", perRequest)
	}
	// Connections that were idle for a while are looked at before one of them is used again;
	// traced, the gateway may be slow enough for that to happen every time.
	if calls["ppoll"] > requests+connections {
		t.Errorf("%d looks at connections for %d requests, want one each at most", calls["ppoll"], requests)
	}
}

// waitTraced waits until a tracer is attached.
func waitTraced(t *testing.T, pid int) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if m := regexp.MustCompile(`TracerPid:\s+(\d+)`).FindSubmatch(status); m != nil && string(m[1]) != "0" {
			return
		}
	}
	t.Skip("strace cannot attach here")
}

func countCalls(t *testing.T, summary string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(summary)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 5 || f[len(f)-1] == "total" {
			continue
		}
		if n, err := strconv.Atoi(f[3]); err == nil {
			calls[f[len(f)-1]] = n
		}
	}
	return calls
}

func total(calls map[string]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}
