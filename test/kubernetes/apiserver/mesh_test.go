package apiserver

import (
	"fmt"
	"strings"
	"testing"
)

const meshManifest = `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFile: /dev/stdout
    accessLogFormat: "%s %%REQ(:AUTHORITY)%%\n"
    extensionProviders:
    - name: %s
      envoyFileAccessLog: {path: /dev/stdout}
`

// TestMeshConfig: the mesh's ConfigMap and Telemetries are followed with the rights of the chart,
// and what is wrong with a Telemetry stands in its status.
func TestMeshConfig(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.installCRDs(t)
	ns := s.namespace(t)
	s.deploy(t, ns, "web", "v1")
	s.apply(t, edge(ns, "*", `[{route: [{destination: {host: web}}]}]`))
	g := s.gateway(t, ns)
	g.awaitPod(t, "web.example.com", "/", "web-v1")

	s.kubectl(t, "", "create", "namespace", "istio-system")
	s.apply(t, fmt.Sprintf(meshManifest, "first", "mine"))
	logged := func(what, want string) {
		t.Helper()
		await(t, what, func() error {
			if _, _, err := g.get("web.example.com", "/"); err != nil {
				return err
			}
			return mentions(g.text(), want)
		})
	}
	logged("the mesh's access log is written", "first web.example.com")
	s.apply(t, fmt.Sprintf(meshManifest, "second", "mine"))
	logged("its format follows", "second web.example.com")

	s.apply(t, fmt.Sprintf(`
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logs, namespace: %s}
spec: {accessLogging: [{providers: [{name: other}]}]}
`, ns))
	status := func(what string, is func(string) error) {
		t.Helper()
		await(t, what, func() error {
			return is(s.kubectl(t, "", "get", "-n", ns, "telemetry.telemetry.istio.io/logs", "-o", `jsonpath={.status.conditions[?(@.type=="Reconciled")].message}`))
		})
	}
	status("the Telemetry's status says that its provider is not there", func(text string) error { return mentions(text, "accessLogging[0].providers[0]", "other") })
	s.apply(t, fmt.Sprintf(meshManifest, "third", "other"))
	status("it is there", func(text string) error { return mentions(text, "in force") })
	if strings.Contains(g.text(), "(403)") {
		t.Errorf("the chart's rights do not suffice:\n%s", g.text())
	}
}
