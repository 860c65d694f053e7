package upstream

import (
	"fmt"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// HealthStatus is what outlier detection knows of an endpoint.
type HealthStatus struct {
	// EjectedAt is since when an endpoint is ejected, and Ejection why.
	EjectedAt time.Time `json:"ejectedAt,omitzero"`
	Ejection  string    `json:"ejection,omitempty"`
	// EjectedUntil is when an ejected endpoint is let in again at the earliest: at the first
	// look behind it, which comes with every interval. It is zero for one that is in use.
	EjectedUntil time.Time `json:"ejectedUntil,omitzero"`
	// Errors, GatewayErrors and LocalFailures are how many responses of 5xx, of 502 to 504, and
	// failures without a response, came in a row; they count where the policy asks for them.
	Errors        int `json:"consecutive5xx,omitempty"`
	GatewayErrors int `json:"consecutiveGatewayErrors,omitempty"`
	LocalFailures int `json:"consecutiveLocalFailures,omitempty"`
}

// healthStatus returns what is known of an endpoint. The caller holds the lock of the cluster's
// state.
func (e *Endpoint) healthStatus(o *router.Outlier) HealthStatus {
	h := &e.health
	s := HealthStatus{
		Errors: int(h.errors.Load()), GatewayErrors: int(h.gatewayErrors.Load()), LocalFailures: int(h.localFailures.Load()),
	}
	if o != nil && e.Ejected() {
		s.EjectedAt, s.Ejection = proxy.Wall(h.since), ejection(h.cause, o)
		s.EjectedUntil = proxy.Wall(h.since + int64(h.term(o)))
	}
	return s
}

// ejection says what led to one, with the policy's field.
func ejection(cause Stat, o *router.Outlier) string {
	switch cause {
	case EjectionsGateway:
		return fmt.Sprintf("%d times 502, 503, 504 or no answer in a row (consecutiveGatewayErrors)", o.ConsecutiveGateway)
	case EjectionsLocal:
		return fmt.Sprintf("%d failures of the connection in a row (consecutiveLocalOriginFailures)", o.ConsecutiveLocal)
	}
	return fmt.Sprintf("%d times 5xx or no answer in a row (consecutive5xxErrors)", o.Consecutive5xx)
}

// term returns how long an ejection lasts. The lock of the cluster's state guards it.
func (h *health) term(o *router.Outlier) time.Duration {
	return min(time.Duration(h.times)*baseEjection(o), max(maxEjection, baseEjection(o)))
}

// LimitsStatus are the bounds that a cluster's policy sets, 0 for none; its Stats tell how much
// of them is used.
type LimitsStatus struct {
	// Connections bounds upstream_cx_active, Pending upstream_rq_pending_active, Requests
	// upstream_rq_active, and Retries those in progress, which a retry budget moves.
	Connections int   `json:"connections,omitempty"`
	Pending     int   `json:"pending,omitempty"`
	Requests    int   `json:"requests,omitempty"`
	Retries     int64 `json:"retries,omitempty"`
}

func (c *Cluster) limits() LimitsStatus {
	p := &c.Spec.Pool
	s := LimitsStatus{Connections: p.MaxConnections, Pending: p.MaxPending, Requests: p.MaxRequests}
	if limit, limited := c.retryLimit(); limited {
		s.Retries = limit
	}
	return s
}
