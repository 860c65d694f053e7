package envoydump

import (
	"slices"
	"strings"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

var gateway = istio.Options{Role: istio.Gateway, Labels: map[string]string{"istio": "ingressgateway"}, Namespace: "istio-system"}

// dumped is a config dump, taken apart.
type dumped struct {
	bootstrap *adminv3.BootstrapConfigDump
	clusters  map[string]*clusterv3.Cluster
	endpoints map[string]*endpointv3.ClusterLoadAssignment
	listeners map[string]*listenerv3.Listener
	routes    map[string]*routev3.RouteConfiguration
	secrets   map[string]*tlsv3.Secret
}

// dump takes a config dump apart, strictly.
func dump(t *testing.T, spec *router.Spec) dumped {
	t.Helper()
	var all adminv3.ConfigDump
	decode(t, page(t, spec, "/config_dump?format=envoy"), &all)
	d := dumped{
		clusters: map[string]*clusterv3.Cluster{}, endpoints: map[string]*endpointv3.ClusterLoadAssignment{}, listeners: map[string]*listenerv3.Listener{},
		routes: map[string]*routev3.RouteConfiguration{}, secrets: map[string]*tlsv3.Secret{},
	}
	for _, part := range all.GetConfigs() {
		message, err := part.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		switch m := message.(type) {
		case *adminv3.BootstrapConfigDump:
			d.bootstrap = m
		case *adminv3.ClustersConfigDump:
			for _, c := range m.GetDynamicActiveClusters() {
				into(t, c.GetCluster(), func(v *clusterv3.Cluster) { d.clusters[v.GetName()] = v })
			}
		case *adminv3.EndpointsConfigDump:
			for _, c := range m.GetDynamicEndpointConfigs() {
				into(t, c.GetEndpointConfig(), func(v *endpointv3.ClusterLoadAssignment) { d.endpoints[v.GetClusterName()] = v })
			}
		case *adminv3.ListenersConfigDump:
			for _, l := range m.GetDynamicListeners() {
				into(t, l.GetActiveState().GetListener(), func(v *listenerv3.Listener) { d.listeners[v.GetName()] = v })
			}
		case *adminv3.RoutesConfigDump:
			for _, r := range m.GetDynamicRouteConfigs() {
				into(t, r.GetRouteConfig(), func(v *routev3.RouteConfiguration) { d.routes[v.GetName()] = v })
			}
		case *adminv3.SecretsConfigDump:
			for _, s := range m.GetDynamicActiveSecrets() {
				into(t, s.GetSecret(), func(v *tlsv3.Secret) { d.secrets[v.GetName()] = v })
			}
		case *adminv3.ScopedRoutesConfigDump:
		default:
			t.Errorf("a part of type %T", message)
		}
	}
	return d
}

func into[M proto.Message](t *testing.T, a *anypb.Any, take func(M)) {
	t.Helper()
	m, err := a.UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	typed, ok := m.(M)
	if !ok {
		t.Fatalf("%T is not what belongs here", m)
	}
	// What Envoy's own rules refuse is no configuration.
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			t.Errorf("%T: %v", m, err)
		}
	}
	take(typed)
}

func TestGatewayDump(t *testing.T) {
	t.Parallel()
	spec := compile(t, gateway, "testdata/mesh.yaml")
	d := dump(t, spec)
	if d.bootstrap.GetBootstrap().GetNode().GetId() == "" {
		t.Error("no node in the bootstrap")
	}
	if len(d.clusters) != len(spec.Clusters) || len(d.endpoints) != len(spec.Clusters) || len(d.listeners) != len(spec.Listeners) {
		t.Errorf("%d clusters, %d endpoints, %d listeners of %d and %d", len(d.clusters), len(d.endpoints), len(d.listeners), len(spec.Clusters), len(spec.Listeners))
	}
	checkCluster(t, d)
	checkRoutes(t, d)
	checkListeners(t, d)
}

func checkCluster(t *testing.T, d dumped) {
	c := d.clusters["outbound|80|v1|web.shop.svc.cluster.local"]
	limits := c.GetCircuitBreakers().GetThresholds()[0]
	if limits.GetMaxConnections().GetValue() != 10 || limits.GetMaxPendingRequests().GetValue() != 20 || limits.GetMaxRequests().GetValue() != 30 || limits.GetMaxRetries().GetValue() != 4 {
		t.Errorf("limits %v", limits)
	}
	if c.GetConnectTimeout().AsDuration() != 3*time.Second || c.GetType() != clusterv3.Cluster_EDS || c.GetLbPolicy() != clusterv3.Cluster_RING_HASH {
		t.Errorf("cluster %v", c)
	}
	if o := c.GetOutlierDetection(); o.GetConsecutive_5Xx().GetValue() != 5 || o.GetBaseEjectionTime().AsDuration() != time.Minute {
		t.Errorf("outlier detection %v", o)
	}
	if got := c.GetMetadata().GetFilterMetadata()["istio"].GetFields()["config"].GetStringValue(); !strings.HasSuffix(got, "/namespaces/shop/destination-rule/web") {
		t.Errorf("its rule is %q", got)
	}
	e := d.endpoints["outbound|80||web.shop.svc.cluster.local"].GetEndpoints()
	if len(e) != 2 || e[0].GetLocality().GetZone() != "a" || e[0].GetLbEndpoints()[0].GetEndpoint().GetAddress().GetSocketAddress().GetPortValue() != 8080 || e[0].GetLbEndpoints()[0].GetLoadBalancingWeight().GetValue() != 3 {
		t.Errorf("endpoints %v", e)
	}
	outside := d.clusters["outbound|443||elsewhere.example.org"]
	if outside.GetType() != clusterv3.Cluster_STRICT_DNS || outside.GetTransportSocket() == nil {
		t.Errorf("cluster of names %v", outside)
	}
	into(t, outside.GetTransportSocket().GetTypedConfig(), func(tls *tlsv3.UpstreamTlsContext) {
		if tls.GetSni() != "elsewhere.example.org" {
			t.Errorf("TLS %v", tls)
		}
	})
}

func checkRoutes(t *testing.T, d dumped) {
	var routes []*routev3.Route
	for _, v := range d.routes["http.80"].GetVirtualHosts() {
		if slices.Contains(v.GetDomains(), "shop.example.com") {
			routes = v.GetRoutes()
		}
	}
	if len(routes) != 5 {
		t.Fatalf("%d routes: %v", len(routes), routes)
	}
	r := routes[0]
	m := r.GetMatch()
	if m.GetPrefix() != "/api" || m.GetCaseSensitive().GetValue() || len(m.GetHeaders()) != 6 || len(m.GetQueryParameters()) != 2 {
		t.Errorf("match %v", m)
	}
	a := r.GetRoute()
	if a.GetTimeout().AsDuration() != 2500*time.Millisecond || a.GetRetryPolicy().GetNumRetries().GetValue() != 3 || a.GetRetryPolicy().GetPerTryTimeout().AsDuration() != 500*time.Millisecond ||
		a.GetPrefixRewrite() != "/v2/api" || a.GetHostRewriteLiteral() != "api.internal" || len(a.GetWeightedClusters().GetClusters()) != 2 || a.GetRequestMirrorPolicies()[0].GetRuntimeFraction().GetDefaultValue().GetNumerator() != 125000 {
		t.Errorf("action %v", a)
	}
	if got := r.GetMetadata().GetFilterMetadata()["istio"].GetFields()["config"].GetStringValue(); !strings.HasSuffix(got, "/namespaces/shop/virtual-service/web") {
		t.Errorf("its object is %q", got)
	}
	if got := routes[1].GetRoute().GetRegexRewrite().GetSubstitution(); got != `/i/\1` {
		t.Errorf("substitution %q", got)
	}
	if got := routes[2].GetRedirect(); got.GetResponseCode() != routev3.RedirectAction_PERMANENT_REDIRECT || got.GetPortRedirect() != 8443 || got.GetPathRedirect() != "/new" {
		t.Errorf("redirect %v", got)
	}
	if got := routes[3].GetDirectResponse(); got.GetStatus() != 418 || string(got.GetBody().GetInlineBytes()) != "short and stout" {
		t.Errorf("direct response %v", got)
	}
	if v := d.routes["http.8080"].GetVirtualHosts()[0]; v.GetRequireTls() != routev3.VirtualHost_ALL {
		t.Errorf("a host that requires TLS is %v", v)
	}
}

func checkListeners(t *testing.T, d dumped) {
	seen := map[string]int{}
	for _, l := range d.listeners {
		if l.GetAddress().GetSocketAddress().GetPortValue() == 0 {
			t.Errorf("listener without an address: %v", l)
		}
		for _, chain := range l.GetFilterChains() {
			m, err := chain.GetFilters()[0].GetTypedConfig().UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			switch f := m.(type) {
			case *hcmv3.HttpConnectionManager:
				if d.routes[f.GetRds().GetRouteConfigName()] == nil {
					t.Errorf("no route table %q", f.GetRds().GetRouteConfigName())
				}
				seen["requests"]++
			case *tcpv3.TcpProxy:
				if len(f.GetWeightedClusters().GetClusters()) != 2 || chain.GetFilterChainMatch().GetPrefixRanges()[0].GetAddressPrefix() != "10.0.0.0" {
					t.Errorf("stream %v of %v", f, chain.GetFilterChainMatch())
				}
				seen["bytes"]++
			}
		}
	}
	if seen["requests"] != 2 || seen["bytes"] != 1 {
		t.Errorf("filters %v", seen)
	}
}

// TestSidecarDump: a sidecar's tables of several ports become filter chains by port.
func TestSidecarDump(t *testing.T) {
	t.Parallel()
	spec := compile(t, istio.Options{Role: istio.Sidecar, Namespace: "default", Labels: map[string]string{"app": "productpage"}},
		"../../../deploy/samples/bookinfo/platform", "../../../deploy/samples/bookinfo/networking/virtual-service-reviews-90-10.yaml", "../../../deploy/samples/bookinfo/networking/destination-rule-all.yaml")
	d := dump(t, spec)
	if len(d.routes) == 0 || len(d.clusters) == 0 || len(d.listeners) == 0 {
		t.Errorf("%d routes, %d clusters, %d listeners", len(d.routes), len(d.clusters), len(d.listeners))
	}
}

// TestSecrets: certificates are told, keys are not.
func TestSecrets(t *testing.T) {
	t.Parallel()
	spec := &router.Spec{
		Listeners: []*router.Listener{{Name: "0.0.0.0_443", Port: 443, Chains: []*router.Chain{{
			Name: "https", ServerNames: []string{"shop.example.com", "*"},
			TLS: &router.ServerTLS{
				Certificates: []router.Credential{{Secret: "shop/tls"}}, ClientAuth: router.RequireClientCertificate,
				Authorities: router.Authorities{Secrets: []string{"shop/tls-cacert"}}, SubjectAltNames: []string{"spiffe://a/b"}, MinVersion: 0x0303, Protocols: []string{"h2"},
			},
			Table: &router.RouteTable{Name: "https.443"},
		}}}},
		Secrets: []*router.Secret{{Name: "shop/tls", Certificate: []byte("CHAIN"), Key: router.Sensitive("GEHEIM"), CA: []byte("CA"), CRL: []byte("CRL")}},
	}
	if text := string(page(t, spec, "/config_dump?format=envoy")); strings.Contains(text, "GEHEIM") || strings.Contains(text, "R0VIRUlN") {
		t.Error("a key is told")
	}
	d := dump(t, spec)
	if s := d.secrets["kubernetes://shop/tls"].GetTlsCertificate(); string(s.GetCertificateChain().GetInlineBytes()) != "CHAIN" || string(s.GetPrivateKey().GetInlineBytes()) != "[redacted]" {
		t.Errorf("secret %v", s)
	}
	if s := d.secrets["kubernetes://shop/tls-cacert"].GetValidationContext(); string(s.GetTrustedCa().GetInlineBytes()) != "CA" {
		t.Errorf("authorities %v", s)
	}
	chain := d.listeners["0.0.0.0_443"].GetFilterChains()[0]
	into(t, chain.GetTransportSocket().GetTypedConfig(), func(tls *tlsv3.DownstreamTlsContext) {
		if !tls.GetRequireClientCertificate().GetValue() || tls.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs()[0].GetName() != "kubernetes://shop/tls" {
			t.Errorf("TLS %v", tls)
		}
	})
	if names := chain.GetFilterChainMatch().GetServerNames(); !slices.Equal(names, []string{"shop.example.com"}) {
		t.Errorf("server names %v", names)
	}
}

func TestClusters(t *testing.T) {
	t.Parallel()
	spec := compile(t, gateway, "testdata/mesh.yaml")
	var c adminv3.Clusters
	decode(t, page(t, spec, "/clusters?format=json"), &c)
	if len(c.GetClusterStatuses()) != len(spec.Clusters) {
		t.Fatalf("%d clusters", len(c.GetClusterStatuses()))
	}
	for _, s := range c.GetClusterStatuses() {
		if s.GetName() != "outbound|80||web.shop.svc.cluster.local" {
			continue
		}
		h := s.GetHostStatuses()
		if len(h) != 2 || h[0].GetHealthStatus().GetFailedOutlierCheck() || !h[1].GetHealthStatus().GetFailedOutlierCheck() || h[0].GetWeight() != 3 || h[1].GetPriority() != 1 {
			t.Errorf("hosts %v", h)
		}
		return
	}
	t.Error("the cluster is not there")
}
