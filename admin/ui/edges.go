package ui

import "slices"

// Edge is the traffic from one workload to one version of a service.
type Edge struct {
	// Reporter is "source" where the caller's proxy counted, "destination" where the callee's
	// did.
	Reporter string `json:"reporter"`
	From     End    `json:"from"`
	To       End    `json:"to"`
	// Service is the host that was called, "reviews.default.svc.cluster.local", and
	// ServiceName and ServiceNamespace its parts.
	Service          string `json:"service,omitempty"`
	ServiceName      string `json:"serviceName,omitempty"`
	ServiceNamespace string `json:"serviceNamespace,omitempty"`
	// Subset is that of the cluster which was called, "v1"; mostly empty.
	Subset string `json:"subset,omitempty"`
	// Protocol is "http", "grpc" or "tcp". Of tcp, Opened, Sent and Received count instead of
	// Counts.
	Protocol string `json:"protocol"`
	// Mutual says that both ends proved who they are (mutual TLS).
	Mutual bool `json:"mutual,omitempty"`
	Counts
	Opened   uint64 `json:"opened,omitempty"`
	Closed   uint64 `json:"closed,omitempty"`
	Sent     uint64 `json:"sent,omitempty"`
	Received uint64 `json:"received,omitempty"`
}

// End is one end of an edge.
type End struct {
	// Workload is its name, "reviews-v1", empty where it is not known; App and Version are by
	// its labels.
	Workload  string `json:"workload,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	App       string `json:"app,omitempty"`
	Version   string `json:"version,omitempty"`
}

// edgeID is what tells edges apart.
type edgeID struct {
	reporter, service, subset, protocol string
	from, to                            End
	mutual                              bool
}

func (e *Edge) id() edgeID {
	return edgeID{reporter: e.Reporter, service: e.Service, subset: e.Subset, protocol: e.Protocol, from: e.From, to: e.To, mutual: e.Mutual}
}

// mergeEdges adds up edges that differ only in what the page does not show.
func mergeEdges(list []Edge) []Edge {
	out := make([]Edge, 0, len(list))
	at := make(map[edgeID]int, len(list))
	for i := range list {
		e := &list[i]
		if same, ok := at[e.id()]; ok {
			out[same].add(e)
			continue
		}
		at[e.id()] = len(out)
		out = append(out, *e)
		out[len(out)-1].Buckets = slices.Clone(e.Buckets)
	}
	return out
}

func (e *Edge) add(more *Edge) {
	e.Requests += more.Requests
	e.Errors += more.Errors
	e.Refused += more.Refused
	if short := len(more.Buckets) - len(e.Buckets); short > 0 {
		e.Buckets = append(e.Buckets, make([]uint64, short)...)
	}
	for i, n := range more.Buckets {
		e.Buckets[i] += n
	}
	e.Opened += more.Opened
	e.Closed += more.Closed
	e.Sent += more.Sent
	e.Received += more.Received
}
