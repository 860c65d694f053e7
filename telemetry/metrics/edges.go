package metrics

import (
	"slices"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
)

// Edge is the traffic from one workload to another, as this proxy has seen it since it
// started: an arrow of the service graph. Its numbers only grow.
type Edge struct {
	// Inbound says that the proxy stands beside the destination; else it speaks for the source.
	Inbound bool
	// Source and Destination are the workloads; their fields are empty where they are not
	// known. Destination is empty for requests that no endpoint was found for.
	Source, Destination identity.Workload
	// Service is what was called. Its Host is empty where it is not known, and its Name
	// "PassthroughCluster" or "BlackHoleCluster" for what is none of the mesh's.
	Service router.Service
	// Subset is that of the cluster, "v1"; mostly empty.
	Subset string
	// Protocol is "http", "grpc" or "tcp".
	Protocol string
	// Mutual says that both ends proved who they are (mutual TLS).
	Mutual bool
	// Requests counts, for http and grpc, by the first digit of the response's code; 0 holds
	// those that were sent none. Failures counts those that failed: 5xx, no response, or a
	// grpc-status other than OK.
	Requests [6]uint64
	Failures uint64
	// Duration is of requests, in milliseconds.
	Duration Histogram
	// Opened and Closed count TCP connections. Sent and Received are bytes to and from the
	// source, of requests too.
	Opened, Closed, Sent, Received uint64
	// Seen is when traffic was last counted, within a few seconds.
	Seen time.Time
}

// flowKey is what makes an Edge.
type flowKey struct {
	inbound             bool
	source, destination identity.Workload
	service             router.Service
	subset, protocol    string
	mutual              bool
}

// flow is what an Edge counts. Who it is between is its key.
type flow struct {
	requests                       [6]uint64
	failures                       uint64
	duration                       Histogram
	opened, closed, sent, received uint64
	seen                           time.Time
	gone                           bool
	// outcomes are the ways in which its exchanges have ended, those that are told apart.
	outcomes []outcome
}

// maxOutcomes bounds the ways to end that the histograms of one flow tell apart: each is a page of
// lines, in three metrics. Healthy services and sick ones have a dozen.
const maxOutcomes = 32

// outcome is a way in which an exchange may end.
type outcome struct {
	status uint16
	flags  proxy.Flags
	grpc   grpcStatus
}

// tells tells whether an outcome is one of those that are told apart.
func (f *flow) tells(o outcome) bool {
	if slices.Contains(f.outcomes, o) {
		return true
	}
	if len(f.outcomes) >= maxOutcomes {
		return false
	}
	f.outcomes = append(f.outcomes, o)
	return true
}

// Edges returns all edges that the proxy knows of, in no order. Those without traffic expire
// with their series.
func (m *Metrics) Edges() []Edge {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drain()
	list := make([]Edge, 0, len(m.flows))
	for k, f := range m.flows {
		list = append(list, f.edge(&k))
	}
	return list
}

// edge returns the Edge of a key's flow.
func (f *flow) edge(k *flowKey) Edge {
	d := f.duration
	d.Counts = slices.Clone(d.Counts)
	return Edge{
		Inbound: k.inbound, Source: k.source, Destination: k.destination, Service: k.service, Subset: k.subset,
		Protocol: k.protocol, Mutual: k.mutual,
		Requests: f.requests, Failures: f.failures, Duration: d,
		Opened: f.opened, Closed: f.closed, Sent: f.sent, Received: f.received, Seen: f.seen,
	}
}

// flow returns the flow of a key, with bounds for how many there may be.
func (m *Metrics) flow(k flowKey) *flow {
	if f := m.flows[k]; f != nil {
		return f
	}
	if len(m.flows) >= m.o.MaxSeries {
		k = flowKey{inbound: k.inbound, source: identity.Workload{Name: other}, destination: identity.Workload{Name: other}, protocol: k.protocol}
		if f := m.flows[k]; f != nil {
			return f
		}
	}
	f := &flow{duration: newHistogram(m.duration)}
	m.flows[k] = f
	return f
}

// add adds what was counted.
func (f *flow) add(d *delta, now time.Time) {
	t := &d.tally
	class := int(d.entry.key.status) / 100
	if class >= len(f.requests) {
		class = 0
	}
	f.requests[class] += t.requests
	if d.entry.key.failed() {
		f.failures += t.requests
	}
	f.duration.add(&t.duration, float64(time.Millisecond))
	f.opened += t.opened
	f.closed += t.closed
	f.sent += t.response.sum + t.sent
	f.received += t.request.sum + t.received
	f.seen = now
}
