package envoy

import (
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// assignment is envoy.config.endpoint.v3.ClusterLoadAssignment: a cluster's endpoints by
// locality and priority.
func assignment(c *Cluster) object {
	type place struct {
		locality string
		priority int
	}
	var order []place
	groups := make(map[place][]object)
	for _, h := range c.Hosts {
		at := place{h.Locality, h.Priority}
		if groups[at] == nil {
			order = append(order, at)
		}
		endpoint := object{"endpoint": object{"address": address(h.Address)}, "health_status": "HEALTHY"}
		if !h.Healthy {
			endpoint["health_status"] = "UNHEALTHY"
		}
		if h.Weight > 0 {
			endpoint["load_balancing_weight"] = h.Weight
		}
		groups[at] = append(groups[at], endpoint)
	}
	a := object{"cluster_name": c.Name}
	var list []object
	for _, at := range order {
		group := object{"lb_endpoints": groups[at]}
		put(group, "locality", locality(at.locality))
		if at.priority > 0 {
			group["priority"] = at.priority
		}
		list = append(list, group)
	}
	put(a, "endpoints", list)
	return a
}

// locality is envoy.config.core.v3.Locality.
func locality(s string) object {
	if s == "" {
		return nil
	}
	o := object{}
	for i, part := range strings.SplitN(s, "/", 3) {
		put(o, [...]string{"region", "zone", "sub_zone"}[i], part)
	}
	return o
}

// Clusters returns envoy.admin.v3.Clusters: the states of clusters and of their endpoints. spec
// is what is configured, nil for nothing.
func Clusters(spec *router.Spec, states []Cluster) any {
	configured := make(map[string]*router.Cluster)
	if spec != nil {
		for _, c := range spec.Clusters {
			configured[c.Name] = c
		}
	}
	list := make([]object, len(states))
	for i, c := range states {
		status := object{"name": c.Name, "added_via_api": true, "observability_name": c.Name}
		if conf := configured[c.Name]; conf != nil {
			put(status, "circuit_breakers", breakers(&conf.Pool))
			if conf.Resolution == router.ResolutionStatic {
				status["eds_service_name"] = c.Name
			}
		}
		hosts := make([]object, len(c.Hosts))
		for j := range c.Hosts {
			hosts[j] = hostStatus(&c.Hosts[j])
		}
		put(status, "host_statuses", hosts)
		list[i] = status
	}
	return object{"cluster_statuses": list}
}

// hostStatus is envoy.admin.v3.HostStatus.
func hostStatus(h *Host) object {
	health := object{"eds_health_status": "HEALTHY"}
	if !h.Healthy {
		health["failed_outlier_check"] = true
	}
	gauge := func(name string, n int64) object {
		return object{"name": name, "value": strconv.FormatInt(n, 10), "type": "GAUGE"}
	}
	counter := func(name string, n uint64) object {
		return object{"name": name, "value": strconv.FormatUint(n, 10)}
	}
	weight := max(h.Weight, 1)
	status := object{
		"address": address(h.Address), "health_status": health, "weight": weight,
		"stats": []object{
			gauge("cx_active", h.Open), counter("cx_connect_fail", h.ConnectFailures), counter("cx_total", h.Connects),
			gauge("rq_active", h.Active), counter("rq_error", h.Failures), counter("rq_success", h.Requests-min(h.Failures, h.Requests)),
			counter("rq_timeout", 0), counter("rq_total", h.Requests),
		},
	}
	put(status, "hostname", h.Name)
	put(status, "locality", locality(h.Locality))
	if h.Priority > 0 {
		status["priority"] = h.Priority
	}
	return status
}
