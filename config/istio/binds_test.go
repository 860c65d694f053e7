package istio_test

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

// TestBindsComeAndGo: a listener moves with the Gateways that share its port, also where the one
// that comes or goes adds nothing else to it.
func TestBindsComeAndGo(t *testing.T) {
	t.Parallel()
	gateway := func(name, bind string) []*config.Object {
		return parse(t, meta("networking.istio.io/v1", "Gateway", "istio-system", name)+fmt.Sprintf(
			"spec:\n  servers:\n  - port: {number: 443, name: tls, protocol: TLS}\n    bind: %q\n    hosts: [%s.example.com]\n    tls: {mode: PASSTHROUGH}\n", bind, name))
	}
	compiler := istio.NewCompiler(benchRoles["gateway"])
	apply := func(d config.Delta) *router.Listener {
		result := compiler.Apply(d)
		if n := len(result.Spec.Listeners); n != 1 {
			t.Fatalf("%d listeners", n)
		}
		return result.Spec.Listeners[0]
	}
	first := append(tlsRoute(t), gateway("four", "0.0.0.0")...)
	for _, step := range []struct {
		name          string
		delta         config.Delta
		address, want string
	}{
		{"0.0.0.0 alone", config.Delta{Set: first}, "0.0.0.0", "0.0.0.0_443"},
		{":: too", config.Delta{Set: gateway("six", "::")}, "::", "::_443"},
		{"and one without", config.Delta{Set: gateway("any", "")}, "", "0.0.0.0_443"},
		{"without ::", config.Delta{Removed: []config.Key{gateway("six", "")[0].Key}}, "", "0.0.0.0_443"},
		{"0.0.0.0 alone again", config.Delta{Removed: []config.Key{gateway("any", "")[0].Key}}, "0.0.0.0", "0.0.0.0_443"},
	} {
		if l := apply(step.delta); l.Address != step.address || l.Name != step.want {
			t.Errorf("%s: listener %s at %q, want %s at %q", step.name, l.Name, l.Address, step.want, step.address)
		}
	}
}

// tlsRoute returns a rule for the Gateway four, and its service.
func tlsRoute(t *testing.T) []*config.Object {
	return append(parse(t, benchService(0)), parse(t, meta("networking.istio.io/v1", "VirtualService", "default", "vs")+
		"spec:\n  hosts: [four.example.com]\n  gateways: [istio-system/four]\n  tls: [{match: [{sniHosts: [four.example.com]}], route: [{destination: {host: app-0}}]}]\n")...)
}
