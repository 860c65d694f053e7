package forward_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Whom a proxy speaks for is told to the proxies of the mesh, and to nobody else; and nobody
// else is believed.
func TestPeerMetadata(t *testing.T) {
	t.Parallel()
	heads := make(chan string, 10)
	o := startOrigin(t, func(c *originConn) {
		for {
			head, err := c.head()
			if err != nil {
				return
			}
			heads <- head
			if c.send("HTTP/1.1 200 OK\r\nX-A: 1\r\nX-Envoy-Peer-Metadata: its\r\nX-Envoy-Peer-Metadata-Id: its-id\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok") != nil {
				return
			}
		}
	})
	meshed := map[string]string{"security.istio.io/tlsMode": "istio"}
	injected := map[string]string{"sidecar.istio.io/inject": "true"}
	for name, test := range map[string]struct {
		labels        map[string]string
		mesh, inbound bool
		// path is "/none" for what is not forwarded.
		path string
		// sent and answered tell whether the endpoint, and the client, are told of this proxy.
		sent, answered bool
		// want is what telemetry is told.
		want string
	}{
		"gateway to the mesh":        {meshed, false, false, "/", true, false, "[  its its-id]"},
		"gateway to injected":        {injected, false, false, "/", true, false, "[  its its-id]"},
		"gateway to others":          {nil, false, false, "/", false, false, "[   ]"},
		"sidecar to the mesh":        {meshed, true, false, "/", true, false, "[  its its-id]"},
		"sidecar to others":          {map[string]string{"sidecar.istio.io/inject": "false"}, true, false, "/", false, false, "[   ]"},
		"to the application":         {nil, true, true, "/", false, true, "[theirs their-id  ]"},
		"inbound, not forwarded":     {nil, true, true, "/none", false, true, "[theirs their-id  ]"},
		"outbound, not forwarded":    {nil, true, false, "/none", false, false, "[   ]"},
		"the gateway, not forwarded": {nil, false, false, "/none", false, false, "[   ]"},
	} {
		seen, tell := telling(func(ex *proxy.Exchange) string {
			return fmt.Sprint([]string{ex.PeerMetadata, ex.PeerMetadataID, ex.UpstreamPeerMetadata, ex.UpstreamPeerMetadataID})
		})
		spec := toOrigin(o.addr)
		spec.Clusters[0].Endpoints[0].Labels = test.labels
		spec.Listeners[0].Tables[0].VirtualHosts[0].Routes[0].Match.Path = router.StringMatch{Kind: router.MatchExact, Value: "/"}
		g := start(t, spec, tell, func(s *setup) {
			s.engine.Mesh, s.accept.Inbound = test.mesh, test.inbound
			s.engine.PeerMetadata, s.engine.PeerMetadataID = "ours", "our-id"
		})
		a := dial(t, g).get(test.path, "X-A: 1", "X-Envoy-Peer-Metadata: theirs", "x-envoy-peer-metadata-id: their-id", "X-B: 2")
		if got := told(t, seen); got != test.want {
			t.Errorf("%s: told %s, want %s", name, got, test.want)
		}
		wantAnswer := ""
		if test.answered {
			wantAnswer = "our-id ours"
		}
		if got := strings.TrimSpace(strings.Join(a.Header["X-Envoy-Peer-Metadata-Id"], ",") + " " + strings.Join(a.Header["X-Envoy-Peer-Metadata"], ",")); got != wantAnswer {
			t.Errorf("%s: the client was told %q, want %q", name, got, wantAnswer)
		}
		if test.path == "/none" {
			continue
		}
		head := told(t, heads)
		wantHead := ""
		if test.sent {
			wantHead = "x-envoy-peer-metadata-id: our-id\r\nx-envoy-peer-metadata: ours\r\n"
		}
		if strings.Contains(head, "their") || strings.Count(head, "peer-metadata") != strings.Count(wantHead, "peer-metadata") || !strings.Contains(head, wantHead) ||
			!strings.Contains(head, "x-a: 1\r\nx-b: 2\r\n") || a.Header.Get("X-A") != "1" || a.Header.Get("X-B") != "2" {
			t.Errorf("%s: the endpoint got %q, the client %v", name, head, a.Header)
		}
	}
}

// A try at an endpoint without a proxy, after one at an endpoint with one, tells nothing.
func TestPeerMetadataOfRetries(t *testing.T) {
	t.Parallel()
	heads := make(chan string, 2)
	refuse := func(c *originConn) {
		head, _ := c.head()
		heads <- head
		c.send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
	}
	spec := toOrigin(startOrigin(t, refuse).addr, startOrigin(t, refuse).addr)
	spec.Clusters[0].Endpoints[0].Labels = map[string]string{"security.istio.io/tlsMode": "istio"}
	thePolicy(spec).Retry = &router.Retry{Attempts: 1, On: router.Retry5xx, Backoff: 1, AvoidPrevious: true}
	g := start(t, spec, func(s *setup) { s.engine.PeerMetadata = "ours" })
	dial(t, g).get("/")
	first, second := told(t, heads), told(t, heads)
	if strings.Contains(first, "peer-metadata: ours\r\n") == strings.Contains(second, "peer-metadata: ours\r\n") {
		t.Errorf("the tries were\n%q\n%q", first, second)
	}
}
