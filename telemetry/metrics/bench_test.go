package metrics

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// exchange is one that went well.
func exchange() *proxy.Exchange {
	endpoint := &router.Endpoint{Address: "10.0.0.1:9080", Workload: "default/reviews-v1", ServiceAccount: "reviews", Labels: map[string]string{"app": "reviews", "version": "v1"}}
	cluster := &router.Cluster{Name: "outbound|9080||reviews.default.svc.cluster.local", Host: "reviews.default.svc.cluster.local", Port: 9080, Endpoints: []*router.Endpoint{endpoint}}
	return &proxy.Exchange{
		Request:    router.Request{Listener: "0.0.0.0_8080", Method: "GET", Authority: "reviews:9080", Path: "/reviews/0"},
		Connection: &proxy.Connection{Listener: "0.0.0.0_8080"},
		Cluster:    cluster, Endpoint: endpoint,
		Status: 200, Start: 1_000_000, End: 4_200_000,
		HeadReceived: 420, BytesReceived: 12, HeadSent: 180, BytesSent: 5183,
	}
}

func BenchmarkComplete(b *testing.B) {
	m := New(Options{})
	defer m.Close()
	b.Run("one endpoint", func(b *testing.B) {
		ex := exchange()
		b.ReportAllocs()
		for b.Loop() {
			m.Complete(0, ex)
		}
	})
	b.Run("50 endpoints", func(b *testing.B) {
		list := make([]*proxy.Exchange, 50)
		for i := range list {
			list[i] = exchange()
		}
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			m.Complete(0, list[i])
			if i++; i == len(list) {
				i = 0
			}
		}
	})
}

// BenchmarkScrape is of a gateway with 1,000 workloads behind it.
func BenchmarkScrape(b *testing.B) {
	m := newTest(b, Options{Identity: edge})
	for i := range 1000 {
		ex := exchange()
		ex.Endpoint.Workload = fmt.Sprintf("default/w%d", i)
		m.Complete(0, ex)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(m)
	handler := promhttp.HandlerFor(r, promhttp.HandlerOpts{DisableCompression: true})
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		b.ReportMetric(float64(w.Body.Len())/1e6, "MB/page")
	}
}
