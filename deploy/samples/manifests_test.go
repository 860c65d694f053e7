// Package samples holds the tests of what the samples have in common: that their
// manifests load, together with what they are made for, without a single condition.
package samples

import (
	"path/filepath"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/discovery/file"
)

// TestManifests loads each sample the ways that it is meant to be loaded, for the
// gateway and for the sidecars of those who call.
func TestManifests(t *testing.T) {
	t.Parallel()
	base := []string{
		"bookinfo/platform/bookinfo.yaml",
		"bookinfo/networking/bookinfo-gateway.yaml",
		"bookinfo/networking/ingressgateway-service.yaml",
		"bookinfo/networking/destination-rule-all.yaml",
	}
	sets := [][]string{
		base,
		{"httpbin/platform", "httpbin/networking"},
		{"httpbin/local", "httpbin/networking"},
		{"website/platform", "website/networking"},
		{"website/local", "website/networking"},
	}
	for _, policy := range []string{"balancing", "delay-and-timeout", "abort"} {
		sets = append(sets, append([]string{"policies/" + policy + ".yaml"}, base...))
	}
	for _, policy := range []string{"retries", "mirror"} {
		for _, where := range []string{"platform", "local"} {
			sets = append(sets, []string{"policies/" + policy + ".yaml", "httpbin/" + where, "httpbin/networking"})
		}
	}
	routes, err := filepath.Glob("bookinfo/networking/virtual-service-*.yaml")
	if err != nil || len(routes) < 7 {
		t.Fatalf("samples of routes: %v, %v", routes, err)
	}
	for _, r := range routes {
		sets = append(sets, append([]string{r}, base...))
	}
	views := map[string]istio.Options{
		"gateway":     {Role: istio.Gateway, Namespace: "istio-system", Labels: map[string]string{"istio": "ingressgateway"}},
		"productpage": {Role: istio.Sidecar, Namespace: "default", Labels: map[string]string{"app": "productpage", "version": "v1"}},
		"reviews":     {Role: istio.Sidecar, Namespace: "default", Labels: map[string]string{"app": "reviews", "version": "v2"}},
	}
	for _, paths := range sets {
		delta, err := file.Load(paths...)
		if err != nil {
			t.Fatal(err)
		}
		if len(delta.Set) == 0 {
			t.Errorf("%v holds no object", paths)
		}
		for name, view := range views {
			result := istio.NewCompiler(view).Apply(config.Delta{Set: delta.Set, Conditions: delta.Conditions})
			for _, c := range result.Conditions {
				t.Errorf("%v for %s: %s", paths, name, c)
			}
			if len(result.Spec.Listeners) == 0 || len(result.Spec.Clusters) == 0 {
				t.Errorf("%v for %s: %d listeners, %d clusters", paths, name, len(result.Spec.Listeners), len(result.Spec.Clusters))
			}
		}
	}
}
