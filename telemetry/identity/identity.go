package identity

import (
	"cmp"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// Identity is who a proxy speaks for: the workload that it stands beside or, on a gateway, the
// gateway's own. Empty fields are not known.
type Identity struct {
	// Workload and Namespace are "productpage-v1" and "default".
	Workload, Namespace string
	// Labels are the workload's; app, version and the canonical names come from them.
	Labels map[string]string
	// ServiceAccount is the one that it runs as, TrustDomain the mesh's ("cluster.local").
	ServiceAccount, TrustDomain string
	// Cluster and Mesh are the ids of the Kubernetes cluster and of the mesh.
	Cluster, Mesh string
	// Node is the proxy's own id, "router~10.0.0.7~gateway-abc.istio-system~istio-system.svc.cluster.local".
	Node string
}

// Workload is one end of a call. Empty fields are not known. It is comparable.
type Workload struct {
	// Name and Namespace are "reviews-v1" and "default".
	Name, Namespace string
	// App and Version are those labels' values.
	App, Version string
	// CanonicalService and CanonicalRevision are what Istio groups workloads by.
	CanonicalService, CanonicalRevision string
	// Cluster is the id of the Kubernetes cluster.
	Cluster string
	// Principal is "spiffe://cluster.local/ns/default/sa/reviews".
	Principal string
}

// Own returns the proxy's own workload, as its peers shall see it.
func (i Identity) Own() Workload {
	w := fromLabels(i.Workload, i.Namespace, i.Labels)
	w.Cluster, w.Principal = i.Cluster, i.Principal()
	return w
}

// Principal returns the workload's SPIFFE id, empty where its parts are not all known.
func (i Identity) Principal() string {
	return principal(i.TrustDomain, i.Namespace, i.ServiceAccount)
}

// Endpoint returns the workload that an endpoint of a service in a namespace is known to be: one
// of the proxy's own cluster and trust domain. Where the configuration gives it labels alone (a
// WorkloadEntry), it is named by these: reviews-v1. ok is false where nothing is known of it.
func (i Identity) Endpoint(e *router.Endpoint, namespace string) (w Workload, ok bool) {
	if e == nil || e.Workload == "" && e.ServiceAccount == "" && len(e.Labels) == 0 {
		return Workload{}, false
	}
	name := e.Workload
	if before, after, found := strings.Cut(e.Workload, "/"); found {
		namespace, name = before, after
	}
	if name == "" {
		name = e.Labels["app"]
		if version := e.Labels["version"]; name != "" && version != "" {
			name += "-" + version
		}
	}
	w = fromLabels(name, namespace, e.Labels)
	w.Cluster = i.Cluster
	account := e.ServiceAccount
	if before, after, found := strings.Cut(account, "/"); found && !strings.Contains(account, "://") {
		namespace, account = before, after
	}
	w.Principal = principal(cmp.Or(i.TrustDomain, "cluster.local"), namespace, account)
	return w, true
}

func fromLabels(name, namespace string, labels map[string]string) Workload {
	return Workload{
		Name: name, Namespace: namespace,
		App: labels["app"], Version: labels["version"],
		CanonicalService:  cmp.Or(labels["service.istio.io/canonical-name"], labels["app.kubernetes.io/name"], labels["app"], name),
		CanonicalRevision: cmp.Or(labels["service.istio.io/canonical-revision"], labels["app.kubernetes.io/version"], labels["version"]),
	}
}

// principal returns a SPIFFE id; account may be one already.
func principal(domain, namespace, account string) string {
	switch {
	case strings.HasPrefix(account, "spiffe://"):
		return account
	case domain == "" || namespace == "" || account == "":
		return ""
	}
	return "spiffe://" + domain + "/ns/" + namespace + "/sa/" + account
}

// PrincipalNamespace returns the namespace in a SPIFFE id of Istio's form
// (spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT), empty where there is none.
func PrincipalNamespace(principal string) string {
	_, rest, found := strings.Cut(principal, "/ns/")
	if !found {
		return ""
	}
	namespace, _, _ := strings.Cut(rest, "/")
	return namespace
}
