package samples

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/discovery/file"
	"github.com/sluicegate/sluice/router"
)

// TestSecureManifests: the script makes the certificates that the manifests name.
func TestSecureManifests(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	secrets := filepath.Join(dir, "config")
	for _, args := range [][]string{nil, {"shop"}} {
		args = append([]string{"tls/certificates.sh", filepath.Join(dir, "keys"), secrets}, args...)
		if out, err := exec.Command("sh", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	delta, err := file.Load("tls", secrets)
	if err != nil {
		t.Fatal(err)
	}
	gateway := istio.Options{Role: istio.Gateway, Namespace: "istio-system", Labels: map[string]string{"istio": "ingressgateway"}}
	result := istio.NewCompiler(gateway).Apply(config.Delta{Set: delta.Set, Conditions: delta.Conditions})
	for _, c := range result.Conditions {
		t.Error(c)
	}
	served := map[string]router.ClientAuth{}
	for _, l := range result.Spec.Listeners {
		for _, chain := range l.Chains {
			if chain.TLS != nil {
				served[chain.ServerNames[0]] = chain.TLS.ClientAuth
			}
		}
	}
	if len(served) != 2 || served["admin.localhost"] != router.RequireClientCertificate || len(result.Spec.Secrets) != 2 {
		t.Errorf("TLS ends for %v, with %d Secrets", served, len(result.Spec.Secrets))
	}
}
