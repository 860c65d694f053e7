package forward

import "github.com/sluicegate/sluice/proxy/upstream"

// Cluster returns a look at one cluster's endpoints, and whether there is such a cluster.
func (e *Engine) Cluster(name string) (upstream.ClusterStatus, bool) {
	for _, c := range e.snapshot.Load().clusters {
		if c != nil && c.Spec.Name == name {
			return c.Status(), true
		}
	}
	return upstream.ClusterStatus{}, false
}
