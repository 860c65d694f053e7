package istio_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

// TestAliasNames: a Service has the names of those that stand for it, also through others, and
// their short forms as long as those are no services themselves.
func TestAliasNames(t *testing.T) {
	t.Parallel()
	alias := func(name, of string) string {
		return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: default}\nspec: {type: ExternalName, externalName: %s.default.svc.cluster.local, ports: [{name: http, port: 80}]}\n", name, of)
	}
	entry := func(host string) string {
		return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: entry, namespace: default}\nspec: {hosts: [%s], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n", host)
	}
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: d, namespace: default}\nspec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}\n"
	c := istio.NewCompiler(istio.Options{Role: istio.Sidecar})
	step := func(what string, d config.Delta, short string, want bool) {
		t.Helper()
		for _, vh := range c.Apply(d).Spec.Listeners[0].Tables[0].VirtualHosts {
			if vh.Name == "d.default.svc.cluster.local:80" {
				if slices.Contains(vh.Domains, short) != want {
					t.Errorf("%s: %q among %q: %t", what, short, vh.Domains, !want)
				}
				return
			}
		}
		t.Errorf("%s: no virtual host", what)
	}
	set := func(text string) config.Delta { return config.Delta{Set: parse(t, text)} }
	step("one alias", set(service+alias("c", "d")), "c", true)
	step("a service of its short name", set(entry("c")), "c", false)
	step("the service is another", set(entry("x.org")), "c", true)
	step("aliases of the alias", set(alias("b", "c")+alias("a", "b")), "a", true)
	step("a service of its short name", set(entry("a")), "a", false)
	step("the service is another", set(entry("x.org")), "a", true)
	step("an alias goes", config.Delta{Removed: []config.Key{{Kind: "Service", Namespace: "default", Name: "a"}}}, "a", false)
	step("and comes again", set(alias("a", "b")), "a", true)
}
