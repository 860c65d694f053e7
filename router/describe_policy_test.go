package router

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func lines(list []Policy) string {
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintf(&b, "%s: %s\n", p.Name, p.Text)
	}
	return b.String()
}

func TestPoliciesOfRoute(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Route{
		"":                                     {RouteAction: &RouteAction{Policy: &RoutePolicy{Retry: &Retry{}}}},
		"retry: 3 times on 5xx, each try 2s\n": {RouteAction: &RouteAction{Policy: &RoutePolicy{Timeout: 2 * time.Second, Retry: &Retry{Attempts: 3, PerTry: 2 * time.Second, On: Retry5xx}}}},
		"retry: 2 times on connect-failure,retriable-status-codes,unavailable [503 504], backoff 25ms, another endpoint, any locality\n": {
			RouteAction: &RouteAction{Policy: &RoutePolicy{Retry: &Retry{
				Attempts: 2, On: RetryConnectFailure | RetryStatusCodes | RetryUnavailable, StatusCodes: []int{503, 504},
				Backoff: 25 * time.Millisecond, AvoidPrevious: true, RemoteLocalities: true,
			}}},
		},
		"fault: delay 2s of 0.0001%, abort 50% with 500\n": {RouteAction: &RouteAction{Policy: &RoutePolicy{Fault: &Fault{Delay: 2 * time.Second, DelayFraction: 1, AbortStatus: 500, AbortFraction: 500_000}}}},
		"fault: abort 100% with grpc-status 14\n":          {RouteAction: &RouteAction{Policy: &RoutePolicy{Fault: &Fault{HasGRPC: true, GRPCStatus: 14, AbortFraction: AllTraffic}}}},
		"sources: allow 10.0.0.0/8,::1/128, deny 10.1.0.0/16, else 403\nrequest body: at most 9 bytes, else 413\n": {
			RouteAction: &RouteAction{Policy: &RoutePolicy{
				MaxRequestBody: 9, Sources: &Sources{
					Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}, Deny: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
				},
			}},
		},
		"cors: origins *,https://a*, methods GET, credentials, max age 1m0s\nmirror: 10% to m\n": {
			RouteAction: &RouteAction{Policy: &RoutePolicy{
				CORS: &CORS{
					AllowOrigins: []StringMatch{{MatchExact, "*"}, {MatchPrefix, "https://a"}}, AllowMethods: "GET",
					AllowCredentials: true, MaxAge: time.Minute, HasMaxAge: true,
				},
				Mirrors: []Mirror{{Cluster: "m", Fraction: 100_000}},
			}},
		},
	} {
		if got := lines(r.Policies()); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

func TestPoliciesOfCluster(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Cluster{
		"balancer: LEAST_REQUEST\n":                                    {},
		"balancer: CLUSTER_PROVIDED\n":                                 {Resolution: ResolutionOriginal},
		"balancer: RING_HASH\nhash: cookie user (issued for 1h0m0s)\n": {Balancer: RingHash, Hash: &HashPolicy{Kind: HashCookie, Name: "user", IssueCookie: true, TTL: time.Hour}},
		"balancer: MAGLEV\nhash: source IP\n":                          {Balancer: Maglev, Hash: &HashPolicy{Kind: HashSourceIP}},
		"balancer: RANDOM\nconnection pool: connect 1s, 1 connections, 2 pending, 3 requests, 4 requests per connection, 5 retries, idle 1m0s, age 1h0m0s\n": {
			Balancer: Random, ConnectTimeout: time.Second,
			Pool: Pool{MaxConnections: 1, MaxPending: 2, MaxRequests: 3, MaxRequestsPerConnection: 4, MaxRetries: 5, IdleTimeout: time.Minute, MaxConnectionAge: time.Hour},
		},
		"balancer: ROUND_ROBIN\noutlier detection: 5 5xx, 2 local failures, out for 30s, every 10s, at most 10% out\nwarmup: 1m0s from 10%\nlocality: 80% eu/a/*, us fails over to eu\n": {
			Balancer: RoundRobin,
			Outlier:  &Outlier{Consecutive5xx: 5, ConsecutiveLocal: 2, BaseEjection: 30 * time.Second, Interval: 10 * time.Second, MaxEjectionPercent: 10},
			Warmup:   &Warmup{Duration: time.Minute, MinPercent: 10},
			Locality: &Locality{Distribute: []LocalityShare{{"eu/a/*", 80}}, Failover: []LocalityFailover{{"us", "eu"}}},
		},
		"balancer: LEAST_REQUEST\nconnection pool: retries 20%, at least 3\nlocality: nearest first\n": {
			Pool: Pool{Budget: &RetryBudget{Percent: 20, MinConcurrency: 3}}, Locality: &Locality{},
		},
	} {
		if got := lines(c.Policies()); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}
