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
	u.balancer(at+".loadBalancer", p.LoadBalancer, cmp.Or(p.OutlierDetection, inherited))
	for i, s := range p.PortLevelSettings {
		port := fmt.Sprintf("%s.portLevelSettings[%d]", at, i)
		u.balancer(port+".loadBalancer", s.LoadBalancer, s.OutlierDetection)
	}
	u.note(p.Tunnel != nil, config.Warning, at+".tunnel", "this version makes no tunnels: connections go straight to the destination")
}

func (u *unserved) balancer(at string, lb *networking.LoadBalancerSettings, outlier *networking.OutlierDetection) {
	u.note(lb.GetZoneAwareLbSetting() != nil, config.Warning, at+".zoneAwareLbSetting",
		"this version does not weigh zones against each other: write localityLbSetting to prefer those nearby")
	u.note(len(lb.GetLocalityLbSetting().GetDistribute()) > 0 && outlier == nil, config.Warning, at+".localityLbSetting.distribute",
		"this version tells localities apart where there is outlierDetection: add it to the same policy")
}
