package metrics

import (
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/router"
)

// family is a metric's series, by their labels.
type family struct{ series map[string]*series }

// series is a metric under one set of labels.
type series struct {
	labels []*dto.LabelPair
	// value is a counter's, and histogram a histogram's.
	value     float64
	histogram Histogram
	changed   time.Time
	from      origin
	// beyond says that it stands for those that there is no room for.
	beyond, gone bool
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
	from := origin{policy: k.policy, told: k.caller != nil || k.callee != nil || k.principal != ""}
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
	var labels []*dto.LabelPair
	for i := range metricCount {
		policy := &k.policy.metrics[i]
		if policy.disabled || !i.counted(k.kind) {
			continue
		}
		if folded && i.histogram() {
			all := pairs(i, k, values.folded())
			r.series[i] = m.seriesOf(i, k, all, from)
			// A policy may have removed the labels that tell them apart.
			if seriesID(all) != seriesID(pairs(i, k, &values)) {
				r.series[i].beyond = true
			}
			continue
		}
		if labels == nil || previous.without() != i.without() || !policy.same(&k.policy.metrics[previous]) {
			labels = pairs(i, k, &values)
		}
		previous = i
		r.series[i] = m.seriesOf(i, k, labels, from)
	}
	return r
}

// seriesOf finds the series with those labels, or makes it.
func (m *Metrics) seriesOf(i metric, k *key, labels []*dto.LabelPair, from origin) *series {
	f := &m.families[i]
	id := seriesID(labels)
	if s := f.series[id]; s != nil {
		s.from = from // it goes on under the newest policy
		return s
	}
	if len(f.series) >= m.o.MaxSeries && !k.overflow {
		all := key{policy: k.policy, kind: k.kind, grpc: grpcNone, overflow: true}
		values := all.values(&ends{inbound: k.policy.inbound})
		return m.seriesOf(i, &all, pairs(i, &all, &values), origin{policy: k.policy})
	}
	s := &series{labels: labels, from: from, changed: m.o.now(), beyond: k.overflow}
	switch {
	case i == requestDuration:
		s.histogram = newHistogram(m.duration)
	case i.histogram():
		s.histogram = newHistogram(m.size)
	}
	f.series[id] = s
	return s
}

// pairs returns a metric's labels, sorted by name.
func pairs(i metric, k *key, values *labelValues) []*dto.LabelPair {
	policy := &k.policy.metrics[i]
	removed := policy.removed | i.without()
	list := make([]*dto.LabelPair, 0, len(values)+len(policy.set))
	for n := range labelNames {
		if removed&(1<<n) == 0 {
			list = append(list, &dto.LabelPair{Name: &labelNames[n], Value: proto.String(values[n])})
		}
	}
	for _, l := range policy.set {
		value := other
		if !k.overflow {
			value = k.policy.tags[l.tag].name(k.tags[l.tag])
		}
		list = append(list, &dto.LabelPair{Name: proto.String(l.name), Value: proto.String(strings.ToValidUTF8(value, "?"))})
	}
	slices.SortFunc(list, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return list
}

func seriesID(labels []*dto.LabelPair) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(l.GetName())
		b.WriteByte(0xfe)
		b.WriteString(l.GetValue())
		b.WriteByte(0xff)
	}
	return b.String()
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
		f := &m.families[i]
		for id, s := range f.series {
			if now.Sub(s.changed) < m.o.Expiry {
				continue
			}
			if known == nil {
				known = clustersByName(a.spec)
			}
			if !s.from.stands(a, known) {
				s.gone = true
				delete(f.series, id)
			}
		}
	}
	m.expireListeners(a.spec, now)
	for k, f := range m.flows {
		if now.Sub(f.edge.Seen) >= m.o.Expiry {
			f.gone = true
			delete(m.flows, k)
		}
	}
}

// dropDisabled drops the series of metrics that nobody wants any more. The caller holds m.mu.
func (m *Metrics) dropDisabled(a *applied) {
	for i := range m.families {
		for id, s := range m.families[i].series {
			wanted := a.outbound
			if s.from.policy.inbound {
				wanted = a.inbound
			}
			if wanted.metrics[i].disabled {
				s.gone = true
				delete(m.families[i].series, id)
			}
		}
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
