package apiserver

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestNeighbours runs two gateways that have nothing to do with each other in one cluster: what
// the one writes into objects, the other does not write over, so that writing ends.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.installCRDs(t)
	var list []string
	for range 2 {
		ns := s.namespace(t)
		list = append(list, ns)
		s.deploy(t, ns, "web", "v1")
		// One rule is good, the other is not.
		s.apply(t, edge(ns, ns+".example.com", `[{match: [{uri: {regex: "("}}], route: [{destination: {host: web}}]}, {route: [{destination: {host: web}}]}]`))
	}
	for _, ns := range list {
		s.gateway(t, ns)
	}
	writes := func() (n int) {
		for _, ns := range list {
			for _, e := range s.audit(t, ns) {
				if strings.Contains(e.RequestURI, "/status") {
					n++
				}
			}
		}
		return n
	}
	await(t, "statuses are written", func() error { return atLeast(int64(writes()), 4) })
	// Whoever writes over another does so as long as the other answers.
	time.Sleep(3 * time.Second)
	if n := writes(); n > 8 {
		t.Errorf("statuses of 4 objects have been written %d times", n)
	} else {
		t.Logf("statuses of 4 objects have been written %d times", n)
	}
}

// TestNeighboursInOneNamespace runs two gateways of one namespace that different Gateways select:
// each writes of what it serves and leaves the other's alone, whoever comes last.
func TestNeighboursInOneNamespace(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.installCRDs(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	// What is wrong with these shows only to the gateway that serves them.
	for _, name := range []string{"one", "two"} {
		s.apply(t, fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: %[2]s, namespace: %[1]s}
spec: {selector: {proxy: %[2]s}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %[2]s, namespace: %[1]s}
spec: {hosts: ["*"], gateways: [%[2]s], http: [{route: [{destination: {host: missing-%[2]s}}]}]}
`, ns, name))
	}
	for _, name := range []string{"one", "two"} {
		s.gateway(t, ns, "--labels=proxy="+name)
	}
	broken := func(names ...string) {
		t.Helper()
		for _, name := range names {
			s.awaitReconciled(t, ns, "virtualservice/"+name, "False ServiceNotFound")
			s.awaitReconciled(t, ns, "gateway.networking.istio.io/"+name, "True")
		}
	}
	broken("one", "two")
	// Both have a look at every change. The one that has nothing to say keeps silent.
	for _, host := range []string{"absent", "lost"} {
		for _, name := range []string{"one", "two"} {
			s.kubectl(t, "", "patch", "-n", ns, "virtualservice/"+name, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"http":[{"route":[{"destination":{"host":%q}}]}]}}`, host))
		}
		broken("one", "two")
	}
	time.Sleep(3 * time.Second)
	broken("one", "two")

	// A Gateway that selects the other is the other's.
	s.kubectl(t, "", "patch", "-n", ns, "gateway.networking.istio.io/one", "--type=merge", "-p", `{"spec":{"selector":{"proxy":"two"}}}`)
	s.awaitReconciled(t, ns, "gateway.networking.istio.io/one", "True")
	s.kubectl(t, "", "patch", "-n", ns, "virtualservice/one", "--type=merge", "-p", `{"spec":{"http":[{"route":[{"destination":{"host":"web"}}]}]}}`)
	s.awaitReconciled(t, ns, "virtualservice/one", "True")
}
