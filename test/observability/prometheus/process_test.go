package prometheus

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

var (
	buildOnce sync.Once
	binaries  string
	buildErr  error
)

func TestMain(m *testing.M) {
	status := m.Run()
	if binaries != "" {
		os.RemoveAll(binaries)
	}
	os.Exit(status)
}

// binary returns one of ours, built once.
func binary(t testing.TB, name string) string {
	t.Helper()
	buildOnce.Do(func() {
		if binaries, buildErr = os.MkdirTemp("", "sluice-prometheus-"); buildErr != nil {
			return
		}
		for command, name := range map[string]string{"gateway": "sluice-gateway", "sidecar": "sluice-sidecar"} {
			build := exec.Command("go", "build", "-o", filepath.Join(binaries, name), "./cmd/"+command)
			build.Dir = filepath.Join("..", "..", "..")
			if out, err := build.CombinedOutput(); err != nil {
				buildErr = fmt.Errorf("%w\n%s", err, out)
				return
			}
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return filepath.Join(binaries, name)
}

// need skips a test whose tool is not installed; in CI, where it must be, the test fails.
func need(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; test/install-tools.sh installs it", name)
	}
	t.Skipf("%s is not installed; make tools installs it", name)
	return ""
}

// output is what a process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// run starts a process, waits until ready answers 200, and ends the process with the test.
func run(t testing.TB, ready string, env []string, name string, args ...string) {
	t.Helper()
	var log output
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), log.String())
		}
	})
	await(t, func() error {
		select {
		case <-ended:
			t.Fatalf("%s has ended:\n%s", name, log.String())
		default:
		}
		_, err := get(ready)
		return err
	})
}

// await waits until a condition holds.
func await(t testing.TB, condition func() error) {
	t.Helper()
	var err error
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = condition(); err == nil {
			return
		}
	}
	t.Fatalf("after %v: %v", patience, err)
}

var client = &http.Client{Timeout: patience}

// get returns what a URL answers with status 200.
func get(url string) (string, error) {
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		return "", err
	}
	if r.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %s", url, r.Status, body.String())
	}
	return body.String(), nil
}
