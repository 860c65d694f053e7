package browser

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	buildOnce sync.Once
	folder    string
	buildErr  error
	chromium  *Chromium
)

func TestMain(m *testing.M) {
	status := m.Run()
	if chromium != nil {
		chromium.Close()
	}
	if folder != "" {
		os.RemoveAll(folder)
	}
	os.Exit(status)
}

// prepare builds the command and starts the browser, once for all tests.
func prepare(t testing.TB) {
	t.Helper()
	buildOnce.Do(func() {
		path, err := exec.LookPath("chromium")
		if err != nil {
			if os.Getenv("CI") == "true" {
				buildErr = fmt.Errorf("%w: test/install-tools.sh installs it", err)
			}
			return
		}
		if folder, buildErr = os.MkdirTemp("", "sluice-browser-"); buildErr != nil {
			return
		}
		build := exec.Command("go", "build", "-o", filepath.Join(folder, "sluice"), "./cmd/sluice")
		build.Dir = filepath.Join("..", "..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("%w\n%s", err, out)
			return
		}
		chromium, buildErr = Start(path, filepath.Join(folder, "profile"))
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	if chromium == nil {
		t.Skip("chromium is not installed: test/install-tools.sh installs it")
	}
}

// demo is a running sluice demo.
type demo struct {
	// page is bookinfo's address, ui that of the dashboard, admin the gateway's admin server.
	page, ui, admin string
	dir             string
	cmd             *exec.Cmd
}

// startDemo runs the demonstration until the test ends.
func startDemo(t testing.TB) *demo {
	t.Helper()
	prepare(t)
	d := &demo{dir: t.TempDir()}
	out := &buffer{}
	d.cmd = exec.Command(filepath.Join(folder, "sluice"), "demo", "--port", "0", "--admin", "127.0.0.1:0", "--dir", d.dir)
	d.cmd.Stdout, d.cmd.Stderr = out, out
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.cmd.Process.Signal(syscall.SIGTERM)
		if err := d.cmd.Wait(); err != nil {
			t.Errorf("the demonstration ended with %v\n%s", err, out)
		}
	})
	introduced := regexp.MustCompile(`(?s)  page +(http://localhost:\d+)/productpage\n  dashboard +(http://(127\.0\.0\.1:\d+)/ui/)\n.*Ctrl-C ends`)
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if m := introduced.FindStringSubmatch(out.String()); m != nil {
			d.page, d.ui, d.admin = m[1], m[2], m[3]
			return d
		}
		if time.Now().After(until) {
			t.Fatalf("the demonstration does not begin:\n%s", out)
		}
	}
}

// traffic asks for the page, and now and then for what is not there, until the test ends.
func (d *demo) traffic(t testing.TB) {
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	client := &http.Client{Timeout: patience}
	running.Go(func() {
		tick := time.NewTicker(60 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			address := d.page + "/productpage"
			switch {
			case n%40 == 7:
				address = d.page + "/product"
			case n%3 == 1:
				address = d.page + "/api/v1/products/0/reviews"
			}
			get(ctx, client, address)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		client.CloseIdleConnections()
	})
}

func get(ctx context.Context, client *http.Client, address string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return
	}
	if response, err := client.Do(request); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}

// open opens the dashboard in a tab and waits until it is live.
func open(t testing.TB, address string, width, height int, scheme string) *Tab {
	t.Helper()
	tab, err := chromium.NewTab(width, height, scheme)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tab.Call("Page.close", nil, nil) })
	if err := tab.Open(address); err != nil {
		t.Fatal(err)
	}
	until(t, tab, `document.getElementById("live").dataset.state === "live"`)
	return tab
}

func until(t testing.TB, tab *Tab, expression string) {
	t.Helper()
	if err := tab.Until(expression); err != nil {
		t.Fatalf("%v\ncomplaints: %q", err, tab.Complaints())
	}
}

// ask evaluates an expression in the page.
func ask[T any](t testing.TB, tab *Tab, expression string) (value T) {
	t.Helper()
	if err := tab.Eval(expression, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// buffer is what a process writes to while a test reads.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
