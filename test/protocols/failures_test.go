package protocols

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

const refusing = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https-shop, protocol: HTTPS}
    hosts: ["shop.example.com"]
    tls: {mode: SIMPLE, credentialName: shop}
  - port: {number: 443, name: https-admin, protocol: HTTPS}
    hosts: ["admin.example.com"]
    tls: {mode: MUTUAL, credentialName: admin}
  - port: {number: 443, name: https-none, protocol: HTTPS}
    hosts: ["none.example.com"]
    tls: {mode: SIMPLE, credentialName: missing}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: ["shop.example.com", "admin.example.com", "none.example.com"]
  gateways: [web]
  http: [{directResponse: {status: 200, body: {string: "hello"}}}]
`

// TestWhatClientsSee: each kind of failure looks as docs/tls.md says, and is counted.
func TestWhatClientsSee(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	g := start(t, refusing+ca.secret(t, "shop", "shop.example.com")+ca.secret(t, "admin", "admin.example.com"), []int{443})
	mine, theirs := ca.keyPair(t, "client.example.com"), other.keyPair(t, "client.example.com")
	plain := func(text string) func() (string, error) {
		return func() (string, error) {
			c, err := net.Dial("tcp", g.at(443))
			if err != nil {
				return "", err
			}
			defer c.Close()
			return answerTo(c, text)
		}
	}
	secure := func(name, host string, change func(*tls.Config)) func() (string, error) {
		return func() (string, error) {
			config := &tls.Config{ServerName: name, RootCAs: ca.pool()}
			if change != nil {
				change(config)
			}
			c, err := tls.Dial("tcp", g.at(443), config)
			if err != nil {
				return "", err
			}
			defer c.Close()
			return answerTo(c, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		}
	}
	with := func(cert tls.Certificate) func(*tls.Config) {
		return func(c *tls.Config) {
			// Shown whatever authorities the server names.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		}
	}
	for _, c := range []struct {
		name  string
		ask   func() (string, error)
		want  string
		event string
	}{
		{"well", secure("shop.example.com", "shop.example.com", nil), "HTTP/1.1 200", "handshake"},
		{"with a certificate", secure("admin.example.com", "admin.example.com", with(mine)), "HTTP/1.1 200", "handshake"},
		{"unknown name", secure("stranger.example.com", "shop.example.com", nil), "reset", "no_chain"},
		{"no name", secure("", "shop.example.com", func(c *tls.Config) { c.InsecureSkipVerify = true }), "reset", "no_chain"},
		{"plaintext HTTP", plain("GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"), "HTTP/1.1 400", "not_tls"},
		{"other plaintext", plain("EHLO shop.example.com\r\n"), "reset", "not_tls"},
		{"no certificate of the server", secure("none.example.com", "none.example.com", nil), "internal error", "handshake_failed"},
		{"old TLS", secure("shop.example.com", "shop.example.com", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), "protocol version", "handshake_failed"},
		{"no client certificate", secure("admin.example.com", "admin.example.com", nil), "certificate required", "handshake_failed"},
		{"another authority's", secure("admin.example.com", "admin.example.com", with(theirs)), "unknown certificate authority", "handshake_failed"},
		{"another server's host", secure("shop.example.com", "admin.example.com", nil), "HTTP/1.1 421", "handshake"},
		{"nobody's host", secure("shop.example.com", "stranger.example.com", nil), "HTTP/1.1 404", "handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := g.connectionEvents(t, c.event)
			got, err := c.ask()
			if err != nil {
				got = err.Error()
			}
			if errors.Is(err, syscall.ECONNRESET) {
				got = "reset"
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("the client sees %q, want %q", got, c.want)
			}
			for until := time.Now().Add(patience); g.connectionEvents(t, c.event) == before; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatalf("no event %s was counted", c.event)
				}
			}
		})
	}
	g.page(t, "/conditions", "SecretNotFound")
	for _, want := range []string{"secret istio-system/shop", "secret istio-system/missing"} {
		g.page(t, "/certs", want)
	}
}

// answerTo sends text and returns what comes back.
func answerTo(c net.Conn, text string) (string, error) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	got, err := io.ReadAll(c)
	if strings.HasPrefix(string(got), "HTTP/") {
		return string(got), nil
	}
	return string(got), err
}

// connectionEvents returns the lines of the metrics that count an event of connections.
func (g *gateway) connectionEvents(t *testing.T, event string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(g.page(t, "/stats/prometheus", "")) {
		if strings.HasPrefix(line, "sluice_downstream_connection_events_total") && strings.Contains(line, fmt.Sprintf("event=%q", event)) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
