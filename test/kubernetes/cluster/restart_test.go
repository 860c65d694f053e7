package cluster

import (
	"fmt"
	"strings"
	"testing"
)

// gateway and backend are Deployments, as kubectl's arguments.
const (
	gateway = "-n istio-system deployment/istio-ingressgateway"
	backend = "-n default deployment/productpage-v1"
)

// productsURL is a page of one backend, productpage, at the gateway's NodePort.
const productsURL = "http://" + nodeAddress + ":31380/api/v1/products"

// productsServed: serveProducts has been there.
var productsServed bool

// serveProducts installs the gateway and bookinfo, with two pods of productpage, once for
// all tests.
func serveProducts(t *testing.T) {
	t.Helper()
	need(t)
	if productsServed {
		return
	}
	install(t)
	kubectl(t, "apply -f "+bookinfo+"platform/bookinfo.yaml")
	kubectl(t, "apply -f "+bookinfo+"networking/bookinfo-gateway.yaml")
	kubectl(t, "scale deployment productpage-v1 --replicas=2")
	kubectl(t, "rollout status deployment --timeout=90s")
	await(t, "the application answers", func() error { return answers(productsURL, "") })
	awaitOldPods(t)
	productsServed = true
}

// answers returns an error unless a page is there.
func answers(url, host string) error {
	status, body, err := get(url, host, "")
	if err == nil && status != 200 {
		err = fmt.Errorf("%d: %s", status, body)
	}
	return err
}

// awaitOldPods waits until no pod is about to end any more: a gateway serves for a while
// after its successor is ready, and is to be seen until its last connection.
func awaitOldPods(t *testing.T) {
	t.Helper()
	await(t, "the old pods are gone", func() error {
		ending := run(t, "", "kubectl", "get", "pods", "-A", "-o", `jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name} {end}`)
		if ending != "" {
			return fmt.Errorf("still there: %s", ending)
		}
		return nil
	})
}

// TestRollingRestarts restarts every pod of the gateway, and of what stands behind it,
// twice each, under load: no request fails.
func TestRollingRestarts(t *testing.T) {
	serveProducts(t)
	for _, c := range []struct {
		name        string
		deployments []string
	}{
		{"gateway", []string{gateway}},
		{"backend", []string{backend}},
		// A gateway that is about to end still has to see which backends do.
		{"both at once", []string{gateway, backend}},
	} {
		t.Run(c.name, func(t *testing.T) {
			load := startLoad(8, productsURL)
			for range 2 {
				for _, d := range c.deployments {
					kubectl(t, "rollout restart "+d)
				}
				for _, d := range c.deployments {
					kubectl(t, "rollout status --timeout=90s "+d)
				}
				awaitOldPods(t)
			}
			load.finish(t, 500)
		})
	}
}

// TestUpgrade brings the gateway to another image and other values, and back, under load:
// no request fails.
func TestUpgrade(t *testing.T) {
	serveProducts(t)
	const image = "docker.io/sluicegate/sluice-gateway:"
	run(t, "", "ctr", "-n", "k8s.io", "images", "tag", "--force", image+"0.1.0", image+"0.1.1")
	load := startLoad(8, productsURL)
	for _, c := range []struct {
		tag    string
		values []string
	}{
		{"0.1.1", []string{"--set", "image.tag=0.1.1", "--set", "flags.idle-timeout=30m", "--set", "resources.requests.memory=48Mi"}},
		{"0.1.0", nil},
	} {
		install(t, c.values...)
		awaitOldPods(t)
		pods := run(t, "", "kubectl", "-n", "istio-system", "get", "pods", "-l", "istio=ingressgateway",
			"-o", "jsonpath={.items[*].spec.containers[0].image} {.items[*].spec.containers[0].args}")
		if set := strings.Contains(pods, "--idle-timeout=30m"); !strings.Contains(pods, image+c.tag) || set != (c.values != nil) {
			t.Errorf("the pod is: %s", pods)
		}
	}
	load.finish(t, 500)
}

// TestDaemonSet serves at a port of the node itself, beside another gateway, and again
// after a restart.
func TestDaemonSet(t *testing.T) {
	serveProducts(t)
	t.Cleanup(func() {
		run(t, "", "sluice", "uninstall", "-n", "edge", "--name", "edge", "--yes")
		kubectl(t, "delete namespace edge --wait=false")
	})
	install(t, "-n", "edge", "--set", "name=edge", "--set", "labels.istio=edge", "--set", "ingressClass.enabled=false",
		"--set", "kind=DaemonSet", "--set", "service.type=ClusterIP", "--set", "service.ports[0].hostPort=8088")
	apply(t, nodeGateway)
	const url = "http://" + nodeAddress + ":8088/api/v1/products"
	await(t, "the node's port answers", func() error { return answers(url, "node.example.com") })
	if status, _, err := get(url, "other.example.com", ""); err != nil || status != 404 {
		t.Errorf("a host that is another gateway's: %d, %v", status, err)
	}
	kubectl(t, "-n edge rollout restart daemonset/edge")
	kubectl(t, "-n edge rollout status daemonset/edge --timeout=90s")
	awaitOldPods(t)
	if err := answers(url, "node.example.com"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// nodeGateway is served by the DaemonSet alone.
const nodeGateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: edge}
spec:
  selector: {istio: edge}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [node.example.com]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: edge}
spec:
  hosts: [node.example.com]
  gateways: [edge]
  http:
  - route:
    - destination: {host: productpage.default.svc.cluster.local, port: {number: 9080}}
`
