package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicegate/sluice/test/freeport"
)

// site is what every proxy serves: a backend at /app/, plainly or inside TLS.
type site struct {
	backend int
	// cert and key are PEM files of a certificate for localhost, P-256.
	cert, key string
	tls       bool
}

func newSite(t *testing.T, size int) *sites {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s := site{backend: backend(t, size), cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "cert.pem.key")}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	write(t, s.cert, string(certPEM))
	write(t, s.key, string(keyPEM))
	inside := s
	inside.tls = true
	return &sites{plain: s, inside: inside}
}

// sites are the same one, plainly and inside TLS.
type sites struct{ plain, inside site }

// url is where a proxy serves the site at a port.
func (s site) url(port int) string {
	if s.tls {
		return fmt.Sprintf("https://localhost:%d/app/", port)
	}
	return fmt.Sprintf("http://127.0.0.1:%d/app/", port)
}

// nginxProxy starts nginx as a proxy for a site, and returns its URL and worker.
func nginxProxy(t *testing.T, s site) (url string, pid int) {
	t.Helper()
	port := freeport.Take()
	listen := ""
	if s.tls {
		// Tickets and the cache are as nginx has them by default: both off or small; the load
		// resumes nothing.
		listen = fmt.Sprintf(" ssl http2; ssl_certificate \"%s\"; ssl_certificate_key \"%s\"; ssl_protocols TLSv1.2 TLSv1.3; http2_max_concurrent_streams 128", s.cert, s.key)
	}
	pid = nginx(t, fmt.Sprintf(`upstream backend { server 127.0.0.1:%d; keepalive 256; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:%d backlog=4096%s; location /app/ {
    proxy_pass http://backend/; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Request-Id $request_id; proxy_set_header X-Envoy-Attempt-Count 1;
    proxy_set_header X-Envoy-Original-Path $request_uri;
  } }`, s.backend, port, listen))
	url = s.url(port)
	waitFor(t, url)
	return url, pid
}

// haproxy starts HAProxy with one thread as a proxy for a site.
func haproxy(t *testing.T, s site) (url string, pid int) {
	t.Helper()
	dir, port := t.TempDir(), freeport.Take()
	bind := ""
	if s.tls {
		bind = " ssl crt \"" + s.cert + "\" alpn h2,http/1.1"
	}
	conf := filepath.Join(dir, "haproxy.cfg")
	write(t, conf, fmt.Sprintf(`global
  nbthread 1
  maxconn 4096
  tune.h2.max-concurrent-streams 128
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
  option forwardfor
frontend front
  bind 127.0.0.1:%d%s
  unique-id-format %%[uuid()]
  http-request set-header X-Request-Id %%[unique-id]
  http-request set-header X-Forwarded-Proto %%[ssl_fc,iif(https,http)]
  http-request set-header X-Envoy-Attempt-Count 1
  http-request set-header X-Envoy-Original-Path %%[path]
  http-request replace-path /app/(.*) /\1
  use_backend back if { path_beg / }
backend back
  server one 127.0.0.1:%d
`, port, bind, s.backend))
	p := start(t, nil, tool(t, "haproxy"), "-db", "-f", conf)
	url = s.url(port)
	waitFor(t, url)
	return url, p.Pid
}

// gateway builds and starts sluice-gateway with one processor as a proxy for a site, and
// returns its URL and process.
func gateway(t *testing.T, s site) (url string, pid int) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sluice-gateway")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/sluicegate/sluice/cmd/gateway").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	dir, port := t.TempDir(), freeport.Take()
	server := fmt.Sprintf("{port: {number: %d, name: http, protocol: HTTP}, hosts: [\"*\"]}", port)
	if s.tls {
		server = fmt.Sprintf("{port: {number: %d, name: https, protocol: HTTPS}, hosts: [\"*\"], tls: {mode: SIMPLE, serverCertificate: %q, privateKey: %q}}", port, s.cert, s.key)
	}
	write(t, filepath.Join(dir, "routes.yaml"), fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [%s]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: app, namespace: default}
spec:
  hosts: ["*"]
  gateways: [istio-system/gateway]
  http:
  - match: [{uri: {prefix: /app/}}]
    rewrite: {uri: /}
    route: [{destination: {host: backend.example}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: backend, namespace: default}
spec:
  hosts: [backend.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: %d}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
`, server, s.backend))
	p := start(t, []string{"GOMAXPROCS=1"}, binary, "--config", dir, "--address", "127.0.0.1", "--admin", "", "--status", "")
	url = s.url(port)
	waitFor(t, url)
	return url, p.Pid
}
