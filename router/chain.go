package router

import (
	"net/netip"
	"slices"
)

// CompiledChain is a Chain that is ready for connections. It is shared by all the tables
// that were built while its Chain stayed the same.
type CompiledChain struct {
	*Chain
	// table routes the requests of connections; nil where bytes are routed.
	table *CompiledTable
	// streams are those in force.
	streams []*CompiledStream
	// domains are the server names, taken apart; those that cannot be are left out.
	domains []domain
	// broken: it is not in force.
	broken bool
	// problems are the chain's and its streams'; those of its table are there.
	problems []Problem
	// clusters are the IDs of the clusters that its streams name, each once.
	clusters []int32
}

// CompiledStream is a StreamRoute that is ready to be acted upon.
type CompiledStream struct {
	*StreamRoute
	// Destinations are the ones with a share in the traffic; of a single one, the weight
	// does not matter.
	Destinations []CompiledDestination
	weights      uint64
}

// Pick chooses one of the destinations by weight, given a random number.
func (s *CompiledStream) Pick(random uint64) *CompiledDestination {
	return pickByWeight(s.Destinations, s.weights, random)
}

func (c *CompiledChain) claims() []string { return c.ServerNames }

// Takes tells whether one of the chain's ServerNames stands for a host. Another chain may
// have a better one: that is for [Table.Chain] to say.
func (c *CompiledChain) Takes(host string) bool {
	host = NormalizeHost(host)
	return slices.ContainsFunc(c.domains, func(d domain) bool { return d.takes(host) })
}

// Stream returns the route of a connection, given the address that the client connected to:
// the first whose Subnets hold it. It returns nil where there is none, so that the
// connection is to be closed. An address that is not valid is in no subnet.
func (c *CompiledChain) Stream(dst netip.Addr) *CompiledStream {
	dst = dst.Unmap()
	for _, s := range c.streams {
		if s.takes(dst) {
			return s
		}
	}
	return nil
}

func (s *CompiledStream) takes(dst netip.Addr) bool {
	for _, subnet := range s.Subnets {
		if subnet.Contains(dst) {
			return true
		}
	}
	return len(s.Subnets) == 0
}

// chainSet is the chains of a listener, found by name and by server name. It never changes.
type chainSet struct {
	// listed are the Listener's, and compiled what became of each.
	listed   []*Chain
	compiled []*CompiledChain
	// names are those in force; repeated tells that not all are, because others have
	// their names.
	names    cowMap[*CompiledChain]
	repeated bool
	// servers finds a chain by the TLS server name.
	servers *hostIndex[*CompiledChain]
	// plain are those that take connections without TLS. The first does.
	plain []*CompiledChain
	// faulty are those with problems of their own, or of their table.
	faulty []*CompiledChain
}

// HasChains tells whether a listener has chains, so that a connection must be asked for its
// server name.
func (t *Table) HasChains(listener string) bool {
	l := t.listeners[listener]
	return l != nil && l.chains != nil
}

// Chain returns the chain that takes a new connection: by its server name as the client sent
// it, or "", where it begins with TLS, and the protocols that it offers by ALPN. nil means
// that nobody does, and that the connection is to be reset. There is no second choice: a
// chain that has the best name for a connection but does not take it leaves it to nobody,
// as in Envoy. Nobody takes a server name that can be none. It allocates nothing.
func (t *Table) Chain(listener, serverName string, tls bool, alpn []string) *CompiledChain {
	l := t.listeners[listener]
	if l == nil || l.chains == nil {
		return nil
	}
	if !tls {
		if len(l.chains.plain) == 0 {
			return nil
		}
		return l.chains.plain[0]
	}
	chain := l.chains.server(serverName)
	if chain == nil || chain.IstioALPN && !slices.ContainsFunc(alpn, isIstioProtocol) {
		return nil
	}
	return chain
}

// server returns the chain that has the best name for a server name, or nil.
func (s *chainSet) server(name string) *CompiledChain {
	if !possibleServerName(name) {
		return nil
	}
	return s.servers.lookup(name)
}

// possibleServerName tells whether a server name may be that of a host. TLS itself lets
// clients put any bytes there, line breaks too, and the name goes on to headers, logs and
// addresses.
func possibleServerName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}

// isIstioProtocol tells whether an ALPN protocol is one by which Istio's proxies know each
// other.
func isIstioProtocol(name string) bool {
	switch name {
	case "istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2":
		return true
	}
	return false
}

// NamedChain returns the chain of that name, or nil. Tables differ: a connection that is
// older than this table may have a chain that is no more.
func (t *Table) NamedChain(listener, name string) *CompiledChain {
	l := t.listeners[listener]
	if l == nil || l.chains == nil {
		return nil
	}
	chain, _ := l.chains.names.lookup(name)
	return chain
}
