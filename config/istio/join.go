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
	units     map[*unit]struct{}
	some, all []*router.Route
	// taken are, by what they take, whose routes are in already.
	taken      map[string]*virtualService
	conditions []config.Condition
}

// add joins the routes of a claim, but those that came through another server.
func (j *routeJoin) add(c claim) {
	if _, ok := j.units[c.unit]; ok {
		return
	}
	j.units[c.unit] = struct{}{}
	for i, r := range c.unit.routes {
		key := allRequests
		if takesAll(&r.Match) {
			j.all = append(j.all, r)
		} else {
			j.some = append(j.some, r)
			key = c.unit.matchKey(i)
		}
		switch by := j.taken[key]; by {
		case nil:
			j.taken[key] = c.vs
		case c.vs:
			// Within one object that is package validate's to say.
		default:
			j.shadowed(c.unit.origins[i], by)
		}
	}
}

// allRequests is the key of matches that take all requests.
const allRequests = "*"

// matchKey is a text that is the same for routes that take the same requests.
func (u *unit) matchKey(i int) string {
	if u.keys == nil {
		u.keys = make([]string, len(u.routes))
	}
	if u.keys[i] == "" {
		u.keys[i] = fmt.Sprintf("%#v", u.routes[i].Match)
	}
	return u.keys[i]
}

// shadowed notes a rule that an older VirtualService leaves nothing for.
func (j *routeJoin) shadowed(origin source, by *virtualService) {
	j.conditions = append(j.conditions, newCondition(config.Warning, UnreachableRule, origin.object, origin.field,
		fmt.Sprintf("%s, which has the host too and comes first, takes all of this rule's requests. Narrow a match, or put the rules into one VirtualService", by.object.Key)))
}

// routes returns the joined routes.
func (j *routeJoin) routes() []*router.Route {
	if len(j.all) == 0 {
		return j.some
	}
	return append(slices.Clip(j.some), j.all...)
}
