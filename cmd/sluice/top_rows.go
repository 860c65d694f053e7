package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/telemetry/recent"
)

const (
	sortRate    = "rate"
	sortErrors  = "errors"
	sortLatency = "latency"
	sortName    = "name"
)

// topSorts are what rows can be sorted by, the first unless something is said.
var topSorts = []string{sortRate, sortErrors, sortLatency, sortName}

// topRow is a route and a destination within an interval.
type topRow struct {
	recent.Route
	// Rate is in requests a second. Bad and Errors are shares from 0 to 1: of 4xx, and of 5xx
	// or no answer.
	Rate   float64 `json:"rate"`
	Bad    float64 `json:"share4xx"`
	Errors float64 `json:"shareErrors"`
	// P50 and P99 are milliseconds, Total the requests since the proxy began.
	P50   float64 `json:"p50Ms"`
	P99   float64 `json:"p99Ms"`
	Total uint64  `json:"total"`
}

// topRows are the rows of what came between two looks, sorted. Routes that were quiet come too.
func topRows(before, now *admin.RouteStats, by string) []topRow {
	known := make(map[recent.Route]*recent.RouteCounts, len(before.Routes))
	for i := range before.Routes {
		known[before.Routes[i].Route] = &before.Routes[i]
	}
	seconds := max(now.Time.Sub(before.Time).Seconds(), 0.001)
	rows := make([]topRow, 0, len(now.Routes))
	for i := range now.Routes {
		counts := now.Routes[i]
		row := topRow{Route: counts.Route, Total: counts.Requests()}
		if earlier := known[counts.Route]; earlier != nil {
			counts = counts.Since(earlier)
		}
		if n := float64(counts.Requests()); n > 0 {
			row.Rate, row.Bad, row.Errors = n/seconds, float64(counts.Classes[4])/n, float64(counts.Errors())/n
			row.P50, row.P99 = inMilliseconds(counts.Latency.Quantile(0.5)), inMilliseconds(counts.Latency.Quantile(0.99))
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b topRow) int { return cmp.Or(a.compare(&b, by), strings.Compare(a.name(), b.name())) })
	return rows
}

func inMilliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

func (r *topRow) compare(with *topRow, by string) int {
	switch by {
	case sortErrors:
		return cmp.Or(cmp.Compare(with.Errors, r.Errors), cmp.Compare(with.Rate*with.Bad, r.Rate*r.Bad), cmp.Compare(with.Rate, r.Rate))
	case sortLatency:
		return cmp.Or(cmp.Compare(with.P99, r.P99), cmp.Compare(with.Rate, r.Rate))
	case sortName:
		return 0
	}
	return cmp.Or(cmp.Compare(with.Rate, r.Rate), cmp.Compare(with.Total, r.Total))
}

// name is what a row is called.
func (r *topRow) name() string {
	name := r.Route.Name
	if rule := r.Rule.String(); rule != "" {
		name = strings.TrimSpace(name + "  " + rule)
	}
	if name == "" {
		return "(no route) at " + r.Listener
	}
	return name
}

// topTotal is the sum of the rows in a line.
func topTotal(rows []topRow) string {
	var rate, bad, errors float64
	for i := range rows {
		rate += rows[i].Rate
		bad += rows[i].Rate * rows[i].Bad
		errors += rows[i].Rate * rows[i].Errors
	}
	share := func(part float64) float64 {
		if rate == 0 {
			return 0
		}
		return part / rate
	}
	return fmt.Sprintf("%s requests a second, %s 4xx, %s errors", rateText(rate), shareText(share(bad)), shareText(share(errors)))
}

// topTable lays rows out, at most so many; 0 for all.
func topTable(rows []topRow, most int) [][]cell {
	if len(rows) == 0 {
		return [][]cell{plain("no requests yet")}
	}
	table := [][]cell{plain("RATE/S", "4XX", "ERRORS", "P50", "P99", "TOTAL", "HOST", "ROUTE", "DESTINATION")}
	for i := range table[0] {
		table[0][i].ink = inkBold
	}
	for i := range rows {
		if most > 0 && i >= most {
			break
		}
		r := &rows[i]
		bad, failed := ink(""), ink("")
		if r.Bad > 0 {
			bad = inkYellow
		}
		if r.Errors > 0 {
			failed = inkRed
		}
		table = append(table, []cell{
			{text: fmt.Sprintf("%8s", rateText(r.Rate))}, {shareText(r.Bad), bad}, {shareText(r.Errors), failed},
			{text: timeText(r.P50)}, {text: timeText(r.P99)}, {text: fmt.Sprint(r.Total)},
			{text: orDash(r.VirtualHost)}, {text: r.name()}, {text: orDash(r.Cluster)},
		})
	}
	return table
}

func rateText(rate float64) string {
	if rate >= 100 {
		return fmt.Sprintf("%.0f", rate)
	}
	return fmt.Sprintf("%.1f", rate)
}

func shareText(share float64) string {
	if share == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", share*100)
}

func timeText(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return milliseconds(ms)
}
