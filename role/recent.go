package role

import (
	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/telemetry/recent"
)

// breakers are the circuit breakers whose state is told, by what the limit is of.
var breakers = map[upstream.Stat]string{
	upstream.CxOpen: "cx", upstream.RqPendingOpen: "rq_pending", upstream.RqOpen: "rq", upstream.RqRetryOpen: "rq_retry",
}

// upstreamState returns the state of a cluster as it explains a failure; nil where there is no
// such cluster.
func (p *process) upstreamState(cluster string) *recent.Upstream {
	status, ok := p.engine.Cluster(cluster)
	if !ok {
		return nil
	}
	u := &recent.Upstream{Endpoints: make([]recent.Endpoint, len(status.Endpoints))}
	for i, e := range status.Endpoints {
		u.Endpoints[i] = recent.Endpoint{
			Address: e.Address, Name: e.Name, Healthy: e.Healthy, EjectedAt: e.EjectedAt, Ejection: e.Ejection,
			Active: e.Active, Requests: e.Requests, Failures: e.Failures, ConnectFailures: e.ConnectFailures,
		}
	}
	for _, stat := range []upstream.Stat{upstream.CxOpen, upstream.RqPendingOpen, upstream.RqOpen, upstream.RqRetryOpen} {
		if status.Stats[stat] > 0 {
			u.Open = append(u.Open, breakers[stat])
		}
	}
	return u
}
