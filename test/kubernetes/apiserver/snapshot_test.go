package apiserver

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestSnapshot starts a gateway without an API server: it serves what it served before,
// and follows the API server once that is back.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	app := s.deploy(t, ns, "web", "v1")
	s.apply(t, strings.ReplaceAll(secureEdge, "NAMESPACE", ns)+"\n---\n"+edge(ns, "web.example.com", "[{route: [{destination: {host: web}}]}]"))
	a := mustAuthority(t)
	s.apply(t, certificate(t, a, ns, "secure-cert"))

	road := newRoad(t, s)
	kubeconfig := s.kubeconfigAt(t, road.url(), s.gatewayToken(t, ns))
	snapshot := "--snapshot=" + filepath.Join(t.TempDir(), "snapshot")
	first := s.startGateway(t, ns, kubeconfig, snapshot)
	first.awaitPod(t, "web.example.com", "/", "web-v1")
	await(t, "the Secret's certificate is served", func() error { return first.secure(a) })
	if !first.terminate(patience) {
		t.Error("the gateway does not end")
	}

	road.close()
	second := s.startGateway(t, ns, kubeconfig, snapshot)
	second.awaitReady(t)
	second.awaitPod(t, "web.example.com", "/", "web-v1-0")
	if err := second.secure(a); err != nil {
		t.Errorf("TLS from the snapshot: %v", err)
	}
	if err := mentions(second.text(), "snapshot", "old"); err != nil {
		t.Errorf("the log does not say how old the configuration is: %v", err)
	}

	app.publish(t, ready(app.start(t, "v2"))...)
	load := second.load(1, "web.example.com", "/")
	road.open(t)
	second.awaitPod(t, "web.example.com", "/", "web-v2")
	load.finish(t, 1)
}
