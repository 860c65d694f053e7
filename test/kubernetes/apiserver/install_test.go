package apiserver

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestInstall: sluice install can be repeated, changes what it is told to, takes away what
// is not wanted any more, leaves alone what is not its own, and undoes all of it.
func TestInstall(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	path, kubeconfig := os.Getenv(sluiceVar), s.kubeconfig(t, adminToken)
	sluice := func(verb string, args ...string) (string, error) {
		out, err := exec.Command(path, append([]string{verb, "--kubeconfig=" + kubeconfig}, args...)...).CombinedOutput()
		return string(out), err
	}
	// There is no controller that would make pods.
	install := func(t *testing.T, want []string, args ...string) string {
		t.Helper()
		out, err := sluice("install", append(args, "--wait=false")...)
		if err == nil {
			err = mentions(out, want...)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
	has := func(t *testing.T, kind, name string, want bool) {
		t.Helper()
		if out := s.kubectl(t, "", "get", kind, "-A", "-o", "name", "--ignore-not-found"); strings.Contains(out, "/"+name+"\n") != want {
			t.Errorf("%s %s: is there %v, want %v:\n%s", kind, name, !want, want, out)
		}
	}

	install(t, []string{"would be created", "Deployment istio-system/istio-ingressgateway"}, "--dry-run")
	has(t, "namespaces", "istio-system", false)
	install(t, []string{"created              Deployment istio-system/istio-ingressgateway", "created              CustomResourceDefinition virtualservices.networking.istio.io"})
	has(t, "deployments", "istio-ingressgateway", true)
	if out := install(t, []string{"unchanged"}); strings.Contains(out, "created") || strings.Contains(out, "configured") {
		t.Errorf("the same again changes something:\n%s", out)
	}
	has(t, "horizontalpodautoscalers", "istio-ingressgateway", true)
	install(t, []string{"configured           Service", "removed              HorizontalPodAutoscaler"}, "--profile=demo")
	has(t, "horizontalpodautoscalers", "istio-ingressgateway", false)
	if port := s.kubectl(t, "", "-n", "istio-system", "get", "service", "istio-ingressgateway", "-o", "jsonpath={.spec.ports[?(@.name==\"http2\")].nodePort}"); port != "31380" {
		t.Errorf("the node port is %q", port)
	}

	if out, err := sluice("install", "--wait=false", "--namespace=elsewhere"); err == nil || mentions(out, "IngressClass sluice", "istio-system.istio-ingressgateway", "ingressClass.name") != nil {
		t.Errorf("a second gateway takes the first one's IngressClass: %v\n%s", err, out)
	}

	// A gateway may do what it needs with what the chart gives it, and says nothing else.
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	install(t, nil, "--namespace="+ns, "--set=service.enabled=false", "--set=ingressClass.name=second", "--set=labels.gateway="+ns, "--set=labels.istio=null")
	token := strings.TrimSpace(s.kubectl(t, "", "-n", ns, "create", "token", "istio-ingressgateway"))
	// The Service of the chart says that port 80 is the gateway's 8080.
	g := s.startGateway(t, ns, s.kubeconfig(t, token), "--port-map=8080=80")
	g.awaitReady(t)
	s.apply(t, edge(ns, "*", "[{route: [{destination: {host: web}}]}]"))
	g.awaitPod(t, "web.example.com", "/", "web-v1")
	if log := g.text(); strings.Contains(log, "forbidden") || strings.Contains(log, "403") {
		t.Errorf("the chart's permissions are not enough:\n%s", log)
	}

	out, err := sluice("uninstall", "--name=other")
	if err == nil || mentions(out, "no gateway istio-system/other", "istio-system.istio-ingressgateway") != nil {
		t.Errorf("uninstalling what is not there: %v\n%s", err, out)
	}
	if out, err = sluice("uninstall", "--crds"); err == nil || mentions(out, "removed              Deployment", "objects of", "--yes") != nil {
		t.Errorf("nobody answers: %v\n%s", err, out)
	}
	has(t, "deployments", "istio-ingressgateway", true) // the second one
	has(t, "crds", "gateways.networking.istio.io", true)
	if out, err = sluice("uninstall", "--namespace="+ns, "--crds", "--yes"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	await(t, "nothing is left", func() error {
		out, err := s.tryKubectl("", "get", "deployments,services,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,ingressclasses,crds", "-A", "-l", "app.kubernetes.io/managed-by=sluice", "-o", "name")
		if err == nil && out != "" {
			t.Errorf("this is left:\n%s", out)
		}
		return err
	})
}
