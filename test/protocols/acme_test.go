package protocols

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/sluicegate/sluice/test/freeport"
)

const acmeManifests = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["shop.example.com"]
    tls: {httpsRedirect: true}
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["shop.example.com"]
    tls: {mode: SIMPLE, credentialName: "acme://"}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: ["shop.example.com"]
  gateways: [web]
  http:
  - directResponse: {status: 200, body: {string: "hello"}}
`

// TestACME: a certificate is issued by a real authority, by each kind of challenge, and
// renewed before it ends; a stranger's server name asks for nothing.
func TestACME(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			p := newPebble(t)
			ports := map[int]int{80: freeport.Take(), 443: freeport.Take()}
			switch challenge {
			case "http-01":
				p.serve(t, ports[80], 1) // Nobody answers at port 1: TLS-ALPN-01 fails.
			case "tls-alpn-01":
				p.serve(t, 1, ports[443])
			}
			g := startAt(t, acmeManifests, ports, "--acme-cache", t.TempDir(), "--acme-email", "ops@example.com",
				"--acme-directory", p.directory, "--acme-directory-ca", p.ca)
			roots := &tls.Config{ServerName: "shop.example.com", InsecureSkipVerify: true}
			first := awaitSerial(t, g.at(443), roots, "")
			if second := awaitSerial(t, g.at(443), roots, first); second == first {
				t.Error("the certificate was not renewed")
			}
			if c, err := tls.Dial("tcp", g.at(443), &tls.Config{ServerName: "stranger.example.com", InsecureSkipVerify: true}); err == nil {
				c.Close()
				t.Error("a stranger's name got a certificate")
			}
			if bytes.Contains([]byte(p.log.String()), []byte("stranger")) {
				t.Error("a stranger's name was taken to the authority")
			}
		})
	}
}

// issuance is how long a test waits for a certificate: an order that failed is tried again
// after more than a minute.
const issuance = 5 * patience

// awaitSerial waits for a certificate with another serial number than before.
func awaitSerial(t *testing.T, address string, config *tls.Config, before string) string {
	t.Helper()
	var last error
	for until := time.Now().Add(issuance); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, config)
		if last = err; err != nil {
			continue
		}
		serial := c.ConnectionState().PeerCertificates[0].SerialNumber.String()
		c.Close()
		if serial != before {
			return serial
		}
	}
	t.Fatalf("no new certificate; the last handshake: %v", last)
	return ""
}

// pebble is an ACME authority for tests.
type pebble struct {
	directory, ca string
	dir           string
	listen        int
	log           lockedBuffer
}

// newPebble makes an authority's place; serve starts it.
func newPebble(t *testing.T) *pebble {
	t.Helper()
	p := &pebble{dir: t.TempDir(), listen: freeport.Take()}
	p.directory = fmt.Sprintf("https://localhost:%d/dir", p.listen)
	a := newAuthority(t)
	cert, key := a.issue(t, "localhost")
	p.ca = filepath.Join(p.dir, "ca.pem")
	for name, data := range map[string][]byte{"ca.pem": a.pem, "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(p.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// serve starts the authority, which looks for answers to its challenges at these ports of
// this machine, whatever the host.
func (p *pebble) serve(t *testing.T, httpPort, tlsPort int) {
	t.Helper()
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress":                  fmt.Sprintf("127.0.0.1:%d", p.listen),
		"managementListenAddress":        fmt.Sprintf("127.0.0.1:%d", freeport.Take()),
		"certificate":                    filepath.Join(p.dir, "cert.pem"),
		"privateKey":                     filepath.Join(p.dir, "key.pem"),
		"httpPort":                       httpPort,
		"tlsPort":                        tlsPort,
		"ocspResponderURL":               "",
		"externalAccountBindingRequired": false,
		"profiles":                       map[string]any{"default": map[string]any{"description": "short", "validityPeriod": 15}},
		"retryAfter":                     map[string]any{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.dir, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool(t, "pebble"), "-config", file, "-dnsserver", localNames(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=5")
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("the authority's log:\n%s", p.log.String())
		}
	})
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.listen)); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("the authority does not start:\n%s", p.log.String())
}

// localNames serves a DNS in which every name is this machine.
func localNames(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		for _, q := range r.Question {
			if q.Qtype == dns.TypeA {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)})
			}
		}
		w.WriteMsg(m)
	})}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	return l.Addr().String()
}
