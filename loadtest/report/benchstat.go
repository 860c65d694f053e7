package report

import (
	"fmt"
	"strings"

	"github.com/sluicegate/sluice/loadtest/work"
)

// Benchstat writes the records of one subject in the format that benchstat reads, one file a
// subject.
func Benchstat(records []Record, subject string) string {
	var b strings.Builder
	b.WriteString("pkg: github.com/sluicegate/sluice/loadtest\n")
	for _, r := range records {
		if r.Peer != subject || r.Figure == work.Offered || r.Figure == work.Lost {
			continue
		}
		name := r.Work + "/" + string(r.Figure)
		if r.Detail != "" {
			name += "/" + r.Detail
		}
		fmt.Fprintf(&b, "Benchmark%s 1 %g %s\n", exported(name), r.Value, unit(r))
	}
	return b.String()
}

// exported makes a benchmark's name of one of ours: it begins with a capital letter.
func exported(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// unit is the unit of a record's value, as benchstat takes them.
func unit(r Record) string {
	switch r.Figure {
	case "saturation":
		return "req/s"
	case "memory":
		return "B"
	case "system-calls":
		return "calls/req"
	case "load", "change", "latency":
		return "us"
	}
	return "us/req"
}
