package metrics

import "testing"

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
