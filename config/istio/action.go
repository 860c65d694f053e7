package istio

import (
	"fmt"
	"time"

	"github.com/sluicegate/sluice/router"
)

// action is what a rule does with its requests, by whichever of its matches they come.
type action struct {
	redirect     *router.Redirect
	direct       *router.DirectResponse
	destinations []router.Destination
	headers      router.HeaderPolicy
	timeout      time.Duration
	retry        *router.Retry
	fault        *router.Fault
	cors         *router.CORS
	mirrors      []router.Mirror
	policy       RoutePolicy
	sources      *router.Sources
	limits       []router.LocalLimit
	// common is what the routes have of all that, beside where requests go.
	common *router.RoutePolicy
}

// empty says whether the rule does nothing that can be served.
func (a *action) empty() bool {
	return a.redirect == nil && a.direct == nil && len(a.destinations) == 0
}

// compileAction returns what a rule does, and notes in the unit which clusters that
// takes.
func (c *Compiler) compileAction(u *compilation, r rule) *action {
	a := &action{
		headers: headerPolicy(r.http.Headers),
		fault:   compileFault(r.http.Fault),
		cors:    compileCORS(r.http.CorsPolicy),
		policy:  c.policyOf(r),
	}
	a.sources, a.limits = a.policy.sources(), a.policy.limits(r)
	switch {
	case r.http.Redirect != nil:
		a.redirect = compileRedirect(r.http.Redirect, u.key.port, u.key.overTLS)
	case r.http.DirectResponse != nil:
		a.direct = compileDirectResponse(r.http.DirectResponse)
	default:
		a.timeout = r.http.Timeout.AsDuration()
		c.addDestinations(u, r, a)
		c.addMirrors(u, r, a)
	}
	a.destinations, a.common = c.parts.list(a.destinations), c.parts.policy(a)
	return a
}

// addDestinations sets where a rule sends its requests, and how often it tries.
func (c *Compiler) addDestinations(u *compilation, r rule, a *action) {
	hashed := false
	for i, d := range r.http.Route {
		if len(r.http.Route) > 1 && d.Weight == 0 {
			continue
		}
		use, target := c.destination(u, source{r.object, fmt.Sprintf("%s.route[%d].destination", r.field, i)}, d.Destination)
		u.uses = append(u.uses, use)
		destination := router.Destination{Cluster: c.strings.one(use.key.String()), Weight: 1}
		if rewrittenAuthority(r.http) == "" {
			destination.Authority = c.strings.one(authorityOf(d.Headers))
		}
		if len(r.http.Route) == 1 {
			// Istio applies a single destination's changes as if they were the
			// route's, after it, and heeds its hash for retries.
			a.headers = joinPolicies(a.headers, headerPolicy(d.Headers))
			hashed = c.clusters.picksByHash(use.key)
			target.asksHash, target.hashed = true, hashed
		} else {
			destination.Weight = uint32(d.Weight)
			destination.Headers = headerPolicy(d.Headers)
		}
		a.destinations = append(a.destinations, destination)
	}
	a.retry = compileRetry(r.http.Retries, hashed)
}
