package istio_test

import (
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
)

// TestServicesOfOneName: of a Service and a ServiceEntry of the same host, name and age the
// Service comes first, whichever was there first.
func TestServicesOfOneName(t *testing.T) {
	t.Parallel()
	all := parse(t, `
apiVersion: v1
kind: Service
metadata: {name: a, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: default}
spec:
  hosts: [a.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.1.0.1, labels: {from: entry}}]
---
apiVersion: v1
kind: Endpoints
metadata: {name: a, namespace: default}
subsets: [{addresses: [{ip: 10.1.0.1}], ports: [{name: http, port: 80}]}]
`)
	for _, order := range [][]int{{0, 1, 2}, {1, 0, 2}} {
		c := istio.NewCompiler(istio.Options{Role: istio.Sidecar})
		var r istio.Result
		for _, i := range order {
			r = c.Apply(config.Delta{Set: all[i : i+1]})
		}
		for _, k := range r.Spec.Clusters {
			if k.Name == "outbound|80||a.default.svc.cluster.local" && (len(k.Endpoints) != 1 || len(k.Endpoints[0].Labels) > 0) {
				t.Errorf("in order %v the endpoints are %+v", order, *k.Endpoints[0])
			}
		}
	}
}
