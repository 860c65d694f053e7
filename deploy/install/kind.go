package install

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// kind is a kind of objects that can be installed. There is a list of them, since asking the
// API server what it has takes a library that is as big as the rest of what does it.
type kind struct {
	group, version, name, plural string
	cluster                      bool
	// optional: not every cluster has it.
	optional bool
}

// kinds are in the order in which a release's objects go: first what would make others anew.
// Namespaces and definitions come last, and only they are not a release's own.
var kinds = []kind{
	{group: "autoscaling", version: "v2", name: "HorizontalPodAutoscaler", plural: "horizontalpodautoscalers"},
	{group: "monitoring.coreos.com", version: "v1", name: "ServiceMonitor", plural: "servicemonitors", optional: true},
	{group: "apps", version: "v1", name: "Deployment", plural: "deployments"},
	{group: "apps", version: "v1", name: "DaemonSet", plural: "daemonsets"},
	{group: "policy", version: "v1", name: "PodDisruptionBudget", plural: "poddisruptionbudgets"},
	{version: "v1", name: "Service", plural: "services"},
	{group: "networking.k8s.io", version: "v1", name: "IngressClass", plural: "ingressclasses", cluster: true},
	{group: "rbac.authorization.k8s.io", version: "v1", name: "RoleBinding", plural: "rolebindings"},
	{group: "rbac.authorization.k8s.io", version: "v1", name: "ClusterRoleBinding", plural: "clusterrolebindings", cluster: true},
	{group: "rbac.authorization.k8s.io", version: "v1", name: "Role", plural: "roles"},
	{group: "rbac.authorization.k8s.io", version: "v1", name: "ClusterRole", plural: "clusterroles", cluster: true},
	{version: "v1", name: "ServiceAccount", plural: "serviceaccounts"},
	namespaceKind,
	definitionKind,
}

var (
	namespaceKind  = kind{version: "v1", name: "Namespace", plural: "namespaces", cluster: true}
	definitionKind = kind{group: "apiextensions.k8s.io", version: "v1", name: "CustomResourceDefinition", plural: "customresourcedefinitions", cluster: true}
)

func (k kind) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.group, Version: k.version, Resource: k.plural}
}

// resource returns where the API server has objects of an object's kind.
func (c *Cluster) resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	is := o.GroupVersionKind()
	for _, k := range kinds {
		if is.Group != k.group || is.Version != k.version || is.Kind != k.name {
			continue
		}
		if k.cluster {
			return c.dynamic.Resource(k.resource()), nil
		}
		return c.dynamic.Resource(k.resource()).Namespace(o.GetNamespace()), nil
	}
	return nil, fmt.Errorf("%s: it is not known how to install objects of %s", describe(o), is)
}
