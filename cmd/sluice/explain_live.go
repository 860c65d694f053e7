package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluicegate/sluice/admin"
)

// liveView is the state of a destination's endpoints, as a running proxy tells it.
type liveView struct {
	// Endpoints are those that the proxy may pick, with what share of the requests each gets.
	Endpoints []admin.Endpoint `json:"endpoints"`
	// Connections are open, Requests in progress, Pending wait for a connection.
	Connections uint64 `json:"connections"`
	Requests    uint64 `json:"requests"`
	Pending     uint64 `json:"pending"`
	// Breakers are the circuit breakers that are open, by Envoy's names.
	Breakers []string `json:"openBreakers,omitempty"`
}

// liveViewOf is what a proxy tells of a cluster.
func liveViewOf(c *admin.Cluster) *liveView {
	v := &liveView{Endpoints: c.Endpoints}
	for _, s := range c.Stats {
		switch s.Name {
		case "upstream_cx_active":
			v.Connections = s.Value
		case "upstream_rq_active":
			v.Requests = s.Value
		case "upstream_rq_pending_active":
			v.Pending = s.Value
		}
		if name, ok := strings.CutPrefix(s.Name, "circuit_breakers.default."); ok && s.Value > 0 {
			v.Breakers = append(v.Breakers, strings.TrimSuffix(name, "_open"))
		}
	}
	return v
}

// write prints a line for each endpoint, of many the first.
func (v *liveView) write(w io.Writer, p painter) {
	const shown = 8
	var rows [][]cell
	for i := range v.Endpoints {
		if i == shown {
			rows = append(rows, plain(fmt.Sprintf("and %d more", len(v.Endpoints)-shown)))
			break
		}
		rows = append(rows, liveRow(&v.Endpoints[i]))
	}
	writeTable(w, p, "        ", rows)
	fmt.Fprintf(w, "        pool now: %s, %s in progress, %d waiting\n", count(int(v.Connections), "connection"), count(int(v.Requests), "request"), v.Pending)
	if len(v.Breakers) > 0 {
		fmt.Fprintf(w, "        %s\n", p.paint(inkRed, "circuit breakers are open: "+strings.Join(v.Breakers, ", ")))
	}
}

// liveRow is an endpoint: what it gets, what it does, or since when it is out of use.
func liveRow(e *admin.Endpoint) []cell {
	state, colour := fmt.Sprintf("gets %.0f%%", e.Share), inkGreen
	if !e.Healthy {
		state, colour = "out of use", inkRed
		if !e.EjectedAt.IsZero() {
			state += " since " + e.EjectedAt.Local().Format(time.TimeOnly)
		}
		if e.Ejection != "" {
			state += ": " + e.Ejection
		}
	}
	if e.Warming {
		state += ", warming up"
	}
	work := fmt.Sprintf("%d in progress, %s, %s", e.Active, count(int(e.Open), "connection"), count(int(e.Requests), "request"))
	if e.Failures > 0 {
		work += fmt.Sprintf(" (%d failed)", e.Failures)
	}
	return []cell{{text: e.Address}, {state, colour}, {text: work}}
}
