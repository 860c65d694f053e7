package metrics

import (
	"slices"
	"time"

	"github.com/sluicegate/sluice/router"
)

// series is a metric under one set of labels.
type series struct {
	labels *labels
	// next has the same hash.
	next *series
	// value is a counter's, and the sum of a histogram, which has counts by bucket.
	value   float64
	counts  []uint64
	changed time.Time
	from    *origin
	// beyond says that it stands for those that there is no room for.
	beyond, gone bool
}

// observe adds values to a histogram; unit is how many of them make one of its own.
func (s *series) observe(c *counts, unit float64) {
	h := Histogram{Counts: s.counts, Sum: s.value}
	h.add(c, unit)
	s.value = h.Sum
}

// origin is what of the configuration a series is about.
type origin struct {
	policy *policy
	// cluster and workload are the destination's, as the configuration names them.
	cluster, workload string
	// told says that a peer's own word is in the labels.
	told bool
}

// resolved is where an entry's counts go.
type resolved struct {
	series   [metricCount]*series
	flow     *flow
	listener *listenerSeries
}

// stale tells that something was dropped meanwhile.
func (r *resolved) stale() bool {
	if r == nil || r.flow.gone || r.listener.gone {
		return true
	}
	return slices.ContainsFunc(r.series[:], func(s *series) bool { return s != nil && s.gone })
}

// beyond tells whether counts go where nobody is told apart.
func (r *resolved) beyond() bool {
	return slices.ContainsFunc(r.series[:], func(s *series) bool { return s != nil && s.beyond })
}

// resolve finds the series of an entry. The caller holds m.mu.
func (m *Metrics) resolve(a *applied, k *key) *resolved {
	e := m.ends(a, k)
	values := k.values(&e)
	r := &resolved{listener: m.listener(k)}
	from := &origin{policy: k.policy, told: k.caller != nil || k.callee != nil || k.principal != ""}
	if k.cluster != nil {
		from.cluster = k.cluster.Name
	} else if k.missing != nil {
		from.cluster = k.missing.Name
	}
	if k.endpoint != nil {
		from.workload = k.endpoint.Workload
	}
	f := flowKey{inbound: e.inbound, protocol: protocols[k.kind], mutual: k.mutual || e.source.Principal != ""}
	if k.overflow {
		f.source.Name, f.destination.Name = other, other
	} else {
		f.source, f.destination, f.service, f.subset = e.source, e.destination, e.service, e.subset
	}
	r.flow = m.flow(f)
	folded := !k.overflow && !r.flow.tells(outcome{k.status, k.flags, k.grpc})
	var previous metric
	var shared *labels
	for i := range metricCount {
		policy := &k.policy.metrics[i]
		if policy.disabled || !i.counted(k.kind) {
			continue
		}
		if folded && i.histogram() {
			all := k.labels(i, values.folded())
			r.series[i] = m.seriesOf(i, k, all, from)
			// A policy may have removed the labels that tell them apart.
			if !all.equal(k.labels(i, &values)) {
				r.series[i].beyond = true
			}
			continue
		}
		if shared == nil || previous.without() != i.without() || !policy.same(&k.policy.metrics[previous]) {
			shared = k.labels(i, &values)
		}
		previous = i
		r.series[i] = m.seriesOf(i, k, shared, from)
	}
	return r
}

// seriesOf finds the series with those labels, or makes it.
func (m *Metrics) seriesOf(i metric, k *key, l *labels, from *origin) *series {
	f := &m.families[i]
	if s := f.find(l); s != nil {
		s.from = from // it goes on under the newest policy
		return s
	}
	if f.size >= m.o.MaxSeries && !k.overflow {
		all := key{policy: k.policy, kind: k.kind, grpc: grpcNone, overflow: true}
		values := all.values(&ends{inbound: k.policy.inbound})
		return m.seriesOf(i, &all, all.labels(i, &values), &origin{policy: k.policy})
	}
	s := &series{labels: l, from: from, changed: m.o.now(), beyond: k.overflow}
	if i.histogram() {
		s.counts = make([]uint64, len(m.boundsOf(i).upper)+1)
	}
	f.add(s)
	return s
}

// boundsOf returns those of a metric that is a histogram.
func (m *Metrics) boundsOf(i metric) *bounds {
	if i == requestDuration {
		return m.duration
	}
	return m.size
}

// expire drops series, and edges, that nobody added to for long, but for those that are about
// what the configuration still has. The caller holds m.mu.
func (m *Metrics) expire(now time.Time) {
	if now.Sub(m.swept) < min(m.o.Expiry, time.Minute) {
		return
	}
	m.swept = now
	m.peers.forget()
	a := m.applied.Load()
	var known map[string]*router.Cluster
	for i := range m.families {
		m.families[i].drop(func(s *series) bool {
			if now.Sub(s.changed) < m.o.Expiry {
				return false
			}
			if known == nil {
				known = clustersByName(a.spec)
			}
			return !s.from.stands(a, known)
		})
	}
	m.expireListeners(a.spec, now)
	for k, f := range m.flows {
		if now.Sub(f.seen) >= m.o.Expiry {
			f.gone = true
			delete(m.flows, k)
		}
	}
}

// dropDisabled drops the series of metrics that nobody wants any more. The caller holds m.mu.
func (m *Metrics) dropDisabled(a *applied) {
	for i := range m.families {
		m.families[i].drop(func(s *series) bool {
			wanted := a.outbound
			if s.from.policy.inbound {
				wanted = a.inbound
			}
			return wanted.metrics[i].disabled
		})
	}
}

func clustersByName(spec *router.Spec) map[string]*router.Cluster {
	m := make(map[string]*router.Cluster, len(spec.Clusters))
	for _, c := range spec.Clusters {
		m[c.Name] = c
	}
	return m
}

// stands tells whether a series is about what the configuration still has. What peers say of
// themselves is not in it.
func (o *origin) stands(a *applied, known map[string]*router.Cluster) bool {
	if o.told || o.policy != a.outbound && o.policy != a.inbound {
		return false
	}
	if o.cluster == "" {
		return true
	}
	c := known[o.cluster]
	if c == nil {
		return false
	}
	return o.workload == "" || slices.ContainsFunc(c.Endpoints, func(e *router.Endpoint) bool { return e.Workload == o.workload })
}
