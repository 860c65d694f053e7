package apiserver

import (
	"strings"
	"testing"
)

// TestCRDsInstalledLater starts the gateway on a cluster that has nothing of Istio: it
// serves what there is, says what is missing, and takes it up when it comes.
func TestCRDsInstalledLater(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	g := s.gateway(t, ns)
	if log := g.text(); !strings.Contains(log, "networking.istio.io") || !strings.Contains(log, "kubectl apply") && !strings.Contains(log, "sluice install") {
		t.Errorf("the log does not say that the CRDs of networking.istio.io are missing and how to install them:\n%s", log)
	}
	s.installCRDs(t)
	s.apply(t, edge(ns, "*", "[{route: [{destination: {host: web}}]}]"))
	g.awaitPod(t, "web.example.com", "/", "web-v1")
}
