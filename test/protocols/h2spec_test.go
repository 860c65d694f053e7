package protocols

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

const h2specManifests = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: spec, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["*"]
    tls: {mode: SIMPLE, credentialName: spec}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: origin, namespace: default}
spec:
  hosts: [origin.test]
  ports: [{number: 8080, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: %s}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: spec, namespace: default}
spec:
  hosts: ["*"]
  gateways: [spec]
  http:
  - match: [{uri: {prefix: /direct}}]
    directResponse: {status: 200, body: {string: "a body of more than a few bytes"}}
  - route: [{destination: {host: origin.test, port: {number: 8080}}}]
`

// TestH2Spec: all of h2spec's cases pass, the strict ones too, over TLS and over plaintext, with
// an endpoint behind the gateway and without.
func TestH2Spec(t *testing.T) {
	t.Parallel()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("a body of more than a few bytes"))
	}))
	t.Cleanup(origin.Close)
	_, port, _ := net.SplitHostPort(origin.Listener.Addr().String())
	manifests := fmt.Sprintf(h2specManifests, port) + newAuthority(t).secret(t, "spec", "spec.test")
	g := start(t, manifests, []int{80, 443})
	for _, tc := range []struct {
		name  string
		port  int
		path  string
		flags []string
	}{
		{"plaintext", 80, "/direct", nil},
		{"plaintext to an endpoint", 80, "/", nil},
		{"TLS", 443, "/direct", []string{"--tls", "--insecure"}},
		{"TLS to an endpoint", 443, "/", []string{"--tls", "--insecure"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{"--strict", "--host", "127.0.0.1", "--port", fmt.Sprint(g.ports[tc.port]), "--path", tc.path, "--timeout", "20"}, tc.flags...)
			out, err := exec.CommandContext(atLength(t), tool(t, "h2spec"), args...).CombinedOutput()
			report := string(out)
			_, failures, _ := strings.Cut(report, "Failures:")
			if !strings.Contains(report, "146 tests, 146 passed, 0 skipped, 0 failed") {
				t.Errorf("%v\n%s\n%s", err, failures, report[max(0, len(report)-200):])
			}
		})
	}
}
