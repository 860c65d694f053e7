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
	compiler *Compiler
	// claims are those of different units, which are counted once they are several.
	claims []claim
	units  map[*unit]struct{}
	some   []*router.Route
	all    []*router.Route
	// taken are, by what they take, whose routes are in already.
	taken      map[string]*virtualService
	conditions []config.Condition
}

// add joins the routes of a claim, but those that came through another server.
func (j *routeJoin) add(c claim) {
	if len(j.claims) == 1 {
		j.units = map[*unit]struct{}{j.claims[0].unit: {}}
	}
	if _, ok := j.units[c.unit]; ok {
		return
	}
	if j.units != nil {
		j.units[c.unit] = struct{}{}
	}
	j.claims = append(j.claims, c)
}

// routes returns the joined routes.
func (j *routeJoin) routes() []*router.Route {
	if len(j.claims) == 1 {
		return inOrder(j.claims[0].unit.routes)
	}
	j.taken = map[string]*virtualService{}
	for _, c := range j.claims {
		j.join(c)
	}
	return slices.Concat(j.some, j.all)
}

// inOrder returns routes with those that take all requests at the end, where they mostly are.
func inOrder(routes []*router.Route) []*router.Route {
	ofAll := func(r *router.Route) bool { return takesAll(&r.Match) }
	if first := slices.IndexFunc(routes, ofAll); first < 0 || !slices.ContainsFunc(routes[first:], func(r *router.Route) bool { return !ofAll(r) }) {
		return routes
	}
	sorted := slices.Clone(routes)
	slices.SortStableFunc(sorted, func(a, b *router.Route) int { return yesFirst(!ofAll(a)) - yesFirst(!ofAll(b)) })
	return sorted
}

// join takes the routes of one of several VirtualServices.
func (j *routeJoin) join(c claim) {
	var origins []source
	for i, r := range c.unit.routes {
		key := allRequests
		if takesAll(&r.Match) {
			j.all = append(j.all, r)
		} else {
			j.some = append(j.some, r)
			key = matchKey(&r.Match)
		}
		switch by := j.taken[key]; by {
		case nil:
			j.taken[key] = c.vs
		case c.vs:
			// Within one object that is package validate's to say.
		default:
			if origins == nil {
				origins = j.compiler.compile(c.vs, *c.unit.key).origins
			}
			j.shadowed(origins[i], by)
		}
	}
}

// allRequests is the key of matches that take all requests.
const allRequests = "*"

// matchKey is a text that is the same for routes that take the same requests.
func matchKey(m *router.Match) string {
	return fmt.Sprintf("%#v %#v", m.Path, *m.Conditions())
}

// shadowed notes a rule that an older VirtualService leaves nothing for.
func (j *routeJoin) shadowed(origin source, by *virtualService) {
	j.conditions = append(j.conditions, newCondition(config.Warning, UnreachableRule, origin.object, origin.field,
		fmt.Sprintf("%s, which has the host too and comes first, takes all of this rule's requests. Narrow a match, or put the rules into one VirtualService", by.object.Key)))
}
