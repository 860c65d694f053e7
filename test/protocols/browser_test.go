package protocols

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const page = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["shop.localhost"]
    tls: {mode: SIMPLE, credentialName: shop}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: ["shop.localhost"]
  gateways: [web]
  http:
  - directResponse: {status: 200, body: {string: "<title>shop</title><p>welcome</p>"}}
    headers: {response: {set: {content-type: text/html}}}
`

// TestBrowser: Chromium loads a page by HTTP/2, and by HTTP/3, and shows no warning once it
// knows the certificate; without, it shows nothing of the page.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("chromium is not installed: test/install-tools.sh does it")
	} else if err != nil {
		t.Skip("chromium is not installed: make tools")
	}
	ca := newAuthority(t)
	cert, key := ca.issue(t, "shop.localhost")
	b64 := base64.StdEncoding.EncodeToString
	secret := fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: shop, namespace: istio-system}\ndata: {tls.crt: %s, tls.key: %s}\n", b64(cert), b64(key))
	g := start(t, page+secret, []int{443}, "--http3", "--access-log", "-")
	pin := sha256.Sum256(firstCertificate(t, cert).RawSubjectPublicKeyInfo)
	known := "--ignore-certificate-errors-spki-list=" + b64(pin[:])
	origin := fmt.Sprintf("shop.localhost:%d", g.ports[443])
	for _, c := range []struct {
		name     string
		protocol string
		flags    []string
	}{
		{"HTTP/2", "HTTP/2", []string{known}},
		{"HTTP/3", "HTTP/3", []string{known, "--origin-to-force-quic-on=" + origin}},
		{"unknown certificate", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + t.TempDir(),
				"--host-resolver-rules=MAP shop.localhost 127.0.0.1", "--dump-dom"}, c.flags...)
			browser := exec.CommandContext(ctx, chromium, append(args, "https://"+origin+"/"+c.protocol)...)
			browser.WaitDelay = time.Second
			out, err := browser.Output()
			loaded := strings.Contains(string(out), "<p>welcome</p>")
			if loaded != (c.protocol != "") {
				t.Fatalf("the page was loaded: %t (%v)\n%s", loaded, err, out)
			}
			if !loaded {
				return
			}
			line := fmt.Sprintf(`"GET /%[1]s %[1]s" 200`, c.protocol)
			for until := time.Now().Add(patience); !strings.Contains(g.log.String(), line); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatalf("no %s in the access log", line)
				}
			}
		})
	}
}
