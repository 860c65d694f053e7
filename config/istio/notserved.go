package istio

import (
	"cmp"
	"fmt"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// notServed says which parts of a rule's traffic policies this version does without.
func (r *destinationRule) notServed() []config.Condition {
	u := &unserved{object: r.object}
	u.level("trafficPolicy", r.spec.TrafficPolicy, nil)
	for i, s := range r.spec.Subsets {
		u.level(fmt.Sprintf("subsets[%d].trafficPolicy", i), s.TrafficPolicy, r.spec.TrafficPolicy.GetOutlierDetection())
	}
	return u.found
}

// unserved gathers the parts of one object that are not served.
type unserved struct {
	object *config.Object
	found  []config.Condition
}

func (u *unserved) note(there bool, severity config.Severity, field, message string) {
	if there {
		u.found = append(u.found, newCondition(severity, PolicyNotServed, u.object, field, message))
	}
}

// level looks at the policy of a host, or of a subset, which inherits outlier detection.
func (u *unserved) level(at string, p *networking.TrafficPolicy, inherited *networking.OutlierDetection) {
	if p == nil {
		return
	}
	u.blocks(at, p.Tls, p.ConnectionPool)
	u.balancer(at+".loadBalancer", p.LoadBalancer, cmp.Or(p.OutlierDetection, inherited))
	for i, s := range p.PortLevelSettings {
		port := fmt.Sprintf("%s.portLevelSettings[%d]", at, i)
		u.blocks(port, s.Tls, s.ConnectionPool)
		u.balancer(port+".loadBalancer", s.LoadBalancer, s.OutlierDetection)
	}
	u.note(p.ProxyProtocol != nil, config.Warning, at+".proxyProtocol", "this version sends no PROXY header: an upstream that insists on one refuses the connection")
	u.note(p.Tunnel != nil, config.Info, at+".tunnel", "tunnels are for TCP and TLS routes, which this version does not serve: it has no effect")
}

func (u *unserved) blocks(at string, tls *networking.ClientTLSSettings, pool *networking.ConnectionPoolSettings) {
	u.note(tls != nil && tls.Mode != networking.ClientTLSSettings_DISABLE, config.Warning, at+".tls",
		"this version does not encrypt connections to upstreams: requests go in plain text. Write mode: DISABLE where that is meant")
	u.http2(at+".connectionPool.http", pool.GetHttp())
}

func (u *unserved) balancer(at string, lb *networking.LoadBalancerSettings, outlier *networking.OutlierDetection) {
	u.note(lb.GetZoneAwareLbSetting() != nil, config.Warning, at+".zoneAwareLbSetting",
		"this version does not weigh zones against each other: write localityLbSetting to prefer those nearby")
	u.note(len(lb.GetLocalityLbSetting().GetDistribute()) > 0 && outlier == nil, config.Warning, at+".localityLbSetting.distribute",
		"this version tells localities apart where there is outlierDetection: add it to the same policy")
}

// http2 is about HTTP/2, which this version does not speak to upstreams.
func (u *unserved) http2(at string, http *networking.ConnectionPoolSettings_HTTPSettings) {
	const message = "this version speaks HTTP/1.1 to upstreams: it has no effect"
	u.note(http.GetH2UpgradePolicy() == networking.ConnectionPoolSettings_HTTPSettings_UPGRADE, config.Warning, at+".h2UpgradePolicy", message)
	u.note(http.GetUseClientProtocol(), config.Info, at+".useClientProtocol", message)
	u.note(http.GetMaxConcurrentStreams() != 0, config.Info, at+".maxConcurrentStreams", message)
	u.note(http.GetHttp2KeepAlive() != nil, config.Info, at+".http2KeepAlive", message)
}
