package router

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Connection is what a table looks at of a new connection.
type Connection struct {
	// Listener is the name of the listener that accepted it.
	Listener string
	// TLS tells that it begins with TLS, ServerName is the client's as it sent it, and ALPN
	// the protocols that it offers.
	TLS        bool
	ServerName string
	ALPN       []string
	// Local is the address that the client connected to; it may be unknown.
	Local netip.Addr
}

// What becomes of a connection.
const (
	// ConnectionNoListener: no listener has that name.
	ConnectionNoListener = "NoListener"
	// ConnectionNoChain: no chain takes it; it is reset.
	ConnectionNoChain = "NoChain"
	// ConnectionRequests: its requests are routed.
	ConnectionRequests = "Requests"
	// ConnectionStream: its bytes go to one of the stream's destinations.
	ConnectionStream = "Stream"
	// ConnectionNoStream: none of the chain's streams takes it; it is closed.
	ConnectionNoStream = "NoStream"
)

// ConnectionExplanation says what a table makes of a connection, and why.
type ConnectionExplanation struct {
	// Outcome is one of the constants above.
	Outcome  string `json:"outcome"`
	Listener string `json:"listener,omitempty"`
	// Plaintext tells that the connection does not begin with TLS, or that nobody looks
	// whether it does, because one of the chains takes those that do not. ServerName is what
	// it was looked up by else, and Domain what it was found by.
	Plaintext  bool   `json:"plaintext,omitempty"`
	ServerName string `json:"serverName,omitempty"`
	Domain     string `json:"domain,omitempty"`
	// Chain took it; it is nil where none did, and on a listener without chains.
	Chain *ExplainedChain `json:"chain,omitempty"`
	// Others are chains that did not, and why: first those that have a name for it. Of many,
	// OthersOmitted are left out.
	Others        []ChainMiss `json:"others,omitempty"`
	OthersOmitted int         `json:"othersOmitted,omitempty"`
	// Stream took it, of a chain that routes bytes, and EarlierStreams did not.
	Stream         *ExplainedStream `json:"stream,omitempty"`
	EarlierStreams []StreamMiss     `json:"earlierStreams,omitempty"`
	// KnownServerNames are, where no chain fits, the names most like the client's.
	KnownServerNames []string `json:"knownServerNames,omitempty"`
}

// ExplainedChain is a chain and how it treats TLS.
type ExplainedChain struct {
	Name   string `json:"name"`
	Origin Origin `json:"origin"`
	// Mode is as in an Istio Gateway, see [Chain.Mode]; TLS says in a line what is served
	// with where TLS ends here.
	Mode string `json:"mode"`
	TLS  string `json:"tls,omitempty"`
}

// ChainMiss is a chain that did not take a connection, and why.
type ChainMiss struct {
	Name   string `json:"name"`
	Origin Origin `json:"origin"`
	Reason string `json:"reason"`
}

// ExplainedStream is where the bytes of a connection go.
type ExplainedStream struct {
	Name         string                 `json:"name,omitempty"`
	Index        int                    `json:"index"`
	Origin       Origin                 `json:"origin"`
	Match        string                 `json:"match"`
	Destinations []ExplainedDestination `json:"destinations"`
	// IdleTimeout is written as by time.Duration; "never" where there is none.
	IdleTimeout string `json:"idleTimeout"`
}

// StreamMiss is a stream that did not take a connection, and why.
type StreamMiss struct {
	Name   string `json:"name,omitempty"`
	Index  int    `json:"index"`
	Origin Origin `json:"origin"`
	Reason string `json:"reason"`
}

// maxChainMisses is how many chains an explanation tells of.
const maxChainMisses = 20

// ExplainConnection finds a connection's chain and stream as Chain and Stream do, and says
// why these.
func (t *Table) ExplainConnection(c *Connection) *ConnectionExplanation {
	e := &ConnectionExplanation{Plaintext: !c.TLS}
	if c.TLS {
		e.ServerName = NormalizeHost(c.ServerName)
	}
	l := t.listeners[c.Listener]
	if l == nil {
		e.Outcome = ConnectionNoListener
		return e
	}
	e.Listener = l.Name
	if l.chains == nil {
		e.Outcome = ConnectionRequests
		return e
	}
	if c.TLS && len(l.chains.plain) > 0 {
		// Protocols in which servers speak first leave no time to look for TLS.
		blind := *c
		blind.TLS, e.Plaintext, e.ServerName = false, true, ""
		c = &blind
	}
	chain := t.Chain(c.Listener, c.ServerName, c.TLS, c.ALPN)
	e.Others, e.OthersOmitted = l.chains.misses(chain, c)
	if chain == nil {
		e.Outcome = ConnectionNoChain
		if c.TLS {
			e.KnownServerNames = nearestNames(e.ServerName, l.chains.compiled)
		}
		return e
	}
	if c.TLS {
		e.Domain = domainFor(chain.ServerNames, e.ServerName)
	}
	e.Chain = &ExplainedChain{Name: chain.Name, Origin: chain.Origin, Mode: chain.Mode()}
	if chain.TLS != nil {
		e.Chain.TLS = chain.TLS.String()
	}
	if chain.table != nil {
		e.Outcome = ConnectionRequests
		return e
	}
	t.explainStream(e, chain, c.Local)
	return e
}

// explainStream says which of a chain's streams takes a connection.
func (t *Table) explainStream(e *ConnectionExplanation, chain *CompiledChain, dst netip.Addr) {
	taken := chain.Stream(dst)
	e.Outcome = ConnectionNoStream
	for i, s := range chain.streams {
		if s != taken {
			e.EarlierStreams = append(e.EarlierStreams, StreamMiss{Name: s.Name, Index: i, Origin: s.Origin, Reason: s.missing(dst)})
			continue
		}
		e.Outcome = ConnectionStream
		e.Stream = &ExplainedStream{Name: s.Name, Index: i, Origin: s.Origin, Match: s.Match(), IdleTimeout: s.idle()}
		for j := range s.Destinations {
			d := &s.Destinations[j]
			e.Stream.Destinations = append(e.Stream.Destinations, t.explainDestination(d))
		}
		return
	}
}

// missing says why a stream does not take a connection to an address.
func (s *CompiledStream) missing(dst netip.Addr) string {
	if !dst.IsValid() {
		return "wants " + s.Match() + ", and the address is not known"
	}
	return fmt.Sprintf("wants %s, is %s", s.Match(), dst.Unmap())
}

// explainDestination says what is known of a destination's cluster.
func (t *Table) explainDestination(d *CompiledDestination) ExplainedDestination {
	e := ExplainedDestination{Cluster: d.Cluster.Name, Weight: d.Weight, Missing: true}
	if id := d.Cluster.ID; id >= 0 && t.Clusters()[id] != nil {
		e.Missing = false
		e.Policies = t.Clusters()[id].Policies()
	}
	return e
}

// misses says why the chains but one, which may be nil, did not take a connection. Those
// that have a name for it come first.
func (s *chainSet) misses(taken *CompiledChain, c *Connection) (misses []ChainMiss, omitted int) {
	host := NormalizeHost(c.ServerName)
	var near, far []ChainMiss
	for _, chain := range s.compiled {
		if chain == taken {
			continue
		}
		miss := ChainMiss{Name: chain.Name, Origin: chain.Origin, Reason: s.reason(chain, taken, c)}
		if c.TLS && domainFor(chain.ServerNames, host) != "" || !c.TLS && len(chain.ServerNames) == 0 {
			near = append(near, miss)
		} else if len(far) < maxChainMisses {
			far = append(far, miss)
		} else {
			omitted++
		}
	}
	misses = append(near, far...)
	if len(misses) > maxChainMisses {
		omitted += len(misses) - maxChainMisses
		misses = misses[:maxChainMisses]
	}
	return misses, omitted
}

// reason says why a chain did not take a connection that another did, or none.
func (s *chainSet) reason(chain, taken *CompiledChain, c *Connection) string {
	host := NormalizeHost(c.ServerName)
	fits := domainFor(chain.ServerNames, host)
	owner, _ := s.names.lookup(chain.Name)
	best := s.server(c.ServerName)
	switch {
	case chain.broken || owner != chain:
		return "is not in force: it is faulty, or another chain has its name"
	case c.TLS && len(chain.ServerNames) == 0:
		return "takes connections that do not begin with TLS"
	case !c.TLS && len(chain.ServerNames) > 0 && taken != nil:
		return "takes connections that begin with TLS, for which the listener does not look: " + taken.Name + " takes those that do not"
	case !c.TLS && len(chain.ServerNames) > 0:
		return "takes connections that begin with TLS"
	case !c.TLS:
		return taken.Name + " comes before it"
	case fits == "" && host == "":
		return "wants a server name, " + chain.briefNames() + ", and the client sent none"
	case fits == "":
		return fmt.Sprintf("wants server name %s, is %q", chain.briefNames(), host)
	case best == nil:
		return fmt.Sprintf("%s fits, but the server name is none", fits)
	case best == chain:
		return fmt.Sprintf("has the best name (%s), but takes clients only that offer one of Istio's protocols by ALPN", fits)
	}
	if better := domainFor(best.ServerNames, host); NormalizeHost(better) != NormalizeHost(fits) {
		return fmt.Sprintf("%s fits, but %s of %s is more exact", fits, better, best.Name)
	}
	return fmt.Sprintf("%s fits, but %s has that name: it comes first", fits, best.Name)
}

// briefNames lists the chain's server names, or how they begin where there are many.
func (c *CompiledChain) briefNames() string {
	const shown = 3
	if len(c.ServerNames) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(c.ServerNames[:shown], ", "), len(c.ServerNames)-shown)
	}
	return strings.Join(c.ServerNames, " or ")
}

// nearestNames returns the server names that differ least from a client's.
func nearestNames(host string, chains []*CompiledChain) []string {
	hosts := make([]*VirtualHost, len(chains))
	for i, c := range chains {
		hosts[i] = &VirtualHost{Domains: c.ServerNames}
	}
	return nearestDomains(host, hosts)
}

// chainNames are the names of the listener's chains in force, some of many.
func (l *compiledListener) chainNames() (names []string) {
	if l == nil || l.chains == nil {
		return nil
	}
	l.chains.names.each(func(name string, _ *CompiledChain) { names = append(names, name) })
	slices.Sort(names)
	return names[:min(len(names), maxChainMisses)]
}
