package protocols

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
)

// wsManifests route WebSockets, by the first label of the host's name or by path, to an origin
// of each kind. The placeholders are the origins' ports.
const wsManifests = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ws, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["*"]
    tls: {mode: SIMPLE, credentialName: ws}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ws, namespace: default}
spec:
  hosts: ["*"]
  gateways: [ws]
  http:
  - match: [{uri: {prefix: /tls/}}]
    rewrite: {uri: /}
    route: [{destination: {host: tls.test}}]
  - match: [{uri: {prefix: /h2/}}]
    rewrite: {uri: /}
    route: [{destination: {host: h2.test}}]
  - match: [{uri: {prefix: /none/}}]
    rewrite: {uri: /}
    route: [{destination: {host: none.test}}]
  - match: [{uri: {exact: /revision}}]
    directResponse: {status: 200, body: {string: "%REVISION%"}}
  - route: [{destination: {host: h1.test}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tls, namespace: default}
spec:
  host: tls.test
  trafficPolicy: {tls: {mode: SIMPLE, credentialName: roots, sni: origin.test, subjectAltNames: [origin.test]}}
`

// wsEntry is a service of one endpoint on this machine.
const wsEntry = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %s, namespace: default}
spec:
  hosts: [%s.test]
  ports: [{number: 80, name: %s, protocol: %s}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {%[3]s: %[5]s}}]
`

// wsGateway is a gateway before WebSocket servers of each kind.
type wsGateway struct {
	*gateway
	server *wsServer
	// direct are the servers' own addresses.
	direct    map[string]string
	authority *authority
	manifests string
}

// startWS starts them.
func startWS(t testing.TB, flags ...string) *wsGateway {
	t.Helper()
	g := &wsGateway{server: newWSServer(), direct: map[string]string{}, authority: newAuthority(t)}
	g.direct["h1"] = http1Origin(t, g.server, nil)
	g.direct["tls"] = http1Origin(t, g.server, &tls.Config{Certificates: []tls.Certificate{g.authority.keyPair(t, "origin.test")}})
	g.direct["h2"] = http2Origin(t, g.server, true)
	g.direct["none"] = http2Origin(t, g.server, false)
	g.manifests = wsManifests + g.authority.secret(t, "ws", "ws.example.com") + g.authority.secret(t, "roots", "unused.test")
	for name, protocol := range map[string]string{"h1": "HTTP", "tls": "HTTP", "h2": "HTTP2", "none": "HTTP2"} {
		_, port, _ := net.SplitHostPort(g.direct[name])
		g.manifests += fmt.Sprintf(wsEntry, name, name, strings.ToLower(protocol), protocol, port)
	}
	g.gateway = start(t, strings.Replace(g.manifests, "%REVISION%", "0", 1), []int{80, 443}, flags...)
	return g
}

// roots trust the gateway and its servers.
func (g *wsGateway) roots(name string) *tls.Config {
	return &tls.Config{RootCAs: g.authority.pool(), ServerName: name}
}

// ways returns each way in.
func (g *wsGateway) ways(t testing.TB) []wsTransport {
	t.Helper()
	return []wsTransport{
		overHTTP1("HTTP/1.1", g.at(80), nil),
		overHTTP1("HTTP/1.1 TLS", g.at(443), g.roots("ws.example.com")),
		overHTTP2(t, "HTTP/2", g.at(80), nil),
		overHTTP2(t, "HTTP/2 TLS", g.at(443), g.roots("ws.example.com")),
	}
}

// TestWebSocketAsDirect: the same client and server behave alike direct and through the
// gateway, by each protocol on either side: handshakes, refusals, fragments, ping and pong,
// close codes, frames of 16 MB, permessage-deflate, and what the server says first.
func TestWebSocketAsDirect(t *testing.T) {
	t.Parallel()
	g := startWS(t)
	direct := overHTTP1("direct", g.direct["h1"], nil)
	want := map[string]string{}
	for _, b := range behaviours {
		seen, err := b.do(within(t), direct)
		if err != nil {
			t.Fatalf("%s: %v", b.name, err)
		}
		want[b.name] = seen
	}
	for _, way := range g.ways(t) {
		for _, to := range []string{"h1", "tls", "h2"} {
			way := way
			if to != "h1" {
				way.url += "/" + to
			}
			t.Run(way.name+" to "+to, func(t *testing.T) {
				for _, b := range behaviours {
					seen, err := b.do(within(t), way)
					if err != nil || seen != want[b.name] {
						t.Errorf("%s: got %q, %v, want %q", b.name, seen, err, want[b.name])
					}
				}
			})
		}
	}
}

// TestWebSocketDirectHTTP2: the tests' own two ends of RFC 8441 understand each other.
func TestWebSocketDirectHTTP2(t *testing.T) {
	t.Parallel()
	w := overHTTP2(t, "direct", http2Origin(t, newWSServer(), true), nil)
	for _, b := range behaviours {
		if _, err := b.do(within(t), w); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
	}
}

// TestWebSocketRefusedByEndpoint: an endpoint of HTTP/2 without extended CONNECT is not asked;
// the client gets an answer, not a hanging connection.
func TestWebSocketRefusedByEndpoint(t *testing.T) {
	t.Parallel()
	g := startWS(t)
	for _, way := range g.ways(t) {
		way.url += "/none"
		c, resp, err := way.dial(within(t), "/echo", false)
		if err == nil {
			c.CloseNow()
		}
		if resp == nil || resp.StatusCode < 500 {
			t.Errorf("%s: %v, %v", way.name, resp, err)
		}
	}
}
