package decode

import (
	"strings"
	"testing"

	mesh "istio.io/api/mesh/v1alpha1"

	"github.com/sluicegate/sluice/config"
)

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n"

func TestMeshConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data string
		want *mesh.MeshConfig
		// line and message are those of the only condition.
		line    int
		message string
	}{
		"block":           {"  mesh: |\n    accessLogFile: /dev/stdout\n", &mesh.MeshConfig{AccessLogFile: "/dev/stdout"}, 0, ""},
		"quoted":          {"  mesh: 'accessLogFile: /dev/stdout'\n", &mesh.MeshConfig{AccessLogFile: "/dev/stdout"}, 0, ""},
		"another key":     {"  meshNetworks: 'networks: {}'\n", &mesh.MeshConfig{}, 0, ""},
		"empty":           {"  mesh: ''\n", &mesh.MeshConfig{}, 0, ""},
		"a mapping":       {"  mesh:\n    accessLogFile: /dev/stdout\n", nil, 6, "as text"},
		"no YAML":         {"  mesh: |\n    accessLogFile: /dev/stdout\n    a: [\n", nil, 8, ""},
		"unknown field":   {"  mesh: |\n    rootNamespace: istio-system\n    accesLogFile: /dev/stdout\n", &mesh.MeshConfig{RootNamespace: "istio-system"}, 7, "did you mean accessLogFile?"},
		"wrong type":      {"  mesh: |\n    enableTracing: 3\n", nil, 6, "must be true or false"},
		"unknown, quoted": {"  mesh: 'what: 1'\n", &mesh.MeshConfig{}, 5, "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			typed, conditions := Decode(object(t, configMap+c.data))
			got, _ := typed.(*mesh.MeshConfig)
			if (got == nil) != (c.want == nil) || got.String() != c.want.String() {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if c.line == 0 {
				if len(conditions) > 0 {
					t.Errorf("got %v", conditions)
				}
				return
			}
			if len(conditions) != 1 || conditions[0].Line != c.line || !strings.Contains(conditions[0].Message, c.message) ||
				(conditions[0].Severity == config.Error) != (c.want == nil) || !strings.HasPrefix(conditions[0].Field, "data.mesh") {
				t.Errorf("got %+v", conditions)
			}
		})
	}
}
