package role

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/admin/ui"
	"github.com/sluicegate/sluice/admin/why"
	"github.com/sluicegate/sluice/telemetry/identity"
	"github.com/sluicegate/sluice/telemetry/metrics"
	"github.com/sluicegate/sluice/telemetry/recent"
)

// pageFailures bounds the failures that a page is told.
const pageFailures = 200

// page is the one at /ui of the admin server.
func (p *process) page(o admin.Options) http.Handler {
	own := p.o.Identity.Own()
	return ui.NewHandler(ui.Options{
		Admin:    o,
		Name:     own.Name,
		Workload: own.Name,
		App:      own.App,
		Edges:    func() ([]ui.Edge, []float64) { return pageEdges(p.telemetry.Edges()) },
		Routes:   func() ([]ui.RouteTraffic, []float64) { return pageRoutes(p.telemetry.Recent().Routes()), routeBounds() },
		Failures: func() []ui.Failure { return pageFailuresOf(p.telemetry.Recent().Failures(), o.Config()) },
		Peers:    p.o.Peers,
	})
}

func pageEdges(list []metrics.Edge) (edges []ui.Edge, bounds []float64) {
	edges = make([]ui.Edge, len(list))
	for i := range list {
		edges[i], bounds = pageEdge(&list[i]), list[i].Duration.Bounds
	}
	return edges, bounds
}

func pageEdge(e *metrics.Edge) ui.Edge {
	edge := ui.Edge{
		Reporter: "source", From: pageEnd(e.Source), To: pageEnd(e.Destination),
		Service: e.Service.Host, ServiceName: e.Service.Name, ServiceNamespace: e.Service.Namespace,
		Subset: e.Subset, Protocol: e.Protocol, Mutual: e.Mutual,
		Counts: ui.Counts{Errors: e.Failures, Refused: e.Requests[4], Buckets: e.Duration.Counts},
		Opened: e.Opened, Closed: e.Closed, Sent: e.Sent, Received: e.Received,
	}
	if e.Inbound {
		edge.Reporter = "destination"
	}
	for _, n := range e.Requests {
		edge.Requests += n
	}
	return edge
}

func pageEnd(w identity.Workload) ui.End {
	return ui.End{
		Workload: w.Name, Namespace: w.Namespace,
		App: cmp.Or(w.CanonicalService, w.App), Version: cmp.Or(w.Version, w.CanonicalRevision),
	}
}

func routeBounds() []float64 {
	list := make([]float64, len(recent.Latency{}.Buckets)-1)
	for i := range list {
		list[i] = float64(recent.LatencyBound(i)) / float64(time.Millisecond)
	}
	return list
}

func pageRoutes(list []recent.RouteCounts) []ui.RouteTraffic {
	out := make([]ui.RouteTraffic, len(list))
	for i := range list {
		c := &list[i]
		out[i] = ui.RouteTraffic{
			ID:       ui.RouteID(c.Listener, c.VirtualHost, c.Name, c.Rule),
			Listener: c.Listener, Cluster: c.Cluster, Unrouted: c.VirtualHost == "",
			Counts: ui.Counts{Requests: c.Requests(), Errors: c.Errors(), Refused: c.Classes[4], Buckets: trimmed(c.Latency.Buckets[:])},
		}
	}
	return out
}

// trimmed leaves out the empty buckets at the end.
func trimmed(buckets []uint64) []uint64 {
	for len(buckets) > 0 && buckets[len(buckets)-1] == 0 {
		buckets = buckets[:len(buckets)-1]
	}
	return buckets
}

// pageFailuresOf returns the latest, each with its cause in a sentence.
func pageFailuresOf(list []recent.Failure, c admin.Config) []ui.Failure {
	slices.SortFunc(list, func(a, b recent.Failure) int { return cmp.Compare(b.Sequence, a.Sequence) })
	evidence := why.Evidence{Spec: c.Spec, Conditions: c.Conditions}
	list = list[:min(len(list), pageFailures)]
	out := make([]ui.Failure, len(list))
	for i := range list {
		f := &list[i]
		out[i] = ui.Failure{
			Sequence: f.Sequence, ID: f.ID, Time: f.Time, Method: f.Method, Scheme: f.Scheme, Host: f.Authority, Path: f.Path,
			Status: f.Status, Flags: f.Flags, Details: f.Details, Cluster: f.Cluster, Endpoint: f.UpstreamHost, Duration: f.Duration,
			Route:  strings.TrimSpace(f.Rule.String() + " " + f.Route),
			Reason: why.Of(f, evidence).Cause,
		}
	}
	return out
}
