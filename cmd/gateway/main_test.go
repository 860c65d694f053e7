package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/cmd/internal/start"

	"github.com/sluicegate/sluice/test/freeport"
)

// TestMain lets the test's own binary be the gateway's.
func TestMain(m *testing.M) {
	if os.Getenv("SLUICE_GATEWAY_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   string
		status int
		want   string
	}{
		"help":               {"--help", 0, "--port-map"},
		"version":            {"--version", 0, "sluice-gateway version "},
		"no config":          {"", 2, "--config DIR"},
		"unknown flag":       {"--nonsense", 2, "unknown flag"},
		"an argument":        {"--config x y", 2, "unknown command"},
		"address":            {"--config x --address localhost", 2, "--address"},
		"port map":           {"--config x --port-map 80", 2, "--port-map"},
		"port map of a name": {"--config x --port-map http=8080", 2, "--port-map"},
		"port map twice":     {"--config x --port-map 80=8080 --port-map 80=8081", 2, "given twice"},
		"labels":             {"--config x --labels istio", 2, "labels"},
		"hops":               {"--config x --trusted-hops -1", 2, "--trusted-hops"},
		"drain":              {"--config x --drain -1s", 2, "--drain"},
		"lame duck":          {"--config x --lame-duck -1s", 2, "--lame-duck"},
		"no headers":         {"--config x --max-header-bytes 0", 2, "--max-header-bytes 0"},
		"fewer than none":    {"--config x --max-connections -1", 2, "--max-connections -1"},
		"timeout":            {"--config x --idle-timeout -1s", 2, "--idle-timeout"},
		"slashes":            {"--config x --escaped-slashes merge", 2, "reject, keep or redirect"},
		"underscores":        {"--config x --header-underscores drop", 2, "reject or allow"},
		"hsts":               {"--config x --hsts includeSubDomains", 2, "max-age=31536000"},
		"acme directory":     {"--config x --acme-cache c --acme-directory acme.example.com/dir", 2, "--acme-directory"},
		"locality":           {"--config x --locality us-east/*", 2, "REGION/ZONE/SUBZONE"},
		"log level":          {"--config x --log-level loud", 2, "--log-level"},
		"log format":         {"--config x --log-format xml", 2, "--log-format"},
		"admin for all":      {"--config x --admin 0.0.0.0:0 --status=", 1, "--admin-remote"},
		"admin not there":    {"--config x --admin 127.0.0.1:0 --status 192.0.2.1:1", 1, "--status"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			got := start.Execute(newCommand(), strings.Fields(c.args), &stdout, &stderr)
			if got != c.status {
				t.Errorf("exit status %d, want %d: %s", got, c.status, &stderr)
			}
			out := stderr.String()
			if c.status == 0 {
				out = stdout.String()
			} else if stdout.Len() > 0 {
				t.Errorf("an error on standard output: %s", &stdout)
			}
			if !strings.Contains(out, c.want) {
				t.Errorf("no %q in %q", c.want, out)
			}
			if hint := strings.Contains(out, "--help'"); c.status > 0 && hint != (c.status == 2) {
				t.Errorf("hint at the help: %t, in %q", hint, out)
			}
		})
	}
}

func TestParsePortMap(t *testing.T) {
	t.Parallel()
	got, err := parsePortMap([]string{"80=8080", "443=0", "80=8080"})
	if want := map[uint16]uint16{80: 8080, 443: 0}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, s := range []string{"", "80", "=", "80=", "=80", "0=80", "80=65536", "-1=80", "80=8080=1"} {
		if got, err := parsePortMap([]string{s}); err == nil {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

const manifests = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all}
spec:
  hosts: ["*"]
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /direct}}]
    directResponse: {status: 200, body: {string: "%s"}}
  - route: [{destination: {host: backend.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: backend}
spec:
  hosts: [backend.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: %s}}]
`

// gatewayProcess is the binary, running.
type gatewayProcess struct {
	*exec.Cmd
	url    string
	status string
	logs   chan string
}

// launch starts the binary on a folder with manifests, and waits until it serves.
func launch(t *testing.T, dir string, stdout io.Writer, args ...string) *gatewayProcess {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &gatewayProcess{logs: make(chan string, 1000), status: free(t)}
	at := free(t)
	p.url = "http://" + at
	_, port, _ := net.SplitHostPort(at)
	p.Cmd = exec.Command(exe, append([]string{
		"--config", dir, "--address", "127.0.0.1", "--port-map", "80=" + port, "--admin", "127.0.0.1:0", "--status", p.status, "--access-log", "-",
	}, args...)...)
	p.Env = append(os.Environ(), "SLUICE_GATEWAY_MAIN=1")
	p.Stdout = stdout
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	go func() {
		defer close(p.logs)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.logs <- s.Text()
		}
	}()
	p.await(t, "configuration loaded")
	return p
}

// await returns the next line of the log with a text.
func (p *gatewayProcess) await(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(40 * time.Second)
	for {
		select {
		case line, ok := <-p.logs:
			if !ok {
				t.Fatalf("the process ended without %q", text)
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			t.Fatalf("no %q in the log", text)
		}
	}
}

func free(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freeport.Take())
}

func write(t *testing.T, dir, text string) {
	t.Helper()
	// In one step, so that the gateway never meets a file that is still empty.
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path+".tmp", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// TestProcess: the binary follows its folder, and at SIGTERM finishes what runs, writes
// its log out, and exits 0.
func TestProcess(t *testing.T) {
	t.Parallel()
	arrived, letGo := make(chan struct{}), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-letGo
		io.WriteString(w, "finished")
	}))
	defer backend.Close()
	port := backend.URL[strings.LastIndexByte(backend.URL, ':')+1:]
	dir := t.TempDir()
	write(t, dir, fmt.Sprintf(manifests, "one", port))
	var stdout bytes.Buffer
	p := launch(t, dir, &stdout)
	if code, body := get(t, "http://"+p.status+"/healthz/ready"); code != 200 {
		t.Errorf("ready: %d %s", code, body)
	}
	if code, body := get(t, p.url+"/direct"); code != 200 || body != "one" {
		t.Errorf("got %d %q", code, body)
	}
	write(t, dir, fmt.Sprintf(manifests, "two", port))
	p.await(t, "configuration loaded")
	if code, body := get(t, p.url+"/direct"); code != 200 || body != "two" {
		t.Errorf("after the change: %d %q", code, body)
	}
	write(t, dir, "kind: [")
	p.await(t, "configuration loaded")
	if code, body := get(t, p.url+"/direct"); code != 200 || body != "two" {
		t.Errorf("with a broken file: %d %q", code, body)
	}

	answer := make(chan string, 1)
	go func() {
		_, body := get(t, p.url+"/slow")
		answer <- body
	}()
	<-arrived
	p.Process.Signal(syscall.SIGTERM)
	p.await(t, "draining")
	if code, _ := get(t, "http://"+p.status+"/healthz/ready"); code != 503 {
		t.Errorf("ready while draining: %d", code)
	}
	close(letGo)
	if got := <-answer; got != "finished" {
		t.Errorf("the running request got %q", got)
	}
	p.await(t, "drained")
	for range p.logs {
	}
	if err := p.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
	slow := regexp.MustCompile(`(?m)^\[.*\] "GET /slow HTTP/1\.1" 200 - via_upstream .* outbound\|80\|\|backend\.example\.com `)
	if lines := strings.Count(stdout.String(), "\n"); lines != 4 || !slow.Match(stdout.Bytes()) {
		t.Errorf("the access log:\n%s", &stdout)
	}
}

// TestSecondSignal ends the process while it still waits for a request.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	arrived, letGo := make(chan struct{}), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-letGo
	}))
	defer backend.Close()
	defer close(letGo)
	dir := t.TempDir()
	write(t, dir, fmt.Sprintf(manifests, "x", backend.URL[strings.LastIndexByte(backend.URL, ':')+1:]))
	p := launch(t, dir, io.Discard)
	go http.Get(p.url + "/slow")
	<-arrived
	p.Process.Signal(syscall.SIGINT)
	p.await(t, "draining")
	p.Process.Signal(syscall.SIGINT)
	for range p.logs {
	}
	err := p.Wait()
	if e, ok := err.(*exec.ExitError); !ok || e.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("ended with %v, want the signal's", err)
	}
}

// TestDrainIsBounded: what does not finish in time is cut, and the exit status is 0.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	arrived, letGo := make(chan struct{}), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-letGo
	}))
	defer backend.Close()
	defer close(letGo)
	dir := t.TempDir()
	write(t, dir, fmt.Sprintf(manifests, "x", backend.URL[strings.LastIndexByte(backend.URL, ':')+1:]))
	p := launch(t, dir, io.Discard, "--drain", "100ms")
	cut := make(chan error, 1)
	go func() {
		r, err := http.Get(p.url + "/slow")
		if err == nil {
			r.Body.Close()
			err = fmt.Errorf("answered %d", r.StatusCode)
		}
		cut <- err
	}()
	<-arrived
	began := time.Now()
	p.Process.Signal(syscall.SIGTERM)
	p.await(t, "requests were cut")
	for range p.logs {
	}
	if err := p.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("took %s", took)
	}
	<-cut
}

// TestReaderOfLogGoes: the gateway serves on when nobody reads its access log any more.
func TestReaderOfLogGoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, fmt.Sprintf(manifests, "x", "1"))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	p := launch(t, dir, w)
	w.Close()
	get(t, p.url+"/direct")
	p.await(t, "access log cannot be written")
	if code, _ := get(t, p.url+"/direct"); code != 200 {
		t.Errorf("got %d", code)
	}
	p.Process.Signal(syscall.SIGTERM)
	for range p.logs {
	}
	if err := p.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
}
