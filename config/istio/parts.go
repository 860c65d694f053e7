package istio

import (
	"slices"
	"time"

	"github.com/sluicegate/sluice/router"
)

// parts are the pieces of routes that were made in the course of one Apply: routes that say the
// same share them, and so does what the router makes of them. Like the strings, they are
// forgotten with each Apply.
type parts struct {
	rewrites     map[router.Rewrite]*router.Rewrite
	policies     map[plainPolicy]*router.RoutePolicy
	destinations map[plainDestination][]router.Destination
	actions      map[routeAction]*router.RouteAction
	keys         map[unitKey]*unitKey
	single       map[target]*targetList
	// last is the object that a route was last made from: most have several.
	last *router.Object
}

// routeAction is what routes do, by what they share: lists of destinations are one where they
// begin with the same.
type routeAction struct {
	name     string
	redirect *router.Redirect
	direct   *router.DirectResponse
	first    *router.Destination
	rewrite  *router.Rewrite
	policy   *router.RoutePolicy
}

// plainPolicy is a policy that has nothing but what most have.
type plainPolicy struct {
	timeout, idle time.Duration
	maxBody       int64
	retry         *router.Retry
}

// plainDestination is a rule's only one, without changes to headers.
type plainDestination struct {
	cluster, authority string
	weight             uint32
}

// rewrite returns the one that stands for all that equal r.
func (p *parts) rewrite(r router.Rewrite) *router.Rewrite {
	known := p.rewrites[r]
	if known == nil {
		if p.rewrites == nil {
			p.rewrites = map[router.Rewrite]*router.Rewrite{}
		}
		known = &r
		p.rewrites[r] = known
	}
	return known
}

// policy returns what an action does beside sending requests somewhere, nil where that is nothing.
func (p *parts) policy(a *action) *router.RoutePolicy {
	out := &router.RoutePolicy{
		Sources: a.sources, MaxRequestBody: a.policy.MaxRequestBody, Limits: a.limits, IdleTimeout: a.policy.IdleTimeout.Duration,
		Timeout: a.timeout, Headers: a.headers, Retry: a.retry, Fault: a.fault, CORS: a.cors, Mirrors: a.mirrors,
	}
	if a.sources != nil || a.fault != nil || a.cors != nil || len(a.limits)+len(a.mirrors) > 0 || !noHeaders(&a.headers) {
		return out
	}
	plain := plainPolicy{timeout: out.Timeout, idle: out.IdleTimeout, maxBody: out.MaxRequestBody, retry: out.Retry}
	if plain == (plainPolicy{}) {
		return nil
	}
	known := p.policies[plain]
	if known == nil {
		if p.policies == nil {
			p.policies = map[plainPolicy]*router.RoutePolicy{}
		}
		known = out
		p.policies[plain] = known
	}
	return known
}

// list returns the destinations that stand for all that equal some. Lists of several are made
// for each rule.
func (p *parts) list(destinations []router.Destination) []router.Destination {
	if len(destinations) != 1 || !noHeaders(&destinations[0].Headers) {
		return destinations
	}
	d := &destinations[0]
	plain := plainDestination{d.Cluster, d.Authority, d.Weight}
	known := p.destinations[plain]
	if known == nil {
		if p.destinations == nil {
			p.destinations = map[plainDestination][]router.Destination{}
		}
		known = destinations
		p.destinations[plain] = known
	}
	return known
}

// action returns the one that stands for all that equal one.
func (p *parts) action(a routeAction, destinations []router.Destination) *router.RouteAction {
	if len(destinations) > 0 {
		a.first = &destinations[0]
	}
	known := p.actions[a]
	if known == nil {
		if p.actions == nil {
			p.actions = map[routeAction]*router.RouteAction{}
		}
		known = &router.RouteAction{Name: a.name, Redirect: a.redirect, Direct: a.direct, Destinations: destinations, Rewrite: a.rewrite, Policy: a.policy}
		p.actions[a] = known
	}
	return known
}

// object returns the one that an origin is in.
func (p *parts) object(o router.Origin) *router.Object {
	at := router.Object{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
	if p.last == nil || *p.last != at {
		p.last = &at
	}
	return p.last
}

// key returns the one that stands for all that equal k.
func (p *parts) key(k unitKey) *unitKey {
	known := p.keys[k]
	if known == nil {
		if p.keys == nil {
			p.keys = map[unitKey]*unitKey{}
		}
		own := k
		known = &own
		p.keys[k] = known
	}
	return known
}

// noTargets is the list of units that name no cluster.
var noTargets = &targetList{}

// targets returns the list that stands for all that equal one. Lists of several are made for
// each unit.
func (p *parts) targets(list []target) *targetList {
	switch len(list) {
	case 0:
		return noTargets
	case 1:
	default:
		return &targetList{slices.Clip(slices.Clone(list))}
	}
	known := p.single[list[0]]
	if known == nil {
		if p.single == nil {
			p.single = map[target]*targetList{}
		}
		known = &targetList{slices.Clip(slices.Clone(list))}
		p.single[list[0]] = known
	}
	return known
}

// noHeaders says whether a policy changes none.
func noHeaders(p *router.HeaderPolicy) bool {
	for _, ops := range []*router.HeaderOps{&p.Request, &p.Response} {
		if len(ops.Set)+len(ops.Add)+len(ops.Remove) > 0 {
			return false
		}
	}
	return true
}
