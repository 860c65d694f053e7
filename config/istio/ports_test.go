package istio_test

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

// portsFolder returns a Gateway of n ports, and a VirtualService that all of them take.
func portsFolder(tb testing.TB, n int) []*config.Object {
	text := meta("networking.istio.io/v1", "Gateway", "istio-system", "gw") + "spec:\n  selector: {istio: ingressgateway}\n  servers:\n"
	for i := range n {
		text += fmt.Sprintf("  - port: {number: %d, name: http-%d, protocol: HTTP}\n    hosts: [\"*.example.com\"]\n", 1000+i, i)
	}
	objects := append(parse(tb, text), parse(tb, benchService(0))...)
	return append(objects, parse(tb, benchVirtualService(0, "/v0"))...)
}

// BenchmarkPorts changes a VirtualService that all ports of a Gateway take.
func BenchmarkPorts(b *testing.B) {
	for _, n := range []int{500, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			compiler := istio.NewCompiler(benchRoles["gateway"])
			compiler.Apply(config.Delta{Set: portsFolder(b, n)})
			changes := [][]*config.Object{parse(b, benchVirtualService(0, "/v1")), parse(b, benchVirtualService(0, "/v2"))}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				compiler.Apply(config.Delta{Set: changes[i%2]})
			}
		})
	}
}

// TestPortsCost: four times as many ports cost four times as much, at start and with each change
// of what they route, not sixteen times. Allocations tell the one from the other on any machine.
func TestPortsCost(t *testing.T) {
	const n = 100
	start := func(n int) float64 {
		objects := portsFolder(t, n)
		return testing.AllocsPerRun(1, func() { istio.NewCompiler(benchRoles["gateway"]).Apply(config.Delta{Set: objects}) })
	}
	if few, many := start(n), start(4*n); many > 6*few {
		t.Errorf("at start: %.0f allocations for %d ports, %.0f for %d", few, n, many, 4*n)
	}
	change := func(n int) float64 {
		compiler := istio.NewCompiler(benchRoles["gateway"])
		compiler.Apply(config.Delta{Set: portsFolder(t, n)})
		changes := [][]*config.Object{parse(t, benchVirtualService(0, "/v1")), parse(t, benchVirtualService(0, "/v2"))}
		i := 0
		return testing.AllocsPerRun(2, func() {
			i++
			compiler.Apply(config.Delta{Set: changes[i%2]})
		})
	}
	if few, many := change(n), change(4*n); many > 6*few {
		t.Errorf("for a change: %.0f allocations for %d ports, %.0f for %d", few, n, many, 4*n)
	}
}
