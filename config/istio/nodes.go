package istio

import (
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config/istio/kube"
)

// nodes say where things run: the proxy's own where the proxy is, and all of them in which
// region a zone is, of which an EndpointSlice tells no more than its name.
type nodes struct {
	// own is the name of the proxy's.
	own string
	// byName are the labels of each.
	byName map[string]map[string]string
	// changed says that the place is to be worked out anew.
	changed bool
}

// takeNode takes a Node.
func (c *Compiler) takeNode(ch change) {
	if n, ok := ch.typed.(*kube.Node); ok {
		c.nodes.byName[ch.key.Name] = n.Labels
	} else {
		delete(c.nodes.byName, ch.key.Name)
	}
	c.nodes.changed = true
}

// settleNodes has the clusters built anew where Nodes say something else than before of where
// the proxy and its endpoints are.
func (c *Compiler) settleNodes() {
	if !c.nodes.changed {
		return
	}
	c.nodes.changed = false
	locality, regions := c.options.Locality, c.nodes.regions()
	if labels := c.nodes.byName[c.nodes.own]; locality == "" && labels != nil {
		locality = localityOf(labels)
	}
	if locality == c.place.locality && maps.Equal(regions, c.place.regions) {
		return
	}
	c.place.locality, c.place.regions = locality, regions
	c.clusters.allChanged()
}

// regions are those of the zones. Where nodes differ, the first by name is right.
func (n *nodes) regions() map[string]string {
	regions := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(n.byName)) {
		labels := n.byName[name]
		if zone := labels[topologyLabels[1]]; zone != "" && regions[zone] == "" {
			regions[zone] = labels[topologyLabels[0]]
		}
	}
	return regions
}

// localityOf returns the locality that labels tell, "region/zone/subzone" without the end that
// they do not tell.
func localityOf(labels map[string]string) string {
	parts := make([]string, len(topologyLabels))
	for i, name := range topologyLabels {
		parts[i] = labels[name]
	}
	return strings.TrimRight(strings.Join(parts, "/"), "/")
}

// looksAtRegions says whether it matters to a rule in which region an endpoint is.
func (p *place) looksAtRegions(spec *networking.DestinationRule) bool {
	matters := func(outlier *networking.OutlierDetection, setting *networking.LocalityLoadBalancerSetting) bool {
		return p.compile(setting, outlier != nil) != nil
	}
	far := func(p *networking.TrafficPolicy) bool {
		return p != nil && (matters(p.OutlierDetection, p.GetLoadBalancer().GetLocalityLbSetting()) ||
			slices.ContainsFunc(p.PortLevelSettings, func(port *networking.TrafficPolicy_PortTrafficPolicy) bool {
				return matters(port.OutlierDetection, port.GetLoadBalancer().GetLocalityLbSetting())
			}))
	}
	return far(spec.TrafficPolicy) || slices.ContainsFunc(spec.Subsets, func(s *networking.Subset) bool { return far(s.TrafficPolicy) })
}
