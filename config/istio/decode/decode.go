package decode

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/yaml"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/sluicegate/sluice/config"
)

// Decode returns o as the Go type of its kind: *networkingv1.Gateway,
// VirtualService, DestinationRule, ServiceEntry, WorkloadEntry or Sidecar;
// *corev1.Service, Endpoints, Pod or Namespace; *discoveryv1.EndpointSlice.
//
// It returns nil where an Error says why, and for kinds that are not served.
// The conditions carry o's key, file and line. It keeps nothing of o and may run
// on many goroutines.
func Decode(o *config.Object) (any, []config.Condition) {
	var typed any
	switch o.Group + "/" + o.Kind {
	case "networking.istio.io/Gateway":
		typed = &networkingv1.Gateway{}
	case "networking.istio.io/VirtualService":
		typed = &networkingv1.VirtualService{}
	case "networking.istio.io/DestinationRule":
		typed = &networkingv1.DestinationRule{}
	case "networking.istio.io/ServiceEntry":
		typed = &networkingv1.ServiceEntry{}
	case "networking.istio.io/WorkloadEntry":
		typed = &networkingv1.WorkloadEntry{}
	case "networking.istio.io/Sidecar":
		typed = &networkingv1.Sidecar{}
	case "/Service":
		typed = &corev1.Service{}
	case "/Endpoints":
		typed = &corev1.Endpoints{}
	case "/Pod":
		typed = &corev1.Pod{}
	case "/Namespace":
		typed = &corev1.Namespace{}
	case "discovery.k8s.io/EndpointSlice":
		typed = &discoveryv1.EndpointSlice{}
	default:
		return nil, nil
	}
	if err := yaml.Unmarshal(o.Manifest, typed); err != nil {
		return nil, []config.Condition{{Severity: config.Error, Reason: BadValue, Object: o.Key, Message: err.Error(), File: o.File, Line: o.Line}}
	}
	return typed, nil
}
