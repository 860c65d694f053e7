package why

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicegate/sluice/router"
)

// nearly is the part of a timeout from which one counts as used up.
const nearly = 0.95

// timeout: the time for the request ran out.
func (c *inquiry) timeout() {
	c.because("%s of %s did not answer in time: after %s", orUnknown(c.UpstreamHost), c.Cluster, took(c.Duration))
	c.tries()
	route := c.route()
	switch {
	case c.has("grpc-timeout"):
		c.fact("the call's own deadline may be it: the client sent grpc-timeout")
	case c.has("x-envoy-upstream-rq-timeout-ms"):
		c.fact("the caller asked for the timeout: x-envoy-upstream-rq-timeout-ms")
	}
	if route == nil {
		c.fix(c.at("timeout"), "raise the rule's timeout, or find out why the endpoint takes so long")
		return
	}
	if over(c.Duration, route.PolicyInForce().Timeout) {
		c.because("%s of %s did not answer within the rule's timeout of %s", orUnknown(c.UpstreamHost), c.Cluster, route.PolicyInForce().Timeout)
		c.fix(c.at("timeout"), "raise timeout, or find out why the endpoint takes longer")
		return
	}
	if r := route.PolicyInForce().Retry; r != nil && r.PerTry > 0 {
		c.because("%s of %s did not answer within the perTryTimeout of %s", orUnknown(c.UpstreamHost), c.Cluster, r.PerTry)
		c.fix(c.at("retries.perTryTimeout"), "raise perTryTimeout, or find out why the endpoint takes longer")
		return
	}
	c.fix(c.at("timeout"), "raise the rule's timeout, or find out why the endpoint takes so long")
}

// over tells whether a duration, in milliseconds, used a limit up.
func over(ms float64, limit time.Duration) bool {
	return limit > 0 && ms >= nearly*float64(limit.Milliseconds())
}

// took writes milliseconds as people do.
func took(ms float64) string {
	return time.Duration(ms * float64(time.Millisecond)).Round(100 * time.Microsecond).String()
}

// route is the request's rule as it is configured now; nil where it is gone.
func (c *inquiry) route() *router.Route {
	if c.evidence.Spec == nil || c.Rule.Kind == "" {
		return nil
	}
	for _, l := range c.evidence.Spec.Listeners {
		for _, table := range l.RouteTables() {
			for _, v := range table.VirtualHosts {
				for _, r := range v.Routes {
					if r.Origin() == c.Rule && r.Name == c.Route {
						return r
					}
				}
			}
		}
	}
	return nil
}

// has tells whether the request had a header.
func (c *inquiry) has(name string) bool {
	for _, h := range c.Headers {
		if h.Name == name {
			return true
		}
	}
	return false
}

// standstill: nothing moved for too long.
func (c *inquiry) standstill() {
	switch c.Details {
	case "request_body_timeout":
		c.because("the client stopped sending the body of its request after %d bytes", c.BytesReceived)
	default:
		c.because("nothing moved in either direction for as long as --stream-idle-timeout says; the whole took %s", took(c.Duration))
	}
	c.fix(router.Origin{}, "find out which side stands still, or raise the proxy's --stream-idle-timeout")
}

// tooLong: it lasted as long as it may.
func (c *inquiry) tooLong() {
	c.because("it lasted %s, which is as long as it may", took(c.Duration))
	c.fix(c.policy("trafficPolicy.connectionPool"), "raise the bound on its duration")
}

// clientGone: the client went away.
func (c *inquiry) clientGone() {
	when := "while the response was on its way"
	switch {
	case c.UpstreamDuration == 0:
		when = "before the request was sent to an endpoint"
	case c.UpstreamStatus == 0 && c.BytesSent == 0:
		when = fmt.Sprintf("while %s of %s had not answered yet", orUnknown(c.UpstreamHost), c.Cluster)
	}
	c.because("the client went away after %s, %s", took(c.Duration), when)
	if c.Termination != "" {
		c.fact("%s", c.Termination)
	}
	if strings.HasPrefix(when, "while ") && c.BytesSent == 0 {
		c.fix(router.Origin{}, "the client's own timeout is shorter than the endpoint takes: raise it, or make the endpoint quicker")
		return
	}
	c.fix(router.Origin{}, "it is the client's doing: a page that was left, a download that was given up, or its own timeout")
}
