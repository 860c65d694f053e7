package metrics

import (
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

func TestEdges(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: edge})
	for _, status := range []int{200, 200, 503, 0} {
		ex := exchange()
		ex.Status = status
		m.Complete(0, ex)
	}
	list := m.Edges()
	if len(list) != 1 {
		t.Fatalf("%d edges: %+v", len(list), list)
	}
	e := list[0]
	if e.Inbound || e.Source.Name != "istio-ingressgateway" || e.Destination.Name != "reviews-v1" || e.Service.Name != "reviews" || e.Protocol != "http" {
		t.Errorf("edge %+v", e)
	}
	if e.Requests != [6]uint64{1, 0, 2, 0, 0, 1} || e.Failures != 2 || e.Duration.Total() != 4 || e.Received != 4*432 || e.Sent != 4*5363 {
		t.Errorf("edge %+v", e)
	}
	if p := e.Duration.Quantile(0.5); p <= 1 || p > 5 {
		t.Errorf("median %v", p)
	}
}

// TestEdgeToMissing: what a route names but is not there is named: a call to a subset that no
// DestinationRule has, and to a service that is unknown, of requests and of bytes.
func TestEdgeToMissing(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: productpage, Mesh: true})
	m.Apply(&router.Spec{Clusters: []*router.Cluster{{Name: "outbound|9080||reviews.default.svc.cluster.local", Host: "reviews.default.svc.cluster.local"}}})
	ex := exchange()
	ex.Destination = &router.CompiledDestination{Cluster: router.ClusterRef{Name: "outbound|9080|v9|reviews.default.svc.cluster.local"}}
	ex.Cluster, ex.Endpoint, ex.Status, ex.Flags = nil, nil, 503, proxy.FlagNoCluster
	m.Complete(0, ex)
	m.StreamClosed(0, &proxy.Stream{Missing: &router.ClusterRef{Name: "outbound|6379||cache.shop.svc.cluster.local"}, Flags: proxy.FlagNoCluster})
	want := map[string]Edge{
		"reviews": {Service: router.Service{Host: "reviews.default.svc.cluster.local", Name: "reviews", Namespace: "default"}, Subset: "v9", Protocol: "http"},
		"cache":   {Service: router.Service{Host: "cache.shop.svc.cluster.local", Name: "cache", Namespace: "shop"}, Protocol: "tcp"},
	}
	list := m.Edges()
	if len(list) != len(want) {
		t.Fatalf("%d edges: %+v", len(list), list)
	}
	for _, e := range list {
		if w := want[e.Service.Name]; e.Service != w.Service || e.Subset != w.Subset || e.Protocol != w.Protocol {
			t.Errorf("edge %+v, want %+v", e, w)
		}
	}
}
