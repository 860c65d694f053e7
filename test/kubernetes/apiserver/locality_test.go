package apiserver

import (
	"fmt"
	"strings"
	"testing"

	discovery "k8s.io/api/discovery/v1"
)

// nodeManifest returns a Node somewhere.
func nodeManifest(name, region, zone string) string {
	return fmt.Sprintf(`
---
apiVersion: v1
kind: Node
metadata: {name: %s, labels: {topology.kubernetes.io/region: %s, topology.kubernetes.io/zone: %s}}
`, name, region, zone)
}

// TestLocality: requests stay near the node that the gateway runs on, as its labels and those of
// the other nodes tell, with the rights of the chart.
func TestLocality(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.installCRDs(t)
	ns := s.namespace(t)
	app := s.deploy(t, ns, "web", "v1", "v2")
	var endpoints []discovery.Endpoint
	for i, e := range ready(app.pods...) {
		zone := []string{"a", "b"}[i]
		e.Zone = &zone
		endpoints = append(endpoints, e)
	}
	app.publish(t, endpoints...)
	s.apply(t, nodeManifest("n1", "east", "a"))
	s.apply(t, edge(ns, "*", "[{route: [{destination: {host: web}}]}]")+fmt.Sprintf(`
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: %s}
spec: {host: web, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}}
`, ns))
	g := s.gateway(t, ns, "--node-name=n1", "--status-writing=false")
	only := func(why, prefix string) {
		t.Helper()
		await(t, "requests go to "+prefix+": "+why, func() error {
			for range 20 {
				if _, pod, err := g.get("web.example.com", "/"); err != nil || !strings.HasPrefix(pod, prefix) {
					return fmt.Errorf("one went to %q, %v", pod, err)
				}
			}
			return nil
		})
	}
	only("it is in the zone of the node", "web-v1")
	s.apply(t, nodeManifest("n1", "east", "b"))
	only("the node has moved to its zone", "web-v2")
	s.apply(t, nodeManifest("n1", "east", "c")+nodeManifest("n2", "east", "a")+nodeManifest("n3", "west", "b"))
	only("it is in the region of the node", "web-v1")
	s.apply(t, nodeManifest("n2", "west", "a")+nodeManifest("n3", "east", "b"))
	only("the regions have changed", "web-v2")
	if strings.Contains(g.text(), "(403)") {
		t.Errorf("the chart's rights do not suffice:\n%s", g.text())
	}
}

// TestNodesForbidden: a gateway that may not read nodes serves, and says what it lacks.
func TestNodesForbidden(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	s.apply(t, edge(ns, "*", `[{route: [{destination: {host: web}}]}]`))
	g := s.startGateway(t, ns, s.kubeconfig(t, s.gatewayToken(t, ns, "rbac.nodes=false")), "--node-name=n1", "--status-writing=false")
	g.awaitPod(t, "web.example.com", "/", "web-v1")
	await(t, "the gateway says what it lacks", func() error {
		_, conditions, err := get("http://" + g.address + ":15000/conditions")
		if err != nil {
			return err
		}
		return mentions(conditions, "may not watch nodes (403)", "--locality tells where this proxy is", "--resource=nodes")
	})
}
