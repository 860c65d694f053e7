package apiserver

import (
	"strings"
	"testing"
)

// TestWatchedNamespaces: of the namespaces that are not to be watched the gateway serves nothing, and
// it needs no permission there.
func TestWatchedNamespaces(t *testing.T) {
	t.Parallel()
	s := shared(t)
	own, near, far := s.namespace(t), s.namespace(t), s.namespace(t)
	token := s.gatewayToken(t, own, "watchNamespaces={"+near+"}")
	for _, ns := range []string{near, far} {
		s.deploy(t, ns, "web", "v1")
		s.apply(t, strings.ReplaceAll(edge(ns, ns+".example.com", "[{route: [{destination: {host: web}}]}]"), "gateway: "+ns, "gateway: "+own))
	}
	g := s.startGateway(t, own, s.kubeconfig(t, token), "--watch-namespaces="+near)
	g.awaitReady(t)
	g.awaitPod(t, near+".example.com", "/", "web")
	g.awaitStatus(t, far+".example.com", "/", 404)
	if log := g.text(); strings.Contains(log, "403") {
		t.Errorf("something is forbidden:\n%s", log)
	}
	for _, e := range s.audit(t, own) {
		if e.ObjectRef.Namespace == far || e.ObjectRef.Namespace == "" && e.ObjectRef.Resource == "virtualservices" {
			t.Errorf("it asks for what it is not to watch: %s %s", e.Verb, e.RequestURI)
		}
	}
}

// TestDiscoverySelector: namespaces come and go by their labels, which the gateway has to be
// allowed to read.
func TestDiscoverySelector(t *testing.T) {
	t.Parallel()
	s := shared(t)
	own, other := s.namespace(t), s.namespace(t)
	s.deploy(t, other, "web", "v1")
	s.apply(t, strings.ReplaceAll(edge(other, "*", "[{route: [{destination: {host: web}}]}]"), "gateway: "+other, "gateway: "+own))
	selector := "discovery-selector=for=" + own
	g := s.startGateway(t, own, s.kubeconfig(t, s.gatewayToken(t, own)), "--"+selector)
	await(t, "the log says what is forbidden", func() error {
		return mentions(g.text(), "nothing is served yet", "list and watch namespaces", "kubectl")
	})
	s.apply(t, rbac(t, own, "flags."+selector))
	g.awaitReady(t)
	g.refuses(t)
	s.kubectl(t, "", "label", "namespace", other, "for="+own)
	g.awaitPod(t, "web.example.com", "/", "web")
	s.kubectl(t, "", "label", "namespace", other, "for-")
	g.refuses(t)
}
