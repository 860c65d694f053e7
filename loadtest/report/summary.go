package report

import (
	"cmp"
	"slices"

	"github.com/sluicegate/sluice/loadtest/work"
)

// Key names a figure of a work.
type Key struct {
	Work   string
	Figure work.Figure
	Detail string
}

// Spread is the middle and the ends of what was measured.
type Spread struct {
	Median, Min, Max float64
	Rounds           int
}

// NewSpread returns that of values; the zero Spread of none.
func NewSpread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	s := Spread{Median: sorted[mid], Min: sorted[0], Max: sorted[len(sorted)-1], Rounds: len(sorted)}
	if len(sorted)%2 == 0 {
		s.Median = (sorted[mid-1] + sorted[mid]) / 2
	}
	return s
}

// Summary is what records come to.
type Summary struct {
	// Subject is the one that the others are compared with.
	Subject string
	// Peers are all that were measured, the subject first.
	Peers []string
	// Works are the names of works, in the order in which they were measured.
	Works   []string
	records map[Key]map[string]map[int]float64
	// Lost are the requests lost, by work and peer.
	Lost map[string]map[string]int
}

// Summarise puts records in order.
func Summarise(records []Record, subject string) *Summary {
	s := &Summary{Subject: subject, Peers: []string{subject}, records: map[Key]map[string]map[int]float64{}, Lost: map[string]map[string]int{}}
	for _, r := range records {
		if !slices.Contains(s.Peers, r.Peer) {
			s.Peers = append(s.Peers, r.Peer)
		}
		if !slices.Contains(s.Works, r.Work) {
			s.Works = append(s.Works, r.Work)
		}
		if r.Figure == work.Lost {
			if s.Lost[r.Work] == nil {
				s.Lost[r.Work] = map[string]int{}
			}
			s.Lost[r.Work][r.Peer] += int(r.Value)
			continue
		}
		k := Key{r.Work, r.Figure, r.Detail}
		if s.records[k] == nil {
			s.records[k] = map[string]map[int]float64{}
		}
		if s.records[k][r.Peer] == nil {
			s.records[k][r.Peer] = map[int]float64{}
		}
		s.records[k][r.Peer][r.Round] = r.Value
	}
	return s
}

// Value returns what was measured of a peer.
func (s *Summary) Value(k Key, peer string) Spread {
	var values []float64
	for _, v := range s.records[k][peer] {
		values = append(values, v)
	}
	return NewSpread(values)
}

// Ratio returns the subject's figure over a peer's, of the rounds in which both were measured,
// each over its own: what slowed a round slowed both.
func (s *Summary) Ratio(k Key, peer string) Spread {
	var values []float64
	for round, own := range s.records[k][s.Subject] {
		if theirs, ok := s.records[k][peer][round]; ok && theirs > 0 {
			values = append(values, own/theirs)
		}
	}
	return NewSpread(values)
}

// Keys are the figures that there are of a work, in the order of tables.
func (s *Summary) Keys(name string) []Key {
	var keys []Key
	for k := range s.records {
		if k.Work == name {
			keys = append(keys, k)
		}
	}
	order := []work.Figure{work.Offered, work.CPU, work.Saturation, work.Latency, work.Memory, work.SystemCalls, work.Load, work.Change}
	details := []string{"", "user", "system", "saturated", "p50", "p99", "p99.9", "lag"}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Figure), slices.Index(order, b.Figure)),
			cmp.Compare(slices.Index(details, a.Detail), slices.Index(details, b.Detail)))
	})
	return keys
}
