package upstream

import (
	"maps"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// Place is where a proxy runs, which is what locality balancing compares endpoints with, as
// far as the specification does not say it.
type Place struct {
	// Locality is "region/zone/subzone", or a beginning of it.
	Locality string
	// Labels are those of the proxy's workload, for failoverPriority.
	Labels map[string]string
}

// SetPlace says where the proxy runs. It may be called at any time, and holds at once for
// every cluster.
func (m *Manager) SetPlace(p Place) {
	p.Labels = maps.Clone(p.Labels)
	m.place.Store(&p)
	for _, s := range m.all() {
		if c := s.current.Load(); c != nil {
			c.refresh()
		}
	}
}

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
func priorityOf(l *router.Locality, p *Place, e *router.Endpoint) int {
	labels := 0
	if p.knows(l.FailoverPriority) {
		labels = len(l.FailoverPriority) - sharedLabels(l.FailoverPriority, p, e)
	}
	if len(l.FailoverPriority) > 0 && len(l.Failover) == 0 || p.Locality == "" {
		return labels
	}
	own, other := parseLocality(p.Locality), parseLocality(e.Locality)
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

// knows tells whether there is anything to compare labels with.
func (p *Place) knows(names []string) bool {
	return len(p.Labels) > 0 || p.Locality != "" ||
		slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, "=") })
}

// sharedLabels returns how many of the labels, from the first, an endpoint shares with the
// proxy, or with the value that the policy names.
func sharedLabels(names []string, p *Place, e *router.Endpoint) int {
	own, other := parseLocality(p.Locality), parseLocality(e.Locality)
	for i, name := range names {
		name, want, given := strings.Cut(name, "=")
		if !given {
			want = label(p.Labels, own, name)
		}
		if label(e.Labels, other, name) != want {
			return i
		}
	}
	return len(names)
}

// shareOf returns the index of the share that an endpoint's locality falls under, or -1.
func shareOf(shares []router.LocalityShare, e *router.Endpoint) int {
	l := parseLocality(e.Locality)
	return slices.IndexFunc(shares, func(s router.LocalityShare) bool { return l.matches(s.Locality) })
}
