package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ingressManifests is what somebody has on a laptop: an Ingress that names no class, its Service, and
// where that is.
const ingressManifests = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    nginx.ingress.kubernetes.io/rewrite-target: /$2
    nginx.ingress.kubernetes.io/proxy-body-size: "10"
spec:
  rules:
  - http:
      paths:
      - {path: /api(/|$)(.*), pathType: ImplementationSpecific, backend: {service: {name: web, port: {name: http}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: office
  annotations: {nginx.ingress.kubernetes.io/whitelist-source-range: %s}
spec:
  rules:
  - http: {paths: [{path: /office, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: limited
  annotations: {nginx.ingress.kubernetes.io/limit-rpm: "1", nginx.ingress.kubernetes.io/limit-burst-multiplier: "1"}
spec:
  rules:
  - http: {paths: [{path: /limited, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80, targetPort: %[2]s}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{name: http, port: %[2]s}]
`

// TestIngress: the binary serves Ingresses of a folder, keeps out whom they keep out, and counts
// what clients ask for across changes.
func TestIngress(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	}))
	defer backend.Close()
	port := backend.URL[strings.LastIndexByte(backend.URL, ':')+1:]
	dir := t.TempDir()
	write(t, dir, fmt.Sprintf(ingressManifests, "10.0.0.0/8", port))
	p := launch(t, dir, io.Discard)
	if code, body := get(t, p.url+"/api/v1/items"); code != 200 || body != "/v1/items " {
		t.Errorf("rewritten: %d %q", code, body)
	}
	if code, _ := get(t, p.url+"/office"); code != 403 {
		t.Errorf("a client that is kept out: %d", code)
	}
	for body, want := range map[string]int{"0123456789": 200, "0123456789a": 413} {
		r, err := http.Post(p.url+"/api/upload", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if r.Body.Close(); r.StatusCode != want {
			t.Errorf("a body of %d bytes: %d, want %d", len(body), r.StatusCode, want)
		}
	}
	for i, want := range []int{200, 200, 503} {
		if code, body := get(t, p.url+"/limited"); code != want {
			t.Errorf("request %d within a minute: %d %q, want %d", i+1, code, body, want)
		}
	}
	write(t, dir, fmt.Sprintf(ingressManifests, "127.0.0.1", port))
	p.await(t, "configuration loaded")
	if code, _ := get(t, p.url+"/limited"); code != 503 {
		t.Errorf("after a change of the configuration: %d", code)
	}
	if code, body := get(t, p.url+"/office"); code != 200 || body != "/office " {
		t.Errorf("a client that is let in: %d %q", code, body)
	}
}
