package apiserver

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	podRange     = "10.244.0.0/16"
	serviceRange = "10.96.0.0/16"
	adminToken   = "admin"
)

// server is an API server with its etcd, each at ports of its own.
type server struct {
	dir             string
	etcdURL, peer   string
	port            int
	authority       *authority
	etcd, apiserver *process
	// admin may do everything.
	admin *kubernetes.Clientset
}

// common is the API server that most tests share. Tests that break theirs have their own.
var common struct {
	once   sync.Once
	server *server
	err    error
}

// shared returns the API server that most tests share, with the Istio CRDs installed.
func shared(t testing.TB) *server {
	t.Helper()
	need(t)
	common.once.Do(func() {
		dir, err := os.MkdirTemp("", "sluice-apiserver-")
		if err != nil {
			common.err = err
			return
		}
		common.server, common.err = startServer(dir)
	})
	if common.err != nil {
		t.Fatal(common.err)
	}
	common.server.installCRDs(t)
	return common.server
}

// newServer returns an API server for one test, without the Istio CRDs.
func newServer(t testing.TB) *server {
	t.Helper()
	need(t)
	s, err := startServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// startServer starts etcd and an API server whose state lies in dir.
func startServer(dir string) (*server, error) {
	s := &server{dir: dir, port: freePort()}
	s.etcdURL = fmt.Sprintf("http://127.0.0.1:%d", freePort())
	s.peer = fmt.Sprintf("http://127.0.0.1:%d", freePort())
	if err := s.writeKeys(); err != nil {
		return nil, err
	}
	var err error
	// Its data need not survive the machine, so nothing is synchronised to disk.
	s.etcd, err = startProcess(dir, "etcd", filepath.Join(os.Getenv(binVar), "etcd"),
		"--name=test", "--data-dir="+filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+s.etcdURL, "--advertise-client-urls="+s.etcdURL,
		"--listen-peer-urls="+s.peer, "--initial-advertise-peer-urls="+s.peer, "--initial-cluster=test="+s.peer)
	if err != nil {
		return nil, err
	}
	config := s.config(adminToken)
	config.QPS = -1
	if s.admin, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if err := s.startAPI(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// startAPI starts the API server alone, over the etcd that runs, and waits until it serves.
func (s *server) startAPI() (err error) {
	in := func(name string) string { return filepath.Join(s.dir, name) }
	s.apiserver, err = startProcess(s.dir, "kube-apiserver", filepath.Join(os.Getenv(binVar), "kube-apiserver"),
		"--etcd-servers="+s.etcdURL, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", s.port),
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--tls-cert-file="+in("api.crt"), "--tls-private-key-file="+in("api.key"),
		"--token-auth-file="+in("tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-key-file="+in("sa.key"), "--service-account-signing-key-file="+in("sa.key"), "--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range="+serviceRange, "--disable-admission-plugins=ServiceAccount",
		"--enable-priority-and-fairness=false", "--profiling=false",
		"--audit-policy-file="+in("audit.yaml"), "--audit-log-path="+in("audit.log"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for ctx.Err() == nil {
		if err := errors.Join(s.etcd.alive(), s.apiserver.alive()); err != nil {
			return err
		}
		if _, err = s.admin.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("the API server does not get ready: %w\n%s", err, s.apiserver.tail())
}

// stop ends both without ceremony.
func (s *server) stop() {
	for _, p := range []*process{s.apiserver, s.etcd} {
		if p != nil {
			p.kill()
		}
	}
}

// writeKeys writes the certificate, the key of service accounts, the token of the
// administrator and the policy of the audit log.
func (s *server) writeKeys() (err error) {
	if s.authority, err = newAuthority(); err != nil {
		return err
	}
	cert, key, err := s.authority.issue("kubernetes", "localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	accounts, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"ca.crt": s.authority.pem, "api.crt": cert, "api.key": key,
		"sa.key":     pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(accounts)}),
		"tokens.csv": []byte(adminToken + ",admin,admin,\"system:masters\"\n"),
		"audit.yaml": []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata, userGroups: [\"system:serviceaccounts\"]}, {level: None}]\n"),
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(s.dir, name), text, 0o600))
	}
	return err
}

// config returns how a client with a token reaches the server.
func (s *server) config(token string) *rest.Config {
	return &rest.Config{
		Host: s.url(), BearerToken: token, Timeout: patience,
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(s.dir, "ca.crt")},
	}
}

func (s *server) url() string { return fmt.Sprintf("https://127.0.0.1:%d", s.port) }

// kubeconfig writes a kubeconfig for a token, and returns its path.
func (s *server) kubeconfig(t testing.TB, token string) string {
	t.Helper()
	return s.kubeconfigAt(t, s.url(), token)
}

// kubeconfigAt is kubeconfig with a URL of one's own.
func (s *server) kubeconfigAt(t testing.TB, url, token string) string {
	t.Helper()
	return writeFile(t, "kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: test, user: {token: %q}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, url, filepath.Join(s.dir, "ca.crt"), token))
}

// writeFile writes a file that goes with the test.
func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// given are the ports that freePort has returned: nobody else is in this network.
var given sync.Map

// freePort returns a port that nobody listened at a moment ago, and that it has not returned
// before. It is none of those that the system gives to connections: such a one could be taken by
// the time it is used.
func freePort() int {
	for {
		port := 10000 + mathrand.IntN(20000)
		if _, twice := given.LoadOrStore(port, true); twice {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
}

// get returns the status and body of a page.
func get(url string) (int, string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	return readAll(r)
}
