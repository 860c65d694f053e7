package apiserver

import (
	"fmt"
	"testing"
	"time"
)

// edge returns a Gateway for a host on port 80, selected by gateway=NAMESPACE, and a
// VirtualService whose rules are given.
func edge(namespace, host, http string) string {
	return fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: %[1]s}
spec:
  selector: {gateway: %[1]s}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [%[2]q]}
---
%[3]s`, namespace, host, routes(namespace, host, http))
}

// routes returns the VirtualService of edge alone.
func routes(namespace, host, http string) string {
	return fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: routes, namespace: %s}
spec:
  hosts: [%q]
  gateways: [edge]
  http: %s
`, namespace, host, http)
}

// subsets returns a DestinationRule with a subset for each version.
func subsets(namespace, host string, versions ...string) string {
	text := fmt.Sprintf(`
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  host: %[2]s
  subsets:
`, namespace, host)
	for _, v := range versions {
		text += fmt.Sprintf("  - {name: %[1]s, labels: {version: %[1]s}}\n", v)
	}
	return text
}

// TestRoutesAreLive follows objects that are applied, changed and deleted with kubectl.
func TestRoutesAreLive(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1", "v2")
	g := s.gateway(t, ns)

	s.apply(t, edge(ns, "web.example.com", "[{route: [{destination: {host: web, subset: v1}}]}]")+subsets(ns, "web", "v1", "v2"))
	g.awaitPod(t, "web.example.com", "/", "web-v1")
	for range 20 {
		if status, pod, err := g.get("web.example.com", "/"); err != nil || status != 200 || pod != "web-v1-0" {
			t.Fatalf("%d from %q, %v; want only web-v1-0", status, pod, err)
		}
	}
	g.awaitStatus(t, "other.example.com", "/", 404)

	s.apply(t, routes(ns, "web.example.com", `[{match: [{headers: {end-user: {exact: jason}}}], route: [{destination: {host: web, subset: v2}}]}, {route: [{destination: {host: web, subset: v1}}]}]`))
	applied := time.Now()
	g.awaitPod(t, "web.example.com", "/", "web-v2", "end-user: jason")
	t.Logf("a new route is in force %v after kubectl", time.Since(applied))
	g.awaitPod(t, "web.example.com", "/", "web-v1")

	s.kubectl(t, "", "delete", "virtualservice", "routes", "-n", ns)
	g.awaitStatus(t, "web.example.com", "/", 404)
}

// TestOlderVersionsOfTheAPI applies objects in every version that the CRDs serve.
func TestOlderVersionsOfTheAPI(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	g := s.gateway(t, ns)
	s.apply(t, edge(ns, "*", "[{route: [{destination: {host: web}}]}]"))
	for _, version := range []string{"v1alpha3", "v1beta1", "v1"} {
		s.apply(t, fmt.Sprintf(`
apiVersion: networking.istio.io/%[2]s
kind: VirtualService
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  hosts: [%[2]s.example.com]
  gateways: [edge]
  http: [{route: [{destination: {host: web}}]}]
`, ns, version))
		g.awaitPod(t, version+".example.com", "/", "web-v1")
	}
}
