package why

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// limit is one of a connection pool's, by the breaker's name in Envoy and the DestinationRule's
// field.
type limit struct {
	breaker, field string
	value          int
}

func limitsOf(p *router.Pool) []limit {
	return []limit{
		{"rq", "http.http2MaxRequests", p.MaxRequests},
		{"rq_pending", "http.http1MaxPendingRequests", p.MaxPending},
		{"cx", "tcp.maxConnections", p.MaxConnections},
		{"rq_retry", "http.maxRetries", p.MaxRetries},
	}
}

// overflow: a circuit breaker is open.
func (c *inquiry) overflow() {
	c.because("a circuit breaker of %s is open: it is at a limit of its connection pool", c.Cluster)
	cluster := c.cluster()
	if cluster == nil {
		c.fix(router.Origin{}, "raise the limits in trafficPolicy.connectionPool of the DestinationRule for it")
		return
	}
	limits := slices.DeleteFunc(limitsOf(&cluster.Pool), func(l limit) bool { return l.value <= 0 })
	if reached := c.reached(limits); len(reached) > 0 {
		limits = reached
	}
	var fields []string
	for _, l := range limits {
		fields = append(fields, fmt.Sprintf("%s: %d", l.field, l.value))
	}
	if len(fields) == 0 {
		c.fix(origin(cluster), "the limit is gone: the configuration has changed since")
		return
	}
	rule := c.policy("trafficPolicy.connectionPool")
	if len(limits) == 1 {
		rule.Field = join(rule.Field, limits[0].field)
	}
	c.because("a circuit breaker of %s is open: as many as connectionPool.%s allows are in use", c.Cluster, strings.Join(fields, " or "))
	if u := c.failure.Upstream; u != nil {
		var active int64
		for _, e := range u.Endpoints {
			active += e.Active
		}
		c.fact("a moment later %s in progress", were(active, "exchange"))
	}
	c.fix(rule, "raise the limit, add endpoints, or find out why they take so long to answer")
}

func were(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun + " was"
	}
	return fmt.Sprintf("%d %ss were", n, noun)
}

// reached are those of some limits that the failure tells of, or whose breaker was open a moment
// later.
func (c *inquiry) reached(limits []limit) []limit {
	var named, open []limit
	for _, l := range limits {
		if strings.Contains(c.UpstreamFailure, l.field[strings.IndexByte(l.field, '.')+1:]) {
			named = append(named, l)
		}
		if u := c.failure.Upstream; u != nil && slices.Contains(u.Open, l.breaker) {
			open = append(open, l)
		}
	}
	if len(named) > 0 {
		return named
	}
	return open
}

// rateLimited: a limit of what one client may ask for.
func (c *inquiry) rateLimited() {
	c.because("the client asked for more than the rule lets one client have (%s)", c.Details)
	if route := c.route(); route != nil {
		for _, p := range route.Policies() {
			if p.Name == "limit" {
				c.fact("%s", p.Text)
			}
		}
	}
	c.fix(c.at(""), "raise the limit (of an Ingress: the annotations limit-rps, limit-rpm and limit-connections), or let the client ask less often")
}

// overload: the proxy has no memory left.
func (c *inquiry) overload() {
	c.because("the proxy was out of memory, and answered 503 to everything")
	c.fix(router.Origin{}, "give the process more memory (GOMEMLIMIT, or the container's limit), or bound its clients: --max-connections-total")
}
