package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/sluicegate/sluice/"

// TestImportsPointOneWay holds the rooms to what they may know, through everything that
// they import.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	outside := []string{"k8s.io/", "sigs.k8s.io/", "istio.io/"}
	front := []string{module + "config", module + "discovery"}
	above := []string{module + "cmd", module + "gateway", module + "sidecar", module + "role", module + "admin"}
	for room, forbidden := range map[string][][]string{
		"proxy/...": {outside, front, above, {module + "telemetry"}},
		"telemetry": {outside, front, above},
		"admin": {outside, {
			module + "discovery", module + "config/istio", module + "gateway", module + "sidecar", module + "role",
			module + "proxy/forward", module + "proxy/http1", module + "proxy/http2", module + "proxy/http3", module + "proxy/tcp", module + "proxy/upstream",
			module + "proxy/listener", module + "proxy/filter", module + "telemetry/metrics", module + "telemetry/accesslog", module + "telemetry/trace", module + "telemetry/otlp",
		}},
		"config/...":    {{module + "discovery", module + "proxy", module + "telemetry"}, above, {"net/http/httputil", "k8s.io/client-go", "k8s.io/apimachinery", "istio.io/client-go"}},
		"discovery/...": {{module + "config/istio", module + "router", module + "proxy", module + "telemetry"}, above},
		"role":          {outside, {module + "discovery", module + "config/istio", module + "gateway", module + "sidecar", module + "cmd"}},
		"gateway":       {outside, {module + "discovery", module + "config/istio", module + "sidecar", module + "cmd"}},
		"sidecar":       {outside, {module + "discovery", module + "config/istio", module + "gateway", module + "cmd", "golang.org/x/crypto/acme"}},
		"cmd/sidecar":   {{"k8s.io/client-go", "k8s.io/apimachinery", "istio.io/client-go", "google.golang.org/grpc", module + "gateway"}},
		"cmd/gateway":   {{module + "sidecar"}},
	} {
		t.Run(room, func(t *testing.T) {
			t.Parallel()
			for _, p := range deps(t, room) {
				for _, list := range forbidden {
					for _, f := range list {
						if p.path == strings.TrimSuffix(f, "/") || strings.HasPrefix(p.path, strings.TrimSuffix(f, "/")+"/") {
							t.Errorf("%s must not know %s", room, p.path)
						}
					}
				}
			}
		})
	}
	t.Run("router", func(t *testing.T) {
		t.Parallel()
		for _, p := range deps(t, "router") {
			if !p.standard && p.path != module+"router" || p.path == "net/http" || p.path == "net" {
				t.Errorf("router is pure, but knows %s", p.path)
			}
		}
	})
}

// dep is a package that another one needs.
type dep struct {
	path     string
	standard bool
}

// deps returns all packages that a room's are linked with, themselves included.
func deps(t *testing.T, room string) []dep {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{.Standard}}", module+room)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []dep
	for line := range strings.Lines(string(out)) {
		path, standard, _ := strings.Cut(strings.TrimSpace(line), " ")
		list = append(list, dep{path, standard == "true"})
	}
	if len(list) < 2 {
		t.Fatalf("%s has no dependencies: is it still there?", room)
	}
	return list
}

// TestBinaryIsSmall: a sidecar runs beside every workload.
func TestBinaryIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it links the whole program")
	}
	t.Parallel()
	const limit = 20_000_000
	binary := filepath.Join(t.TempDir(), "sluice-sidecar")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
	if info.Size() >= limit {
		t.Errorf("%d bytes, must be under %d: does something keep the linker from dropping methods (text/template, reflect's Method by name)?", info.Size(), limit)
	}
}
