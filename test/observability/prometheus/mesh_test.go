package prometheus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sluicegate/sluice/test/freeport"
)

// manifests are those of a shop behind a gateway. The numbers of ports are filled in.
const manifests = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
  - port: {number: 3306, name: tcp, protocol: TCP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http:
  - match: [{uri: {prefix: /grpc.health.v1.Health/}}]
    route: [{destination: {host: ratings.default.svc.cluster.local, port: {number: 9090}}}]
  - match: [{uri: {prefix: /down}}]
    route: [{destination: {host: down.default.svc.cluster.local, port: {number: 9080}}}]
  - route: [{destination: {host: reviews.default.svc.cluster.local, port: {number: 9080}}}]
  tcp:
  - match: [{port: 3306}]
    route: [{destination: {host: mysqldb.default.svc.cluster.local, port: {number: 3306}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: %[1]d}, labels: {app: reviews, version: v1, sidecar.istio.io/inject: "true"}, serviceAccount: bookinfo-reviews}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ratings, namespace: default}
spec:
  hosts: [ratings.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9090, name: grpc, protocol: GRPC}]
  endpoints: [{address: 127.0.0.1, ports: {grpc: %[2]d}, labels: {app: ratings, version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mysqldb, namespace: default}
spec:
  hosts: [mysqldb.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 3306, name: tcp, protocol: TCP}]
  endpoints: [{address: 127.0.0.1, ports: {tcp: %[3]d}, labels: {app: mysqldb, version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: down, namespace: default}
spec:
  hosts: [down.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: %[4]d}, labels: {app: down, version: v1}}]
`

// mesh is a gateway, a sidecar that calls, and one that is called:
//
//	client -> gateway ------------------> sidecar of reviews-v1 -> application
//	productpage-v1 -> its own sidecar -/
type mesh struct {
	// config is the folder that all three read.
	config string
	// gateway, tcp and outbound are where those listen.
	gateway, tcp, outbound string
	// metrics are where the gateway's, the caller's and the called one's are.
	metrics [3]string
}

// startMesh starts a mesh that ends with the test.
func startMesh(t testing.TB) *mesh {
	t.Helper()
	config := t.TempDir()
	app := startApplication(t)
	inbound := freeport.Take()
	text := fmt.Sprintf(manifests, inbound, startGRPC(t), startEcho(t), freeport.Take())
	if err := os.WriteFile(filepath.Join(config, "shop.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &mesh{config: config}
	at := func() string { return fmt.Sprintf("127.0.0.1:%d", freeport.Take()) }
	http, tcp := freeport.Take(), freeport.Take()
	m.gateway, m.tcp, m.outbound = fmt.Sprintf("127.0.0.1:%d", http), fmt.Sprintf("127.0.0.1:%d", tcp), at()
	m.start(t, 0, "sluice-gateway", config, "--address", "127.0.0.1",
		"--port-map", fmt.Sprintf("80=%d", http), "--port-map", fmt.Sprintf("3306=%d", tcp))
	m.start(t, 1, "sluice-sidecar", config, "--workload-labels", "app=productpage,version=v1", "--outbound", m.outbound)
	m.start(t, 2, "sluice-sidecar", config, "--workload-labels", "app=reviews,version=v1", "--outbound", "",
		"--inbound", fmt.Sprintf("127.0.0.1:%d=%s", inbound, app), "--app-metrics", "http://"+app+"/metrics")
	return m
}

// start starts one of the mesh's proxies.
func (m *mesh) start(t testing.TB, n int, name, config string, args ...string) {
	t.Helper()
	m.metrics[n] = fmt.Sprintf("127.0.0.1:%d", freeport.Take())
	status := fmt.Sprintf("127.0.0.1:%d", freeport.Take())
	args = append(args, "--config", config, "--admin", "", "--status", status, "--metrics", m.metrics[n])
	run(t, "http://"+status+"/healthz/ready", nil, binary(t, name), args...)
}

// startApplication starts what is behind the sidecar of reviews-v1: /error fails, /slow takes
// its time.
func startApplication(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/error":
			w.WriteHeader(http.StatusInternalServerError)
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/metrics": // its own, as OpenMetrics
			io.WriteString(w, "# HELP reviews_shown Reviews that were shown.\n# TYPE reviews_shown counter\nreviews_shown_total 7\n# HELP go_goroutines Goroutines.\n# TYPE go_goroutines gauge\ngo_goroutines 5\n# EOF\n")
			return
		case "/slow":
			time.Sleep(20 * time.Millisecond)
		}
		io.WriteString(w, "five stars\n")
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// startGRPC starts a service of gRPC, and returns its port.
func startGRPC(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().(*net.TCPAddr).Port
}

// startEcho starts a server of TCP that says what it is told, and returns its port.
func startEcho(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// traffic makes a little of each kind of traffic.
func (m *mesh) traffic() error {
	for path, want := range map[string]int{"/": 200, "/slow": 200, "/missing": 404, "/error": 500, "/down": 503} {
		if err := request(m.gateway, "shop.example.com", path, want); err != nil {
			return err
		}
	}
	if err := request(m.gateway, "nobody.example.com", "/", 404); err != nil {
		return err
	}
	for path, want := range map[string]int{"/": 200, "/error": 500} {
		if err := request(m.outbound, "reviews.default.svc.cluster.local:9080", path, want); err != nil {
			return err
		}
	}
	return errors.Join(m.call(), m.echo())
}

// request sends a request and holds the response to a status.
func request(address, host, path string, want int) error {
	r, err := http.NewRequest(http.MethodPost, "http://"+address+path, strings.NewReader("hello"))
	if err != nil {
		return err
	}
	r.Host = host
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("%s%s at %s: status %d, want %d", host, path, address, resp.StatusCode, want)
	}
	return nil
}

// call makes a call of gRPC that comes off, and one that does not.
func (m *mesh) call() error {
	conn, err := grpc.NewClient("passthrough:///"+m.gateway, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("shop.example.com"))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := grpc_health_v1.NewHealthClient(conn)
	if _, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		return err
	}
	if _, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "nobody"}); err == nil {
		return errors.New("the health of nobody is known")
	}
	return nil
}

// echo sends bytes through the gateway and back.
func (m *mesh) echo() error {
	c, err := net.Dial("tcp", m.tcp)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "hello"); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 5))
	return err
}
