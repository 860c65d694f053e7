package forward

import (
	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

// Cluster returns a look at one cluster's endpoints, and whether there is such a cluster.
func (e *Engine) Cluster(name string) (upstream.ClusterStatus, bool) {
	if c := e.snapshot.Load().byName(name); c != nil {
		return c.Status(), true
	}
	return upstream.ClusterStatus{}, false
}

// cluster returns that of an exchange's destination, or nil.
func (s *snapshot) cluster(ex *proxy.Exchange) *upstream.Cluster {
	if ex.Destination == nil {
		return nil
	}
	return s.named(ex.Destination.Cluster)
}

// named returns the cluster that a reference of the snapshot's table means, or nil.
func (s *snapshot) named(ref router.ClusterRef) *upstream.Cluster {
	if ref.ID < 0 || ref.ID >= len(s.clusters) {
		return nil
	}
	return s.clusters[ref.ID]
}

// byName returns the cluster at work of that name, or nil.
func (s *snapshot) byName(name string) *upstream.Cluster {
	for _, c := range s.clusters {
		if c != nil && c.Spec.Name == name {
			return c
		}
	}
	return nil
}
