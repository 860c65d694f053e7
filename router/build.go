package router

import (
	"errors"
	"fmt"
	"slices"
)

// Problem is a part of a Spec that is not in force, and why.
type Problem struct {
	Origin  Origin `json:"origin"`
	Message string `json:"message"`
}

// String returns the problem as people read it.
func (p Problem) String() string {
	s := p.Origin.Kind + " "
	if p.Origin.Namespace != "" {
		s += p.Origin.Namespace + "/"
	}
	s += p.Origin.Name + ": "
	if p.Origin.Field != "" {
		s += p.Origin.Field + ": "
	}
	return s + p.Message
}

// Build compiles a Spec. It never fails as a whole: what is broken becomes a
// Problem and is left out, everything else serves. prev is the table that the new
// one follows, or nil: what did not change since (by pointer) is taken over from
// it, and cluster IDs stay.
func Build(spec *Spec, prev *Table) (*Table, []Problem) {
	t := &Table{spec: spec, generation: 1, listeners: make(map[string]*compiledListener, len(spec.Listeners))}
	c := &compiler{patterns: map[string]*pattern{}}
	c.clusters = &clusterSet{ids: map[string]int32{}}
	if prev != nil {
		t.generation = prev.generation + 1
		for name, id := range prev.clusters.ids {
			c.clusters.ids[name] = id
		}
		c.clusters.defined = make([]*Cluster, len(prev.clusters.defined))
	}
	for _, cluster := range spec.Clusters {
		id := c.clusters.intern(cluster.Name)
		c.clusters.defined[id] = cluster
	}
	t.clusters = c.clusters
	for _, l := range spec.Listeners {
		listener := &compiledListener{Listener: l, byPort: map[uint16]*CompiledTable{}}
		for _, rt := range l.Tables {
			table := c.compileTable(rt)
			listener.tables = append(listener.tables, table)
			if rt.Port == 0 {
				listener.other = table
			}
			listener.byPort[rt.Port] = table
		}
		t.listeners[l.Name] = listener
	}
	return t, c.problems
}

// compiler is the state of one Build.
type compiler struct {
	patterns map[string]*pattern
	clusters *clusterSet
	problems []Problem
}

// pattern compiles an expression once per Build.
func (c *compiler) pattern(source string) (*pattern, error) {
	if p := c.patterns[source]; p != nil {
		return p, nil
	}
	p, err := compilePattern(source)
	if err == nil {
		c.patterns[source] = p
	}
	return p, err
}

func (c *compiler) compileTable(rt *RouteTable) *CompiledTable {
	t := &CompiledTable{RouteTable: rt, hosts: &hostIndex{exact: map[string]*CompiledVirtualHost{}, wildcards: map[string]*CompiledVirtualHost{}}}
	for _, vh := range rt.VirtualHosts {
		v := c.compileVirtualHost(vh)
		t.compiled = append(t.compiled, v)
		c.problems = append(c.problems, v.problems...)
		for _, name := range vh.Domains {
			d, err := parseDomain(name)
			if err != nil {
				continue
			}
			switch {
			case d.wildcard && d.name == "":
				if t.hosts.any == nil {
					t.hosts.any = v
				}
			case d.wildcard:
				if t.hosts.wildcards[d.name] == nil {
					t.hosts.wildcards[d.name] = v
				}
			default:
				if t.hosts.exact[d.name] == nil {
					t.hosts.exact[d.name] = v
				}
			}
		}
	}
	return t
}

// compileVirtualHost compiles a virtual host on its own.
func (c *compiler) compileVirtualHost(vh *VirtualHost) *CompiledVirtualHost {
	v := &CompiledVirtualHost{VirtualHost: vh, Routes: make([]*CompiledRoute, 0, len(vh.Routes))}
	for _, r := range vh.Routes {
		route, err := c.compileRoute(r)
		if err != nil {
			v.problems = append(v.problems, Problem{Origin: r.Origin, Message: err.Error()})
			continue
		}
		route.ordinal = len(v.Routes)
		v.Routes = append(v.Routes, route)
	}
	return v
}

// compileRoute compiles a route, or says why it can't be in force.
func (c *compiler) compileRoute(r *Route) (*CompiledRoute, error) {
	if err := checkAction(r); err != nil {
		return nil, err
	}
	route := &CompiledRoute{Route: r}
	var err error
	if route.match, err = c.compileMatch(&r.Match); err != nil {
		return nil, err
	}
	if route.rewrite, err = compileRewrite(r.Rewrite); err != nil {
		return nil, err
	}
	if r.Redirect != nil {
		if err := compileRedirect(r.Redirect); err != nil {
			return nil, err
		}
	}
	return route, c.compileDestinations(route)
}

// checkAction makes sure that a route has exactly one action.
func checkAction(r *Route) error {
	actions := 0
	for _, is := range []bool{r.Redirect != nil, r.Direct != nil, len(r.Destinations) > 0} {
		if is {
			actions++
		}
	}
	switch {
	case actions == 0:
		return errors.New("the route has no action; give it a redirect, a direct response or a destination")
	case actions > 1:
		return errors.New("the route has more than one of redirect, direct response and destinations; keep one")
	case r.Direct != nil && (r.Direct.Status < 200 || r.Direct.Status > 599):
		return fmt.Errorf("direct response: status %d is not between 200 and 599", r.Direct.Status)
	}
	return nil
}

// compileDestinations compiles the destinations that have a share.
func (c *compiler) compileDestinations(route *CompiledRoute) error {
	several := len(route.Route.Destinations) > 1
	for i := range route.Route.Destinations {
		d := &route.Route.Destinations[i]
		if several && d.Weight == 0 {
			continue
		}
		dest := CompiledDestination{Cluster: ClusterRef{Name: d.Cluster, ID: int(c.clusters.intern(d.Cluster))}, Weight: d.Weight, Authority: d.Authority}
		var err error
		if dest.RequestOps, err = compileHeaderOps(&d.Headers.Request, &route.Headers.Request); err != nil {
			return err
		}
		if dest.ResponseOps, err = compileHeaderOps(&d.Headers.Response, &route.Headers.Response); err != nil {
			return err
		}
		route.weights += uint64(d.Weight)
		route.Destinations = append(route.Destinations, dest)
	}
	if several && len(route.Destinations) == 0 {
		return errors.New("all destinations have weight 0; give one a share")
	}
	route.Destinations = slices.Clip(route.Destinations)
	return nil
}
