package metrics

import (
	"cmp"
	"hash/maphash"
	"iter"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// column is a label that a metric has: a standard one, or that of a tag.
type column struct {
	name *string
	// label is a standard label's place, and tag a policy's expression; -1 for a standard label.
	label label
	tag   int
}

// columnsOf returns the labels of a metric, sorted by name.
func columnsOf(i metric, policy *metricPolicy) []column {
	removed := policy.removed | i.without()
	list := make([]column, 0, len(labelNames)+len(policy.set))
	for n := range labelNames {
		if removed&(1<<n) == 0 {
			list = append(list, column{name: &labelNames[n], label: label(n), tag: -1})
		}
	}
	for n := range policy.set {
		list = append(list, column{name: &policy.set[n].name, tag: policy.set[n].tag})
	}
	slices.SortFunc(list, func(a, b column) int { return cmp.Compare(*a.name, *b.name) })
	return slices.Clip(list)
}

// labels are what tells a series from the others of its metric. They never change. Series of
// several metrics share them, and the columns are a policy's, because there may be very many.
type labels struct {
	columns []column
	values  []string
}

// labels returns the labels of a key in a metric.
func (k *key) labels(i metric, values *labelValues) *labels {
	l := &labels{columns: k.policy.metrics[i].columns}
	l.values = make([]string, len(l.columns))
	for n, c := range l.columns {
		switch {
		case c.tag < 0:
			l.values[n] = values[c.label]
		case k.overflow:
			l.values[n] = other
		default:
			l.values[n] = strings.ToValidUTF8(k.policy.tags[c.tag].name(k.tags[c.tag]), "?")
		}
	}
	return l
}

// equal tells whether others have the same names and values. One that is empty is none: Prometheus
// takes them for the same.
func (l *labels) equal(o *labels) bool {
	if l == o {
		return true
	}
	i, j := l.next(0), o.next(0)
	for i < len(l.values) && j < len(o.values) {
		if l.values[i] != o.values[j] || *l.columns[i].name != *o.columns[j].name {
			return false
		}
		i, j = l.next(i+1), o.next(j+1)
	}
	return i == len(l.values) && j == len(o.values)
}

// next returns the first place from i on whose value is not empty.
func (l *labels) next(i int) int {
	for i < len(l.values) && l.values[i] == "" {
		i++
	}
	return i
}

// pairs returns the labels as a scrape has them.
func (l *labels) pairs() []*dto.LabelPair {
	pairs := make([]dto.LabelPair, len(l.values))
	list := make([]*dto.LabelPair, len(l.values))
	for i := range pairs {
		pairs[i].Name, pairs[i].Value = l.columns[i].name, &l.values[i]
		list[i] = &pairs[i]
	}
	return list
}

var labelSeed = maphash.MakeSeed()

func (l *labels) hash() uint64 {
	var h maphash.Hash
	h.SetSeed(labelSeed)
	for i := l.next(0); i < len(l.values); i = l.next(i + 1) {
		h.WriteString(*l.columns[i].name)
		h.WriteByte(0xfe)
		h.WriteString(l.values[i])
		h.WriteByte(0xff)
	}
	return h.Sum64()
}

// family is a metric's series. Their labels are long, so that no copy of them is a key.
type family struct {
	// byHash has the first series of each hash; others follow it.
	byHash map[uint64]*series
	// size is how many series there are.
	size int
}

// find returns the series with those labels, or nil.
func (f *family) find(l *labels) *series {
	s := f.byHash[l.hash()]
	for s != nil && !s.labels.equal(l) {
		s = s.next
	}
	return s
}

// add adds a series that is not there.
func (f *family) add(s *series) {
	hash := s.labels.hash()
	s.next = f.byHash[hash]
	f.byHash[hash] = s
	f.size++
}

// all ranges over the series, in no order.
func (f *family) all() iter.Seq[*series] {
	return func(yield func(*series) bool) {
		for _, s := range f.byHash {
			for ; s != nil; s = s.next {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// drop takes out the series that are to go, and tells those that hold them.
func (f *family) drop(goes func(*series) bool) {
	for hash, s := range f.byHash {
		var rest *series
		for s != nil {
			next := s.next
			if goes(s) {
				s.gone = true
				f.size--
			} else {
				s.next, rest = rest, s
			}
			s = next
		}
		if rest == nil {
			delete(f.byHash, hash)
		} else {
			f.byHash[hash] = rest
		}
	}
}
