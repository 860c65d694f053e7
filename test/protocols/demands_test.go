package protocols

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
)

const demanding = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: shop, protocol: HTTPS}, hosts: [shop.example.com], tls: {%[1]s}}
  - {port: {number: 6379, name: bytes, protocol: TLS}, hosts: [shop.example.com], tls: {%[1]s}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [shop.example.com]
  gateways: [web]
  http:
  - route: [{destination: {host: origin.test, port: {number: 80}}}]
  tcp:
  - match: [{port: 6379}]
    route: [{destination: {host: origin.test, port: {number: 7}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: origin, namespace: default}
spec:
  hosts: [origin.test]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: %[2]d}, {number: 7, name: tcp-echo, protocol: TCP, targetPort: %[3]d}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
`

// demands is a gateway whose demands on clients' certificates change while these are connected.
type demands struct {
	*gateway
	ca         *authority
	http, echo int
	secret     string
}

func newDemands(t *testing.T, tls string) *demands {
	t.Helper()
	origin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(w, "served")
			return
		}
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		if c, rw, err := w.(http.Hijacker).Hijack(); err == nil {
			defer c.Close()
			io.Copy(c, rw)
		}
	}))
	t.Cleanup(func() { origin.Close() })
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
	t.Cleanup(func() { echo.Close() })
	d := &demands{ca: newAuthority(t), http: origin.Addr().(*net.TCPAddr).Port, echo: echo.Addr().(*net.TCPAddr).Port}
	d.secret = d.ca.secret(t, "shop", "shop.example.com")
	d.gateway = start(t, d.manifests(tls), []int{443, 6379}, "--http3", "--drain", "1s")
	return d
}

func (d *demands) manifests(tls string) string {
	return fmt.Sprintf(demanding, tls, d.http, d.echo) + d.secret
}

// client is a connection whose life is watched: call uses it, and tells whether it still serves.
type client struct {
	name string
	call func() error
}

// clients connects once by each protocol, with a certificate or without.
func (d *demands) clients(t *testing.T, certificates ...tls.Certificate) []client {
	t.Helper()
	config := func(protocols ...string) *tls.Config {
		return &tls.Config{RootCAs: d.ca.pool(), ServerName: "shop.example.com", Certificates: certificates, NextProtos: protocols}
	}
	dial := func(port int, protocols ...string) (*tls.Conn, *bufio.Reader) {
		c, err := tls.Dial("tcp", d.at(port), config(protocols...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(2 * patience))
		return c, bufio.NewReader(c)
	}
	echoes := func(c net.Conn, r *bufio.Reader) func() error {
		return func() error {
			if _, err := io.WriteString(c, "hello\n"); err != nil {
				return err
			}
			_, err := r.ReadString('\n')
			return err
		}
	}
	request := func() *http.Request {
		r, _ := http.NewRequestWithContext(within(t), "GET", "https://"+d.at(443)+"/", nil)
		r.Host = "shop.example.com"
		return r
	}
	answered := func(resp *http.Response, err error) error {
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
			return fmt.Errorf("%d %s %v", resp.StatusCode, text, err)
		}
		return nil
	}

	single, singleReader := dial(443, "http/1.1")
	raw, rawReader := dial(6379)
	upgraded, upgradedReader := dial(443, "http/1.1")
	io.WriteString(upgraded, "GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if resp, err := http.ReadResponse(upgradedReader, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("upgrade: %v %v", resp, err)
	}
	multiplexed, _ := dial(443, "h2")
	h2, err := new(http2.Transport).NewClientConn(multiplexed)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &http3.Transport{TLSClientConfig: config("h3")}
	t.Cleanup(func() { dialer.Close() })
	datagrams, err := quic.DialAddr(within(t), d.at(443), config("h3"), nil)
	if err != nil {
		t.Fatal(err)
	}
	h3 := dialer.NewClientConn(datagrams)
	list := []client{
		{"HTTP/1.1", func() error {
			if err := request().Write(single); err != nil {
				return err
			}
			return answered(http.ReadResponse(singleReader, nil))
		}},
		{"HTTP/2", func() error { return answered(h2.RoundTrip(request())) }},
		{"HTTP/3", func() error { return answered(h3.RoundTrip(request())) }},
		{"WebSocket", echoes(upgraded, upgradedReader)},
		{"bytes", echoes(raw, rawReader)},
	}
	for _, c := range list {
		if err := c.call(); err != nil {
			t.Fatalf("%s before the change: %v", c.name, err)
		}
	}
	return list
}

// turnedAway waits until the demand is in force: who has no certificate does not get in.
func (d *demands) turnedAway(t *testing.T, certificates ...tls.Certificate) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		c, err := tls.Dial("tcp", d.at(443), &tls.Config{RootCAs: d.ca.pool(), ServerName: "shop.example.com", Certificates: certificates})
		if err != nil {
			return
		}
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
		_, err = c.Read(make([]byte, 1))
		c.Close()
		if err != nil {
			return
		}
	}
	t.Fatal("the demand does not come in force")
}

// end waits until each client's connection serves no more.
func end(t *testing.T, list []client) {
	t.Helper()
	until := time.Now().Add(patience)
	for _, c := range list {
		err := error(nil)
		for err == nil && time.Now().Before(until) {
			if err = c.call(); err == nil {
				time.Sleep(10 * time.Millisecond)
			}
		}
		if err == nil {
			t.Errorf("%s: the connection is served on", c.name)
		}
	}
}

// serve tells of connections that serve no more.
func serve(t *testing.T, list []client) {
	t.Helper()
	for _, c := range list {
		if err := c.call(); err != nil {
			t.Errorf("%s, which meets the demand: %v", c.name, err)
		}
	}
}

// TestDemands: when a server asks more of its clients' certificates than it did, connections
// that do not meet that end, whatever is spoken in them, and those that do are left alone.
func TestDemands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"mode":            {"mode: OPTIONAL_MUTUAL, credentialName: shop", "mode: MUTUAL, credentialName: shop"},
		"subjectAltNames": {"mode: OPTIONAL_MUTUAL, credentialName: shop", "mode: MUTUAL, credentialName: shop, subjectAltNames: [friend.example.com]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDemands(t, c.before)
			strangers := d.clients(t)
			others := d.clients(t, d.ca.keyPair(t, "other.example.com"))
			friends := d.clients(t, d.ca.keyPair(t, "friend.example.com"))
			d.gateway.write(t, "config.yaml", d.manifests(c.after))
			d.turnedAway(t)
			end(t, strangers)
			if strings.Contains(c.after, "subjectAltNames") {
				end(t, others)
			} else {
				serve(t, others)
			}
			serve(t, friends)
		})
	}
}

// TestRevoked: connections whose client's certificate is revoked end, and those of certificates
// under authorities that are renewed, or have another beside them, go on.
func TestRevoked(t *testing.T) {
	t.Parallel()
	d := newDemands(t, "mode: MUTUAL, credentialName: shop")
	bad, good := d.ca.keyPair(t, "bad.example.com"), d.ca.keyPair(t, "good.example.com")
	revoked, kept := d.clients(t, bad), d.clients(t, good)

	// A new certificate of the server's, and authorities with one more.
	cert, key := d.ca.issue(t, "shop.example.com")
	secret := func(more ...string) string {
		return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: shop, namespace: istio-system}\nstringData:\n  tls.crt: %q\n  tls.key: %q\n%s", cert, key, strings.Join(more, ""))
	}
	d.secret = secret(fmt.Sprintf("  ca.crt: %q\n", string(d.ca.pem)+string(newAuthority(t).pem)))
	d.write(t, "config.yaml", d.manifests("mode: MUTUAL, credentialName: shop"))
	d.rotated(t, good, cert)
	serve(t, kept)
	serve(t, revoked)

	leaf, err := x509.ParseCertificate(bad.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	d.secret = secret(fmt.Sprintf("  ca.crt: %q\n  ca.crl: %q\n", d.ca.pem, d.ca.revoke(t, leaf.SerialNumber)))
	d.write(t, "config.yaml", d.manifests("mode: MUTUAL, credentialName: shop"))
	d.turnedAway(t, bad)
	end(t, revoked)
	serve(t, kept)
}

// rotated waits until new connections are shown a certificate.
func (d *demands) rotated(t *testing.T, own tls.Certificate, cert []byte) {
	t.Helper()
	want := firstCertificate(t, cert)
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		c, err := tls.Dial("tcp", d.at(443), &tls.Config{RootCAs: d.ca.pool(), ServerName: "shop.example.com", Certificates: []tls.Certificate{own}})
		if err != nil {
			continue
		}
		shown := c.ConnectionState().PeerCertificates[0]
		c.Close()
		if shown.Equal(want) {
			return
		}
	}
	t.Fatal("the new certificate is not shown")
}

// revoke returns a revocation list, in PEM.
func (a *authority) revoke(t *testing.T, serials ...*big.Int) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, n := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}
