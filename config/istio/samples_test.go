package istio_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

// TestSamples loads each sample, with one file of VirtualServices at a time, for the
// gateway and a sidecar, and to judge it: there is nothing to say about any.
func TestSamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../deploy/samples/*/networking/virtual-service*.yaml")
	if err != nil || len(files) == 0 {
		t.Skip("no samples here")
	}
	for _, file := range files {
		t.Run(strings.TrimPrefix(file, "../../deploy/samples/"), func(t *testing.T) {
			t.Parallel()
			sample := filepath.Dir(filepath.Dir(file))
			objects := parseFiles(t, file)
			for _, pattern := range []string{"platform/*.yaml", "networking/*.yaml"} {
				others, err := filepath.Glob(filepath.Join(sample, pattern))
				if err != nil {
					t.Fatal(err)
				}
				for _, other := range others {
					if !strings.HasPrefix(filepath.Base(other), "virtual-service") {
						objects = append(objects, parseFiles(t, other)...)
					}
				}
			}
			for name, options := range map[string]istio.Options{
				"gateway": benchRoles["gateway"],
				"sidecar": {Role: istio.Sidecar, Labels: map[string]string{"app": "productpage", "version": "v1"}},
				"judge":   {AllGateways: true},
			} {
				for _, c := range istio.NewCompiler(options).Apply(config.Delta{Set: objects}).Conditions {
					t.Errorf("%s: %v", name, c)
				}
			}
		})
	}
}

func parseFiles(t *testing.T, file string) []*config.Object {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}
