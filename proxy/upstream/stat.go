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
	// UpdateAttempt counts lookups of the names that endpoints stand on; UpdateSuccess those
	// that found addresses, UpdateEmpty that found none, UpdateFailure that came to nothing.
	// UpdateNoRebuild counts those that changed nothing, MembershipChange the others.
	UpdateAttempt
	UpdateSuccess
	UpdateEmpty
	UpdateFailure
	UpdateNoRebuild
	MembershipChange
	// MembershipTotal are the endpoints, MembershipHealthy those that are not ejected.
	MembershipTotal
	MembershipHealthy

	// stats is the number of Stat.
	stats
)

var statInfo = [stats]struct {
	name  string
	gauge bool
}{
	CxTotal:              {"upstream_cx_total", false},
	CxActive:             {"upstream_cx_active", true},
	CxOverflow:           {"upstream_cx_overflow", false},
	CxConnectFail:        {"upstream_cx_connect_fail", false},
	CxConnectTimeout:     {"upstream_cx_connect_timeout", false},
	CxIdleTimeout:        {"upstream_cx_idle_timeout", false},
	CxMaxRequests:        {"upstream_cx_max_requests", false},
	CxMaxDuration:        {"upstream_cx_max_duration_reached", false},
	RqTotal:              {"upstream_rq_total", false},
	RqActive:             {"upstream_rq_active", true},
	RqPendingTotal:       {"upstream_rq_pending_total", false},
	RqPendingActive:      {"upstream_rq_pending_active", true},
	RqPendingOverflow:    {"upstream_rq_pending_overflow", false},
	RqTimeout:            {"upstream_rq_timeout", false},
	RqPerTryTimeout:      {"upstream_rq_per_try_timeout", false},
	RqRxReset:            {"upstream_rq_rx_reset", false},
	RqRetry:              {"upstream_rq_retry", false},
	RqRetrySuccess:       {"upstream_rq_retry_success", false},
	RqRetryOverflow:      {"upstream_rq_retry_overflow", false},
	RqRetryLimitExceeded: {"upstream_rq_retry_limit_exceeded", false},
	EjectionsActive:      {"outlier_detection.ejections_active", true},
	EjectionsTotal:       {"outlier_detection.ejections_enforced_total", false},
	Ejections5xx:         {"outlier_detection.ejections_enforced_consecutive_5xx", false},
	EjectionsGateway:     {"outlier_detection.ejections_enforced_consecutive_gateway_failure", false},
	EjectionsLocal:       {"outlier_detection.ejections_enforced_consecutive_local_origin_failure", false},
	EjectionsOverflow:    {"outlier_detection.ejections_overflow", false},
	CxOpen:               {"circuit_breakers.default.cx_open", true},
	RqPendingOpen:        {"circuit_breakers.default.rq_pending_open", true},
	RqOpen:               {"circuit_breakers.default.rq_open", true},
	RqRetryOpen:          {"circuit_breakers.default.rq_retry_open", true},
	UpdateAttempt:        {"update_attempt", false},
	UpdateSuccess:        {"update_success", false},
	UpdateEmpty:          {"update_empty", false},
	UpdateFailure:        {"update_failure", false},
	UpdateNoRebuild:      {"update_no_rebuild", false},
	MembershipChange:     {"membership_change", false},
	MembershipTotal:      {"membership_total", true},
	MembershipHealthy:    {"membership_healthy", true},
}

// String returns the name as Envoy has it, without the cluster: "upstream_rq_total".
func (s Stat) String() string { return statInfo[s].name }

// Gauge tells a level from a count.
func (s Stat) Gauge() bool { return statInfo[s].gauge }

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
