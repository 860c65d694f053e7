package router

import "fmt"

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
		patterns:  map[string]*pattern{},
		rewrites:  map[*Rewrite]*pathRewrite{},
		handlings: map[*RouteAction]*Handling{},
		actions:   map[actionKey]*CompiledAction{},
		clusters:  prev.clusters.edit(len(spec.Clusters) - len(prev.spec.Clusters)),
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
	patterns  map[string]*pattern
	rewrites  map[*Rewrite]*pathRewrite
	handlings map[*RouteAction]*Handling
	actions   map[actionKey]*CompiledAction
	lists     clusterLists
	clusters  *clusterEdit
	problems  []Problem
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
			c.problems = append(c.problems, v.problems()...)
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
		for _, id := range v.clusters.ids {
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
		if v.trouble != nil {
			t.faulty = append(t.faulty, v)
		}
	}
}

// compileVirtualHost compiles a virtual host on its own, with the routes that it has
// kept since an old version of it, or nil.
func (c *compiler) compileVirtualHost(vh *VirtualHost, old *CompiledVirtualHost) *CompiledVirtualHost {
	v := &CompiledVirtualHost{VirtualHost: vh, requireTLS: vh.RequireTLS, Routes: make([]CompiledRoute, 0, len(vh.Routes))}
	for _, name := range vh.Domains {
		if _, err := parseDomain(name); err != nil {
			v.report(Problem{Origin: Origin{Kind: "VirtualHost", Name: vh.Name}, Message: err.Error()})
		}
	}
	known := old.byRoute()
	// Routes of one rule follow each other and share what they do.
	sibling := noSibling
	for _, r := range vh.Routes {
		var route CompiledRoute
		if old := known[r]; old != nil {
			route = *old
		} else if err := c.compileRoute(&route, r, sibling); err != nil {
			v.report(Problem{Origin: r.Origin(), Message: err.Error()})
			continue
		}
		route.match.ordinal = int32(len(v.Routes))
		v.Routes = append(v.Routes, route)
		sibling = &v.Routes[len(v.Routes)-1]
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
	for i := range v.Routes {
		known[v.Routes[i].Route] = &v.Routes[i]
	}
	return known
}

// useClusters resolves the clusters that routes name, and returns their IDs.
func (c *compiler) useClusters(routes []CompiledRoute) *clusterList {
	u := clusterUse{edit: c.clusters}
	for i := range routes {
		action := routes[i].CompiledAction
		for j := range action.Destinations {
			u.resolve(&action.Destinations[j].Cluster)
		}
		for j := range action.Mirrors {
			u.resolve(&action.Mirrors[j].Cluster)
		}
	}
	return c.lists.one(u.ids)
}

// noSibling stands for that of a virtual host's first route.
var noSibling = &CompiledRoute{Handling: &Handling{Configured: Configured{RouteAction: &RouteAction{}}}}

// compileRoute compiles a route, or says why it can't be in force. What it has in
// common with a sibling it takes from there.
func (c *compiler) compileRoute(route *CompiledRoute, r *Route, sibling *CompiledRoute) error {
	err := checkAction(r.RouteAction)
	if err != nil {
		return err
	}
	if route.match, err = c.compileMatch(&r.Match); err != nil {
		return err
	}
	route.match.outcome = r.outcome()
	route.Route = r
	route.Handling, err = c.handling(r.RouteAction, sibling)
	return err
}
