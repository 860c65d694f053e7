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
// it, and cluster IDs stay. All problems are returned, old and new.
func Build(spec *Spec, prev *Table) (*Table, []Problem) {
	if prev == nil {
		prev = &Table{spec: &Spec{}, clusters: &clusterSet{}, secrets: &secretSet{}}
	}
	t := &Table{spec: spec, generation: prev.generation + 1, listeners: make(map[string]*compiledListener, len(spec.Listeners))}
	c := &compiler{
		patterns: map[string]*pattern{},
		clusters: prev.clusters.edit(len(spec.Clusters) - len(prev.spec.Clusters)),
	}
	for _, cluster := range c.clusters.define(prev.spec.Clusters, spec.Clusters) {
		c.report(cluster.Origin, "cluster %s is already defined; the first definition serves", cluster.Name)
	}
	t.secrets = prev.secrets.next(prev.spec.Secrets, spec.Secrets)
	for _, secret := range t.secrets.repeats(spec.Secrets) {
		c.report(secret.Origin, "secret %s is already defined; the first definition serves", secret.Name)
	}
	for _, l := range spec.Listeners {
		if t.listeners[l.Name] != nil {
			c.report(Origin{Kind: "Listener", Name: l.Name}, "a listener of this name exists; give each its own")
			continue
		}
		listener := c.compileListener(l, prev.listeners[l.Name])
		t.listeners[l.Name] = listener
		t.serving = append(t.serving, l)
	}
	for name, old := range prev.listeners {
		c.releaseDropped(old, t.listeners[name])
	}
	t.clusters = c.clusters.done()
	return t, c.problems
}

// compiler is the state of one Build.
type compiler struct {
	patterns map[string]*pattern
	clusters *clusterEdit
	problems []Problem
}

func (c *compiler) report(origin Origin, format string, args ...any) {
	c.problems = append(c.problems, Problem{Origin: origin, Message: fmt.Sprintf(format, args...)})
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

// compileListener compiles a listener's chains or tables; old is what the previous table had
// under that name, or nil.
func (c *compiler) compileListener(l *Listener, old *compiledListener) *compiledListener {
	if len(l.Chains) > 0 {
		if len(l.Tables) > 0 {
			c.report(Origin{Kind: "Listener", Name: l.Name}, "it has both chains and tables; the chains serve")
		}
		return &compiledListener{Listener: l, chains: c.compileChains(l, old.chainSet())}
	}
	out := &compiledListener{Listener: l, byPort: make(map[uint16]*CompiledTable, len(l.Tables))}
	for _, rt := range l.Tables {
		if out.byPort[rt.Port] != nil {
			c.report(Origin{Kind: "Listener", Name: l.Name, Field: rt.Name}, "a table for port %d exists; keep one", rt.Port)
			continue
		}
		table := c.compileTable(rt, old.tableOf(rt.Port))
		out.byPort[rt.Port] = table
		out.tables = append(out.tables, table)
		for _, v := range table.faulty {
			c.problems = append(c.problems, v.problems...)
		}
	}
	out.other = out.byPort[0]
	return out
}

// tableOf returns the listener's own table for a port, or nil; the listener may be nil.
func (l *compiledListener) tableOf(port uint16) *CompiledTable {
	if l == nil {
		return nil
	}
	return l.byPort[port]
}

// chainSet returns the listener's chains, or nil; the listener may be nil.
func (l *compiledListener) chainSet() *chainSet {
	if l == nil {
		return nil
	}
	return l.chains
}

// releaseDropped gives up the tables and chains of a listener that it, or its
// successor, no longer has.
func (c *compiler) releaseDropped(old, successor *compiledListener) {
	for port, table := range old.byPort {
		if successor.tableOf(port) == nil {
			c.release(table.compiled)
		}
	}
	if old.chains != nil && successor.chainSet() == nil {
		for _, chain := range old.chains.compiled {
			c.releaseChain(chain)
		}
	}
}

// release gives up what virtual hosts that are no more hold.
func (c *compiler) release(hosts []*CompiledVirtualHost) {
	for _, v := range hosts {
		for _, id := range v.clusters {
			c.clusters.release(id)
		}
	}
}

// compileTable compiles a table, with what did not change since an old one, or nil.
func (c *compiler) compileTable(rt *RouteTable, old *CompiledTable) *CompiledTable {
	if old == nil {
		old = &CompiledTable{RouteTable: &RouteTable{}, hosts: &hostIndex[*CompiledVirtualHost]{}}
	}
	if old.RouteTable == rt {
		return old
	}
	t := &CompiledTable{RouteTable: rt, compiled: make([]*CompiledVirtualHost, 0, len(rt.VirtualHosts))}
	var change hostChange
	kept := 0
	for _, h := range diff(old.VirtualHosts, rt.VirtualHosts) {
		t.compiled = append(t.compiled, old.compiled[kept:h.oldFrom]...)
		t.compiled = append(t.compiled, c.compileHunk(&change, old.compiled[h.oldFrom:h.oldTo], rt.VirtualHosts[h.newFrom:h.newTo])...)
		kept = h.oldTo
	}
	t.compiled = append(t.compiled, old.compiled[kept:]...)
	c.release(change.removed)
	t.collectFaulty(old, change.added)
	if !change.moved {
		t.hosts = old.hosts.replaced(change.removed, change.added)
	}
	if t.hosts == nil {
		t.hosts = indexHosts(t.compiled)
	}
	return t
}

// hostChange is what became of a table's virtual hosts.
type hostChange struct {
	removed, added []*CompiledVirtualHost
	// moved: some have another place among the others.
	moved bool
}

// compileHunk compiles the virtual hosts that came in the place of old ones.
func (c *compiler) compileHunk(change *hostChange, old []*CompiledVirtualHost, hosts []*VirtualHost) []*CompiledVirtualHost {
	same := make(map[*VirtualHost]*CompiledVirtualHost, len(old))
	namesake := make(map[string]*CompiledVirtualHost, len(old))
	for _, v := range old {
		if same[v.VirtualHost] != nil { // listed twice
			change.removed = append(change.removed, v)
		}
		same[v.VirtualHost], namesake[v.Name] = v, v
	}
	compiled := make([]*CompiledVirtualHost, 0, len(hosts))
	for _, vh := range hosts {
		v := same[vh]
		if v != nil {
			delete(same, vh)
			change.moved = true
		} else {
			v = c.compileVirtualHost(vh, namesake[vh.Name])
			change.added = append(change.added, v)
		}
		compiled = append(compiled, v)
	}
	for _, v := range same {
		change.removed = append(change.removed, v)
	}
	return compiled
}

// collectFaulty finds the virtual hosts with problems; it looks at all of them only
// if there was one before.
func (t *CompiledTable) collectFaulty(old *CompiledTable, added []*CompiledVirtualHost) {
	among := added
	if len(old.faulty) > 0 {
		among = t.compiled
	}
	for _, v := range among {
		if len(v.problems) > 0 {
			t.faulty = append(t.faulty, v)
		}
	}
}

// compileVirtualHost compiles a virtual host on its own, with the routes that it has
// kept since an old version of it, or nil.
func (c *compiler) compileVirtualHost(vh *VirtualHost, old *CompiledVirtualHost) *CompiledVirtualHost {
	v := &CompiledVirtualHost{VirtualHost: vh, requireTLS: vh.RequireTLS, Routes: make([]*CompiledRoute, 0, len(vh.Routes))}
	for _, name := range vh.Domains {
		if _, err := parseDomain(name); err != nil {
			v.problems = append(v.problems, Problem{Origin: Origin{Kind: "VirtualHost", Name: vh.Name}, Message: err.Error()})
		}
	}
	known := old.byRoute()
	// Routes of one rule follow each other and share what they do.
	sibling := &CompiledRoute{Route: &Route{}}
	for _, r := range vh.Routes {
		if route := known[r]; route != nil {
			sibling = route.at(len(v.Routes))
			v.Routes = append(v.Routes, sibling)
			continue
		}
		route, err := c.compileRoute(r, sibling)
		if err != nil {
			v.problems = append(v.problems, Problem{Origin: r.Origin, Message: err.Error()})
			continue
		}
		route.ordinal = int32(len(v.Routes))
		v.Routes = append(v.Routes, route)
		sibling = route
	}
	v.index = indexRoutes(v.Routes)
	v.clusters = c.useClusters(v.Routes)
	return v
}

// byRoute returns the compiled routes by what they were compiled from; the virtual
// host may be nil.
func (v *CompiledVirtualHost) byRoute() map[*Route]*CompiledRoute {
	if v == nil {
		return nil
	}
	known := make(map[*Route]*CompiledRoute, len(v.Routes))
	for _, route := range v.Routes {
		known[route.Route] = route
	}
	return known
}

// at returns the route for a place among others.
func (r *CompiledRoute) at(ordinal int) *CompiledRoute {
	if int(r.ordinal) == ordinal {
		return r
	}
	moved := *r
	moved.ordinal = int32(ordinal)
	return &moved
}

// useClusters resolves the clusters that routes name, and returns their IDs.
func (c *compiler) useClusters(routes []*CompiledRoute) []int32 {
	u := clusterUse{edit: c.clusters}
	for _, route := range routes {
		for i := range route.Destinations {
			u.resolve(&route.Destinations[i].Cluster)
		}
		for i := range route.Mirrors {
			u.resolve(&route.Mirrors[i].Cluster)
		}
	}
	return u.ids
}

// compileRoute compiles a route, or says why it can't be in force. What it has in
// common with a sibling it takes from there.
func (c *compiler) compileRoute(r *Route, sibling *CompiledRoute) (*CompiledRoute, error) {
	if err := checkAction(r); err != nil {
		return nil, err
	}
	route := &CompiledRoute{Route: r, outcome: r.outcome()}
	var err error
	if route.match, err = c.compileMatch(&r.Match); err != nil {
		return nil, err
	}
	if r.Redirect != nil {
		err = checkRedirect(r.Redirect)
	} else if r.Rewrite != nil && r.Rewrite == sibling.Rewrite {
		route.rewrite = sibling.rewrite
	} else {
		route.rewrite, err = compileRewrite(r.Rewrite)
	}
	if err != nil {
		return nil, err
	}
	if err := c.compilePolicies(route); err != nil {
		return nil, err
	}
	if sameDestinations(r, sibling.Route) {
		route.Destinations, route.weights, route.ResponseOps = sibling.Destinations, sibling.weights, sibling.ResponseOps
		return route, nil
	}
	return route, compileDestinations(route)
}

// compilePolicies compiles the route's CORS policy and mirrors.
func (c *compiler) compilePolicies(route *CompiledRoute) error {
	if route.Route.CORS != nil {
		for _, origin := range route.Route.CORS.AllowOrigins {
			if origin == (StringMatch{Kind: MatchExact, Value: "*"}) {
				origin = StringMatch{}
			}
			m, err := c.compileString(origin)
			if err != nil {
				return fmt.Errorf("allowed origin: %w", err)
			}
			route.cors = append(route.cors, m)
		}
	}
	for _, m := range route.Route.Mirrors {
		route.Mirrors = append(route.Mirrors, CompiledMirror{Cluster: ClusterRef{Name: m.Cluster, ID: -1}, Fraction: m.Fraction})
	}
	return nil
}

// sameDestinations says whether two routes share their destinations, and what they
// do to headers.
func sameDestinations(a, b *Route) bool {
	return len(a.Destinations) > 0 && same(a.Destinations, b.Destinations) &&
		sameOps(&a.Headers.Request, &b.Headers.Request) && sameOps(&a.Headers.Response, &b.Headers.Response)
}

func sameOps(a, b *HeaderOps) bool {
	return same(a.Set, b.Set) && same(a.Add, b.Add) && same(a.Remove, b.Remove)
}

// same says whether two slices are one.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
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
func compileDestinations(route *CompiledRoute) error {
	var err error
	if route.ResponseOps, err = compileHeaderOps(&route.Headers.Response); err != nil {
		return err
	}
	several := len(route.Route.Destinations) > 1
	for i := range route.Route.Destinations {
		d := &route.Route.Destinations[i]
		if several && d.Weight == 0 {
			continue
		}
		if err := checkTarget("destination authority", d.Authority); err != nil {
			return err
		}
		dest := CompiledDestination{Cluster: ClusterRef{Name: d.Cluster, ID: -1}, Weight: d.Weight, Authority: d.Authority}
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
