package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const twoRegions = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all}
spec:
  hosts: ["*"]
  gateways: [edge]
  http: [{route: [{destination: {host: backend.example.com}}]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: backend}
spec:
  hosts: [backend.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 127.0.0.1, ports: {http: %s}, locality: us-east/zone1}
  - {address: 127.0.0.1, ports: {http: %s}, locality: us-west/zone1}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: backend}
spec: {host: backend.example.com, trafficPolicy: {outlierDetection: {}}}
`

// TestLocality: traffic stays near where --locality says that the gateway is.
func TestLocality(t *testing.T) {
	t.Parallel()
	port := func(region string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, region) }))
		t.Cleanup(s.Close)
		return s.URL[strings.LastIndexByte(s.URL, ':')+1:]
	}
	dir := t.TempDir()
	write(t, dir, fmt.Sprintf(twoRegions, port("east"), port("west")))
	for locality, want := range map[string]string{"us-east/zone1/rack7": "east", "us-west": "west"} {
		p := launch(t, dir, io.Discard, "--locality", locality)
		for range 20 {
			if code, body := get(t, p.url); code != 200 || body != want {
				t.Errorf("from %s: %d %q, want %s", locality, code, body, want)
			}
		}
	}
}
