package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const twoRegions = `
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

// TestLocality: calls stay near where --locality says that the workload is.
func TestLocality(t *testing.T) {
	t.Parallel()
	port := func(region string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, region) }))
		t.Cleanup(s.Close)
		return s.URL[strings.LastIndexByte(s.URL, ':')+1:]
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), fmt.Appendf(nil, twoRegions, port("east"), port("west")), 0o600); err != nil {
		t.Fatal(err)
	}
	for locality, want := range map[string]string{"us-east/zone1/rack7": "east", "us-west": "west"} {
		out := free(t)
		cmd := newCommand()
		cmd.SetErr(io.Discard)
		cmd.SetArgs([]string{"--config", dir, "--locality", locality, "--admin=", "--status=", "--outbound", out})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- cmd.ExecuteContext(ctx) }()
		for range 20 {
			if code, body := get(t, "http://"+out, "backend.example.com"); code != 200 || body != want {
				t.Errorf("from %s: %d %q, want %s", locality, code, body, want)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}
}
