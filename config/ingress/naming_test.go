package ingress_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/ingress"
	"github.com/sluicegate/sluice/config/istio/resource"
)

// TestPassthroughOfWildcard: the Gateway for a wildcard is not that for a host whose name looks
// like it.
func TestPassthroughOfWildcard(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for name, host := range map[string]string{"wide": "*.example.com", "narrow": "any.example.com"} {
		text.WriteString("---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " + name + ", namespace: shop, annotations: {nginx.ingress.kubernetes.io/ssl-passthrough: \"true\"}}\nspec: {ingressClassName: sluice, rules: [{host: \"" + host + "\", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}\n")
	}
	objects := parse(t, text.String())
	var names []string
	for _, l := range ingress.NewCompiler(ingress.Options{}, proxy).Apply(config.Delta{Set: objects}).Spec.Listeners {
		for _, c := range l.Chains {
			names = append(names, c.ServerNames...)
		}
	}
	if slices.Sort(names); !slices.Equal(names, []string{"*.example.com", "any.example.com"}) {
		t.Errorf("TLS is passed through for %q", names)
	}
	gateways := map[string]bool{}
	converted, _ := ingress.Convert(objects, ingress.Options{}, proxy)
	for _, c := range converted {
		if g, ok := c.Object.(*resource.Gateway); ok {
			gateways[g.Name] = true
		}
	}
	if len(gateways) != 3 {
		t.Errorf("converted to the Gateways %v, want one for plaintext and two for TLS", gateways)
	}
}

// TestNamesOfHosts: no two hosts have the same VirtualService, however their names look.
func TestNamesOfHosts(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"":                        "ingress-any-host",
		"any-host":                "ingress-host.any-host",
		"shop.example.com":        "ingress-shop.example.com",
		"*.example.com":           "ingress-wildcard.example.com",
		"wildcard.example.com":    "ingress-host.wildcard.example.com",
		"host.example.com":        "ingress-host.host.example.com",
		"host.any-host":           "ingress-host.host.any-host",
		"host.wildcard.other.org": "ingress-host.host.wildcard.other.org",
		"hosts.example.com":       "ingress-hosts.example.com",
	}
	var text strings.Builder
	for host := range want {
		name := "on-" + strings.NewReplacer("*", "any", ".", "-").Replace(host) + "x"
		text.WriteString("---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " + name + ", namespace: shop}\nspec: {ingressClassName: sluice, rules: [{host: \"" + host + "\", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}\n")
	}
	names := map[string]string{}
	converted, _ := ingress.Convert(parse(t, text.String()), ingress.Options{}, proxy)
	for _, c := range converted {
		if v, ok := c.Object.(*resource.VirtualService); ok {
			names[strings.TrimPrefix(v.Spec.Hosts[0], "*")] = v.Name
		}
	}
	for host, name := range want {
		if got := names[strings.TrimPrefix(host, "*")]; got != name {
			t.Errorf("the VirtualService of %q is %q, want %q", host, got, name)
		}
	}
}
