package prometheus

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// changes are to the standard metrics of everything that stands in default.
const changes = `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: changes, namespace: default}
spec:
  metrics:
  - providers: [{name: prometheus}]
    overrides:
    - match: {metric: REQUEST_SIZE}
      disabled: true
    - match: {metric: REQUEST_COUNT, mode: CLIENT}
      tagOverrides:
        method: {value: request.method}
        found: {value: "response.code == 404 ? 'no' : 'yes'"}
        source_principal: {operation: REMOVE}
        destination_version: {value: "'any'"}
`

// TestTelemetry: a Telemetry of the API changes the metrics of those that it is for.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	if err := os.WriteFile(filepath.Join(m.config, "telemetry.yaml"), []byte(changes), 0o600); err != nil {
		t.Fatal(err)
	}
	page := func(n int) string {
		if err := m.traffic(); err != nil {
			t.Fatal(err)
		}
		text, err := get("http://" + m.metrics[n] + "/stats/prometheus")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const gateway, caller = 0, 1
	changed := regexp.MustCompile(`(?m)^istio_requests_total\{[^}]*destination_version="any"[^}]*found="yes"[^}]*method="POST"`)
	await(t, func() error {
		if !changed.MatchString(page(caller)) {
			return fmt.Errorf("the metrics of the sidecar have not changed")
		}
		return nil
	})
	for _, line := range changed.FindAllString(page(caller), -1) {
		if regexp.MustCompile(`source_principal`).MatchString(line) {
			t.Errorf("a label that was removed: %s", line)
		}
	}
	if changed.MatchString(page(gateway)) {
		t.Error("the metrics of the gateway, which is in another namespace, have changed")
	}
}
