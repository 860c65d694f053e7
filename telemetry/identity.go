package telemetry

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
