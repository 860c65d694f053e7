package protocols

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

const passthrough = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: tls, protocol: TLS}
    hosts: ["shop.example.com", "*.wild.example.com"]
    tls: {mode: PASSTHROUGH}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: ["shop.example.com", "*.wild.example.com"]
  gateways: [edge]
  tls:
  - match: [{port: 443, sniHosts: ["shop.example.com"]}]
    route: [{destination: {host: shop.example.com, port: {number: 443}}}]
  - match: [{port: 443, sniHosts: ["*.wild.example.com"]}]
    route: [{destination: {host: wild.example.com, port: {number: 443}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example.com]
  resolution: STATIC
  ports: [{number: 443, name: tls, protocol: TLS}]
  endpoints: [{address: 127.0.0.1, ports: {tls: %d}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild, namespace: default}
spec:
  hosts: [wild.example.com]
  resolution: STATIC
  ports: [{number: 443, name: tls, protocol: TLS}]
  endpoints: [{address: 127.0.0.1, ports: {tls: %d}}]
`

// TestPassthrough: TLS ends at the servers that clients name, in each version of it and with
// a first message in small pieces.
func TestPassthrough(t *testing.T) {
	ca := newAuthority(t)
	shop, wild := secureServer(t, ca, "shop.example.com"), secureServer(t, ca, "a.wild.example.com")
	g := start(t, fmt.Sprintf(passthrough, shop, wild), []int{443})
	get := func(t *testing.T, name string, version uint16, dial func() (net.Conn, error)) (string, error) {
		t.Helper()
		client := &http.Client{Timeout: patience, Transport: &http.Transport{
			DisableKeepAlives: true,
			DialTLS: func(string, string) (net.Conn, error) {
				conn, err := dial()
				if err != nil {
					return nil, err
				}
				return tls.Client(conn, &tls.Config{RootCAs: ca.pool(), ServerName: name, MinVersion: version, MaxVersion: version}), nil
			},
		}}
		r, err := client.Get("https://" + name + "/")
		if err != nil {
			return "", err
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		return string(body), err
	}
	plain := func() (net.Conn, error) { return net.Dial("tcp", g.at(443)) }
	slow := func() (net.Conn, error) {
		conn, err := plain()
		return &piecemeal{Conn: conn}, err
	}
	for _, name := range []string{"shop.example.com", "a.wild.example.com"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for version, dial := range map[uint16]func() (net.Conn, error){tls.VersionTLS12: plain, tls.VersionTLS13: slow} {
				if got, err := get(t, name, version, dial); err != nil || got != name {
					t.Errorf("%s: %q, %v", tls.VersionName(version), got, err)
				}
			}
		})
	}
	for _, name := range []string{"stranger.example.com", "wild.example.com", "b.shop.example.com"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := get(t, name, tls.VersionTLS13, plain); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("a name that nobody serves: %v, want a reset", err)
			}
		})
	}
}

// piecemeal sends its first message a few bytes at a time.
type piecemeal struct {
	net.Conn
	sent bool
}

func (p *piecemeal) Write(b []byte) (int, error) {
	if p.sent {
		return p.Conn.Write(b)
	}
	p.sent = true
	for n := 0; n < len(b); n += 100 {
		if _, err := p.Conn.Write(b[n:min(n+100, len(b))]); err != nil {
			return n, err
		}
		time.Sleep(time.Millisecond)
	}
	return len(b), nil
}

// secureServer serves the name of its certificate, and returns its port.
func secureServer(t *testing.T, ca *authority, name string) int {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.keyPair(t, name)}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

const rewrapped = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 9443, name: tls, protocol: TLS}
    hosts: ["echo.example.com"]
    tls: {mode: SIMPLE, credentialName: front}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: default}
spec:
  hosts: ["echo.example.com"]
  gateways: [edge]
  tcp:
  - match: [{port: 9443}]
    route: [{destination: {host: backend.example.com, port: {number: 9443}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: backend, namespace: default}
spec:
  hosts: [backend.example.com]
  resolution: STATIC
  ports: [{number: 9443, name: tcp, protocol: TCP}]
  endpoints: [{address: 127.0.0.1, ports: {tcp: %d}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: backend, namespace: default}
spec:
  host: backend.example.com
  trafficPolicy:
    tls: {mode: SIMPLE, credentialName: %s, sni: backend.example.com}
`

// TestRewrapped: bytes come out of one TLS and go into another, whose certificate is
// verified.
func TestRewrapped(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.keyPair(t, "backend.example.com")}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.WriteString(conn, "220 ready\n")
				io.Copy(conn, conn)
			}()
		}
	}()
	secrets := ca.secret(t, "front", "echo.example.com") + ca.secret(t, "back", "gateway.example.com") + other.secret(t, "wrong", "gateway.example.com")
	dial := func(credential string) *tls.Conn {
		g := start(t, fmt.Sprintf(rewrapped, l.Addr().(*net.TCPAddr).Port, credential)+secrets, []int{9443})
		conn, err := tls.Dial("tcp", g.at(9443), &tls.Config{RootCAs: ca.pool(), ServerName: "echo.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	conn := dial("back")
	expect(t, conn, "220 ready\n")
	big := strings.Repeat("0123456789abcdef", 1<<16)
	go func() {
		io.WriteString(conn, big)
		conn.CloseWrite()
	}()
	if got, err := io.ReadAll(conn); err != nil || string(got) != big {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(big), err)
	}
	if got, err := io.ReadAll(dial("wrong")); err == nil || len(got) > 0 {
		t.Errorf("a backend that nobody vouches for is served from: %q, %v", got, err)
	}
}
