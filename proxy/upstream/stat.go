package upstream

import (
	"bytes"
	"strconv"
	"sync/atomic"
)

// Stat is one of the numbers that are kept of each cluster. Its name is Envoy's.
type Stat uint8

const (
	// CxTotal counts connections that were established, CxActive are those there are, or
	// are being made.
	CxTotal Stat = iota
	CxActive
	// CxOverflow counts requests that found Pool.MaxConnections reached.
	CxOverflow
	CxConnectFail
	CxConnectTimeout
	// CxIdleTimeout, CxMaxRequests and CxMaxDuration count connections that were closed
	// for having been idle, used or open for as long as they may be.
	CxIdleTimeout
	CxMaxRequests
	CxMaxDuration
	// RqTotal counts tries, RqActive are those in progress.
	RqTotal
	RqActive
	// RqPendingTotal counts tries that had to wait for a connection, be it a new one;
	// RqPendingActive are those that do, RqPendingOverflow those that were not let.
	RqPendingTotal
	RqPendingActive
	RqPendingOverflow
	// RqTimeout counts requests that ran into the route's timeout, RqPerTryTimeout tries.
	RqTimeout
	RqPerTryTimeout
	// RqRxReset counts tries that the upstream ended without a whole response.
	RqRxReset
	// RqRetry counts retries, RqRetrySuccess those whose response was relayed;
	// RqRetryOverflow those that a breaker prevented, RqRetryLimitExceeded requests that
	// had no retries left.
	RqRetry
	RqRetrySuccess
	RqRetryOverflow
	RqRetryLimitExceeded
	// EjectionsActive are the endpoints that outlier detection keeps out of use. The
	// others count ejections, and those that MaxEjectionPercent prevented.
	EjectionsActive
	EjectionsTotal
	Ejections5xx
	EjectionsGateway
	EjectionsLocal
	EjectionsOverflow
	// CxOpen and its like are 1 while a breaker is open: one more would be too many.
	CxOpen
	RqPendingOpen
	RqOpen
	RqRetryOpen
	// MembershipTotal are the endpoints, MembershipHealthy those that are not ejected.
	MembershipTotal
	MembershipHealthy

	// stats is the number of Stat.
	stats
)

// statNames are in the order of the constants. Gauges end in "!".
var statNames = [stats]string{
	"upstream_cx_total", "upstream_cx_active!", "upstream_cx_overflow", "upstream_cx_connect_fail", "upstream_cx_connect_timeout",
	"upstream_cx_idle_timeout", "upstream_cx_max_requests", "upstream_cx_max_duration_reached",
	"upstream_rq_total", "upstream_rq_active!", "upstream_rq_pending_total", "upstream_rq_pending_active!", "upstream_rq_pending_overflow",
	"upstream_rq_timeout", "upstream_rq_per_try_timeout", "upstream_rq_rx_reset",
	"upstream_rq_retry", "upstream_rq_retry_success", "upstream_rq_retry_overflow", "upstream_rq_retry_limit_exceeded",
	"outlier_detection.ejections_active!", "outlier_detection.ejections_enforced_total", "outlier_detection.ejections_enforced_consecutive_5xx",
	"outlier_detection.ejections_enforced_consecutive_gateway_failure", "outlier_detection.ejections_enforced_consecutive_local_origin_failure",
	"outlier_detection.ejections_overflow",
	"circuit_breakers.default.cx_open!", "circuit_breakers.default.rq_pending_open!", "circuit_breakers.default.rq_open!", "circuit_breakers.default.rq_retry_open!",
	"membership_total!", "membership_healthy!",
}

// String returns the name as Envoy has it, without the cluster: "upstream_rq_total".
func (s Stat) String() string {
	name := statNames[s]
	if s.Gauge() {
		return name[:len(name)-1]
	}
	return name
}

// Gauge tells a level from a count.
func (s Stat) Gauge() bool { name := statNames[s]; return name[len(name)-1] == '!' }

// Stats are a cluster's numbers at a moment, by Stat.
type Stats [stats]uint64

// MarshalJSON implements json.Marshaler: an object with the names.
func (s Stats) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, v := range s {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(strconv.Quote(Stat(i).String()))
		b.WriteByte(':')
		b.WriteString(strconv.FormatUint(v, 10))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// counters are a cluster's numbers at work.
type counters [stats]atomic.Int64

// Count adds one to a count that the caller keeps: those of timeouts, resets and retries.
func (c *Cluster) Count(s Stat) { c.state.counters[s].Add(1) }
