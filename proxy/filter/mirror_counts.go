package filter

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/sluicegate/sluice/proxy/upstream"
)

// DropReason says why a copy was not sent.
type DropReason uint8

const (
	// DropActive: MirrorOptions.MaxActive copies were on their way.
	DropActive DropReason = iota
	// DropCluster: MirrorOptions.MaxPerCluster copies were on their way to the cluster.
	DropCluster
	// DropBody: the body is larger than MirrorOptions.MaxBody.
	DropBody
	// DropMemory: MirrorOptions.MaxMemory was used up.
	DropMemory
	// DropIncomplete: the exchange ended before the body did.
	DropIncomplete
	// DropNoCluster: the cluster does not exist.
	DropNoCluster
	// DropClosed: the proxy stops.
	DropClosed

	// DropReasons is their number.
	DropReasons
)

// dropNames are in the order of the constants.
var dropNames = [DropReasons]string{"too_many", "too_many_for_cluster", "body_too_large", "memory", "incomplete_body", "no_cluster", "closed"}

// String returns the name for the reason label of metrics.
func (r DropReason) String() string { return dropNames[r] }

// MirrorStatus is a look at the copies for one cluster.
type MirrorStatus struct {
	Cluster string
	// Active are on their way.
	Active int64
	// Total counts the requests that were to be mirrored: those that were dropped, by
	// reason, those that are on their way or whose body is, and those that came to a
	// Success, which is a response below 500, or Failed.
	Total, Success, Failed uint64
	Dropped                [DropReasons]uint64
}

// mirrorCluster counts the copies for one cluster.
type mirrorCluster struct {
	active                 atomic.Int64
	total, success, failed atomic.Uint64
	dropped                [DropReasons]atomic.Uint64
}

func (c *mirrorCluster) drop(why DropReason) { c.dropped[why].Add(1) }

// cluster returns the counts for a cluster.
func (m *Mirrors) cluster(name string) *mirrorCluster {
	if c, ok := m.clusters.Load(name); ok {
		return c.(*mirrorCluster)
	}
	c, _ := m.clusters.LoadOrStore(name, new(mirrorCluster))
	return c.(*mirrorCluster)
}

// Keep forgets the counts of clusters that a new table, whose clusters these are, does not
// have.
func (m *Mirrors) Keep(clusters []*upstream.Cluster) {
	counted := false
	m.clusters.Range(func(_, _ any) bool { counted = true; return false })
	if !counted {
		return
	}
	kept := make(map[string]bool, len(clusters))
	for _, c := range clusters {
		if c != nil {
			kept[c.Spec.Name] = true
		}
	}
	m.clusters.Range(func(name, c any) bool {
		if !kept[name.(string)] && c.(*mirrorCluster).active.Load() == 0 {
			m.clusters.Delete(name)
		}
		return true
	})
}

// Status returns a look at all clusters that were to get copies, by name.
func (m *Mirrors) Status() []MirrorStatus {
	var all []MirrorStatus
	m.clusters.Range(func(name, value any) bool {
		c := value.(*mirrorCluster)
		s := MirrorStatus{Cluster: name.(string), Active: c.active.Load(),
			Total: c.total.Load(), Success: c.success.Load(), Failed: c.failed.Load()}
		for i := range s.Dropped {
			s.Dropped[i] = c.dropped[i].Load()
		}
		all = append(all, s)
		return true
	})
	slices.SortFunc(all, func(a, b MirrorStatus) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return all
}
