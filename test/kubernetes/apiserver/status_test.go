package apiserver

import (
	"fmt"
	"strings"
	"testing"
)

// reconciled returns "STATUS REASON GENERATION/OBSERVED VERSION" of an object.
func (s *server) reconciled(t testing.TB, namespace, object string) (status string, version string) {
	t.Helper()
	out := s.kubectl(t, "", "get", "-n", namespace, object, "-o",
		`jsonpath={.status.conditions[?(@.type=="Reconciled")].status} {.status.conditions[?(@.type=="Reconciled")].reason} {.metadata.generation}/{.status.observedGeneration}|{.metadata.resourceVersion}`)
	status, version, _ = strings.Cut(out, "|")
	return status, version
}

// awaitReconciled waits until the status of an object is about its generation and begins so.
func (s *server) awaitReconciled(t testing.TB, namespace, object, want string) {
	t.Helper()
	await(t, object+" is "+want, func() error {
		status, _ := s.reconciled(t, namespace, object)
		generations := strings.Split(status[strings.LastIndex(status, " ")+1:], "/")
		if !strings.HasPrefix(status, want+" ") || generations[0] != generations[1] {
			return fmt.Errorf("its status is %q", status)
		}
		return nil
	})
}

const class = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: %s}
spec:
  ingressClassName: %s
  defaultBackend: {service: {name: web, port: {number: 80}}}
`

// TestStatus: what came of objects stands in their status and in Events, under the chart's
// permissions, and one of two replicas writes it.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.installCRDs(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	kubeconfig := s.kubeconfig(t, s.gatewayToken(t, ns))
	const wrong = `[{match: [{uri: {regex: "("}}], route: [{destination: {host: web}}]}]`
	s.apply(t, edge(ns, "*", wrong))
	s.apply(t, fmt.Sprintf(class, ns, "sluice"))
	start := func() *gateway {
		g := s.startGateway(t, ns, kubeconfig, "--publish-address=192.0.2.7")
		g.awaitReady(t)
		return g
	}
	first := start()
	s.awaitReconciled(t, ns, "gateway.networking.istio.io/edge", "True")
	s.awaitReconciled(t, ns, "virtualservice/routes", "False")
	levels := s.kubectl(t, "", "get", "-n", ns, "virtualservice/routes", "-o", "jsonpath={.status.validationMessages[*].level}")
	if !strings.Contains(levels, "ERROR") {
		t.Errorf("validationMessages have levels %q", levels)
	}
	await(t, "the Ingress has the address", func() error {
		return mentions(s.kubectl(t, "", "get", "-n", ns, "ingress/web"), "192.0.2.7")
	})
	await(t, "an Event says what is wrong", func() error {
		return mentions(s.kubectl(t, "", "describe", "-n", ns, "virtualservice/routes"), "Warning", "sluice.dev/gateway", "regex")
	})

	// Another start writes nothing that stands there.
	_, version := s.reconciled(t, ns, "virtualservice/routes")
	_, other := s.reconciled(t, ns, "gateway.networking.istio.io/edge")
	if !first.terminate(patience) {
		t.Error("the gateway does not end")
	}
	second := start()
	await(t, "the second leads", func() error { return mentions(second.text(), "this replica leads") })
	third := start()
	s.apply(t, routes(ns, "*", `[{route: [{destination: {host: web}}]}]`))
	s.awaitReconciled(t, ns, "virtualservice/routes", "True")
	if _, now := s.reconciled(t, ns, "gateway.networking.istio.io/edge"); now != other {
		t.Errorf("the Gateway was written: version %s, then %s", other, now)
	}
	if _, now := s.reconciled(t, ns, "virtualservice/routes"); now == version {
		t.Error("the VirtualService has its old version")
	}
	await(t, "an Event says that it is mended", func() error {
		return mentions(s.kubectl(t, "", "describe", "-n", ns, "virtualservice/routes"), "Mended")
	})
	events := s.kubectl(t, "", "get", "events", "-n", ns, "--field-selector=type=Warning,involvedObject.name=routes", "-o", "name")
	if n := strings.Count(events, "\n"); n != 1 {
		t.Errorf("%d Events for one defect:\n%s", n, events)
	}

	// The third takes over when the second is gone without a goodbye.
	second.kill()
	s.apply(t, routes(ns, "*", wrong))
	s.awaitReconciled(t, ns, "virtualservice/routes", "False")
	if err := mentions(third.text(), "this replica leads"); err != nil {
		t.Error(err)
	}
	if text := first.text() + second.text() + third.text(); strings.Contains(text, "(403)") {
		t.Errorf("the chart's permissions do not suffice:\n%s", text)
	}
}

// TestStatusWithoutPermission: a gateway that may not write says so once, and serves.
func TestStatusWithoutPermission(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	s.apply(t, edge(ns, "*", `[{route: [{destination: {host: web}}]}]`))
	g := s.startGateway(t, ns, s.kubeconfig(t, s.gatewayToken(t, ns, "rbac.status=false")))
	g.awaitPod(t, "web.example.com", "/", "web-v1")
	await(t, "the log says what is forbidden", func() error {
		return mentions(g.text(), "may not patch virtualservices.networking.istio.io/status", "kubectl create clusterrole")
	})
}
