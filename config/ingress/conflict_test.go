package ingress_test

import (
	"slices"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
)

// TestPlaintextConflictMoves: that the port for plaintext is another Gateway's is said of an
// Ingress that is there, also when the one that it was said of goes.
func TestPlaintextConflictMoves(t *testing.T) {
	t.Parallel()
	ingressOf := func(name string) string {
		return "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " + name + ", namespace: shop}\nspec: {ingressClassName: sluice, rules: [{host: " + name + ".example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}\n"
	}
	const taken = "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: tcp, namespace: shop}\nspec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: tcp, protocol: TCP}, hosts: [\"*\"]}]}\n"
	c := ingress.NewCompiler(ingress.Options{}, proxy)
	said := func(d config.Delta) (of []string) {
		for _, c := range c.Apply(d).Conditions {
			if c.Reason == "ServerConflict" {
				of = append(of, c.Object.Name+" in "+c.File)
			}
		}
		return of
	}
	all := parse(t, ingressOf("b")+ingressOf("c")+taken)
	if of := said(config.Delta{Set: all}); !slices.Equal(of, []string{"b in " + all[0].File}) {
		t.Errorf("said of %q", of)
	}
	if of := said(config.Delta{Set: parse(t, ingressOf("a"))}); !slices.Equal(of, []string{"a in " + all[0].File}) {
		t.Errorf("with an earlier one, said of %q", of)
	}
	gone := []config.Key{{Group: "networking.k8s.io", Kind: "Ingress", Namespace: "shop", Name: "a"}, all[0].Key}
	if of := said(config.Delta{Removed: gone}); !slices.Equal(of, []string{"c in " + all[0].File}) {
		t.Errorf("when the first are gone, said of %q", of)
	}
}
