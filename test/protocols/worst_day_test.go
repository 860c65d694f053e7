package protocols

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// worstDay has a host whose configuration stays, and makes room for one whose changes. The
// placeholder is the port of the upstream that is well.
const worstDay = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["well.test", "ill.test"]}
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["well.test"]
    tls: {mode: SIMPLE, credentialName: edge}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: well, namespace: default}
spec:
  hosts: ["well.test"]
  gateways: [edge]
  http:
  - route: [{destination: {host: well.test}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: well, namespace: default}
spec:
  hosts: [well.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: %d}}]
`

// illRoute is what changes: the ports of an upstream that hangs up half-way and of one that
// nobody listens at, their share, and what the route does beside.
const illRoute = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ill, namespace: default}
spec:
  hosts: ["ill.test"]
  gateways: [edge]
  http:
  - route: [{destination: {host: ill.test}}]
    timeout: %[4]dms
    retries: {attempts: 2, retryOn: "5xx,reset"}
    mirrors: [{destination: {host: ill.test}, percentage: {value: %[3]d}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ill, namespace: default}
spec:
  host: ill.test
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: %[5]d}, http: {http1MaxPendingRequests: 2}}
    outlierDetection: {consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 1s, maxEjectionPercent: %[3]d}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ill, namespace: default}
spec:
  hosts: [ill.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: %[1]d}}, {address: 127.0.0.1, ports: {http: %[2]d}}]
`

// wellUpstream answers with as many bytes as the path says, and the tag of the request.
func wellUpstream(t *testing.T) int {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.Header().Set("x-tag", r.Header.Get("x-tag"))
		w.Header().Set("content-length", strconv.Itoa(n))
		io.WriteString(w, strings.Repeat("w", n))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

// illUpstream hangs up in the middle of its responses.
func illUpstream(t *testing.T) int {
	t.Helper()
	address := serveConns(t, func(c net.Conn) {
		defer c.Close()
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
	})
	return int(netip.MustParseAddrPort(address).Port())
}

// askWell makes requests until ctx ends, each of which must be answered as it was asked.
func askWell(ctx context.Context, t *testing.T, client *http.Client, url string) (requests int) {
	for ; ctx.Err() == nil; requests++ {
		size, tag := rand.IntN(8000), fmt.Sprint(rand.Uint64())
		r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/%d", url, size), nil)
		if err != nil {
			t.Error(err)
			return requests
		}
		r.Host = "well.test"
		r.Header.Set("x-tag", tag)
		resp, err := client.Do(r)
		if err != nil {
			t.Errorf("request %d: %v", requests, err)
			return requests
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("x-tag") != tag || len(body) != size || strings.Trim(string(body), "w") != "" {
			t.Errorf("request %d, of %d bytes with tag %s: %d, %d bytes, %v, %v", requests, size, tag, resp.StatusCode, len(body), resp.Header, err)
			return requests
		}
	}
	return requests
}

// vanish sends requests to both hosts, whole or not, and hangs up, until ctx ends.
func vanish(ctx context.Context, at string) {
	for ctx.Err() == nil {
		c, err := net.DialTimeout("tcp", at, patience)
		if err != nil {
			continue
		}
		host := []string{"well.test", "ill.test"}[rand.IntN(2)]
		text := fmt.Sprintf("POST /3000 HTTP/1.1\r\nHost: %s\r\nContent-Length: 3000\r\n\r\n%s", host, strings.Repeat("v", 3000))
		io.WriteString(c, text[:rand.IntN(len(text)+1)])
		c.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(100)) * time.Millisecond))
		io.CopyN(io.Discard, c, rand.Int64N(3000))
		if rand.IntN(2) == 0 {
			c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
}

// unsettle changes the configuration beside the one that stays, until ctx ends.
func unsettle(ctx context.Context, t *testing.T, g *gateway, ca *authority, ill, nobody int) {
	for n := 1; ctx.Err() == nil; n++ {
		text := fmt.Sprintf(illRoute, ill, nobody, 1+rand.IntN(100), 20+rand.IntN(500), 1+rand.IntN(5))
		switch n % 5 {
		case 1, 2:
			g.write(t, "ill.yaml", text)
		case 3:
			g.write(t, "ill.yaml", text[:rand.IntN(len(text))])
		case 4:
			g.write(t, "secret.yaml", ca.secret(t, "edge", "well.test"))
		default:
			os.Remove(filepath.Join(g.config, "ill.yaml"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestWorstDay: whatever other clients, upstreams and configuration do, each request of a host
// that is well gets its own answer, in every protocol; and afterwards nothing is left open.
func TestWorstDay(t *testing.T) {
	ca := newAuthority(t)
	g := start(t, fmt.Sprintf(worstDay, wellUpstream(t)), []int{80, 443}, "--http3")
	g.write(t, "secret.yaml", ca.secret(t, "edge", "well.test"))
	until(t, "TLS is served", func() bool {
		c, err := tls.Dial("tcp", g.at(443), &tls.Config{ServerName: "well.test", RootCAs: ca.pool()})
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	ill := illUpstream(t)
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { unsettle(ctx, t, g, ca, ill, 1) })
	for range 4 {
		all.Go(func() { vanish(ctx, g.at(80)) })
	}
	config := &tls.Config{ServerName: "well.test", RootCAs: ca.pool()}
	var h2 http.Protocols
	h2.SetHTTP2(true)
	quic := &http3.Transport{TLSClientConfig: config}
	kept, secure := &http.Transport{}, &http.Transport{TLSClientConfig: config.Clone(), Protocols: &h2}
	for name, c := range map[string]struct {
		transport http.RoundTripper
		url       string
	}{
		"HTTP/1.1": {kept, "http://" + g.at(80)}, "a connection each": {&http.Transport{DisableKeepAlives: true}, "http://" + g.at(80)},
		"HTTP/2": {secure, "https://" + g.at(443)}, "HTTP/3": {quic, "https://" + g.at(443)},
	} {
		client := &http.Client{Transport: c.transport, Timeout: patience}
		for range 3 {
			all.Go(func() { t.Logf("%s: %d requests", name, askWell(ctx, t, client, c.url)) })
		}
	}
	all.Wait()
	kept.CloseIdleConnections()
	secure.CloseIdleConnections()
	quic.Close()
	for _, series := range []string{`sluice_downstream_connections{listener="0.0.0.0_80"} 0`, `sluice_downstream_connections{listener="0.0.0.0_443"} 0`,
		`envoy_cluster_upstream_rq_active{cluster_name="outbound|80||well.test"} 0`, `sluice_upstream_connections{cluster="outbound|80||well.test",state="active"} 0`} {
		g.page(t, "/stats/prometheus", "\n"+series+"\n")
	}
}
