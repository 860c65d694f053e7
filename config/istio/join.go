package istio

import (
	"fmt"
	"slices"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// routeJoin joins the routes of several VirtualServices for one host: in the order
// of the VirtualServices, but those that take all requests go to the end.
type routeJoin struct {
	units      map[*unit]struct{}
	some, all  []*router.Route
	catchAll   *virtualService
	conditions []config.Condition
}

// add joins the routes of a claim, but those that came through another server.
func (j *routeJoin) add(c claim) {
	if _, ok := j.units[c.unit]; ok {
		return
	}
	j.units[c.unit] = struct{}{}
	for i, r := range c.unit.routes {
		if !takesAll(&r.Match) {
			j.some = append(j.some, r)
			continue
		}
		if j.catchAll != nil && j.catchAll != c.vs {
			j.shadowed(c.unit.origins[i], j.catchAll)
		}
		if j.catchAll == nil {
			j.catchAll = c.vs
		}
		j.all = append(j.all, r)
	}
}

// shadowed notes a rule that an older VirtualService leaves nothing for.
func (j *routeJoin) shadowed(origin matchOrigin, by *virtualService) {
	j.conditions = append(j.conditions, newCondition(config.Warning, UnreachableRule, origin.object, origin.field,
		fmt.Sprintf("%s, which is older and has the same host, takes all requests before this rule. Narrow its match, or put the rules into one VirtualService", by.object.Key)))
}

// routes returns the joined routes.
func (j *routeJoin) routes() []*router.Route {
	if len(j.all) == 0 {
		return j.some
	}
	return append(slices.Clip(j.some), j.all...)
}
