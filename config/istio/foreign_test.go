package istio_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

func gatewayOf(name, proxy string) string {
	return fmt.Sprintf(`
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: %s, namespace: shop}
spec: {selector: {proxy: %s}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
`, name, proxy)
}

func virtualServiceOf(name, gateways, delegate string) string {
	hosts, rule := `["`+name+`.example.com"]`, "directResponse: {status: 200}"
	if delegate != "" {
		rule = "delegate: {name: " + delegate + "}"
	}
	if gateways == "" {
		return fmt.Sprintf(`
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s, namespace: shop}
spec: {http: [{%s}]}
`, name, rule)
	}
	return fmt.Sprintf(`
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s, namespace: shop}
spec: {hosts: %s, gateways: %s, http: [{%s}]}
`, name, hosts, gateways, rule)
}

// TestForeign: what concerns other proxies only is told, whatever changes, and nothing else is.
func TestForeign(t *testing.T) {
	t.Parallel()
	foreign := map[string]bool{}
	c := istio.NewCompiler(istio.Options{Labels: map[string]string{"proxy": "mine"}, Namespace: "shop", Foreign: func(key config.Key, is bool) {
		name := strings.ToLower(key.Kind[:1]) + ":" + key.Name
		if delete(foreign, name); is {
			foreign[name] = true
		}
	}})
	world := gatewayOf("mine", "mine") + gatewayOf("theirs", "theirs") +
		virtualServiceOf("mine", "[mine]", "") + virtualServiceOf("both", "[theirs, mine]", "") + virtualServiceOf("theirs", "[theirs]", "") +
		virtualServiceOf("theirs-and-mesh", "[mesh, theirs]", "") + virtualServiceOf("mesh", "[mesh]", "") + virtualServiceOf("nobodys", "[none]", "") +
		virtualServiceOf("root", "[theirs]", "leaf") + virtualServiceOf("leaf", "", "") + virtualServiceOf("other-leaf", "", "")
	step := func(what string, d config.Delta, want ...string) {
		t.Helper()
		c.Apply(d)
		if got := slices.Sorted(maps.Keys(foreign)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	change := func(text string) config.Delta { return config.Delta{Set: parse(t, text)} }
	step("at first", change(world), "g:theirs", "v:leaf", "v:root", "v:theirs", "v:theirs-and-mesh")
	step("a VirtualService changes sides", change(virtualServiceOf("theirs", "[mine]", "")), "g:theirs", "v:leaf", "v:root", "v:theirs-and-mesh")
	step("a root changes sides", change(virtualServiceOf("root", "[mine]", "leaf")), "g:theirs", "v:theirs-and-mesh")
	step("another delegates", change(virtualServiceOf("root", "[theirs]", "other-leaf")), "g:theirs", "v:other-leaf", "v:root", "v:theirs-and-mesh")
	step("a Gateway changes sides", change(gatewayOf("mine", "theirs")), "g:mine", "g:theirs", "v:both", "v:mine", "v:other-leaf", "v:root", "v:theirs", "v:theirs-and-mesh")
	step("and back", change(gatewayOf("mine", "mine")), "g:theirs", "v:other-leaf", "v:root", "v:theirs-and-mesh")
	key := func(kind, name string) config.Key {
		return config.Key{Group: "networking.istio.io", Kind: kind, Namespace: "shop", Name: name}
	}
	step("a VirtualService goes", config.Delta{Removed: []config.Key{key("VirtualService", "root")}}, "g:theirs", "v:theirs-and-mesh")
	both := change(gatewayOf("third", "theirs"))
	both.Removed = []config.Key{key("VirtualService", "theirs-and-mesh")}
	step("another goes as a Gateway comes", both, "g:theirs", "g:third")
	step("Gateways go", config.Delta{Removed: []config.Key{key("Gateway", "theirs"), key("Gateway", "third")}})
}
