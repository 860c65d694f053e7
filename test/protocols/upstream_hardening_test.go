package protocols

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const originating = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: ["*"]
  gateways: [web]
  http:
  - route: [{destination: {host: origin.test}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: origin, namespace: default}
spec:
  host: origin.test
  trafficPolicy: {tls: {mode: SIMPLE, credentialName: roots, sni: origin.test}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: origin, namespace: default}
spec:
  hosts: [origin.test]
  ports: [{number: 80, name: %s, protocol: %s}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {%[1]s: %[3]s}}]
`

// TestPlaintextBeforeTLS: hardening row 62. What an endpoint, or somebody on the way to it, says
// before TLS is ready is no answer to anybody.
func TestPlaintextBeforeTLS(t *testing.T) {
	t.Parallel()
	for protocol, words := range map[string]string{
		"HTTP":  "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
		"HTTP2": "\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88\x00\x00\x06\x00\x01\x00\x00\x00\x01forged",
	} {
		t.Run(protocol, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					io.WriteString(conn, words)
					go func() {
						io.Copy(io.Discard, conn)
						conn.Close()
					}()
				}
			}()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			g := start(t, fmt.Sprintf(originating, strings.ToLower(protocol), protocol, port)+newAuthority(t).secret(t, "roots", "unused.test"), []int{80})
			resp, err := http.DefaultClient.Do(request(t, "http://"+g.at(80)+"/"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(string(body), "forged") {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		})
	}
}

// request returns a GET that ends with the test's patience.
func request(t testing.TB, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
