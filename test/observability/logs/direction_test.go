package logs

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDirections: a sidecar logs what its workload calls to one place, and calls to that
// workload to another (Telemetry match.mode).
func TestDirections(t *testing.T) {
	t.Parallel()
	workload := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "shop") }))
	t.Cleanup(workload.Close)
	inbound, outbound, dir := freeAddress(t), freeAddress(t), t.TempDir()
	client, server := filepath.Join(dir, "client"), filepath.Join(dir, "server")
	p := run(t, "sidecar", entry("shop.internal", "http", 80, inbound)+telemetry(`
- name: calls
  envoyFileAccessLog: {path: `+client+`, logFormat: {text: "%REQ(:PATH)% %UPSTREAM_CLUSTER% %CEL(xds.listener_direction)%"}}
- name: served
  envoyFileAccessLog: {path: `+server+`, logFormat: {text: "%REQ(:PATH)% %UPSTREAM_CLUSTER% %CEL(xds.listener_direction)%"}}
`, `
- providers: [{name: calls}]
  match: {mode: CLIENT}
- providers: [{name: served}]
  match: {mode: SERVER}
  filter: {expression: "request.path != '/quiet'"}
`), "--outbound", outbound, "--inbound", inbound+"="+workload.Listener.Addr().String(), "--namespace", "default", "--workload", "shop-v1", "--workload-labels", "app=shop")
	for _, path := range []string{"/loud", "/quiet"} {
		if code, err := fetch("http://"+outbound+path, "shop.internal"); code != 200 {
			t.Fatalf("%s: status %d, %v", path, code, err)
		}
	}
	p.stop()
	const out = "outbound|80||shop.internal 2"
	in := "inbound|" + portOf(inbound) + "|| 1"
	for name, want := range map[string]string{client: "/loud " + out + "\n/quiet " + out, server: "/loud " + in} {
		seen := lines(name)
		slices.Sort(seen)
		if got := strings.Join(seen, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", filepath.Base(name), got, want)
		}
	}
}

// TestConnections: connections that are passed on as bytes have lines, and filters.
func TestConnections(t *testing.T) {
	t.Parallel()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	at := freeAddress(t)
	g := run(t, "gateway", `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: echo, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 7, name: tcp, protocol: TCP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: default}
spec:
  hosts: ["*"]
  gateways: [echo]
  tcp:
  - route: [{destination: {host: echo.internal, port: {number: 7}}}]
---
`+entry("echo.internal", "tcp", 7, echo.Addr().String())+telemetry(`
- name: all
  envoyFileAccessLog: {logFormat: {text: "%BYTES_RECEIVED% %BYTES_SENT% %PROTOCOL% %RESPONSE_CODE% %UPSTREAM_CLUSTER% %UPSTREAM_HOST%"}}
- name: none
  envoyFileAccessLog: {logFormat: {text: "not to be seen"}}
`, `
- providers: [{name: all}]
  filter: {expression: "destination.port == `+portOf(at)+` && upstream.address != ''"}
- providers: [{name: none}]
  filter: {expression: "response.code == 200"}
`), "--address", "127.0.0.1", "--port-map", "7="+portOf(at))
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(c); string(b) != "hello" {
		t.Fatalf("got %q, %v", b, err)
	}
	c.Close()
	want := "5 5 - 0 outbound|7||echo.internal " + echo.Addr().String() + "\n"
	await(t, "the line", func() bool { return g.out.String() == want })
}
