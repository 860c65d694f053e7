package router

import (
	"net/netip"
	"time"
)

// Fraction is a part of the traffic, in millionths: 1,000,000 is all of it.
type Fraction uint32

// AllTraffic is the whole of a Fraction.
const AllTraffic Fraction = 1_000_000

// Takes tells whether a random number falls into it.
func (s Fraction) Takes(random uint64) bool { return random%uint64(AllTraffic) < uint64(s) }

// RetryOn is a set of conditions under which a request is sent again. The names are Envoy's
// (x-envoy-retry-on, x-envoy-retry-grpc-on).
type RetryOn uint32

const (
	// RetryConnectFailure: no connection to the endpoint.
	RetryConnectFailure RetryOn = 1 << iota
	// RetryReset: no response at all: the connection was closed or reset, or timed out.
	RetryReset
	// RetryResetBeforeRequest: as RetryReset, before the request was sent whole.
	RetryResetBeforeRequest
	// RetryRefusedStream: the upstream refused the stream (HTTP/2 REFUSED_STREAM).
	RetryRefusedStream
	// Retry5xx: a 5xx response, or none.
	Retry5xx
	// RetryGatewayError: 502, 503, 504, or no response.
	RetryGatewayError
	// RetryRetriable4xx: 409.
	RetryRetriable4xx
	// RetryStatusCodes: a status in Retry.StatusCodes.
	RetryStatusCodes
	// RetryRetriableHeaders: a response header that Envoy's x-envoy-retriable-header-names
	// names; Istio configures none.
	RetryRetriableHeaders
	// RetryEnvoyRateLimited: a response with x-envoy-ratelimited.
	RetryEnvoyRateLimited
	// RetryHTTP3PostConnectFailure is accepted; it means something to HTTP/3 upstreams only.
	RetryHTTP3PostConnectFailure
	// The gRPC conditions look at grpc-status in the response's head.
	RetryCancelled
	RetryDeadlineExceeded
	RetryInternal
	RetryResourceExhausted
	RetryUnavailable
)

// Sources are ranges of client addresses.
type Sources struct {
	// Allow lets only these in, where there are any; Deny keeps some of them out.
	Allow, Deny []netip.Prefix
}

// Admits tells whether a client of an address may come in. One that is not known may not. It
// allocates nothing.
func (s *Sources) Admits(client netip.Addr) bool {
	if !client.IsValid() {
		return false
	}
	client = client.Unmap().WithZone("")
	for _, p := range s.Deny {
		if p.Contains(client) {
			return false
		}
	}
	for _, p := range s.Allow {
		if p.Contains(client) {
			return true
		}
	}
	return len(s.Allow) == 0
}

// Retry is a route's retry policy (Istio HTTPRetry).
type Retry struct {
	// Attempts bounds the retries, after the first try.
	Attempts int
	// PerTry bounds each try; 0 means the route's timeout alone.
	PerTry time.Duration
	On     RetryOn
	// StatusCodes are retried with RetryStatusCodes, in ascending order.
	StatusCodes []int
	// Backoff is the base of the exponential pause, of which a random part is taken, at
	// most MaxBackoff: 25 ms, and ten times the base.
	Backoff, MaxBackoff time.Duration
	// AvoidPrevious prefers an endpoint that was not tried yet.
	AvoidPrevious bool
	// RemoteLocalities lets a retry go to other localities than the first try.
	RemoteLocalities bool
}

// Fault is what a route does to requests on purpose (Istio HTTPFaultInjection): first the
// delay, then the abort.
type Fault struct {
	Delay         time.Duration
	DelayFraction Fraction
	// AbortStatus is the HTTP status to answer; 0 for none, or 200 with GRPCStatus.
	AbortStatus int
	// GRPCStatus is the grpc-status to answer, where HasGRPC.
	GRPCStatus    int
	HasGRPC       bool
	AbortFraction Fraction
}

// Mirror is a destination that gets a copy of some requests (Istio mirror, mirrors). One
// whose Cluster is not in the Spec gets none.
type Mirror struct {
	Cluster  string
	Fraction Fraction
}

// CORS is a route's cross-origin policy (Istio CorsPolicy).
type CORS struct {
	// AllowOrigins are exact, prefix or regular expression; an exact "*" is any.
	AllowOrigins []StringMatch
	// AllowMethods, AllowHeaders and ExposeHeaders are lists, joined as they are sent.
	AllowMethods, AllowHeaders, ExposeHeaders string
	// MaxAge is sent as seconds where HasMaxAge.
	MaxAge    time.Duration
	HasMaxAge bool
	// AllowCredentials sends access-control-allow-credentials: true.
	AllowCredentials bool
	// ForwardUnmatched sends preflights of other origins to the upstream; else they are
	// answered here, without permission.
	ForwardUnmatched bool
}

// HashKind is what a request is hashed by.
type HashKind uint8

const (
	HashHeader HashKind = iota
	HashCookie
	HashSourceIP
	HashQuery
)

// HashPolicy says how a request's hash is made (Istio consistentHash).
type HashPolicy struct {
	Kind HashKind
	// Name is the header's (in lower case), cookie's or query parameter's.
	Name string
	// TTL, Path and Attributes are those of a cookie that is issued where the request has
	// none: never where IssueCookie is false. TTL 0 is a session cookie.
	IssueCookie bool
	TTL         time.Duration
	Path        string
	Attributes  []Header
}

// Warmup ramps up the traffic of a new endpoint (Istio warmup).
type Warmup struct {
	Duration time.Duration
	// MinPercent is the share of the traffic at the start, 10 by default; Aggression
	// bends the ramp, 1 is straight.
	MinPercent float64
	Aggression float64
}

// Locality says how locality decides among endpoints (Istio LocalityLoadBalancerSetting).
// It acts only where the cluster has an Outlier.
type Locality struct {
	// Own is the locality that this proxy is in, "region/zone/subzone"; empty where it is
	// not known. Endpoints near it are taken first: those of its subzone, its zone, its
	// region, then the others.
	Own string
	// Distribute gives each locality (a pattern such as "region/zone/*") its percentage,
	// for callers of the locality that this proxy is in.
	Distribute []LocalityShare
	// Failover names, by region, where traffic goes when the own region has no healthy
	// endpoints.
	Failover []LocalityFailover
	// FailoverPriority are label names, or name=value; the more of them, from the first,
	// an endpoint shares with the proxy, the sooner it is taken. Front ends complete names
	// with the proxy's value, so that name=value is all that stands here; the labels
	// topology.kubernetes.io/region and zone, and topology.istio.io/subzone, are the parts
	// of an endpoint's Locality.
	FailoverPriority []string
}

// LocalityShare is one locality's percentage.
type LocalityShare struct {
	Locality string
	Percent  uint32
}

// LocalityFailover sends a region's traffic to another.
type LocalityFailover struct {
	From, To string
}

// Pool bounds a cluster's connections and requests (Istio connectionPool). 0 means the
// default, which is no bound unless said.
type Pool struct {
	MaxConnections int
	// Keepalive is TCP keepalive: probes, idle time and interval.
	KeepaliveProbes            int
	KeepaliveTime, KeepaliveIv time.Duration
	// MaxConnectionAge ends connections that are older (maxConnectionDuration).
	MaxConnectionAge time.Duration
	// IdleTimeout ends connections for requests that are idle for longer: 1 h.
	IdleTimeout time.Duration
	// TCPIdleTimeout ends a stream (StreamRoute) through which nothing has moved for so long,
	// where the route's IdleTimeout is 0: 0 means an hour.
	TCPIdleTimeout time.Duration
	// MaxPending bounds the requests that wait for a connection
	// (http1MaxPendingRequests), MaxRequests those in progress (http2MaxRequests).
	MaxPending, MaxRequests int
	// MaxRequestsPerConnection ends a connection after so many; 1 turns keep-alive off.
	MaxRequestsPerConnection int
	// MaxRetries bounds the retries in progress.
	MaxRetries int
	// Budget, where set, bounds them by the share of requests instead.
	Budget *RetryBudget
}

// RetryBudget bounds the retries in progress to a percentage of the requests in progress
// (Istio retryBudget).
type RetryBudget struct {
	Percent        float64
	MinConcurrency int
	Interval       time.Duration
}

// Outlier takes endpoints that fail out of use for a while (Istio outlierDetection).
type Outlier struct {
	// Consecutive5xx counts responses with 5xx, and none; ConsecutiveGateway 502, 503,
	// 504 and none; ConsecutiveLocal failures to connect or of the connection, with
	// SplitLocal. 0 turns one off.
	Consecutive5xx, ConsecutiveGateway, ConsecutiveLocal int
	SplitLocal                                           bool
	// ErrorCodes replace 5xx as what counts as an error, where set.
	ErrorCodes []int
	// Interval is between the looks that let endpoints back in, and BaseEjection how long
	// one is out, times the number of its ejections in a row.
	Interval, BaseEjection time.Duration
	// MaxEjectionPercent bounds how many may be out, one always may. Below
	// MinHealthPercent of healthy ones all are used again.
	MaxEjectionPercent, MinHealthPercent int
}
