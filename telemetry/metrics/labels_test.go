package metrics

import (
	"maps"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
)

// productpage is a sidecar's identity.
var productpage = identity.Identity{
	Workload: "productpage-v1", Namespace: "default", Labels: map[string]string{"app": "productpage", "version": "v1"},
	ServiceAccount: "bookinfo-productpage", TrustDomain: "cluster.local", Cluster: "Kubernetes", Mesh: "mesh1",
}

// edge is a gateway's.
var edge = identity.Identity{
	Workload: "istio-ingressgateway", Namespace: "istio-system", Labels: map[string]string{"app": "istio-ingressgateway"},
	ServiceAccount: "istio-ingressgateway-service-account", TrustDomain: "cluster.local", Cluster: "Kubernetes",
}

// newTest returns Metrics that end with the test.
func newTest(t testing.TB, o Options) *Metrics {
	t.Helper()
	m := New(o)
	t.Cleanup(m.Close)
	return m
}

// gather returns a metric's series as a scrape has them.
func gather(t testing.TB, m *Metrics, name string) []*dto.Metric {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric
		}
	}
	return nil
}

// labelsOf returns the labels of a metric that has one series.
func labelsOf(t testing.TB, m *Metrics, name string) map[string]string {
	t.Helper()
	list := gather(t, m, name)
	if len(list) != 1 {
		t.Fatalf("%s has %d series, want 1", name, len(list))
	}
	labels := make(map[string]string)
	for _, l := range list[0].Label {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// TestLabels holds all labels to Istio's values.
func TestLabels(t *testing.T) {
	t.Parallel()
	// fromEdge is what a gateway says of a request that went well.
	fromEdge := map[string]string{
		"reporter":         "source",
		"request_protocol": "http", "response_code": "200", "response_flags": "-", "grpc_response_status": "",
		"connection_security_policy": "unknown",
		"source_workload":            "istio-ingressgateway", "source_workload_namespace": "istio-system",
		"source_app": "istio-ingressgateway", "source_version": "unknown", "source_cluster": "Kubernetes",
		"source_canonical_service": "istio-ingressgateway", "source_canonical_revision": "latest", "source_principal": "unknown",
		"destination_workload": "reviews-v1", "destination_workload_namespace": "default",
		"destination_app": "reviews", "destination_version": "v1", "destination_cluster": "Kubernetes",
		"destination_canonical_service": "reviews", "destination_canonical_revision": "v1", "destination_principal": "unknown",
		"destination_service":      "reviews.default.svc.cluster.local",
		"destination_service_name": "reviews", "destination_service_namespace": "default",
	}
	nobody := map[string]string{
		"destination_workload": "unknown", "destination_workload_namespace": "unknown", "destination_app": "unknown",
		"destination_version": "unknown", "destination_canonical_service": "unknown", "destination_canonical_revision": "latest",
		"destination_cluster": "unknown",
	}
	noService := map[string]string{"destination_service": "unknown", "destination_service_name": "unknown", "destination_service_namespace": "unknown"}
	fromPage := map[string]string{
		"source_workload": "productpage-v1", "source_workload_namespace": "default", "source_app": "productpage",
		"source_version": "v1", "source_canonical_service": "productpage", "source_canonical_revision": "v1",
	}
	toPage := map[string]string{
		"reporter": "destination", "connection_security_policy": "none",
		"source_workload": "unknown", "source_workload_namespace": "unknown", "source_app": "unknown", "source_version": "unknown",
		"source_canonical_service": "unknown", "source_cluster": "unknown",
		"destination_workload": "productpage-v1", "destination_app": "productpage",
		"destination_canonical_service": "productpage",
		"destination_service":           "productpage", "destination_service_name": "productpage",
	}
	told := map[string]string{
		"source_workload": "istio-ingressgateway", "source_workload_namespace": "istio-system", "source_app": "istio-ingressgateway",
		"source_canonical_service": "istio-ingressgateway", "source_cluster": "Kubernetes",
	}
	inbound := func(ex *proxy.Exchange) {
		ex.Connection.Inbound = true
		ex.Cluster, ex.Endpoint = &router.Cluster{Name: "inbound|9080||", Port: 9080}, &router.Endpoint{Address: "127.0.0.1:19080"}
	}
	missing := func(ex *proxy.Exchange) {
		ex.Destination = &router.CompiledDestination{Cluster: router.ClusterRef{Name: "outbound|9080|v9|reviews.default.svc.cluster.local"}}
		ex.Cluster, ex.Endpoint, ex.Status, ex.Flags = nil, nil, 503, proxy.FlagNoCluster
	}
	for name, c := range map[string]struct {
		sidecar bool
		change  func(*proxy.Exchange)
		want    []map[string]string // beside fromEdge
	}{
		"forwarded":              {false, func(*proxy.Exchange) {}, nil},
		"forwarded by a sidecar": {true, func(*proxy.Exchange) {}, []map[string]string{fromPage}},
		"gRPC": {false, func(ex *proxy.Exchange) { ex.GRPC, ex.GRPCStatus = true, "14" },
			[]map[string]string{{"request_protocol": "grpc", "grpc_response_status": "14"}}},
		"gRPC without a status": {false, func(ex *proxy.Exchange) { ex.GRPC = true },
			[]map[string]string{{"request_protocol": "grpc", "grpc_response_status": ""}}},
		"mutual TLS upstream": {false, func(ex *proxy.Exchange) {
			ex.Cluster.TLS = &router.ClientTLS{Certificate: &router.Credential{Mesh: true}}
		}, []map[string]string{{
			"source_principal":      "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
			"destination_principal": "spiffe://cluster.local/ns/default/sa/reviews",
		}}},
		"no endpoint": {false, func(ex *proxy.Exchange) {
			ex.Endpoint, ex.Status, ex.Flags = nil, 503, proxy.FlagNoHealthyUpstream
		}, []map[string]string{nobody, {"response_code": "503", "response_flags": "UH"}}},
		"no route at a gateway: the Host is no label": {false, func(ex *proxy.Exchange) {
			ex.Cluster, ex.Endpoint, ex.Status, ex.Flags = nil, nil, 404, proxy.FlagNoRoute
		}, []map[string]string{nobody, noService, {"response_code": "404", "response_flags": "NR"}}},
		"no route at a sidecar": {true, func(ex *proxy.Exchange) {
			ex.Cluster, ex.Endpoint, ex.Status, ex.Flags = nil, nil, 404, proxy.FlagNoRoute
		}, []map[string]string{fromPage, nobody, noService, {"destination_service_name": "BlackHoleCluster", "response_code": "404", "response_flags": "NR"}}},
		"a missing subset at a gateway": {false, missing, []map[string]string{nobody, {"response_code": "503", "response_flags": "NC"}}},
		"a missing subset at a sidecar": {true, missing, []map[string]string{fromPage, nobody, {"response_code": "503", "response_flags": "NC"}}},
		"no response": {false, func(ex *proxy.Exchange) { ex.Status, ex.Flags = 0, proxy.FlagDownstreamTermination },
			[]map[string]string{{"response_code": "0", "response_flags": "DC"}}},
		"a code that is none": {false, func(ex *proxy.Exchange) { ex.Status = 987 }, []map[string]string{{"response_code": "0"}}},
		"passed through": {true, func(ex *proxy.Exchange) {
			ex.Cluster, ex.Endpoint = &router.Cluster{Name: "PassthroughCluster"}, nil
		}, []map[string]string{fromPage, nobody, noService, {"destination_service_name": "PassthroughCluster"}}},
		"outside": {false, func(ex *proxy.Exchange) {
			ex.Cluster, ex.Endpoint = &router.Cluster{Name: "outbound|443||api.example.com", Host: "api.example.com", External: true}, &router.Endpoint{Address: "api.example.com:443"}
			ex.UpstreamPeerMetadata = productpage.EncodePeer()
		}, []map[string]string{nobody, noService, {"destination_service": "api.example.com", "destination_service_name": "api.example.com"}}},
		"an endpoint that says who it is": {false, func(ex *proxy.Exchange) {
			ex.Endpoint = &router.Endpoint{Address: "10.0.0.9:9080"}
			ex.UpstreamPeerMetadata = productpage.EncodePeer()
		}, []map[string]string{{"destination_workload": "productpage-v1", "destination_app": "productpage", "destination_canonical_service": "productpage"}}},
		"an endpoint with labels alone": {false, func(ex *proxy.Exchange) { ex.Endpoint.Workload = "" }, nil},
		"inbound":                       {true, inbound, []map[string]string{toPage}},
		"inbound from somebody": {true, func(ex *proxy.Exchange) {
			inbound(ex)
			ex.PeerMetadata = edge.EncodePeer()
		}, []map[string]string{toPage, told}},
		"inbound, mutual TLS": {true, func(ex *proxy.Exchange) {
			inbound(ex)
			ex.PeerMetadata = edge.EncodePeer()
			ex.Connection.TLS = &proxy.TLSState{Peer: &proxy.PeerCertificate{URIs: []string{"spiffe://cluster.local/ns/shop/sa/cart"}}}
		}, []map[string]string{toPage, told, {
			"connection_security_policy": "mutual_tls", "source_workload_namespace": "shop",
			"source_principal":      "spiffe://cluster.local/ns/shop/sa/cart",
			"destination_principal": "spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
		}}},
		"inbound of a known service": {true, func(ex *proxy.Exchange) {
			inbound(ex)
			ex.Cluster.Service = router.Service{Host: "shop.default.svc.cluster.local", Name: "shop", Namespace: "default"}
		}, []map[string]string{toPage, {"destination_service": "shop.default.svc.cluster.local", "destination_service_name": "shop"}}},
		"a gateway believes nobody": {false, func(ex *proxy.Exchange) { ex.PeerMetadata = productpage.EncodePeer() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Identity: edge}
			if c.sidecar {
				o = Options{Identity: productpage, Mesh: true}
			}
			m := newTest(t, o)
			ex := exchange()
			c.change(ex)
			m.Complete(0, ex)
			want := maps.Clone(fromEdge)
			for _, more := range c.want {
				maps.Copy(want, more)
			}
			got := labelsOf(t, m, "istio_requests_total")
			for _, n := range slices.Sorted(maps.Keys(want)) {
				if value, ok := got[n]; !ok || value != want[n] {
					t.Errorf("%s is %q, want %q", n, value, want[n])
				}
			}
			if len(got) != int(labelCount) || len(want) != int(labelCount) {
				t.Errorf("%d labels, %d wanted, must be %d", len(got), len(want), labelCount)
			}
		})
	}
}

// A service that has the sidecar's own workload among its endpoints is what is called inbound.
func TestOwnService(t *testing.T) {
	t.Parallel()
	m := newTest(t, Options{Identity: productpage, Mesh: true})
	m.Apply(&router.Spec{Clusters: []*router.Cluster{
		{Name: "outbound|9080||reviews.default.svc.cluster.local", Host: "reviews.default.svc.cluster.local",
			Endpoints: []*router.Endpoint{{Address: "10.0.0.2:9080", Workload: "default/reviews-v1"}}},
		{Name: "outbound|80||shop.default.svc.cluster.local", Host: "shop.default.svc.cluster.local",
			Endpoints: []*router.Endpoint{{Address: "10.0.0.1:9080", Workload: "default/productpage-v1"}}},
	}})
	ex := exchange()
	ex.Connection.Inbound = true
	ex.Cluster, ex.Endpoint = &router.Cluster{Name: "inbound|9080||", Port: 9080}, nil
	m.Complete(0, ex)
	if got := labelsOf(t, m, "istio_requests_total")["destination_service"]; got != "shop.default.svc.cluster.local" {
		t.Errorf("destination_service is %q", got)
	}
}

// A host of the mesh that came to no cluster is named; what nobody knows is not.
func TestKnownHost(t *testing.T) {
	t.Parallel()
	spec := &router.Spec{
		Clusters: []*router.Cluster{{Name: "outbound|9080||reviews.default.svc.cluster.local", Host: "reviews.default.svc.cluster.local"}},
		Listeners: []*router.Listener{{Name: "outbound", Port: 9080, Tables: []*router.RouteTable{{Name: "9080", VirtualHosts: []*router.VirtualHost{{
			Name: "reviews.default.svc.cluster.local:9080", Domains: []string{"reviews"},
			Routes: []*router.Route{{Match: router.Match{Path: router.StringMatch{Kind: router.MatchExact, Value: "/only"}}, RouteAction: &router.RouteAction{Name: "r", Direct: &router.DirectResponse{Status: 200}}}},
		}}}}}},
	}
	table, errs := router.Build(spec, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	m := newTest(t, Options{Identity: productpage, Mesh: true})
	m.Apply(spec)
	ex := exchange()
	ex.Cluster, ex.Endpoint, ex.Status, ex.Flags = nil, nil, 404, proxy.FlagNoRoute
	ex.Decision = table.Route(&router.Request{Listener: "outbound", Port: 9080, Authority: "reviews", Path: "/other", Method: "GET"})
	m.Complete(0, ex)
	got := labelsOf(t, m, "istio_requests_total")
	if got["destination_service"] != "reviews.default.svc.cluster.local" || got["destination_service_name"] != "reviews" {
		t.Errorf("labels %v", got)
	}
}
