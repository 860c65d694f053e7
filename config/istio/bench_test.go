package istio_test

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

// folder returns a Gateway and n services of three rules each behind it.
func folder(tb testing.TB, n int) []*config.Object {
	objects := parse(tb, meta("networking.istio.io/v1", "Gateway", "istio-system", "gw")+
		"spec:\n  selector: {istio: ingressgateway}\n  servers:\n  - port: {number: 80, name: http, protocol: HTTP}\n    hosts: [\"*\"]\n")
	for i := range n {
		objects = append(objects, parse(tb, benchService(i))...)
		objects = append(objects, parse(tb, benchSlice(i, 1))...)
		objects = append(objects, parse(tb, benchVirtualService(i, "/v1"))...)
	}
	return objects
}

func benchService(i int) string {
	return meta("v1", "Service", "default", fmt.Sprintf("app-%d", i)) + fmt.Sprintf(
		"spec:\n  clusterIP: 10.%d.%d.%d\n  selector: {app: app-%d}\n  ports:\n  - {name: http, port: 80, targetPort: 8080}\n", 96+i>>16, i>>8&255, i&255, i)
}

func benchSlice(i, endpoints int) string {
	text := meta("discovery.k8s.io/v1", "EndpointSlice", "default", fmt.Sprintf("app-%d-x", i), fmt.Sprintf("  labels: {kubernetes.io/service-name: app-%d}\n", i)) +
		"addressType: IPv4\nports:\n- {name: http, port: 8080}\nendpoints:\n"
	for e := range endpoints {
		text += fmt.Sprintf("- addresses: [10.%d.%d.%d]\n", e+1, i>>8, i&255)
	}
	return text
}

func benchVirtualService(i int, prefix string) string {
	return meta("networking.istio.io/v1", "VirtualService", "default", fmt.Sprintf("app-%d", i)) + fmt.Sprintf(`spec:
  hosts: [app-%d, app-%d.example.com]
  gateways: [mesh, istio-system/gw]
  http:
  - match: [{uri: {prefix: %s}}]
    route: [{destination: {host: app-%d}}]
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: app-%d, port: {number: 80}}}]
  - route: [{destination: {host: app-%d}}]
`, i, i, prefix, i, i, i)
}

var benchRoles = map[string]istio.Options{
	"gateway": {Role: istio.Gateway, Labels: map[string]string{"istio": "ingressgateway"}},
	"sidecar": {Role: istio.Sidecar, Labels: map[string]string{"app": "client"}},
}

// BenchmarkVirtualService changes one VirtualService among many.
func BenchmarkVirtualService(b *testing.B) {
	benchmarkChange(b, func(tb testing.TB, i int) []*config.Object {
		return parse(tb, benchVirtualService(i, fmt.Sprintf("/v%d", i)))
	})
}

// BenchmarkEndpoints changes the endpoints of one service among many.
func BenchmarkEndpoints(b *testing.B) {
	benchmarkChange(b, func(tb testing.TB, i int) []*config.Object { return parse(tb, benchSlice(7, 1+i%3)) })
}

// BenchmarkGateway changes the Gateway: all that is bound to it is looked at anew.
func BenchmarkGateway(b *testing.B) {
	benchmarkChange(b, func(tb testing.TB, i int) []*config.Object {
		return parse(tb, meta("networking.istio.io/v1", "Gateway", "istio-system", "gw")+fmt.Sprintf(
			"spec:\n  selector: {istio: ingressgateway}\n  servers:\n  - port: {number: 80, name: http-%d, protocol: HTTP}\n    hosts: [\"*\"]\n", i))
	})
}

func benchmarkChange(b *testing.B, change func(testing.TB, int) []*config.Object) {
	for name, options := range benchRoles {
		for _, n := range []int{100, 1000, 10000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				compiler := istio.NewCompiler(options)
				compiler.Apply(config.Delta{Set: folder(b, n)})
				i := 0
				for b.Loop() {
					b.StopTimer()
					d := config.Delta{Set: change(b, i%n)}
					i++
					b.StartTimer()
					compiler.Apply(d)
				}
			})
		}
	}
}

// BenchmarkLoad compiles everything for the first time.
func BenchmarkLoad(b *testing.B) {
	for name, options := range benchRoles {
		for _, n := range []int{100, 1000, 10000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				objects := folder(b, n)
				for b.Loop() {
					istio.NewCompiler(options).Apply(config.Delta{Set: objects})
				}
			})
		}
	}
}

// BenchmarkPassthrough changes one VirtualService among many whose TLS a gateway passes on.
func BenchmarkPassthrough(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			compiler := istio.NewCompiler(benchRoles["gateway"])
			compiler.Apply(config.Delta{Set: tlsFolder(b, n)})
			i := 0
			for b.Loop() {
				b.StopTimer()
				d := config.Delta{Set: parse(b, passedThrough(i%n, fmt.Sprintf("app-%d", (i+i/n)%n)))}
				i++
				b.StartTimer()
				compiler.Apply(d)
			}
		})
	}
}

// tlsFolder returns a Gateway that passes the TLS of n services through, and ends that of
// n hosts.
func tlsFolder(tb testing.TB, n int) []*config.Object {
	gateway := meta("networking.istio.io/v1", "Gateway", "istio-system", "gw") + "spec:\n  selector: {istio: ingressgateway}\n  servers:\n" +
		"  - port: {number: 443, name: tls, protocol: TLS}\n    hosts: [\"*.example.com\"]\n    tls: {mode: PASSTHROUGH}\n"
	for i := range n {
		gateway += fmt.Sprintf("  - port: {number: 443, name: https-%d, protocol: HTTPS}\n    hosts: [app-%d.example.org]\n    tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}\n", i, i)
	}
	objects := parse(tb, gateway)
	for i := range n {
		objects = append(objects, parse(tb, benchService(i))...)
		objects = append(objects, parse(tb, passedThrough(i, fmt.Sprintf("app-%d", i)))...)
	}
	return objects
}

func passedThrough(i int, to string) string {
	return meta("networking.istio.io/v1", "VirtualService", "default", fmt.Sprintf("app-%d", i)) + fmt.Sprintf(`spec:
  hosts: [app-%d.example.com, app-%d.example.org]
  gateways: [istio-system/gw]
  tls:
  - match: [{sniHosts: [app-%d.example.com]}]
    route: [{destination: {host: %s}}]
  http:
  - route: [{destination: {host: app-%d}}]
`, i, i, i, to, i)
}
