package cluster

import (
	"fmt"
	"testing"
)

// TestRollingRestarts restarts every pod of the gateway, and of what stands behind it,
// twice each, under load: no request fails.
func TestRollingRestarts(t *testing.T) {
	need(t)
	install(t)
	kubectl(t, "apply -f "+bookinfo+"platform/bookinfo.yaml")
	kubectl(t, "apply -f "+bookinfo+"networking/bookinfo-gateway.yaml")
	kubectl(t, "scale deployment productpage-v1 --replicas=2")
	kubectl(t, "rollout status deployment --timeout=90s")
	const url = "http://" + nodeAddress + ":31380/api/v1/products"
	await(t, "the application answers", func() error {
		status, body, err := get(url, "", "")
		if err == nil && status != 200 {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	})
	const gateway, backend = "-n istio-system deployment/istio-ingressgateway", "-n default deployment/productpage-v1"
	for _, c := range []struct {
		name        string
		deployments []string
	}{
		{"gateway", []string{gateway}},
		{"backend", []string{backend}},
		// A gateway that is about to end still has to see which backends do.
		{"both at once", []string{gateway, backend}},
	} {
		t.Run(c.name, func(t *testing.T) {
			load := startLoad(8, url)
			for range 2 {
				for _, d := range c.deployments {
					kubectl(t, "rollout restart "+d)
				}
				for _, d := range c.deployments {
					kubectl(t, "rollout status --timeout=90s "+d)
				}
			}
			load.finish(t, 500)
		})
	}
}
