package istio

import (
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// place is where this proxy is: its locality, and the labels of its workload.
type place struct {
	locality string
	labels   map[string]string
	// regions are those of zones, as far as they are known.
	regions map[string]string
}

// compile returns how locality decides among a cluster's endpoints, nil where it does
// not: without outlier detection nothing counts as failed. With it, failover to what is
// nearest is on unless it is turned off.
func (p *place) compile(in *networking.LocalityLoadBalancerSetting, outlier bool) *router.Locality {
	switch {
	case !outlier, in.GetEnabled() != nil && !in.Enabled.Value:
		return nil
	case len(in.GetDistribute()) > 0:
		return p.distribute(in.Distribute)
	case p.locality == "" && len(in.GetFailoverPriority()) == 0:
		return nil
	}
	out := &router.Locality{Own: p.locality}
	for _, label := range in.GetFailoverPriority() {
		if !strings.Contains(label, "=") {
			label += "=" + p.label(label)
		}
		out.FailoverPriority = append(out.FailoverPriority, label)
	}
	region, _, _ := strings.Cut(p.locality, "/")
	for _, f := range in.GetFailover() {
		if f.From == region {
			out.Failover = append(out.Failover, router.LocalityFailover{From: f.From, To: f.To})
		}
	}
	return out
}

// distribute returns the shares for callers where this proxy is, nil where the rules
// say nothing of it. The first rule that does counts.
func (p *place) distribute(rules []*networking.LocalityLoadBalancerSetting_Distribute) *router.Locality {
	for _, rule := range rules {
		if !localityMatches(rule.From, p.locality) {
			continue
		}
		out := &router.Locality{Own: p.locality}
		for _, to := range slices.Sorted(maps.Keys(rule.To)) {
			out.Distribute = append(out.Distribute, router.LocalityShare{Locality: to, Percent: rule.To[to]})
		}
		return out
	}
	return nil
}

// localityMatches compares a locality with a pattern, part by part; "*" and what is left
// out stand for any.
func localityMatches(pattern, locality string) bool {
	have := strings.SplitN(locality+"//", "/", 3)
	have[2] = strings.TrimRight(have[2], "/")
	for i, want := range strings.SplitN(pattern, "/", 3) {
		if want != "*" && want != have[i] && (want != "" || i == 0) {
			return false
		}
	}
	return true
}

// label returns one of the proxy's labels. Those of its topology are the parts of its
// locality where it has none.
func (p *place) label(name string) string {
	if value, ok := p.labels[name]; ok {
		return value
	}
	parts := strings.SplitN(p.locality, "/", 3)
	if i := slices.Index(topologyLabels, name); i >= 0 && i < len(parts) {
		return parts[i]
	}
	return ""
}

// inZone returns the locality of an endpoint of which Kubernetes only says the zone. Its
// region is that of the nodes in it. Where nothing is known of them, a zone has the region of
// this proxy where it is this proxy's; else its region is left open.
func (p *place) inZone(zone string) string {
	if region := p.regions[zone]; region != "" {
		return region + "/" + zone
	}
	region, rest, _ := strings.Cut(p.locality, "/")
	if own, _, _ := strings.Cut(rest, "/"); own != zone {
		region = ""
	}
	return region + "/" + zone
}

// topologyLabels are the labels that stand for the parts of a locality, in order.
var topologyLabels = []string{"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"}
