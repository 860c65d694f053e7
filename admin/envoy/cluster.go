package envoy

import (
	"net"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// defaultConnect is how long a connection may take that nothing else is said about.
const defaultConnect = "10s"

var balancers = map[router.Balancer]string{
	router.LeastRequest: "LEAST_REQUEST", router.RoundRobin: "ROUND_ROBIN", router.Random: "RANDOM",
	router.RingHash: "RING_HASH", router.Maglev: "MAGLEV",
}

// cluster is envoy.config.cluster.v3.Cluster.
func cluster(c *router.Cluster) object {
	o := object{"name": c.Name, "lb_policy": balancers[c.Balancer], "connect_timeout": defaultConnect}
	if c.ConnectTimeout > 0 {
		o["connect_timeout"] = duration(c.ConnectTimeout)
	}
	switch c.Resolution {
	case router.ResolutionOriginal:
		o["type"], o["lb_policy"] = "ORIGINAL_DST", "CLUSTER_PROVIDED"
	case router.ResolutionStatic:
		o["type"] = "EDS"
		o["eds_cluster_config"] = object{"eds_config": object{"ads": object{}, "resource_api_version": "V3"}, "service_name": c.Name}
	default:
		o["type"] = map[router.Resolution]string{router.ResolutionDNS: "STRICT_DNS", router.ResolutionLogicalDNS: "LOGICAL_DNS"}[c.Resolution]
		o["load_assignment"] = names(c)
	}
	put(o, "circuit_breakers", breakers(&c.Pool))
	put(o, "outlier_detection", outlier(c.Outlier))
	put(o, "metadata", clusterMetadata(c))
	if c.TLS != nil {
		o["transport_socket"] = clientTLS(c.TLS)
	}
	return o
}

// names are the endpoints of a cluster that are resolved.
func names(c *router.Cluster) object {
	var hosts []object
	for _, e := range c.Endpoints {
		hosts = append(hosts, object{"endpoint": object{"address": address(e.Address)}})
	}
	a := object{"cluster_name": c.Name}
	if len(hosts) > 0 {
		a["endpoints"] = []object{{"lb_endpoints": hosts}}
	}
	return a
}

func breakers(p *router.Pool) object {
	t := object{}
	for name, n := range map[string]int{
		"max_connections": p.MaxConnections, "max_pending_requests": p.MaxPending, "max_requests": p.MaxRequests, "max_retries": p.MaxRetries,
	} {
		if n > 0 {
			t[name] = n
		}
	}
	if len(t) == 0 {
		return nil
	}
	return object{"thresholds": []object{t}}
}

func outlier(o *router.Outlier) object {
	if o == nil {
		return nil
	}
	d := object{"max_ejection_percent": o.MaxEjectionPercent, "split_external_local_origin_errors": o.SplitLocal}
	for name, n := range map[string]int{
		"consecutive_5xx": o.Consecutive5xx, "consecutive_gateway_failure": o.ConsecutiveGateway, "consecutive_local_origin_failure": o.ConsecutiveLocal,
	} {
		if n > 0 {
			d[name] = n
		}
	}
	if o.Interval > 0 {
		d["interval"] = duration(o.Interval)
	}
	if o.BaseEjection > 0 {
		d["base_ejection_time"] = duration(o.BaseEjection)
	}
	return d
}

// clusterMetadata says, under the names that Istio uses, which rule and services it belongs to.
func clusterMetadata(c *router.Cluster) object {
	istio := object{}
	if c.Origin.Kind == "DestinationRule" {
		istio["config"] = configPath(c.Origin)
	}
	if c.Service.Host != "" {
		istio["services"] = []object{{"host": c.Service.Host, "name": c.Service.Name, "namespace": c.Service.Namespace}}
	}
	if c.Subset != "" {
		istio["subset"] = c.Subset
	}
	if len(istio) == 0 {
		return nil
	}
	return object{"filter_metadata": object{"istio": istio}}
}

// groups are the API groups and versions in the paths that Istio's metadata has, by kind.
var groups = map[string]string{
	"VirtualService": "networking.istio.io/v1", "DestinationRule": "networking.istio.io/v1", "Gateway": "networking.istio.io/v1",
	"ServiceEntry": "networking.istio.io/v1", "Ingress": "networking.k8s.io/v1",
}

// configPath is where an object is found, as Istio's metadata has it:
// "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews".
func configPath(o router.Origin) string {
	var kind strings.Builder
	for i, r := range o.Kind {
		if i > 0 && r >= 'A' && r <= 'Z' {
			kind.WriteByte('-')
		}
		kind.WriteRune(r)
	}
	group := groups[o.Kind]
	if group == "" {
		group = "v1"
	}
	return "/apis/" + group + "/namespaces/" + o.Namespace + "/" + strings.ToLower(kind.String()) + "/" + o.Name
}

// address is envoy.config.core.v3.Address.
func address(s string) object {
	if path, ok := strings.CutPrefix(s, "unix://"); ok {
		return object{"pipe": object{"path": path}}
	}
	s, datagrams := strings.CutSuffix(s, "/udp")
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host = s
	}
	n, _ := strconv.ParseUint(port, 10, 16)
	a := object{"address": host, "port_value": n}
	if datagrams {
		a["protocol"] = "UDP"
	}
	return object{"socket_address": a}
}
