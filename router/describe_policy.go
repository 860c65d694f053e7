package router

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Policy is one policy of a route or a cluster, for people.
type Policy struct {
	// Name is such as "retry" or "outlier detection".
	Name string `json:"name"`
	// Text says in a line what it does.
	Text string `json:"text"`
}

// retryNames are in the order of the constants of RetryOn.
var retryNames = [...]string{
	"connect-failure", "reset", "reset-before-request", "refused-stream", "5xx", "gateway-error", "retriable-4xx",
	"retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure",
	"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}

// String returns the conditions' names as Envoy has them, joined by commas.
func (on RetryOn) String() string {
	var names []string
	for i, name := range retryNames {
		if on&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// String returns the fraction as a percentage: "0.1%".
func (s Fraction) String() string {
	return strconv.FormatFloat(float64(s)/(float64(AllTraffic)/100), 'f', -1, 64) + "%"
}

// Policies says what the route does beside choosing a destination within its Timeout, in the
// order in which it acts.
func (r *Route) Policies() []Policy {
	var list []Policy
	add := func(name, text string) { list = append(list, Policy{name, text}) }
	p := r.PolicyInForce()
	if p.Sources != nil {
		add("sources", p.Sources.brief())
	}
	if p.MaxRequestBody > 0 {
		add("request body", fmt.Sprintf("at most %d bytes, else 413", p.MaxRequestBody))
	}
	if p.CORS != nil {
		add("cors", p.CORS.brief())
	}
	for i := range p.Limits {
		add("limit", p.Limits[i].brief())
	}
	if p.IdleTimeout > 0 {
		add("idle timeout", p.IdleTimeout.String())
	}
	if f := p.Fault; f != nil {
		add("fault", f.brief())
	}
	for _, m := range p.Mirrors {
		add("mirror", m.Fraction.String()+" to "+m.Cluster)
	}
	if p.Retry != nil && p.Retry.Attempts > 0 {
		add("retry", p.Retry.brief())
	}
	return list
}

func (s *Sources) brief() string {
	var parts []string
	for _, list := range []struct {
		word   string
		ranges []netip.Prefix
	}{{"allow ", s.Allow}, {"deny ", s.Deny}} {
		var ranges []string
		for _, p := range list.ranges {
			ranges = append(ranges, p.String())
		}
		if len(ranges) > 0 {
			parts = append(parts, list.word+strings.Join(ranges, ","))
		}
	}
	return strings.Join(append(parts, "else 403"), ", ")
}

func (l *LocalLimit) brief() string {
	var parts []string
	if l.Interval() > 0 {
		parts = append(parts, fmt.Sprintf("%d requests in %s of each client, %d more at once", l.Requests, l.Period, l.Burst))
	}
	if l.Concurrent > 0 {
		parts = append(parts, fmt.Sprintf("%d requests of each client in progress", l.Concurrent))
	}
	if len(l.Exempt) > 0 {
		exempt := make([]string, len(l.Exempt))
		for i, p := range l.Exempt {
			exempt[i] = p.String()
		}
		parts = append(parts, "but not of "+strings.Join(exempt, ","))
	}
	return strings.Join(append(parts, "else 503", "counted as "+l.Name), ", ")
}

func (p *Retry) brief() string {
	text := fmt.Sprintf("%d times on %s", p.Attempts, p.On)
	if len(p.StatusCodes) > 0 {
		text += fmt.Sprintf(" %v", p.StatusCodes)
	}
	parts := []string{text}
	parts = appendTime(parts, "each try ", p.PerTry)
	parts = appendTime(parts, "backoff ", p.Backoff)
	if p.AvoidPrevious {
		parts = append(parts, "another endpoint")
	}
	if p.RemoteLocalities {
		parts = append(parts, "any locality")
	}
	return strings.Join(parts, ", ")
}

func (f *Fault) brief() string {
	var parts []string
	if f.Delay > 0 {
		parts = append(parts, fmt.Sprintf("delay %s of %s", f.Delay, f.DelayFraction))
	}
	switch {
	case f.HasGRPC:
		parts = append(parts, fmt.Sprintf("abort %s with grpc-status %d", f.AbortFraction, f.GRPCStatus))
	case f.AbortStatus != 0:
		parts = append(parts, fmt.Sprintf("abort %s with %d", f.AbortFraction, f.AbortStatus))
	}
	return strings.Join(parts, ", ")
}

func (c *CORS) brief() string {
	origins := make([]string, len(c.AllowOrigins))
	for i, o := range c.AllowOrigins {
		origins[i] = o.brief()
	}
	parts := []string{"origins " + strings.Join(origins, ",")}
	for _, list := range []struct{ name, value string }{{"methods", c.AllowMethods}, {"headers", c.AllowHeaders}, {"exposes", c.ExposeHeaders}} {
		if list.value != "" {
			parts = append(parts, list.name+" "+list.value)
		}
	}
	if c.AllowCredentials {
		parts = append(parts, "credentials")
	}
	if c.HasMaxAge {
		parts = append(parts, "max age "+c.MaxAge.String())
	}
	return strings.Join(parts, ", ")
}

// Policies says how the cluster treats its endpoints.
func (c *Cluster) Policies() []Policy {
	balancer := c.Balancer.String()
	if c.Resolution == ResolutionOriginal {
		balancer = "CLUSTER_PROVIDED"
	}
	list := append([]Policy{{"balancer", balancer}}, c.connectionPolicies()...)
	add := func(name string, parts []string) {
		if len(parts) > 0 {
			list = append(list, Policy{name, strings.Join(parts, ", ")})
		}
	}
	add("hash", c.Hash.brief())
	add("connection pool", c.Pool.brief(c.ConnectTimeout))
	add("outlier detection", c.Outlier.brief())
	if c.Warmup != nil {
		add("warmup", []string{fmt.Sprintf("%s from %g%%", c.Warmup.Duration, c.Warmup.MinPercent)})
	}
	add("locality", c.Locality.brief())
	return list
}

func (h *HashPolicy) brief() []string {
	if h == nil {
		return nil
	}
	text := [...]string{HashHeader: "header ", HashCookie: "cookie ", HashSourceIP: "source IP", HashQuery: "query "}[h.Kind] + h.Name
	if h.IssueCookie {
		text += " (issued"
		if h.TTL > 0 {
			text += " for " + h.TTL.String()
		}
		text += ")"
	}
	return []string{text}
}

func (p *Pool) brief(connect time.Duration) []string {
	parts := appendTime(nil, "connect ", connect)
	for _, n := range []struct {
		name  string
		value int
	}{
		{"connections", p.MaxConnections}, {"pending", p.MaxPending}, {"requests", p.MaxRequests},
		{"requests per connection", p.MaxRequestsPerConnection}, {"retries", p.MaxRetries},
	} {
		if n.value > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.value, n.name))
		}
	}
	if b := p.Budget; b != nil {
		parts = append(parts, fmt.Sprintf("retries %g%%, at least %d", b.Percent, b.MinConcurrency))
	}
	parts = appendTime(parts, "idle ", p.IdleTimeout)
	return appendTime(parts, "age ", p.MaxConnectionAge)
}

func (o *Outlier) brief() []string {
	if o == nil {
		return nil
	}
	var parts []string
	for _, n := range []struct {
		value int
		name  string
	}{{o.Consecutive5xx, "5xx"}, {o.ConsecutiveGateway, "gateway errors"}, {o.ConsecutiveLocal, "local failures"}} {
		if n.value > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.value, n.name))
		}
	}
	parts = appendTime(parts, "out for ", o.BaseEjection)
	parts = appendTime(parts, "every ", o.Interval)
	return append(parts, fmt.Sprintf("at most %d%% out", o.MaxEjectionPercent))
}

func (l *Locality) brief() []string {
	if l == nil {
		return nil
	}
	var parts []string
	for _, s := range l.Distribute {
		parts = append(parts, fmt.Sprintf("%d%% %s", s.Percent, s.Locality))
	}
	for _, f := range l.Failover {
		parts = append(parts, f.From+" fails over to "+f.To)
	}
	if len(l.FailoverPriority) > 0 {
		parts = append(parts, "priority by "+strings.Join(l.FailoverPriority, " "))
	}
	if len(parts) == 0 {
		parts = append(parts, "nearest first")
	}
	return parts
}

func appendTime(parts []string, what string, d time.Duration) []string {
	if d == 0 {
		return parts
	}
	return append(parts, what+d.String())
}
