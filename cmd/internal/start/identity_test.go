package start

import (
	"math"
	"testing"
)

func TestIdentity(t *testing.T) {
	for _, name := range []string{"ISTIO_META_WORKLOAD_NAME", "POD_NAME", "SERVICE_ACCOUNT", "TRUST_DOMAIN", "ISTIO_META_CLUSTER_ID", "ISTIO_META_MESH_ID", "INSTANCE_IP"} {
		t.Setenv(name, "")
	}
	f := Flags{Namespace: "shop"}
	i := f.Identity("sidecar", map[string]string{"app": "cart", "version": "v2"})
	if i.Workload != "cart-v2" || i.Namespace != "shop" || i.Cluster != "Kubernetes" || i.Mesh != "cluster.local" ||
		i.Node != "sidecar~127.0.0.1~cart-v2.shop~shop.svc.cluster.local" || i.Principal() != "" {
		t.Errorf("by labels: %+v", i)
	}
	t.Setenv("POD_NAME", "cart-v3-5d4f8c7b9-x2x4z")
	t.Setenv("SERVICE_ACCOUNT", "cart")
	t.Setenv("INSTANCE_IP", "10.0.0.7")
	i = f.Identity("sidecar", map[string]string{"app": "cart"})
	if i.Workload != "cart-v3" || i.Principal() != "spiffe://cluster.local/ns/shop/sa/cart" ||
		i.Node != "sidecar~10.0.0.7~cart-v3-5d4f8c7b9-x2x4z.shop~shop.svc.cluster.local" {
		t.Errorf("by the pod: %+v", i)
	}
	t.Setenv("ISTIO_META_WORKLOAD_NAME", "cart-v4")
	t.Setenv("ISTIO_META_CLUSTER_ID", "east")
	if i = f.Identity("sidecar", nil); i.Workload != "cart-v4" || i.Cluster != "east" {
		t.Errorf("by Istio's variables: %+v", i)
	}
	f.identity = identityFlags{workload: "w", serviceAccount: "a", cluster: "c", mesh: "m"}
	if i = f.Identity("router", nil); i.Workload != "w" || i.ServiceAccount != "a" || i.Cluster != "c" || i.Mesh != "m" || i.Labels["app"] != "w" {
		t.Errorf("by flags: %+v", i)
	}
}

func TestWorkloadOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		labels map[string]string
		pod    string
		want   string
	}{
		{nil, "", ""},
		{map[string]string{"istio": "ingressgateway"}, "", "istio-ingressgateway"},
		{map[string]string{"istio": "ingressgateway", "app": "edge"}, "", "edge"},
		{map[string]string{"app": "reviews", "version": "v1"}, "", "reviews-v1"},
		{map[string]string{"app": "reviews"}, "reviews-0", "reviews-0"},
		{nil, "istio-ingressgateway-6bb8fb6549-s7z2k", "istio-ingressgateway"},
	} {
		if got := workloadOf(c.labels, c.pod); got != c.want {
			t.Errorf("labels %v, pod %q: %q, want %q", c.labels, c.pod, got, c.want)
		}
	}
}

func TestCheckBuckets(t *testing.T) {
	t.Parallel()
	for _, good := range [][]float64{nil, {1}, {0.5, 1, 1000}} {
		if err := checkBuckets(good); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, bad := range [][]float64{{0}, {-1}, {1, 1}, {2, 1}, {math.NaN()}, {1, math.Inf(1)}, make([]float64, 32)} {
		if checkBuckets(bad) == nil {
			t.Errorf("%v are taken", bad)
		}
	}
}
