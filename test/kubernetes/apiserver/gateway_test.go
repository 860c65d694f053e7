package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// gateway is a running sluice-gateway with an address of its own.
type gateway struct {
	*process
	namespace, address string
	client             *http.Client
}

var gateways atomic.Int32

// gateway runs a gateway in a namespace, as the service account of its chart, until the
// test ends, and waits until it is ready. It is selected by gateway=NAMESPACE.
func (s *server) gateway(t testing.TB, namespace string, flags ...string) *gateway {
	t.Helper()
	g := s.startGateway(t, namespace, s.kubeconfig(t, s.gatewayToken(t, namespace)), flags...)
	g.awaitReady(t)
	return g
}

// startGateway is gateway with a kubeconfig of one's own, and without waiting.
func (s *server) startGateway(t testing.TB, namespace, kubeconfig string, flags ...string) *gateway {
	t.Helper()
	n := gateways.Add(1)
	g := &gateway{namespace: namespace, address: fmt.Sprintf("127.1.%d.%d", n/250, n%250+1)}
	g.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	args := append([]string{"--kube", "--kubeconfig=" + kubeconfig, "--namespace=" + namespace, "--labels=gateway=" + namespace,
		"--address=" + g.address, "--admin=" + g.address + ":15000", "--status=" + g.address + ":15021"}, flags...)
	var err error
	if g.process, err = startProcess(t.TempDir(), "gateway", os.Getenv(gatewayVar), args...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.client.CloseIdleConnections()
		if t.Failed() {
			_, clusters, _ := get("http://" + g.address + ":15000/clusters")
			t.Logf("the gateway's clusters:\n%s\nand its log:\n%s", clusters, g.tail())
		}
		g.terminate(5 * time.Second)
	})
	return g
}

func (g *gateway) awaitReady(t testing.TB) {
	t.Helper()
	await(t, "the gateway is ready", func() error {
		if err := g.alive(); err != nil {
			t.Fatal(err)
		}
		status, body, err := get("http://" + g.address + ":15021/healthz/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	})
}

// get asks the gateway for a path of a host, and returns the status and the name of the
// pod that answered.
func (g *gateway) get(host, path string, header ...string) (status int, pod string, err error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+g.address+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Host = host
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := g.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	pod = response.Header.Get("x-pod")
	status, _, err = readAll(response)
	return status, pod, err
}

// awaitPod waits until a host's path is answered by a pod whose name begins with prefix.
func (g *gateway) awaitPod(t testing.TB, host, path, prefix string, header ...string) {
	t.Helper()
	await(t, fmt.Sprintf("%s%s %v is answered by %s", host, path, header, prefix), func() error {
		status, pod, err := g.get(host, path, header...)
		if err == nil && (status != http.StatusOK || !strings.HasPrefix(pod, prefix)) {
			err = fmt.Errorf("%d, pod %q", status, pod)
		}
		return err
	})
}

// awaitStatus waits until a host's path is answered by a status.
func (g *gateway) awaitStatus(t testing.TB, host, path string, want int) {
	t.Helper()
	await(t, fmt.Sprintf("%s%s is answered %d", host, path, want), func() error {
		status, pod, err := g.get(host, path)
		if err == nil && status != want {
			err = fmt.Errorf("%d, pod %q", status, pod)
		}
		return err
	})
}

// hasCondition returns an error unless the admin server lists a condition for a reason.
func (g *gateway) hasCondition(reason string) error {
	_, body, err := get("http://" + g.address + ":15000/conditions?format=json")
	if err != nil {
		return err
	}
	var list []struct{ Reason string }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		return fmt.Errorf("%w in %s", err, body)
	}
	for _, c := range list {
		if c.Reason == reason {
			return nil
		}
	}
	return fmt.Errorf("no condition %s among %s", reason, body)
}

// readAll reads a response to its end.
func readAll(r *http.Response) (status int, body string, err error) {
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return r.StatusCode, string(text), err
}
