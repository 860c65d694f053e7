package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/router"
)

// shadowed finds rules that can match nothing because a rule of another object comes
// before them in every virtual host and takes all their requests. Rules of one
// object are compared where the object is validated, and rules without any match
// where VirtualServices are joined.
func (s source) shadowed(spec *router.Spec) []config.Condition {
	places := map[router.Origin]*shadow{}
	var order []router.Origin
	for _, l := range spec.Listeners {
		for _, t := range l.RouteTables() {
			for _, vh := range t.VirtualHosts {
				order = append(order, castShadows(vh, places)...)
			}
		}
	}
	var found []config.Condition
	for _, origin := range order {
		p := places[origin]
		if p.by == nil || p.reachable {
			continue
		}
		c := s.condition(origin, config.Warning, istio.UnreachableRule)
		c.Message = fmt.Sprintf("no request reaches this rule: %s comes before it for %s and takes all of them. Narrow that match, or make this object the older one",
			p.by.Origin(), p.host)
		found = append(found, c)
	}
	return found
}

// shadow is what is known of a rule over all virtual hosts.
type shadow struct {
	by        *router.Route
	host      string
	reachable bool
}

// castShadows notes for each rule of a virtual host whether another object's rule
// takes all its requests, and returns the rules that it sees for the first time.
func castShadows(vh *router.VirtualHost, places map[router.Origin]*shadow) (first []router.Origin) {
	var earlier pathIndex
	for _, r := range vh.Routes {
		at := r.Origin()
		p := places[at]
		if p == nil {
			p = &shadow{}
			places[at] = p
			first = append(first, at)
		}
		by := earlier.covering(r)
		if by == nil || takesAll(&r.Match) {
			p.reachable = true
		} else if p.by == nil {
			p.by, p.host = by, abbreviate(vh.Domains)
		}
		earlier.add(r)
	}
	return first
}

func takesAll(m *router.Match) bool {
	rest := m.Conditions()
	return m.Path.Kind == router.MatchAny && rest.Scheme.Kind == router.MatchAny && rest.Method.Kind == router.MatchAny &&
		rest.Authority.Kind == router.MatchAny && len(rest.Headers) == 0 && len(rest.Query) == 0
}

// pathIndex finds the routes whose path may cover another's, so that comparing costs
// little where there are many.
type pathIndex struct {
	any    []*router.Route
	byPath map[router.StringMatch][]*router.Route
}

func (x *pathIndex) add(r *router.Route) {
	if r.Match.Path.Kind == router.MatchAny {
		x.any = append(x.any, r)
		return
	}
	if x.byPath == nil {
		x.byPath = map[router.StringMatch][]*router.Route{}
	}
	key := router.StringMatch{Kind: r.Match.Path.Kind, Value: strings.ToLower(r.Match.Path.Value)}
	x.byPath[key] = append(x.byPath[key], r)
}

// covering returns the first route of another object that takes all of r's requests.
func (x *pathIndex) covering(r *router.Route) *router.Route {
	if by := firstCovering(x.any, r); by != nil {
		return by
	}
	path := strings.ToLower(r.Match.Path.Value)
	if by := firstCovering(x.byPath[router.StringMatch{Kind: r.Match.Path.Kind, Value: path}], r); by != nil {
		return by
	}
	if r.Match.Path.Kind != router.MatchExact && r.Match.Path.Kind != router.MatchPrefix {
		return nil
	}
	for i := range len(path) + 1 {
		if by := firstCovering(x.byPath[router.StringMatch{Kind: router.MatchPrefix, Value: path[:i]}], r); by != nil {
			return by
		}
	}
	return nil
}

func firstCovering(earlier []*router.Route, r *router.Route) *router.Route {
	own := objectOf(r)
	for _, e := range earlier {
		if objectOf(e) != own && coversMatch(&e.Match, &r.Match) {
			return e
		}
	}
	return nil
}

// objectOf returns the object that a rule stands in.
func objectOf(r *router.Route) router.Object {
	if r.Object == nil {
		return router.Object{}
	}
	return *r.Object
}

// coversMatch says whether every request that matches b matches a. It may say no
// where the answer is yes (of two regular expressions, say), never the reverse.
func coversMatch(a, b *router.Match) bool {
	return coversPath(a, b) && coversRest(a.Conditions(), b.Conditions())
}

func coversRest(a, b *router.Conditions) bool {
	if !coversString(a.Scheme, b.Scheme) || !coversString(a.Method, b.Method) || !coversString(a.Authority, b.Authority) {
		return false
	}
	for _, h := range a.Headers {
		if !slices.ContainsFunc(b.Headers, func(other router.HeaderMatch) bool { return coversHeader(h, other) }) {
			return false
		}
	}
	for _, q := range a.Query {
		if !slices.ContainsFunc(b.Query, func(other router.QueryMatch) bool {
			return q.Name == other.Name && coversString(q.Match, other.Match)
		}) {
			return false
		}
	}
	return true
}

func coversPath(a, b *router.Match) bool {
	pa, pb := a.Path, b.Path
	if a.Conditions().IgnorePathCase && pa.Kind != router.MatchRegex {
		pa.Value, pb.Value = strings.ToLower(pa.Value), strings.ToLower(pb.Value)
	} else if b.Conditions().IgnorePathCase && pa.Kind != router.MatchAny {
		return false
	}
	return coversString(pa, pb)
}

func coversString(a, b router.StringMatch) bool {
	switch a.Kind {
	case router.MatchAny:
		return true
	case router.MatchPresent:
		return b.Kind != router.MatchAny
	case router.MatchPrefix:
		return (b.Kind == router.MatchExact || b.Kind == router.MatchPrefix) && strings.HasPrefix(b.Value, a.Value)
	}
	return a == b
}

// coversHeader compares by equality only where a header that is missing may do.
func coversHeader(a, b router.HeaderMatch) bool {
	if a.Invert || b.Invert || b.TreatMissingAsEmpty {
		return a == b
	}
	return a.Name == b.Name && coversString(a.Match, b.Match)
}
