package upstream

import (
	"slices"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// locality is a region, a zone in it, and a subzone in that.
type locality [3]string

func parseLocality(s string) (l locality) {
	for i := range l {
		l[i], s, _ = strings.Cut(s, "/")
	}
	return l
}

// matches tells whether a pattern such as "region/zone/*", "region" or "*" takes the
// locality.
func (l locality) matches(pattern string) bool {
	for i, part := range parseLocality(pattern) {
		if part != "*" && (part != "" || i == 0) && part != l[i] {
			return false
		}
	}
	return true
}

// distance is how many of the parts differ, from the first that does: 0 to 3.
func (l locality) distance(other locality) int {
	for i := range l {
		if l[i] != other[i] {
			return len(l) - i
		}
	}
	return 0
}

// localityKeys are the labels that stand for an endpoint's and a proxy's locality.
var localityKeys = [3]string{"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"}

// label returns a label, or what the locality says in its stead.
func label(labels map[string]string, l locality, name string) string {
	if v, ok := labels[name]; ok {
		return v
	}
	if i := slices.Index(localityKeys[:], name); i >= 0 {
		return l[i]
	}
	return ""
}

// localityActs tells whether locality has a say in a cluster's balancing.
func localityActs(spec *router.Cluster) bool { return spec.Locality != nil && spec.Outlier != nil }

// priorityOf returns an endpoint's priority, the lowest number first (Istio failover,
// failoverPriority). Numbers may be left out.
func priorityOf(l *router.Locality, e *router.Endpoint) int {
	labels := 0
	if comparesLabels(l) {
		labels = len(l.FailoverPriority) - sharedLabels(l, e)
	}
	if len(l.FailoverPriority) > 0 && len(l.Failover) == 0 || l.Own == "" {
		return labels
	}
	own, other := parseLocality(l.Own), parseLocality(e.Locality)
	distance := own.distance(other)
	if distance == 3 {
		for _, f := range l.Failover {
			if f.From == own[0] {
				if f.To != other[0] {
					distance = 4
				}
				break
			}
		}
	}
	return labels*5 + distance
}

// comparesLabels tells whether there is anything to compare endpoints' labels with.
func comparesLabels(l *router.Locality) bool {
	return l.Own != "" ||
		slices.ContainsFunc(l.FailoverPriority, func(name string) bool { return strings.Contains(name, "=") })
}

// sharedLabels returns how many of the labels, from the first, an endpoint has with the
// values that the policy names. A name without a value is that of a proxy without labels,
// of which only the locality is known.
func sharedLabels(l *router.Locality, e *router.Endpoint) int {
	own, other := parseLocality(l.Own), parseLocality(e.Locality)
	for i, name := range l.FailoverPriority {
		name, want, given := strings.Cut(name, "=")
		if !given {
			want = label(nil, own, name)
		}
		if label(e.Labels, other, name) != want {
			return i
		}
	}
	return len(l.FailoverPriority)
}

// shareOf returns the index of the share that an endpoint's locality falls under, or -1.
func shareOf(shares []router.LocalityShare, e *router.Endpoint) int {
	l := parseLocality(e.Locality)
	return slices.IndexFunc(shares, func(s router.LocalityShare) bool { return l.matches(s.Locality) })
}
