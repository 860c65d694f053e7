package cluster

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// nodeAddress is where NodePorts are.
const nodeAddress = "10.250.0.1"

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// need skips a test that does not run inside a node.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("SLUICE_TEST_CLUSTER") == "" {
		t.Skip("it needs a Kubernetes node: make test-cluster")
	}
}

// install puts the gateway into the cluster as people do; again, it changes nothing.
func install(t *testing.T, more ...string) {
	t.Helper()
	args := append([]string{"install", "--profile", "demo", "--timeout", "90s"}, more...)
	t.Log("$ sluice", strings.Join(args, " "))
	run(t, "", "sluice", args...)
}

// kubectl runs a command line as people type it, and shows it.
func kubectl(t *testing.T, line string) string {
	t.Helper()
	t.Logf("$ kubectl %s", line)
	return run(t, "", "kubectl", strings.Fields(line)...)
}

// apply is kubectl apply -f - of a text.
func apply(t *testing.T, manifests string) {
	t.Helper()
	run(t, manifests, "kubectl", "apply", "-f", "-")
}

func run(t *testing.T, text, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// await tries until it gets no error.
func await(t *testing.T, what string, try func() error) {
	t.Helper()
	start := time.Now()
	var err error
	for time.Since(start) < patience {
		if err = try(); err == nil {
			t.Logf("%s: after %v", what, time.Since(start).Round(time.Millisecond))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s, not within %v: %v", what, patience, err)
}

// get returns the status and body of a page, with a host and a cookie of one's own where
// they are not empty.
func get(url, host, cookie string) (status int, body string, err error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	r.Host = host
	if cookie != "" {
		r.Header.Set("cookie", cookie)
	}
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", fmt.Errorf("%s: %w", response.Status, err)
	}
	return response.StatusCode, string(text), nil
}
