package traces

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/deploy/samples/bookinfo"
)

// manifests are a folder of configuration.
type manifests struct{ dir string }

func newManifests(t *testing.T) manifests { return manifests{t.TempDir()} }

func (m manifests) write(t *testing.T, name, text string) {
	t.Helper()
	// A rename lets nobody read a half of it.
	file := filepath.Join(m.dir, name)
	if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func (m manifests) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sample copies one of bookinfo's manifests.
func (m manifests) sample(t *testing.T, name string) {
	t.Helper()
	text, err := bookinfo.Networking.ReadFile("networking/" + name)
	if err != nil {
		t.Fatal(err)
	}
	m.write(t, name, string(text))
}

// workload writes a service with one workload, and where that listens.
func (m manifests) workload(t *testing.T, namespace, app, version string, port int, address string) {
	t.Helper()
	host, at, _ := net.SplitHostPort(address)
	m.write(t, app+".yaml", fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  selector: {app: %[1]s}
  ports: [{name: http, port: %[3]d}]
`, app, namespace, port))
	m.write(t, app+"-"+version+".yaml", fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  name: %[1]s-%[2]s
  namespace: %[3]s
  labels: {app: %[1]s, version: %[2]s}
status: {phase: Running, podIP: %[5]s}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: %[1]s-%[2]s
  namespace: %[3]s
  labels: {kubernetes.io/service-name: %[1]s}
addressType: IPv4
ports: [{name: http, port: %[4]s}]
endpoints:
- addresses: [%[5]s]
  conditions: {ready: true}
  targetRef: {kind: Pod, namespace: %[3]s, name: %[1]s-%[2]s}
`, app, version, namespace, at, host))
}

// collector writes a provider of spans for the whole mesh: provider is the body of
// "opentelemetry" beyond its service and port, and telemetry the body of the tracing entry beyond
// its provider.
func (m manifests) collector(t *testing.T, address, provider, telemetry string) {
	t.Helper()
	host, at, _ := net.SplitHostPort(address)
	m.write(t, "collector.yaml", fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: collector, namespace: observability}
spec: {ports: [{name: otlp, port: 4317}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: collector
  namespace: observability
  labels: {kubernetes.io/service-name: collector}
addressType: IPv4
ports: [{name: otlp, port: %s}]
endpoints: [{addresses: [%s], conditions: {ready: true}}]
`, at, host))
	m.write(t, "mesh.yaml", `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
    - name: otel
      opentelemetry:
        service: collector.observability.svc.cluster.local
        port: 4317
`+indent(8, provider))
	m.telemetry(t, telemetry)
}

// telemetry writes the mesh's Telemetry.
func (m manifests) telemetry(t *testing.T, tracing string) {
	t.Helper()
	m.write(t, "telemetry.yaml", `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  tracing:
  - providers: [{name: otel}]
`+indent(4, tracing))
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

// gateway starts a gateway over manifests, and returns its URL.
func (m manifests) gateway(t *testing.T, flags ...string) (url string, p *process) {
	t.Helper()
	m.sample(t, "ingressgateway-service.yaml")
	at := freeAddress(t)
	p = run(t, "gateway", append([]string{
		"--config", m.dir, "--address", "127.0.0.1", "--port-map", "8080=" + portOf(at),
		"--labels", "istio=ingressgateway,app=istio-ingressgateway", "--workload", "istio-ingressgateway",
	}, flags...)...)
	p.await(t, "http://"+p.admin+"/ready")
	return "http://" + at, p
}

// mesh runs bookinfo with a sidecar on each side of every service, and a gateway in front. It
// returns the gateway's URL.
func (m manifests) mesh(t *testing.T) string {
	t.Helper()
	outbound := map[bookinfo.Workload]string{}
	for _, w := range bookinfo.Workloads() {
		outbound[w] = freeAddress(t)
	}
	ctx, stop := context.WithCancel(context.Background())
	app, err := bookinfo.Start(ctx, bookinfo.Options{Dial: func(ctx context.Context, from bookinfo.Workload, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", outbound[from])
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		app.Wait()
	})
	inbound := map[bookinfo.Workload]string{}
	for _, w := range bookinfo.Workloads() {
		inbound[w] = freeAddress(t)
		m.workload(t, "default", w.App, w.Version, bookinfo.Port, inbound[w])
	}
	m.sample(t, "bookinfo-gateway.yaml")
	m.sample(t, "destination-rule-all.yaml")
	m.sample(t, "virtual-service-reviews-v3.yaml")
	for _, e := range app.Endpoints() {
		w := e.Workload
		run(t, "sidecar", "--config", m.dir, "--workload-labels", "app="+w.App+",version="+w.Version, "--namespace", "default", "--workload", w.String(),
			"--outbound", outbound[w], "--inbound", inbound[w]+"="+e.Address.String())
	}
	url, _ := m.gateway(t)
	return url
}

// get asks for a URL with headers that are given as "name: value".
func get(t *testing.T, url string, headers ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
