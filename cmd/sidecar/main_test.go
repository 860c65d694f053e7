package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/cmd/internal/start"

	"github.com/sluicegate/sluice/test/freeport"
)

func TestMisuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   string
		status int
		want   string
	}{
		"help":        {"--help", 0, "--workload-labels"},
		"version":     {"--version", 0, "sluice-sidecar version "},
		"no config":   {"", 2, "--config DIR"},
		"inbound":     {"--config x --inbound 9080", 2, "LISTEN=LOCAL"},
		"nothing":     {"--config x --outbound=", 2, "nothing to listen on"},
		"labels":      {"--config x --workload-labels app", 2, "workload-labels"},
		"locality":    {"--config x --locality /zone1", 2, "REGION/ZONE/SUBZONE"},
		"not a flag":  {"--config x --node-ports", 2, "unknown flag"},
		"app metrics": {"--config x --metrics 127.0.0.1:0 --app-metrics 9090", 2, "no URL of metrics"},
		"no page":     {"--config x --app-metrics http://127.0.0.1:9090/metrics", 2, "give --metrics too"},
		"admin taken": {"--config x --status= --admin 192.0.2.1:1", 1, "--admin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			got := start.Execute(newCommand(), strings.Fields(c.args), &stdout, &stderr)
			if out := stdout.String() + stderr.String(); got != c.status || !strings.Contains(out, c.want) {
				t.Errorf("exit status %d, want %d, with %q: %s", got, c.status, c.want, out)
			}
		})
	}
}

const manifests = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.example.com]
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: %[1]s}, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews.example.com]
  http:
  - match: [{sourceLabels: {app: productpage}}]
    route: [{destination: {host: reviews.example.com}}]
  - directResponse: {status: 403}
`

// TestCommand: the flags reach the sidecar, which ends with its context.
func TestCommand(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "from "+r.URL.Path) }))
	defer backend.Close()
	_, port, _ := net.SplitHostPort(backend.Listener.Addr().String())
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), fmt.Appendf(nil, manifests, port), 0o600); err != nil {
		t.Fatal(err)
	}
	out, in := free(t), free(t)
	log := filepath.Join(t.TempDir(), "access.log")
	cmd := newCommand()
	cmd.SetErr(io.Discard)
	cmd.SetArgs([]string{
		"--config", dir, "--workload-labels", "app=productpage", "--admin=", "--status=", "--access-log", log,
		"--outbound", out, "--inbound", in + "=127.0.0.1:" + port, "--log-format", "json",
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	for address, host := range map[string]string{out: "reviews.example.com:9080", in: "anything"} {
		if code, body := get(t, "http://"+address+"/x", host); code != 200 || body != "from /x" {
			t.Errorf("%s: %d %q", host, code, body)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	lines, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(lines), " outbound|9080||reviews.example.com ") || !strings.Contains(string(lines), " inbound|") {
		t.Errorf("the access log, %v:\n%s", err, lines)
	}
}

func free(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freeport.Take())
}

// get asks for a URL by a host, once somebody listens there.
func get(t *testing.T, url, host string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(r)
	for range 2000 {
		if err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
		resp, err = transport.RoundTrip(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
