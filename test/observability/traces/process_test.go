package traces

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/test/freeport"
)

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

// binary returns one of the product's binaries, "gateway" or "sidecar", built once.
func binary(t *testing.T, role string) string {
	t.Helper()
	buildOnce.Do(func() {
		if binaries, buildErr = os.MkdirTemp("", "sluice-traces-"); buildErr != nil {
			return
		}
		build := exec.Command("go", "build", "-o", binaries+string(filepath.Separator), "./cmd/gateway", "./cmd/sidecar")
		build.Dir = filepath.Join("..", "..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return filepath.Join(binaries, role)
}

// process is a running proxy.
type process struct {
	admin string
	log   lockedBuffer
	cmd   *exec.Cmd
	ended chan struct{}
}

// run starts a proxy; its address for the admin and status servers are added to args. It is
// ready when run returns, and ends with the test.
func run(t *testing.T, role string, args ...string) *process {
	t.Helper()
	p := &process{admin: freeAddress(t), ended: make(chan struct{})}
	status := freeAddress(t)
	p.cmd = exec.Command(binary(t, role), append(args, "--admin", p.admin, "--status", status, "--drain", "2s")...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s:\n%s", role, p.log.String())
		}
	})
	p.await(t, "http://"+status+"/healthz/ready")
	return p
}

// stop ends the proxy in order, and returns when it has ended.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// await polls a URL until it answers 200.
func (p *process) await(t *testing.T, url string) {
	t.Helper()
	for until := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
		}
		cancel()
		if err == nil && res.StatusCode == http.StatusOK {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("the process has ended:\n%s", p.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(until) {
			t.Fatalf("%s does not answer 200: %v\n%s", url, err, p.log.String())
		}
	}
}

// freeAddress returns an address of loopback that nobody listens at. Its port is none of those
// that the system gives to connections: such a one could be taken by the time it is used.
func freeAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freeport.Take())
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// lockedBuffer collects what several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
