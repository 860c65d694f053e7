package logs

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/test/freeport"
)

// patience bounds each wait.
const patience = 60 * time.Second

var (
	buildOnce sync.Once
	built     string
	buildErr  error
)

func TestMain(m *testing.M) {
	status := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(status)
}

// binary returns one of the product's binaries, "gateway" or "sidecar", built once.
func binary(t *testing.T, role string) string {
	t.Helper()
	buildOnce.Do(func() {
		if built, buildErr = os.MkdirTemp("", "sluice-logs-"); buildErr != nil {
			return
		}
		build := exec.Command("go", "build", "-o", built+string(filepath.Separator), "./cmd/gateway", "./cmd/sidecar")
		build.Dir = filepath.Join("..", "..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return filepath.Join(built, role)
}

// proxy is a running gateway or sidecar over a folder of manifests; url is the gateway's.
type proxy struct {
	dir, url, admin string
	cmd             *exec.Cmd
	out, err        buffer
	ended           chan struct{}
}

// start writes manifests and starts a gateway.
func start(t *testing.T, manifests string, flags ...string) *proxy {
	t.Helper()
	at := freeAddress(t)
	p := run(t, "gateway", manifests, append([]string{"--address", "127.0.0.1", "--port-map", "80=" + portOf(at)}, flags...)...)
	p.url = "http://" + at
	return p
}

// run writes manifests and starts a proxy; it is ready when run returns, and ends with the
// test.
func run(t *testing.T, role, manifests string, flags ...string) *proxy {
	t.Helper()
	p := &proxy{dir: t.TempDir(), admin: freeAddress(t), ended: make(chan struct{})}
	status := freeAddress(t)
	p.write(t, "manifests.yaml", manifests)
	p.cmd = exec.Command(binary(t, role), append([]string{"--config", p.dir, "--admin", p.admin, "--status", status, "--drain", "2s"}, flags...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
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
			t.Logf("stderr:\n%s", p.err.String())
		}
	})
	await(t, "the proxy to be ready", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("the proxy has ended:\n%s", p.err.String())
		default:
		}
		code, _ := fetch("http://"+status+"/healthz/ready", "")
		return code == http.StatusOK
	})
	return p
}

// write replaces a file of the configuration.
func (p *proxy) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// stop ends the proxy in order, and returns when it has ended.
func (p *proxy) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// get asks for a path and returns the status.
func (p *proxy) get(t *testing.T, path string) int {
	t.Helper()
	code, err := fetch(p.url+path, "shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// metric returns a metric's value, empty where there is none.
func (p *proxy) metric(t *testing.T, name string) string {
	t.Helper()
	res, err := http.Get("http://" + p.admin + "/stats/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func fetch(url, host string) (int, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// await polls until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// shop starts a backend, and returns manifests that have the gateway serve it at /shop.
func shop(t *testing.T) string {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Shelf", "7")
		fmt.Fprintln(w, "shop")
	}))
	t.Cleanup(backend.Close)
	return `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: ["*"]
  gateways: [shop]
  http:
  - name: shelves
    match: [{uri: {prefix: /shop}}]
    route: [{destination: {host: shop.internal}}]
---
` + entry("shop.internal", "http", 80, backend.Listener.Addr().String())
}

// entry is a service with one endpoint.
func entry(host, protocol string, port int, address string) string {
	ip, at, _ := net.SplitHostPort(address)
	return fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %q, namespace: default}
spec:
  hosts: [%s]
  resolution: STATIC
  ports: [{number: %d, name: %s, protocol: %s}]
  endpoints: [{address: %s, ports: {%s: %s}}]
---
`, strings.ReplaceAll(host, ".", "-"), host, port, protocol, strings.ToUpper(protocol), ip, protocol, at)
}

// telemetry is a mesh's configuration with an access log of one provider.
func telemetry(provider, logging string) string {
	return `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
` + indent(4, provider) + `
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  accessLogging:
` + indent(2, logging)
}

func indent(by int, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(strings.Repeat(" ", by) + strings.TrimRight(line, "\n") + "\n")
		}
	}
	return b.String()
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

// buffer collects what several goroutines write.
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
