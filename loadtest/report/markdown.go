package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/loadtest/work"
)

// Markdown writes the tables: first what the subject costs next to each peer, then the figures
// themselves, work by work.
func (s *Summary) Markdown(titles map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s next to each peer\n\n", s.Subject)
	b.WriteString("Ratios of the same round each: below 1 is less than the peer. Median, and the range of the rounds where there are several.\n\n")
	for _, k := range ratios {
		s.ratios(&b, k, titles)
	}
	for _, name := range s.Works {
		s.figures(&b, name, titles[name])
	}
	return b.String()
}

// ratios are the figures whose ratios lead.
var ratios = []Key{
	{Figure: work.CPU}, {Figure: work.CPU, Detail: "saturated"}, {Figure: work.Latency, Detail: "p99"},
	{Figure: work.Memory}, {Figure: work.Load}, {Figure: work.Change},
}

// ratios is a table that leads: one line a work, one column a peer.
func (s *Summary) ratios(b *strings.Builder, k Key, titles map[string]string) {
	has := func(name string) bool {
		k.Work = name
		return slices.ContainsFunc(s.Peers[1:], func(peer string) bool { return s.Ratio(k, peer).Rounds > 0 })
	}
	worse := "slower"
	if k.Figure == work.Memory {
		worse = "more"
	}
	if !slices.ContainsFunc(s.Works, has) {
		return
	}
	fmt.Fprintf(b, "| %s |", lead(k))
	for _, p := range s.Peers[1:] {
		fmt.Fprintf(b, " of %s |", p)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(s.Peers)-1) + "\n")
	for _, name := range s.Works {
		if !has(name) {
			continue
		}
		fmt.Fprintf(b, "| %s |", titles[name])
		for _, p := range s.Peers[1:] {
			if r := s.Ratio(k, p); r.Rounds > 0 {
				b.WriteString(" " + r.ratio(worse))
			}
			b.WriteString(" |")
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}

// ratio writes ratios, with the range where there is one. What is slower than a peer is shown as
// such, unless the digits say that it is not.
func (r Spread) ratio(worse string) string {
	text := times(r.Median)
	slower := r.Median > 1 && text != "1.00"
	if slower {
		text = "**" + text + "**"
	}
	if r.Rounds > 1 {
		text += fmt.Sprintf(" (%s to %s)", times(r.Min), times(r.Max))
	}
	if slower {
		text += " " + worse
	}
	return text
}

// times writes a ratio with two digits behind the point, or with as many as it takes to see that
// it is more than nothing.
func times(v float64) string {
	if v > 0 && v < .005 {
		return strconv.FormatFloat(v, 'f', int(math.Ceil(-math.Log10(v))), 64)
	}
	return fmt.Sprintf("%.2f", v)
}

// figures is the table of one work.
func (s *Summary) figures(b *strings.Builder, name, title string) {
	fmt.Fprintf(b, "### %s (`%s`)\n\n| |", title, name)
	for _, p := range s.Peers {
		fmt.Fprintf(b, " %s |", p)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(s.Peers)) + "\n")
	for _, k := range s.Keys(name) {
		fmt.Fprintf(b, "| %s |", Label(k))
		for _, p := range s.Peers {
			if v := s.Value(k, p); v.Rounds > 0 {
				fmt.Fprintf(b, " %s |", Format(k.Figure, v.Median))
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteByte('\n')
	}
	if lost := s.Lost[name]; len(lost) > 0 {
		b.WriteString("| **requests lost** |")
		for _, p := range s.Peers {
			fmt.Fprintf(b, " %d |", lost[p])
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}

// lead is the head of a table of ratios.
func lead(k Key) string {
	if k.Figure == work.CPU && k.Detail != "" {
		return "processor time of a request, when it bears no more"
	}
	label, _, _ := strings.Cut(Label(k), ", ")
	return label
}

// Label says what a figure is, with its unit.
func Label(k Key) string {
	switch k.Figure {
	case work.Offered:
		return "requests a second, offered"
	case work.CPU:
		if k.Detail == "saturated" {
			return "processor time of a request when it bears no more, microseconds"
		}
		if k.Detail != "" {
			return "of that, " + k.Detail
		}
		return "processor time of a request, microseconds"
	case work.Saturation:
		return "requests a second, at most"
	case work.Latency:
		if k.Detail == "lag" {
			return "the generator itself was late, milliseconds"
		}
		return "latency " + k.Detail + ", milliseconds"
	case work.Memory:
		return "resident, MB"
	case work.SystemCalls:
		return "system calls of a request"
	case work.Load:
		return "start until served, milliseconds"
	case work.Change:
		return "a change until served, milliseconds"
	}
	return string(k.Figure) + " " + k.Detail
}

// Format writes a value of a figure in the unit of its Label.
func Format(f work.Figure, v float64) string {
	switch f {
	case work.Saturation, work.Offered:
		return fmt.Sprintf("%.0f", v)
	case work.Latency, work.Load, work.Change:
		return significant(v / 1000)
	case work.Memory:
		return significant(v / 1e6)
	}
	return significant(v)
}

// significant writes three digits that matter.
func significant(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
