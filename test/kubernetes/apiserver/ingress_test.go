package apiserver

import (
	"context"
	"fmt"
	"strings"
	"testing"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// shop is an Ingress of a class of its own, with paths of each type, TLS and an annotation that
// nobody understands.
const shop = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  namespace: NAMESPACE
  annotations:
    nginx.ingress.kubernetes.io/ssl-redirect: "false"
    nginx.ingress.kubernetes.io/no-such-thing: "true"
spec:
  ingressClassName: NAMESPACE
  tls: [{hosts: [secure.example.com], secretName: secure-cert}]
  defaultBackend: {service: {name: other, port: {name: http}}}
  rules:
  - host: secure.example.com
    http:
      paths:
      - {path: /exact, pathType: Exact, backend: {service: {name: web, port: {number: 9080}}}}
      - {path: /pre/fix, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
`

// TestIngress serves an Ingress of another namespace than the gateway's, once the gateway may
// read its certificate, and lets it go when its class is another's.
func TestIngress(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns, own := s.namespace(t), s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	s.deploy(t, ns, "other", "v1")
	token := s.gatewayToken(t, own)
	g := s.startGateway(t, own, s.kubeconfig(t, token), "--ingress-class="+ns)
	g.awaitReady(t)
	g.refuses(t)
	a := mustAuthority(t)
	s.apply(t, strings.ReplaceAll(shop, "NAMESPACE", ns)+"---\n"+certificate(t, a, ns, "secure-cert"))

	g.awaitPod(t, "secure.example.com", "/exact", "web")
	g.awaitPod(t, "secure.example.com", "/pre/fix/", "web")
	g.awaitPod(t, "secure.example.com", "/exact/not", "other")
	g.awaitPod(t, "secure.example.com", "/pre/fixed", "other")
	g.awaitPod(t, "anything.example.com", "/", "other")
	await(t, "the annotation is told of", func() error {
		_, body, err := get("http://" + g.address + ":15000/conditions")
		if err == nil {
			err = mentions(body, "no-such-thing")
		}
		return err
	})

	await(t, "the log says what is forbidden", func() error { return mentions(g.text(), "secrets in the namespace "+ns, "kubectl") })
	s.apply(t, rbac(t, own, "rbac.secretNamespaces={"+ns+"}"))
	await(t, "the Ingress's certificate is served", func() error { return g.secureAt(a, "/exact") })

	s.kubectl(t, "", "patch", "ingress", "shop", "-n", ns, "--patch", `{"spec": {"ingressClassName": "another"}}`)
	g.refuses(t)
}

// TestIngressClass: an IngressClass of the controller's is enough; the default one takes
// Ingresses that name none.
func TestIngressClass(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	g := s.gateway(t, ns, "--ingress-class=nothing", "--ingress-controller=example.com/"+ns, "--watch-namespaces="+ns)
	ingress := func(class string) string {
		return fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web, namespace: %s}, spec: {%s defaultBackend: {service: {name: web, port: {name: http}}}}}", ns, class)
	}
	s.apply(t, ingress("ingressClassName: class-"+ns+","))
	g.refuses(t)
	classes := s.admin.NetworkingV1().IngressClasses()
	t.Cleanup(func() { classes.Delete(context.Background(), "class-"+ns, meta.DeleteOptions{}) })
	class := fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: class-%[1]s, annotations: {ingressclass.kubernetes.io/is-default-class: %%q}}, spec: {controller: example.com/%[1]s}}", ns)
	s.apply(t, fmt.Sprintf(class, "false"))
	g.awaitPod(t, "web.example.com", "/", "web")
	s.kubectl(t, "", "delete", "ingress", "web", "-n", ns)
	s.apply(t, fmt.Sprintf(class, "true"))
	s.apply(t, ingress(""))
	g.awaitPod(t, "web.example.com", "/", "web")
}

// refuses waits until nobody listens at the gateway's port 80.
func (g *gateway) refuses(t *testing.T) {
	t.Helper()
	await(t, "nobody listens", func() error {
		if status, pod, err := g.get("any.example.com", "/"); err == nil {
			return fmt.Errorf("%d from %q", status, pod)
		}
		return nil
	})
}
