package istio_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

// nodeWorld is a service with an endpoint in each of three zones.
const nodeWorld = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: istio-system}
spec: {hosts: ["*"], gateways: [edge], http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.9, selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-x, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.1.0.1], zone: a, targetRef: {kind: Pod, name: web-v1-6d4cf56db6-x7k2p}}
- {addresses: [10.1.0.2], zone: b, targetRef: {kind: Pod, name: web-v2-0}}
- {addresses: [10.1.0.3], zone: c}
`

const nodeRule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web.shop.svc.cluster.local, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}}
`

func nodeObject(name, region, zone string) *config.Object {
	return &config.Object{Key: config.Key{Kind: "Node", Name: name}, Version: "v1", Source: config.Plain(`{"kind":"Node"}`),
		Labels: map[string]string{"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone}}
}

// localities are those of the cluster's endpoints, with the proxy's own before them.
func localities(t *testing.T, r istio.Result) string {
	t.Helper()
	if len(r.Spec.Clusters) != 1 {
		t.Fatalf("%d clusters", len(r.Spec.Clusters))
	}
	c := r.Spec.Clusters[0]
	list := []string{"unknown:"}
	if c.Locality != nil {
		list[0] = c.Locality.Own + ":"
	}
	for _, e := range c.Endpoints {
		list = append(list, e.Locality)
	}
	return strings.Join(list, " ")
}

// TestNodes: the labels of Nodes say where the proxy is, and in which region zones are.
func TestNodes(t *testing.T) {
	t.Parallel()
	for _, own := range []string{"", "far/away"} {
		c := istio.NewCompiler(istio.Options{Labels: map[string]string{"istio": "ingressgateway"}, Node: "n1", Locality: own})
		apply := func(set ...*config.Object) string {
			t.Helper()
			return localities(t, c.Apply(config.Delta{Set: set}))
		}
		is := func(located, otherwise string) string {
			if own != "" {
				return own + ":" + otherwise
			}
			return located
		}
		if got, want := apply(parse(t, nodeWorld+"---"+nodeRule)...), is("unknown: /a /b /c", " /a /b /c"); got != want {
			t.Errorf("without nodes: %s, want %s", got, want)
		}
		if wants := c.Wants(); wants.Nodes != (own != "") {
			t.Errorf("from %q nodes are wanted: %v", own, wants.Nodes)
		}
		if got, want := apply(nodeObject("n1", "east", "a")), is("east/a: east/a /b /c", " east/a /b /c"); got != want {
			t.Errorf("with the own node: %s, want %s", got, want)
		}
		if !c.Wants().Nodes {
			t.Error("nodes are not wanted")
		}
		if got, want := apply(nodeObject("n2", "east", "b"), nodeObject("n3", "west", "c"), nodeObject("n4", "", "")), is("east/a: east/a east/b west/c", " east/a east/b west/c"); got != want {
			t.Errorf("with all nodes: %s, want %s", got, want)
		}
		if got, want := apply(nodeObject("n1", "west", "c")), is("west/c: /a east/b west/c", " /a east/b west/c"); got != want {
			t.Errorf("the node has moved: %s, want %s", got, want)
		}
		before := c.Apply(config.Delta{}).Spec
		if c.Apply(config.Delta{Set: []*config.Object{nodeObject("n5", "west", "c")}}).Spec != before {
			t.Error("a node that says nothing new made another Spec")
		}
		r := c.Apply(config.Delta{Removed: []config.Key{{Group: "networking.istio.io", Kind: "DestinationRule", Namespace: "shop", Name: "web"}}})
		if c.Wants().Nodes || r.Spec.Clusters[0].Locality != nil {
			t.Error("without outlier detection no region matters")
		}
	}
}

// TestUnreadPods: of pods that are not read, their Service and their names tell something.
func TestUnreadPods(t *testing.T) {
	t.Parallel()
	c := istio.NewCompiler(istio.Options{Labels: map[string]string{"istio": "ingressgateway"}})
	r := c.Apply(config.Delta{Set: parse(t, nodeWorld)})
	var got []string
	for _, e := range r.Spec.Clusters[0].Endpoints {
		got = append(got, fmt.Sprintf("%s %v", e.Workload, e.Labels))
	}
	if want := "shop/web-v1 map[app:web], shop/web-v2 map[app:web],  map[app:web]"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	pod := &config.Object{Key: config.Key{Kind: "Pod", Namespace: "shop", Name: "web-v2-0"}, Version: "v1", Labels: map[string]string{"app": "web", "version": "v2"},
		Source: config.Plain(`{"metadata":{"ownerReferences":[{"kind":"StatefulSet","name":"stateful","controller":true}]}}`)}
	if e := c.Apply(config.Delta{Set: []*config.Object{pod}}).Spec.Clusters[0].Endpoints[1]; e.Workload != "shop/stateful" || e.Labels["version"] != "v2" {
		t.Errorf("a pod that is read: %+v", e)
	}
}
