package protocols

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
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

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

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

// binary returns the gateway's binary, built once.
func binary(t testing.TB) string {
	t.Helper()
	buildOnce.Do(func() {
		if binaries, buildErr = os.MkdirTemp("", "sluice-protocols-"); buildErr != nil {
			return
		}
		build := exec.Command("go", "build", "-o", filepath.Join(binaries, "sluice-gateway"), "./cmd/gateway")
		build.Dir = filepath.Join("..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return filepath.Join(binaries, "sluice-gateway")
}

// tools has go look for one tool at a time: of two who have the same one built at once, the build
// cache tells the second of a binary that is not there yet.
var tools sync.Mutex

// tool returns the binary of one of this module's tools, built once by the build cache.
func tool(t testing.TB, name string) string {
	t.Helper()
	tools.Lock()
	defer tools.Unlock()
	out, err := exec.Command("go", "tool", "-n", name).Output()
	if err != nil {
		t.Fatalf("go tool -n %s: %v", name, err)
	}
	return string(bytes.TrimSpace(out))
}

// gateway is a running sluice-gateway.
type gateway struct {
	// ports are where it listens, by the port that a Gateway asks for.
	ports map[int]int
	// config is its folder.
	config string
	admin  string
	cmd    *exec.Cmd
	log    lockedBuffer
}

// start runs a gateway over manifests, listening for the ports at free ones, until the test
// ends.
func start(t testing.TB, manifests string, ports []int, flags ...string) *gateway {
	t.Helper()
	at := map[int]int{}
	for _, p := range ports {
		at[p] = freeport.Take()
	}
	return startAt(t, manifests, at, flags...)
}

// startAt is start with the ports to listen at.
func startAt(t testing.TB, manifests string, ports map[int]int, flags ...string) *gateway {
	t.Helper()
	g := &gateway{ports: ports, config: t.TempDir()}
	g.write(t, "config.yaml", manifests)
	status := freeport.Take()
	g.admin = fmt.Sprintf("127.0.0.1:%d", freeport.Take())
	args := []string{"--config", g.config, "--address", "127.0.0.1", "--admin", g.admin, "--status", fmt.Sprintf("127.0.0.1:%d", status), "--log-level", "debug"}
	for asked, at := range ports {
		args = append(args, "--port-map", fmt.Sprintf("%d=%d", asked, at))
	}
	g.cmd = exec.Command(binary(t), append(args, flags...)...)
	g.cmd.Stdout, g.cmd.Stderr = &g.log, &g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		g.cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		g.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			g.cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.log.String())
		}
	})
	g.await(t, ended, fmt.Sprintf("http://127.0.0.1:%d/healthz/ready", status))
	return g
}

// await waits until the gateway says that it is ready.
func (g *gateway) await(t testing.TB, ended chan struct{}, url string) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatalf("the gateway has ended:\n%s", g.log.String())
		default:
		}
		if r, err := http.Get(url); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatalf("the gateway does not get ready:\n%s", g.log.String())
}

// write puts a file in the gateway's folder, in one step.
func (g *gateway) write(t testing.TB, name, text string) {
	t.Helper()
	next := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(g.config, name)); err != nil {
		t.Fatal(err)
	}
}

// at returns where the gateway listens for a port.
func (g *gateway) at(port int) string { return fmt.Sprintf("127.0.0.1:%d", g.ports[port]) }

// need skips a test whose tool is not installed; in CI, where it must be, the test fails.
func need(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/lib/postgresql/15/bin/", "/usr/libexec/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; test/install-tools.sh installs it", name)
	}
	t.Skipf("%s is not installed; make tools installs it", name)
	return ""
}

// authority is a certificate authority for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return n
}

// pool returns the authority as roots.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue returns a certificate and its key, in PEM, for names, good for servers and clients.
func (a *authority) issue(t testing.TB, names ...string) (cert, key []byte) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &pair.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// keyPair is issue for crypto/tls.
func (a *authority) keyPair(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	cert, err := tls.X509KeyPair(a.issue(t, names...))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// secret returns a Secret of the gateway's namespace with a certificate for names.
func (a *authority) secret(t testing.TB, name string, names ...string) string {
	t.Helper()
	cert, key := a.issue(t, names...)
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: istio-system}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s, ca.crt: %s}\n",
		name, b64(cert), b64(key), b64(a.pem))
}

// lockedBuffer is a bytes.Buffer for several goroutines.
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

// atLength returns a context for programs that do much, which must not hang.
func atLength(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	t.Cleanup(cancel)
	return ctx
}

// within returns a context that ends before the test's patience does.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
