package istio

import (
	"cmp"
	"reflect"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// trafficPolicy is what holds for one port of a service, or of a subset of it.
type trafficPolicy struct {
	balancer *networking.LoadBalancerSettings
	pool     *networking.ConnectionPoolSettings
	outlier  *networking.OutlierDetection
	tls      *networking.ClientTLSSettings
	// Ports have none of their own.
	budget *networking.TrafficPolicy_RetryBudget
	header *networking.TrafficPolicy_ProxyProtocol
}

// trafficPolicyFor overlays the traffic policies of a service and of a subset for a
// port. A block that the subset sets replaces the one above it as a whole. Settings for
// a port replace those of their level as a set: what they leave out is the default
// again. The retry budget and the PROXY header, which ports have none of, are not
// concerned by them.
func trafficPolicyFor(top, sub *networking.TrafficPolicy, port uint16) trafficPolicy {
	p := ofLevel(top, port)
	if forPort(sub, port) != nil {
		own := ofLevel(sub, port)
		own.budget = cmp.Or(own.budget, p.budget)
		own.header = cmp.Or(own.header, p.header)
		return own
	}
	own := ofLevel(sub, port)
	return trafficPolicy{
		balancer: cmp.Or(own.balancer, p.balancer),
		pool:     cmp.Or(own.pool, p.pool),
		outlier:  cmp.Or(own.outlier, p.outlier),
		tls:      cmp.Or(own.tls, p.tls),
		budget:   cmp.Or(own.budget, p.budget),
		header:   cmp.Or(own.header, p.header),
	}
}

// ofLevel returns what one level says of a port.
func ofLevel(p *networking.TrafficPolicy, port uint16) trafficPolicy {
	if s := forPort(p, port); s != nil {
		return trafficPolicy{s.LoadBalancer, s.ConnectionPool, s.OutlierDetection, s.Tls, p.RetryBudget, p.ProxyProtocol}
	}
	return trafficPolicy{
		p.GetLoadBalancer(), p.GetConnectionPool(), p.GetOutlierDetection(), p.GetTls(), p.GetRetryBudget(), p.GetProxyProtocol(),
	}
}

func forPort(p *networking.TrafficPolicy, port uint16) *networking.TrafficPolicy_PortTrafficPolicy {
	for _, s := range p.GetPortLevelSettings() {
		if s.GetPort().GetNumber() == uint32(port) {
			return s
		}
	}
	return nil
}

// trafficPolicyOf returns the policy of a cluster of a service.
func (c *clusters) trafficPolicyOf(p *policy, key clusterKey) trafficPolicy {
	if p == nil {
		return trafficPolicy{}
	}
	of, _ := p.subset(key.subset)
	return trafficPolicyFor(p.traffic, of.Subset.GetTrafficPolicy(), key.port)
}

// picksByHash says whether the endpoints of a cluster are picked by a hash of the
// request.
func (c *clusters) picksByHash(key clusterKey) bool {
	s, policy, why := c.resolve(key)
	return s != nil && why.reason == "" && compileHash(c.trafficPolicyOf(policy, key).balancer.GetConsistentHash()) != nil
}

// apply sets a cluster's policies, but for its TLS. place is where this proxy is.
func (t *trafficPolicy) apply(built *router.Cluster, place *place) {
	applyBalancer(built, t.balancer)
	built.Pool = compilePool(t.pool)
	built.Pool.Budget = compileBudget(t.budget)
	built.ConnectTimeout = t.pool.GetTcp().GetConnectTimeout().AsDuration()
	built.Outlier = compileOutlier(t.outlier)
	built.Locality = place.compile(t.balancer.GetLocalityLbSetting(), built.Outlier != nil)
	built.Protocol = compileProtocol(built.Protocol, t.pool.GetHttp(), t.tls.GetMode())
	built.HTTP2 = compileHTTP2(t.pool.GetHttp())
	built.ProxyProtocol = compileProxyProtocol(t.header)
}

// keepPolicies gives a cluster the policies that it had before where they are the same.
func keepPolicies(built, before *router.Cluster) {
	keep(&built.Hash, before.Hash)
	keep(&built.Outlier, before.Outlier)
	keep(&built.Warmup, before.Warmup)
	keep(&built.Locality, before.Locality)
	keep(&built.Pool.Budget, before.Pool.Budget)
	keep(&built.TLS, before.TLS)
}

func keep[T any](now **T, before *T) {
	if *now != nil && before != nil && reflect.DeepEqual(*now, before) {
		*now = before
	}
}
