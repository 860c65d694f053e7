package apiserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubectl runs kubectl as the administrator, with text as its standard input.
func (s *server) kubectl(t testing.TB, text string, args ...string) string {
	t.Helper()
	out, err := s.tryKubectl(text, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *server) tryKubectl(text string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(os.Getenv(binVar), "kubectl"), append([]string{
		"--server=" + s.url(), "--certificate-authority=" + filepath.Join(s.dir, "ca.crt"), "--token=" + adminToken,
		"--cache-dir=" + filepath.Join(s.dir, "kubectl")}, args...)...)
	cmd.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out), nil
}

// apply does what people do: kubectl apply -f.
func (s *server) apply(t testing.TB, manifests string) {
	t.Helper()
	s.kubectl(t, manifests, "apply", "-f", "-")
}

// installCRDs installs those of Istio, and waits until their objects can be made.
func (s *server) installCRDs(t testing.TB) {
	t.Helper()
	if _, err := s.admin.Discovery().ServerResourcesForGroupVersion("networking.istio.io/v1"); err == nil {
		return
	}
	s.kubectl(t, "", "apply", "--server-side", "-f", os.Getenv(crdsVar))
	s.kubectl(t, "", "wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
	await(t, "Istio's kinds are served", func() error {
		_, err := s.admin.Discovery().ServerResourcesForGroupVersion("networking.istio.io/v1")
		return err
	})
}

var namespaces atomic.Int32

// namespace makes a namespace for one test; it is its name.
func (s *server) namespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test-%d", namespaces.Add(1))
	_, err := s.admin.CoreV1().Namespaces().Create(context.Background(), &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: name}}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// account is the name of the gateway's service account.
const account = "sluice-gateway"

// createAccount makes the gateway's service account without any permission, and returns a
// token for it.
func (s *server) createAccount(t testing.TB, namespace string) string {
	t.Helper()
	_, err := s.admin.CoreV1().ServiceAccounts(namespace).Create(context.Background(), &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: account}}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.token(t, namespace)
}

// token returns a token for the gateway's service account.
func (s *server) token(t testing.TB, namespace string) string {
	t.Helper()
	token, err := s.admin.CoreV1().ServiceAccounts(namespace).CreateToken(context.Background(), account, &authentication.TokenRequest{}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}
