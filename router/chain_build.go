package router

import (
	"errors"
	"fmt"
	"slices"
)

// compileChains compiles a listener's chains, with what did not change since an old set of
// them, or nil.
func (c *compiler) compileChains(l *Listener, old *chainSet) *chainSet {
	if old == nil {
		old = &chainSet{servers: &hostIndex[*CompiledChain]{}}
	}
	set := old
	if !same(old.listed, l.Chains) {
		set = c.changeChains(old, l.Chains)
	}
	for _, chain := range set.faulty {
		c.problems = append(c.problems, chain.problems...)
		if chain.table != nil {
			for _, v := range chain.table.faulty {
				c.problems = append(c.problems, v.problems()...)
			}
		}
	}
	c.reportClashes(l, set)
	return set
}

// chainChange is what became of a listener's chains.
type chainChange struct {
	removed, added []*CompiledChain
	// moved: some have another place among the others.
	moved bool
}

// changeChains compiles the chains that are not in an old set, and gives up those that are
// no more.
func (c *compiler) changeChains(old *chainSet, chains []*Chain) *chainSet {
	set := &chainSet{listed: chains, compiled: make([]*CompiledChain, 0, len(chains))}
	var change chainChange
	kept := 0
	for _, h := range diff(old.listed, chains) {
		set.compiled = append(set.compiled, old.compiled[kept:h.oldFrom]...)
		set.compiled = append(set.compiled, c.compileChainHunk(&change, old.compiled[h.oldFrom:h.oldTo], chains[h.newFrom:h.newTo])...)
		kept = h.oldTo
	}
	set.compiled = append(set.compiled, old.compiled[kept:]...)
	set.collectFaulty(old, change.added)
	if change.moved || !set.adjust(old, &change) {
		set.index()
	}
	return set
}

// compileChainHunk compiles the chains that came in the place of old ones. A table goes on
// from that of the old chain with the same name.
func (c *compiler) compileChainHunk(change *chainChange, old []*CompiledChain, chains []*Chain) []*CompiledChain {
	same := make(map[*Chain]*CompiledChain, len(old))
	for _, chain := range old {
		if same[chain.Chain] != nil { // listed twice
			change.removed = append(change.removed, chain)
			c.releaseChain(chain)
			continue
		}
		same[chain.Chain] = chain
	}
	compiled := make([]*CompiledChain, len(chains))
	for i, ch := range chains {
		if compiled[i] = same[ch]; compiled[i] != nil {
			delete(same, ch)
			change.moved = true
		}
	}
	namesake := make(map[string]*CompiledChain, len(same))
	for _, chain := range same {
		change.removed = append(change.removed, chain)
		if namesake[chain.Name] != nil {
			c.releaseChain(chain)
			continue
		}
		namesake[chain.Name] = chain
	}
	for i, ch := range chains {
		if compiled[i] != nil {
			continue
		}
		compiled[i] = c.compileChain(ch, namesake[ch.Name])
		delete(namesake, ch.Name)
		change.added = append(change.added, compiled[i])
	}
	for _, chain := range namesake {
		c.releaseChain(chain)
	}
	return compiled
}

// releaseChain gives up what a chain that is no more holds.
func (c *compiler) releaseChain(chain *CompiledChain) {
	if chain.table != nil {
		c.release(chain.table.compiled)
	}
	for _, id := range chain.clusters {
		c.clusters.release(id)
	}
}

// compileChain compiles a chain in the place of an old one, or nil, which it gives up.
func (c *compiler) compileChain(ch *Chain, old *CompiledChain) *CompiledChain {
	chain := &CompiledChain{Chain: ch}
	if old == nil {
		old = &CompiledChain{}
	}
	report := func(origin Origin, err error) {
		chain.problems = append(chain.problems, Problem{Origin: origin, Message: "chain " + ch.Name + ": " + err.Error()})
	}
	for _, name := range ch.ServerNames {
		d, err := parseDomain(name)
		if err != nil {
			report(ch.Origin, fmt.Errorf("server name: %w", err))
			continue
		}
		chain.domains = append(chain.domains, d)
	}
	if (ch.Table != nil) == (len(ch.Streams) > 0) {
		chain.broken = true
		report(ch.Origin, errors.New("it must have either a table or streams, and has both or neither"))
		c.releaseChain(old)
		return chain
	}
	if ch.Table != nil {
		chain.table = c.compileTable(ch.Table, old.table)
		old = &CompiledChain{clusters: old.clusters}
	}
	u := clusterUse{edit: c.clusters}
	for _, s := range ch.Streams {
		stream, err := compileStream(s)
		if err != nil {
			report(s.Origin, err)
			continue
		}
		for i := range stream.Destinations {
			u.resolve(&stream.Destinations[i].Cluster)
		}
		chain.streams = append(chain.streams, stream)
	}
	chain.clusters = u.ids
	c.releaseChain(old)
	return chain
}

// compileStream compiles a stream's destinations, or says why it cannot be in force.
func compileStream(s *StreamRoute) (*CompiledStream, error) {
	stream := &CompiledStream{StreamRoute: s}
	several := len(s.Destinations) > 1
	for _, d := range s.Destinations {
		if several && d.Weight == 0 {
			continue
		}
		stream.weights += uint64(d.Weight)
		stream.Destinations = append(stream.Destinations, CompiledDestination{Cluster: ClusterRef{Name: d.Cluster, ID: -1}, Weight: d.Weight})
	}
	switch {
	case len(s.Destinations) == 0:
		return nil, errors.New("the route has no destination; give it one")
	case len(stream.Destinations) == 0:
		return nil, errors.New("all destinations have weight 0; give one a share")
	}
	return stream, nil
}

// collectFaulty finds the chains with problems; it looks at all of them only if there was
// one before.
func (s *chainSet) collectFaulty(old *chainSet, added []*CompiledChain) {
	among := added
	if len(old.faulty) > 0 {
		among = s.compiled
	}
	for _, chain := range among {
		if len(chain.problems) > 0 || chain.table != nil && len(chain.table.faulty) > 0 {
			s.faulty = append(s.faulty, chain)
		}
	}
}

// adjust takes the indexes of an old set over, with the changes. It tells false where the
// order of the chains decides who has a name: then all must be indexed again.
func (s *chainSet) adjust(old *chainSet, change *chainChange) bool {
	plain := func(c *CompiledChain) bool { return len(c.ServerNames) == 0 }
	broken := func(c *CompiledChain) bool { return c.broken }
	changed := slices.Concat(change.removed, change.added)
	if old.repeated || slices.ContainsFunc(changed, plain) || slices.ContainsFunc(changed, broken) {
		return false
	}
	names := old.names.edit(len(change.added) - len(change.removed))
	for _, c := range change.removed {
		names.delete(c.Name)
	}
	for _, c := range change.added {
		if _, taken := names.lookup(c.Name); taken {
			return false
		}
		names.set(c.Name, c)
	}
	s.names, s.plain = names.cowMap, old.plain
	s.servers = old.servers.replaced(change.removed, change.added)
	return s.servers != nil
}

// index indexes all the chains from the first: of two that claim a name, it has it.
func (s *chainSet) index() {
	names := (&cowMap[*CompiledChain]{}).edit(len(s.compiled))
	var inForce []*CompiledChain
	s.repeated, s.plain = false, nil
	for _, c := range s.compiled {
		if c.broken {
			continue
		}
		if _, taken := names.lookup(c.Name); taken {
			s.repeated = true
			continue
		}
		names.set(c.Name, c)
		inForce = append(inForce, c)
		if len(c.ServerNames) == 0 {
			s.plain = append(s.plain, c)
		}
	}
	s.names = names.cowMap
	s.servers = indexHosts(inForce)
}

// reportClashes says which chains do not have what they claim, because an earlier one has it.
func (c *compiler) reportClashes(l *Listener, s *chainSet) {
	if len(s.plain) > 1 {
		for _, chain := range s.plain[1:] {
			c.report(chain.Origin, "chain %s: %s takes the connections to listener %s that do not begin with TLS", chain.Name, s.plain[0].Name, l.Name)
		}
	}
	if !s.repeated && len(s.servers.contested) == 0 {
		return
	}
	claimed := s.servers.edit(0)
	for _, chain := range s.compiled {
		if chain.broken {
			continue
		}
		if owner, _ := s.names.lookup(chain.Name); owner != chain {
			c.report(chain.Origin, "listener %s has a chain named %s already; give each its own name", l.Name, chain.Name)
			continue
		}
		for _, d := range chain.domains {
			if owner := claimed.owner(d); owner != chain {
				c.report(chain.Origin, "chain %s: server name %s of listener %s is that of chain %s, which comes before it", chain.Name, d, l.Name, owner.Name)
			}
		}
	}
}
