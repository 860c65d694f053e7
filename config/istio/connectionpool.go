package istio

import (
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// never is an idle timeout that is turned off: longer than any proxy runs, and short
// enough to be added to a time.
const never = 100 * 365 * 24 * time.Hour

// compilePool returns the bounds of a cluster's connections and requests. 0 counts as
// not said, as in Istio.
func compilePool(in *networking.ConnectionPoolSettings) router.Pool {
	tcp, http := in.GetTcp(), in.GetHttp()
	alive := tcp.GetTcpKeepalive()
	return router.Pool{
		MaxConnections:           int(tcp.GetMaxConnections()),
		KeepaliveProbes:          int(alive.GetProbes()),
		KeepaliveTime:            alive.GetTime().AsDuration(),
		KeepaliveIv:              alive.GetInterval().AsDuration(),
		MaxConnectionAge:         tcp.GetMaxConnectionDuration().AsDuration(),
		IdleTimeout:              idleTimeout(in),
		MaxPending:               int(http.GetHttp1MaxPendingRequests()),
		MaxRequests:              int(http.GetHttp2MaxRequests()),
		MaxRequestsPerConnection: int(http.GetMaxRequestsPerConnection()),
		MaxRetries:               int(http.GetMaxRetries()),
	}
}

// idleTimeout is that for HTTP, else that for TCP; one that is said to be 0 is none.
func idleTimeout(in *networking.ConnectionPoolSettings) time.Duration {
	d := in.GetHttp().GetIdleTimeout()
	if d == nil {
		d = in.GetTcp().GetIdleTimeout()
	}
	if d != nil && d.AsDuration() <= 0 {
		return never
	}
	return d.AsDuration()
}

// compileBudget returns the bound of retries by share, nil where there is none.
func compileBudget(in *networking.TrafficPolicy_RetryBudget) *router.RetryBudget {
	if in == nil {
		return nil
	}
	out := &router.RetryBudget{Percent: 20, MinConcurrency: 3, Interval: in.BudgetInterval.AsDuration()}
	if in.Percent != nil {
		out.Percent = in.Percent.Value
	}
	if in.MinRetryConcurrency > 0 {
		out.MinConcurrency = int(in.MinRetryConcurrency)
	}
	return out
}
