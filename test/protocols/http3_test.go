package protocols

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

const http3Manifests = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: shop, protocol: HTTPS}, hosts: [shop.example.com], tls: {mode: SIMPLE, credentialName: shop}}
  - {port: {number: 443, name: partners, protocol: HTTPS}, hosts: [partners.example.com], tls: {mode: MUTUAL, credentialName: shop}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: ["*.example.com"]
  gateways: [web]
  http:
  - route: [{destination: {host: origin.test, port: {number: 80}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: origin, namespace: default}
spec:
  hosts: [origin.test]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: %s}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
`

// TestHTTP3: clients that come by TCP are told of HTTP/3, and find the same server there: the
// same routes, bodies of any size, and the same demands on clients' certificates.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			w.(http.Flusher).Flush()
			<-slow
		}
		fmt.Fprintf(w, "%s %s ", r.Host, r.Header.Get("X-Forwarded-Proto"))
		io.Copy(w, r.Body)
	}))
	t.Cleanup(origin.Close)
	_, port, _ := net.SplitHostPort(origin.Listener.Addr().String())
	ca := newAuthority(t)
	g := start(t, fmt.Sprintf(http3Manifests, port)+ca.secret(t, "shop", "shop.example.com", "partners.example.com"), []int{443}, "--http3")
	config := &tls.Config{RootCAs: ca.pool(), ServerName: "shop.example.com"}

	over := func(transport http.RoundTripper, method, host, path string, body io.Reader) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(within(t), method, "https://"+g.at(443)+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	tcp := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer tcp.CloseIdleConnections()
	resp, _ := over(tcp, "GET", "shop.example.com", "/", nil)
	if want := fmt.Sprintf(`h3=":%d"; ma=86400`, g.ports[443]); resp.Header.Get("Alt-Svc") != want || resp.ProtoMajor != 2 {
		t.Errorf("by TCP: %s, alt-svc %q, want %q", resp.Proto, resp.Header.Get("Alt-Svc"), want)
	}
	quic := &http3.Transport{TLSClientConfig: config}
	defer quic.Close()
	large := strings.Repeat("0123456789", 200_000)
	for _, body := range []string{"", "small", large} {
		resp, text := over(quic, "POST", "shop.example.com", "/", strings.NewReader(body))
		if resp.ProtoMajor != 3 || resp.StatusCode != 200 || text != "shop.example.com https "+body {
			t.Errorf("%d bytes: %s %d, %d bytes came back", len(body), resp.Proto, resp.StatusCode, len(text))
		}
	}
	// The certificate holds for the other host, but that one asks clients for theirs.
	if resp, text := over(quic, "GET", "partners.example.com", "/", nil); resp.StatusCode != 421 {
		t.Errorf("a host that asks for a certificate: %d %q, want 421", resp.StatusCode, text)
	}
	partner := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool(), ServerName: "partners.example.com"}}
	defer partner.Close()
	r, _ := http.NewRequestWithContext(within(t), "GET", "https://"+g.at(443)+"/", nil)
	r.Host = "partners.example.com"
	if resp, err := partner.RoundTrip(r); err == nil {
		resp.Body.Close()
		t.Errorf("without a certificate: %d", resp.StatusCode)
	}
	proven := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool(), ServerName: "partners.example.com", Certificates: []tls.Certificate{ca.keyPair(t, "someone")}}}
	defer proven.Close()
	if resp, text := over(proven, "GET", "partners.example.com", "/", nil); resp.StatusCode != 200 {
		t.Errorf("with a certificate: %d %q", resp.StatusCode, text)
	}

	// The end of the gateway lets what is in progress finish.
	r, _ = http.NewRequestWithContext(within(t), "GET", "https://"+g.at(443)+"/slow", nil)
	r.Host = "shop.example.com"
	resp, err := quic.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	g.cmd.Process.Signal(syscall.SIGTERM)
	for until := time.Now().Add(patience); !strings.Contains(g.log.String(), "draining") && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	close(slow)
	if text, err := io.ReadAll(resp.Body); err != nil || !bytes.HasPrefix(text, []byte("shop.example.com")) {
		t.Errorf("in progress at the end: %q, %v", text, err)
	}
}
