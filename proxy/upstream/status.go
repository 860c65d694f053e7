package upstream

import "github.com/sluicegate/sluice/router"

// ClusterStatus is a look at a cluster's state.
type ClusterStatus struct {
	Name string `json:"name"`
	// Balancer is how an endpoint is picked, as Envoy names it: LEAST_REQUEST, ROUND_ROBIN,
	// RANDOM, RING_HASH, MAGLEV or CLUSTER_PROVIDED, which follows the request.
	Balancer  string           `json:"balancer"`
	Endpoints []EndpointStatus `json:"endpoints"`
	// Limits are what its policy bounds.
	Limits LimitsStatus `json:"limits"`
	// Retrying counts the retries in progress.
	Retrying int64 `json:"retrying"`
	// Stats are the cluster's numbers since the process began to serve it.
	Stats Stats `json:"stats"`
}

// EndpointStatus is a look at an endpoint's state.
type EndpointStatus struct {
	Address string `json:"address"`
	// Name is what the address was resolved from, with the port.
	Name string `json:"name,omitempty"`
	// Healthy is false while outlier detection keeps the endpoint out of use.
	Healthy bool   `json:"healthy"`
	Weight  uint32 `json:"weight"`
	// Active counts exchanges in progress, or that wait for a connection; Open
	// connections, Idle those of them that wait for an exchange; Pending exchanges for which
	// there is no room for a connection, or no free stream of one.
	Active  int64 `json:"active"`
	Open    int64 `json:"open"`
	Idle    int   `json:"idle"`
	Pending int64 `json:"pending"`
	// Requests counts exchanges, Failures those that got no whole response; Connects and
	// ConnectFailures count dials; Ejections how often outlier detection acted.
	Requests        uint64 `json:"requests"`
	Failures        uint64 `json:"failures"`
	Connects        uint64 `json:"connects"`
	ConnectFailures uint64 `json:"connectFailures"`
	Ejections       uint64 `json:"ejections"`
	HealthStatus
	BalanceStatus
}

// nameAfter adds the name that the endpoint stands on, if it does. One that a name stands
// for as a whole shows the address that is tried first.
func (s *EndpointStatus) nameAfter(e *Endpoint, spec *router.Endpoint) {
	if targets := e.targets.Load(); targets != nil {
		s.Address, s.Name = (*targets)[0], spec.Address
	} else if e.Address != spec.Address {
		s.Name = spec.Address
	}
}

// status returns a look at an endpoint.
func (c *Cluster) status(e *Endpoint, weight uint32) EndpointStatus {
	s := e.status(weight)
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	s.HealthStatus = e.healthStatus(c.Spec.Outlier)
	return s
}

// Status returns a look at the cluster and its endpoints.
func (c *Cluster) Status() ClusterStatus {
	c.state.mu.Lock()
	members, specs := c.members, c.specs
	c.state.mu.Unlock()
	s := ClusterStatus{
		Name: c.Spec.Name, Endpoints: make([]EndpointStatus, 0, len(members)),
		Limits: c.limits(), Retrying: c.state.retries.Load(),
	}
	if c.Spec.Resolution == router.ResolutionOriginal {
		for _, e := range c.state.all() {
			s.Endpoints = append(s.Endpoints, c.status(e, 1))
		}
	} else {
		for i, e := range members {
			s.Endpoints = append(s.Endpoints, c.status(e, max(specs[i].Weight, 1)))
			s.Endpoints[i].nameAfter(e, specs[i])
		}
	}
	c.describe(&s, members, specs)
	for i := range s.Stats {
		s.Stats[i] = uint64(max(c.state.counters[i].Load(), 0))
	}
	c.breakers(&s.Stats)
	for _, e := range s.Endpoints {
		s.Stats[MembershipTotal]++
		if e.Healthy {
			s.Stats[MembershipHealthy]++
		}
	}
	return s
}
