package apiserver

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestSamplesAreAccepted holds the manifests of the samples to the API server: their
// fields and values are those of the schemas. Those for one machine, in folders named
// local, are not meant for it.
func TestSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	s := shared(t)
	s.kubectl(t, "", "create", "namespace", "istio-system")
	args := []string{"apply", "--dry-run=server", "--validate=strict"}
	for _, pattern := range []string{"policies/*.yaml", "tls/*.yaml", "*/networking/*.yaml", "*/platform/*.yaml"} {
		files, err := filepath.Glob("../../../deploy/samples/" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no samples in %s: %v", pattern, err)
		}
		args = append(args, "-f", strings.Join(files, ","))
	}
	out := s.kubectl(t, "", args...)
	for _, want := range []string{"gateway.networking.istio.io/bookinfo-gateway created", "deployment.apps/reviews-v3 created"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}
