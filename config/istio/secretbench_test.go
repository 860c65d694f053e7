package istio_test

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

// BenchmarkSecret exchanges the certificate of one server among many, and brings that of
// another one, without which its Gateway is complained about.
func BenchmarkSecret(b *testing.B) {
	p := pairs()
	for _, n := range []int{100, 1000} {
		var objects []*config.Object
		for i := range n {
			objects = append(objects, parse(b, p[0].secret(fmt.Sprintf("site-%d", i)))...)
			objects = append(objects, parse(b, meta("networking.istio.io/v1", "Gateway", "istio-system", fmt.Sprintf("site-%d", i))+fmt.Sprintf(
				"spec:\n  selector: {istio: ingressgateway}\n  servers:\n  - port: {number: 443, name: https-%d, protocol: HTTPS}\n    hosts: [site-%d.example.com]\n    tls: {mode: SIMPLE, credentialName: site-%d}\n", i, i, i))...)
		}
		rotated := [2][]*config.Object{parse(b, p[0].secret("site-7")), parse(b, p[1].secret("site-7"))}
		b.Run(fmt.Sprintf("rotation/%d", n), func(b *testing.B) {
			compiler := istio.NewCompiler(benchRoles["gateway"])
			compiler.Apply(config.Delta{Set: objects})
			for i := 0; b.Loop(); i++ {
				compiler.Apply(config.Delta{Set: rotated[i%2]})
			}
		})
		b.Run(fmt.Sprintf("arrival/%d", n), func(b *testing.B) {
			compiler := istio.NewCompiler(benchRoles["gateway"])
			compiler.Apply(config.Delta{Set: objects})
			less := parse(b, secretText("site-7", "ca.crt", p[0].certificate))
			for i := 0; b.Loop(); i++ {
				if i%2 == 0 {
					compiler.Apply(config.Delta{Set: less})
				} else {
					compiler.Apply(config.Delta{Set: rotated[0]})
				}
			}
		})
	}
}
