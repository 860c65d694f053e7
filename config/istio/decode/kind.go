package decode

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/kube"
	"github.com/sluicegate/sluice/config/istio/resource"
)

const (
	istioNetworking = "networking.istio.io"
	istioSecurity   = "security.istio.io"
	istioTelemetry  = "telemetry.istio.io"
	istioExtensions = "extensions.istio.io"
	endpointSlices  = "discovery.k8s.io"
	gatewayAPI      = "gateway.networking.k8s.io"
)

// groupKind names a kind in any version.
type groupKind struct{ group, kind string }

// istioKinds are the kinds whose spec is a protocol buffer. The function returns a
// new object, and the parts of it to fill.
var istioKinds = map[string]func() (object any, types *kube.TypeMeta, meta *kube.ObjectMeta, spec proto.Message){
	"Gateway": func() (any, *kube.TypeMeta, *kube.ObjectMeta, proto.Message) {
		o := &resource.Gateway{}
		return o, &o.TypeMeta, &o.ObjectMeta, &o.Spec
	},
	"VirtualService": func() (any, *kube.TypeMeta, *kube.ObjectMeta, proto.Message) {
		o := &resource.VirtualService{}
		return o, &o.TypeMeta, &o.ObjectMeta, &o.Spec
	},
	"DestinationRule": func() (any, *kube.TypeMeta, *kube.ObjectMeta, proto.Message) {
		o := &resource.DestinationRule{}
		return o, &o.TypeMeta, &o.ObjectMeta, &o.Spec
	},
	"ServiceEntry": func() (any, *kube.TypeMeta, *kube.ObjectMeta, proto.Message) {
		o := &resource.ServiceEntry{}
		return o, &o.TypeMeta, &o.ObjectMeta, &o.Spec
	},
	"WorkloadEntry": func() (any, *kube.TypeMeta, *kube.ObjectMeta, proto.Message) {
		o := &resource.WorkloadEntry{}
		return o, &o.TypeMeta, &o.ObjectMeta, &o.Spec
	},
	"Sidecar": func() (any, *kube.TypeMeta, *kube.ObjectMeta, proto.Message) {
		o := &resource.Sidecar{}
		return o, &o.TypeMeta, &o.ObjectMeta, &o.Spec
	},
	"Telemetry": func() (any, *kube.TypeMeta, *kube.ObjectMeta, proto.Message) {
		o := &resource.Telemetry{}
		return o, &o.TypeMeta, &o.ObjectMeta, &o.Spec
	},
}

// istioAPI is the group of one of istioKinds, and the versions in which it is served, storage
// version first (customresourcedefinitions.gen.yaml of istio.io/api).
func istioAPI(kind string) (group string, versions []string) {
	if kind == "Telemetry" {
		return istioTelemetry, telemetryVersions
	}
	return istioNetworking, istioVersions
}

var (
	istioVersions     = []string{"v1", "v1beta1", "v1alpha3"}
	telemetryVersions = []string{"v1", "v1alpha1"}
)

// kubernetesKinds are the kinds that are plain Go structs.
var kubernetesKinds = map[groupKind]func() (object any, meta *kube.ObjectMeta){
	{"", "Service"}: func() (any, *kube.ObjectMeta) {
		o := &kube.Service{}
		return o, &o.ObjectMeta
	},
	{"", "Endpoints"}: func() (any, *kube.ObjectMeta) {
		//lint:ignore SA1019 deprecated for EndpointSlice, and still what people write by hand
		o := &kube.Endpoints{}
		return o, &o.ObjectMeta
	},
	{"", "Pod"}: func() (any, *kube.ObjectMeta) {
		o := &kube.Pod{}
		return o, &o.ObjectMeta
	},
	{"", "Namespace"}: func() (any, *kube.ObjectMeta) {
		o := &kube.Namespace{}
		return o, &o.ObjectMeta
	},
	{"", "Node"}: func() (any, *kube.ObjectMeta) {
		o := &kube.Node{}
		return o, &o.ObjectMeta
	},
	{endpointSlices, "EndpointSlice"}: func() (any, *kube.ObjectMeta) {
		o := &kube.EndpointSlice{}
		return o, &o.ObjectMeta
	},
}

// unserved is what to say of kinds that have no effect here though their authors
// surely expect one.
var unserved = map[groupKind]struct {
	severity config.Severity
	message  string
}{
	{istioSecurity, "AuthorizationPolicy"}:    {config.Warning, "it is not enforced: requests that it denies pass. Protect the workload by other means for now"},
	{istioSecurity, "PeerAuthentication"}:     {config.Warning, "it is not enforced: plaintext is accepted whatever it says. Protect the workload by other means for now"},
	{istioSecurity, "RequestAuthentication"}:  {config.Warning, "it is not enforced: tokens are not checked. Protect the workload by other means for now"},
	{istioNetworking, "EnvoyFilter"}:          {config.Warning, "it has no effect: there is no Envoy here to patch. Say it in another API, or remove it"},
	{istioExtensions, "WasmPlugin"}:           {config.Warning, "it has no effect: plugins are not run"},
	{istioExtensions, "TrafficExtension"}:     {config.Warning, "it has no effect: extensions are not run"},
	{istioNetworking, "WorkloadGroup"}:        {config.Info, "it has no effect: write a WorkloadEntry for each workload"},
	{istioNetworking, "ProxyConfig"}:          {config.Info, "it has no effect: proxies are set up by their flags"},
	{gatewayAPI, "Gateway"}:                   {config.Info, "the Kubernetes Gateway API is not served yet: write a Gateway of networking.istio.io"},
	{gatewayAPI, "GatewayClass"}:              {config.Info, "the Kubernetes Gateway API is not served yet"},
	{gatewayAPI, "HTTPRoute"}:                 {config.Info, "the Kubernetes Gateway API is not served yet: write a VirtualService"},
	{gatewayAPI, "GRPCRoute"}:                 {config.Info, "the Kubernetes Gateway API is not served yet: write a VirtualService"},
	{gatewayAPI, "TCPRoute"}:                  {config.Info, "the Kubernetes Gateway API is not served yet: write a VirtualService"},
	{gatewayAPI, "TLSRoute"}:                  {config.Info, "the Kubernetes Gateway API is not served yet: write a VirtualService"},
	{gatewayAPI, "ReferenceGrant"}:            {config.Info, "the Kubernetes Gateway API is not served yet"},
	{"install.istio.io", "IstioOperator"}:     {config.Info, "it has no effect: there is nothing of Istio to install"},
	{"authentication.istio.io", "Policy"}:     {config.Warning, "this API ended with Istio 1.6 and is not enforced: write a PeerAuthentication or a RequestAuthentication"},
	{"authentication.istio.io", "MeshPolicy"}: {config.Warning, "this API ended with Istio 1.6 and is not enforced: write a PeerAuthentication"},
	{"rbac.istio.io", "ServiceRole"}:          {config.Warning, "this API ended with Istio 1.6 and is not enforced: write an AuthorizationPolicy"},
	{"rbac.istio.io", "ServiceRoleBinding"}:   {config.Warning, "this API ended with Istio 1.6 and is not enforced: write an AuthorizationPolicy"},
}

// other returns what to say of an object whose kind is not decoded. Ordinary
// workload kinds, which nobody expects a gateway to read, get nothing.
func other(o *config.Object) []config.Condition {
	if u, ok := unserved[groupKind{o.Group, o.Kind}]; ok {
		return []config.Condition{{Severity: u.severity, Reason: NotServed, Message: u.message}}
	}
	group, versions := istioAPI(o.Kind)
	if _, ours := istioKinds[o.Kind]; ours && (o.Group == "" || nearest(o.Group, []string{group}) != "") && o.Group != group {
		message := fmt.Sprintf("no API that is served here has the kind %s in %q: write apiVersion: %s/%s", o.Kind, o.Group, group, versions[0])
		return []config.Condition{{Severity: config.Error, Reason: UnknownKind, Field: "apiVersion", Message: message}}
	}
	if o.Group != istioNetworking {
		return nil
	}
	kinds := make([]string, 0, len(istioKinds))
	for kind := range istioKinds {
		if group, _ := istioAPI(kind); group != o.Group {
			continue
		}
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	message := fmt.Sprintf("%s has no kind %q: write one of %s", o.Group, o.Kind, strings.Join(kinds, ", "))
	if near := nearest(o.Kind, kinds); near != "" {
		message = fmt.Sprintf("%s has no kind %q: did you mean %s?", o.Group, o.Kind, near)
	}
	return []config.Condition{{Severity: config.Error, Reason: UnknownKind, Field: "kind", Message: message}}
}
