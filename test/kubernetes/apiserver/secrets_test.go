package apiserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// secureEdge is a Gateway that ends TLS with a Secret, for all hosts of a name's domain.
const secureEdge = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: secure, namespace: NAMESPACE}
spec:
  selector: {gateway: NAMESPACE}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [secure.example.com]
    tls: {mode: SIMPLE, credentialName: secure-cert}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secure, namespace: NAMESPACE}
spec:
  hosts: [secure.example.com]
  gateways: [secure]
  http: [{route: [{destination: {host: web}}]}]
`

// certificate returns a Secret with a certificate for secure.example.com, of an authority.
func certificate(t *testing.T, a *authority, namespace, name string) string {
	t.Helper()
	cert, key, err := a.issue("secure.example.com")
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s, namespace: %s}, type: kubernetes.io/tls, data: {tls.crt: %s, tls.key: %s}}", name, namespace, b64(cert), b64(key))
}

// secure asks for a page over TLS, believing one authority alone.
func (g *gateway) secure(a *authority) error { return g.secureAt(a, "/") }

func (g *gateway) secureAt(a *authority, path string) error {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	conn, err := tls.Dial("tcp", g.address+":443", &tls.Config{ServerName: "secure.example.com", RootCAs: roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nhost: secure.example.com\r\nconnection: close\r\n\r\n", path)
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	if status, _, err := readAll(r); err != nil || status != http.StatusOK {
		return fmt.Errorf("%d, %w", status, err)
	}
	return nil
}

// TestSecrets serves a certificate from a Secret that comes later, is replaced, and goes.
// The gateway asks for that one by its name, and may not ask for all.
func TestSecrets(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	token := s.gatewayToken(t, ns)
	s.mayGetOnly(t, ns)
	g := s.startGateway(t, ns, s.kubeconfig(t, token))
	g.awaitReady(t)
	s.apply(t, strings.ReplaceAll(secureEdge, "NAMESPACE", ns))

	first, second := mustAuthority(t), mustAuthority(t)
	// A stranger's Secret is none of the gateway's business.
	s.apply(t, certificate(t, first, ns, "stranger"))
	s.apply(t, certificate(t, first, ns, "secure-cert"))
	await(t, "the Secret's certificate is served", func() error { return g.secure(first) })
	s.apply(t, certificate(t, second, ns, "secure-cert"))
	await(t, "the new certificate is served", func() error { return g.secure(second) })
	if err := g.secure(first); err == nil {
		t.Error("the old certificate is served still")
	}
	s.asksByName(t, ns)
}

// mayGetOnly takes the right to list Secrets from the gateway's account: a test that passes
// has not needed it.
func (s *server) mayGetOnly(t *testing.T, namespace string) {
	t.Helper()
	s.kubectl(t, "", "patch", "role", account, "--namespace="+namespace, "--type=json", "--patch",
		`[{"op": "test", "path": "/rules/0/resources", "value": ["secrets"]}, {"op": "replace", "path": "/rules/0/verbs", "value": ["get", "watch"]}]`)
	for _, in := range []string{"--namespace=" + namespace, "--all-namespaces"} {
		if out, err := s.tryKubectl("", "auth", "can-i", "list", "secrets", "--as=system:serviceaccount:"+namespace+":"+account, in); err == nil {
			t.Errorf("the gateway can list secrets %s: %s", in, out)
		}
	}
}

// asksByName holds every question about Secrets of the audit log to one name.
func (s *server) asksByName(t *testing.T, namespace string) {
	t.Helper()
	asked := 0
	for _, e := range s.audit(t, namespace) {
		if e.ObjectRef.Resource != "secrets" {
			continue
		}
		asked++
		// A Secret for clients' authorities may stand beside it, with -cacert behind its name.
		if !strings.HasPrefix(e.ObjectRef.Name, "secure-cert") && !strings.Contains(e.RequestURI, "fieldSelector=metadata.name%3Dsecure-cert") {
			t.Errorf("%s of secrets: %s", e.Verb, e.RequestURI)
		}
	}
	if asked == 0 {
		t.Error("the audit log has no question about a Secret")
	}
}

// event is a request that the API server has answered.
type event struct {
	Verb, RequestURI string
	ObjectRef        struct{ Resource, Namespace, Name string }
	User             struct{ Username string }
	ResponseStatus   struct{ Code int }
}

// audit returns what the gateway of a namespace has asked of the API server.
func (s *server) audit(t *testing.T, namespace string) (list []event) {
	t.Helper()
	f, err := os.Open(filepath.Join(s.dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := json.NewDecoder(f); d.More(); {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.ErrUnexpectedEOF) {
			break // the last one is being written
		} else if err != nil {
			t.Fatal(err)
		}
		if e.User.Username == "system:serviceaccount:"+namespace+":"+account {
			list = append(list, e)
		}
	}
	return list
}

// TestSecretGoes: what was served from a Secret that is deleted is told.
func TestSecretGoes(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	g := s.gateway(t, ns)
	a := mustAuthority(t)
	s.apply(t, strings.ReplaceAll(secureEdge, "NAMESPACE", ns)+"\n---\n"+certificate(t, a, ns, "secure-cert"))
	await(t, "the Secret's certificate is served", func() error { return g.secure(a) })
	if err := s.admin.CoreV1().Secrets(ns).Delete(context.Background(), "secure-cert", meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "a condition tells of it", func() error { return g.hasCondition("SecretGone") })
	if err := g.secure(a); err != nil {
		t.Errorf("its last certificate is not served any more: %v", err)
	}
}

func mustAuthority(t *testing.T) *authority {
	t.Helper()
	a, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}
