package router

import (
	"errors"
	"fmt"
	"slices"
)

// handling compiles what a route does, once where a build has the same action often.
func (c *compiler) handling(a *RouteAction, sibling *CompiledRoute) (*Handling, error) {
	if a == sibling.RouteAction {
		return sibling.Handling, nil
	}
	if known := c.handlings[a]; known != nil {
		return known, nil
	}
	h := &Handling{Configured: Configured{a, a.PolicyInForce()}}
	var err error
	if a.Redirect != nil {
		err = checkRedirect(a.Redirect)
	} else {
		h.rewrite, err = c.rewrite(a.Rewrite, sibling)
	}
	if err != nil {
		return nil, err
	}
	if sameAction(a, sibling.RouteAction) {
		h.CompiledAction = sibling.CompiledAction
	} else if h.CompiledAction, err = c.action(a); err != nil {
		return nil, err
	}
	c.handlings[a] = h
	return h, nil
}

// rewrite compiles what a Rewrite says about the path, once where a build has it often; nil if
// nothing.
func (c *compiler) rewrite(r *Rewrite, sibling *CompiledRoute) (*pathRewrite, error) {
	if r == nil {
		return nil, nil
	}
	if r == sibling.Rewrite {
		return sibling.rewrite, nil
	}
	if known, ok := c.rewrites[r]; ok {
		return known, nil
	}
	compiled, err := compileRewrite(r)
	if err == nil {
		c.rewrites[r] = compiled
	}
	return compiled, err
}

// actionKey tells whether actions have the same to compile, by the pointers that they share.
type actionKey struct {
	first        *Destination
	destinations int
	policy       *RoutePolicy
}

// noAction is what is common to actions that neither have destinations nor a policy.
var noAction = &CompiledAction{}

// action compiles an action's destinations and policy, once where a build has them often.
func (c *compiler) action(a *RouteAction) (*CompiledAction, error) {
	key := actionKey{destinations: len(a.Destinations), policy: a.Policy}
	if len(a.Destinations) > 0 {
		key.first = &a.Destinations[0]
	} else if a.Policy == nil {
		return noAction, nil
	}
	if known := c.actions[key]; known != nil {
		return known, nil
	}
	compiled := &CompiledAction{}
	if err := c.compilePolicies(compiled, a.PolicyInForce()); err != nil {
		return nil, err
	}
	if err := compileDestinations(compiled, a); err != nil {
		return nil, err
	}
	c.actions[key] = compiled
	return compiled, nil
}

// compilePolicies compiles a route's CORS policy and mirrors.
func (c *compiler) compilePolicies(a *CompiledAction, p *RoutePolicy) error {
	if p.CORS != nil {
		for _, origin := range p.CORS.AllowOrigins {
			if origin == (StringMatch{Kind: MatchExact, Value: "*"}) {
				origin = StringMatch{}
			}
			m, err := c.compileString(origin)
			if err != nil {
				return fmt.Errorf("allowed origin: %w", err)
			}
			a.cors = append(a.cors, m)
		}
	}
	for _, m := range p.Mirrors {
		a.Mirrors = append(a.Mirrors, CompiledMirror{Cluster: ClusterRef{Name: m.Cluster, ID: -1}, Fraction: m.Fraction})
	}
	return nil
}

// sameAction says whether two actions share their destinations, and all of their policies that
// are compiled.
func sameAction(a, b *RouteAction) bool {
	if len(a.Destinations) == 0 || !same(a.Destinations, b.Destinations) {
		return false
	}
	if a.Policy == b.Policy {
		return true
	}
	p, q := a.PolicyInForce(), b.PolicyInForce()
	return p.CORS == q.CORS && same(p.Mirrors, q.Mirrors) &&
		sameOps(&p.Headers.Request, &q.Headers.Request) && sameOps(&p.Headers.Response, &q.Headers.Response)
}

func sameOps(a, b *HeaderOps) bool {
	return same(a.Set, b.Set) && same(a.Add, b.Add) && same(a.Remove, b.Remove)
}

// same says whether two slices are one.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// checkAction makes sure that a route does exactly one thing.
func checkAction(a *RouteAction) error {
	if a == nil {
		return errors.New("the route has no action; give it a redirect, a direct response or a destination")
	}
	actions := 0
	for _, is := range []bool{a.Redirect != nil, a.Direct != nil, len(a.Destinations) > 0} {
		if is {
			actions++
		}
	}
	switch {
	case actions == 0:
		return errors.New("the route has no action; give it a redirect, a direct response or a destination")
	case actions > 1:
		return errors.New("the route has more than one of redirect, direct response and destinations; keep one")
	case a.Direct != nil && (a.Direct.Status < 200 || a.Direct.Status > 599):
		return fmt.Errorf("direct response: status %d is not between 200 and 599", a.Direct.Status)
	}
	return nil
}

// compileDestinations compiles the destinations that have a share.
func compileDestinations(compiled *CompiledAction, a *RouteAction) error {
	headers := &a.PolicyInForce().Headers
	var err error
	if compiled.ResponseOps, err = compileHeaderOps(&headers.Response); err != nil {
		return err
	}
	several := len(a.Destinations) > 1
	for i := range a.Destinations {
		d := &a.Destinations[i]
		if several && d.Weight == 0 {
			continue
		}
		if err := checkTarget("destination authority", d.Authority); err != nil {
			return err
		}
		dest := CompiledDestination{Cluster: ClusterRef{Name: d.Cluster, ID: -1}, Weight: d.Weight, Authority: d.Authority}
		if dest.RequestOps, err = compileHeaderOps(&d.Headers.Request, &headers.Request); err != nil {
			return err
		}
		if dest.ResponseOps, err = compileHeaderOps(&d.Headers.Response, &headers.Response); err != nil {
			return err
		}
		compiled.weights += uint64(d.Weight)
		compiled.Destinations = append(compiled.Destinations, dest)
	}
	if several && len(compiled.Destinations) == 0 {
		return errors.New("all destinations have weight 0; give one a share")
	}
	compiled.Destinations = slices.Clip(compiled.Destinations)
	return nil
}
