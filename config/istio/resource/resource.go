// Package resource has the kinds of Istio's API as objects: metadata, and the specification of
// istio.io/api. The types of istio.io/client-go say the same, and bring the machinery of
// Kubernetes' clients into a program, a sixth of a sidecar.
//
// It must not know what the objects mean.
package resource

import (
	networking "istio.io/api/networking/v1alpha3"
	telemetry "istio.io/api/telemetry/v1alpha1"

	"github.com/sluicegate/sluice/config/istio/kube"
)

// Gateway is a Gateway of networking.istio.io.
type Gateway struct {
	kube.TypeMeta   `json:",inline"`
	kube.ObjectMeta `json:"metadata"`
	Spec            networking.Gateway `json:"spec"`
}

// VirtualService is a VirtualService of networking.istio.io.
type VirtualService struct {
	kube.TypeMeta   `json:",inline"`
	kube.ObjectMeta `json:"metadata"`
	Spec            networking.VirtualService `json:"spec"`
}

// DestinationRule is a DestinationRule of networking.istio.io.
type DestinationRule struct {
	kube.TypeMeta   `json:",inline"`
	kube.ObjectMeta `json:"metadata"`
	Spec            networking.DestinationRule `json:"spec"`
}

// ServiceEntry is a ServiceEntry of networking.istio.io.
type ServiceEntry struct {
	kube.TypeMeta   `json:",inline"`
	kube.ObjectMeta `json:"metadata"`
	Spec            networking.ServiceEntry `json:"spec"`
}

// WorkloadEntry is a WorkloadEntry of networking.istio.io.
type WorkloadEntry struct {
	kube.TypeMeta   `json:",inline"`
	kube.ObjectMeta `json:"metadata"`
	Spec            networking.WorkloadEntry `json:"spec"`
}

// Sidecar is a Sidecar of networking.istio.io.
type Sidecar struct {
	kube.TypeMeta   `json:",inline"`
	kube.ObjectMeta `json:"metadata"`
	Spec            networking.Sidecar `json:"spec"`
}

// Telemetry is a Telemetry of telemetry.istio.io.
type Telemetry struct {
	kube.TypeMeta   `json:",inline"`
	kube.ObjectMeta `json:"metadata"`
	Spec            telemetry.Telemetry `json:"spec"`
}
