package kube

import (
	"slices"
	"strings"

	"github.com/sluicegate/sluice/config"
)

// resource is a kind of objects, and what is kept of each.
type resource struct {
	// group, name and kind are as the API has them: networking.istio.io, gateways, Gateway.
	group, name, kind string
	// versions are those that can be read, the best first.
	versions []string
	// cluster: objects of the kind have no namespace.
	cluster bool
	// metadataOnly asks the API server for nothing but metadata.
	metadataOnly bool
	// annotations and owners are kept; statuses are written, so that an object's identity is.
	annotations, owners, statuses bool
	// urgent changes are handed on at once.
	urgent bool
	// labels says which labels are kept; nil for all.
	labels func(key string) bool
	// without says what follows where the kind may not be read, for kinds that a proxy can do
	// without; empty for the others.
	without string
	// keep is what is kept beside the metadata.
	keep keep
}

const (
	istioNetworking = "networking.istio.io"
	istioTelemetry  = "telemetry.istio.io"
	ingresses       = "networking.k8s.io"
	endpointSlices  = "discovery.k8s.io"
)

var (
	istioVersions     = []string{"v1", "v1beta1", "v1alpha3"}
	telemetryVersions = []string{"v1", "v1alpha1"}
	stable            = []string{"v1"}
)

// resources are the kinds that are watched in every namespace that is.
var resources = slices.Concat(
	[]*resource{
		istio(istioNetworking, "gateways", "Gateway", istioVersions),
		istio(istioNetworking, "virtualservices", "VirtualService", istioVersions),
		istio(istioNetworking, "destinationrules", "DestinationRule", istioVersions),
		istio(istioNetworking, "serviceentries", "ServiceEntry", istioVersions),
		istio(istioNetworking, "workloadentries", "WorkloadEntry", istioVersions),
		istio(istioNetworking, "sidecars", "Sidecar", istioVersions),
		istio(istioTelemetry, "telemetries", "Telemetry", telemetryVersions),
		{group: ingresses, name: "ingresses", kind: "Ingress", versions: stable, annotations: true, statuses: true, keep: keep{"spec": all}},
		{group: ingresses, name: "ingressclasses", kind: "IngressClass", versions: stable, annotations: true, cluster: true, keep: keep{"spec": all}},
		{name: "services", kind: "Service", versions: stable, annotations: true, keep: keep{"spec": {
			"ports": all, "selector": all, "clusterIP": all, "type": all, "externalName": all,
			"publishNotReadyAddresses": all, "ipFamilies": all,
		}}},
		{group: endpointSlices, name: "endpointslices", kind: "EndpointSlice", versions: stable, urgent: true, keep: keep{
			"addressType": all,
			"ports":       all,
			"endpoints": {
				"addresses": all, "conditions": all, "zone": all,
				"targetRef": {"kind": all, "namespace": all, "name": all},
			},
		}},
	},
)

var (
	// podMetadata is Pod for its labels and owners.
	podMetadata = &resource{name: "pods", kind: "Pod", versions: stable, metadataOnly: true, owners: true, keep: keep{}}
	// pod is Pod for its address and ports too.
	pod = &resource{name: "pods", kind: "Pod", versions: stable, owners: true, keep: keep{
		"spec":   {"containers": {"ports": {"name": all, "containerPort": all}}},
		"status": {"phase": all, "podIP": all, "conditions": {"type": all, "status": all}},
	}}
	secret = &resource{name: "secrets", kind: "Secret", versions: stable, keep: keep{"type": all, "data": all}}
	// namespace is for the labels by which Options.Selector chooses.
	namespace = &resource{name: "namespaces", kind: "Namespace", versions: stable, cluster: true, metadataOnly: true, keep: keep{}}
	// node is for the labels that say where it is.
	node = &resource{name: "nodes", kind: "Node", versions: stable, cluster: true, metadataOnly: true, keep: keep{}, labels: isTopology,
		without: "it is not known where proxies and endpoints are, and those that are near do not go first; --locality tells where this proxy is"}
	// configMap is for the one with the mesh's configuration.
	configMap = &resource{name: "configmaps", kind: "ConfigMap", versions: stable, keep: keep{"data": {"mesh": all}},
		without: "the mesh's configuration has no effect"}
)

// isTopology tells the labels by which nodes say where they are.
func isTopology(key string) bool {
	return strings.HasPrefix(key, "topology.kubernetes.io/") || key == "topology.istio.io/subzone"
}

func istio(group, name, kind string, versions []string) *resource {
	return &resource{group: group, name: name, kind: kind, versions: versions, annotations: true, statuses: true, keep: keep{"spec": all}}
}

// apiVersion is the resource's group and version as manifests write it.
func (r *resource) apiVersion(version string) string {
	if r.group == "" {
		return version
	}
	return r.group + "/" + version
}

// path is where a version of the resource is served, in a namespace or, for "", in all.
func (r *resource) path(version, namespace string) string {
	path := "/api/" + version
	if r.group != "" {
		path = "/apis/" + r.group + "/" + version
	}
	if namespace != "" && !r.cluster {
		path += "/namespaces/" + namespace
	}
	return path + "/" + r.name
}

// key is that of an object of the kind.
func (r *resource) key(namespace, name string) config.Key {
	return config.Key{Group: r.group, Kind: r.kind, Namespace: namespace, Name: name}
}

// String is the resource as kubectl takes it.
func (r *resource) String() string {
	if r.group == "" {
		return r.name
	}
	return r.name + "." + r.group
}
