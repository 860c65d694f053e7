package crds

import (
	"slices"
	"testing"
)

// TestObjects: there is a definition of each kind that is served.
func TestObjects(t *testing.T) {
	t.Parallel()
	list, err := Objects()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range list {
		if o["kind"] != "CustomResourceDefinition" || o["apiVersion"] != "apiextensions.k8s.io/v1" {
			t.Errorf("a %v %v is among them", o["apiVersion"], o["kind"])
		}
		names = append(names, o["metadata"].(map[string]any)["name"].(string))
	}
	for _, name := range []string{
		"gateways.networking.istio.io", "virtualservices.networking.istio.io", "destinationrules.networking.istio.io", "serviceentries.networking.istio.io",
		"sidecars.networking.istio.io", "workloadentries.networking.istio.io", "authorizationpolicies.security.istio.io", "peerauthentications.security.istio.io",
		"requestauthentications.security.istio.io", "telemetries.telemetry.istio.io",
	} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing among %q", name, names)
		}
	}
}
