package router

import (
	"strconv"
	"strings"
	"sync/atomic"
)

// Table is what a Spec became. It never changes, but for the Mark of a
// [CompiledVirtualHost], which it does not look at; a new one takes its place. All
// its methods may be called from any number of goroutines.
type Table struct {
	spec       *Spec
	generation uint64
	listeners  map[string]*compiledListener
	// serving are the listeners, in order.
	serving  []*Listener
	clusters *clusterSet
	secrets  *secretSet
}

// compiledListener is a listener's tables, ready for a request's port, or its chains.
type compiledListener struct {
	*Listener
	// chains is nil on a listener without.
	chains *chainSet
	tables []*CompiledTable
	byPort map[uint16]*CompiledTable
	// other serves the ports that have no table of their own; it may be nil.
	other *CompiledTable
}

// CompiledTable is a RouteTable whose hosts are indexed.
type CompiledTable struct {
	*RouteTable
	hosts *hostIndex[*CompiledVirtualHost]
	// compiled are the virtual hosts, in the order of RouteTable.VirtualHosts.
	compiled []*CompiledVirtualHost
	// faulty are those of them that have problems.
	faulty []*CompiledVirtualHost
}

// CompiledVirtualHost is a VirtualHost whose routes are indexed. It is shared by
// all the tables that were built while its VirtualHost stayed the same. It fits in a line of
// the processor's caches, which a request that is routed has fetched.
type CompiledVirtualHost struct {
	*VirtualHost
	// requireTLS is the VirtualHost's, at hand.
	requireTLS bool
	// Mark is for whoever follows requests: a note about the virtual host, at hand and for as
	// long as there is one, that costs no look at its name. It is 0 at first, and no part of
	// what a table says: nothing here reads or writes it. Those who do, each with numbers of
	// its own, may overwrite what others noted: it must be one that can be found out again.
	Mark atomic.Uint32
	// Routes are those that are in force, in order. They lie together: a request that looks
	// at few of them finds the next one in what it has fetched.
	Routes []CompiledRoute
	// index finds among many routes; nil where there are few.
	index *routeIndex
	// trouble are the problems of the routes and domains left out; nil where there are none,
	// as in most.
	trouble *hostTrouble
	// clusters are those named.
	clusters *clusterList
}

// hostTrouble is what is wrong with a virtual host.
type hostTrouble struct{ problems []Problem }

// problems returns those of the routes and domains left out.
func (v *CompiledVirtualHost) problems() []Problem {
	if v.trouble == nil {
		return nil
	}
	return v.trouble.problems
}

func (v *CompiledVirtualHost) report(p Problem) {
	if v.trouble == nil {
		v.trouble = &hostTrouble{}
	}
	v.trouble.problems = append(v.trouble.problems, p)
}

func (v *CompiledVirtualHost) claims() []string { return v.Domains }

// CompiledRoute is a Route that is ready to match and to be acted upon.
//
// There are many, so that it is small: what it matches by is its own, and lies together; what
// it does is mostly what others do too.
type CompiledRoute struct {
	match matcher
	// Route is what it was compiled from.
	Route *Route
	*Handling
}

// Origin names the piece of configuration that the route was made from.
func (r *CompiledRoute) Origin() Origin { return r.Route.Origin() }

// Handling is what routes with one RouteAction have in common.
type Handling struct {
	*CompiledAction
	Configured
	rewrite *pathRewrite
}

// Configured is what a Handling was compiled from. What is compiled of it hides the same here.
type Configured struct {
	*RouteAction
	// RoutePolicy is the RouteAction's; the zero value where it has none.
	*RoutePolicy
}

// CompiledAction is what routes do with a request that they forward, or answer. Those that do
// the same share it.
type CompiledAction struct {
	// Destinations are the ones with a share in the traffic; of a single one, the
	// weight does not matter.
	Destinations []CompiledDestination
	// ResponseOps are the route's own changes to a response's headers, for a response
	// that comes from no destination.
	ResponseOps []HeaderOp
	// Mirrors are those of the route, resolved.
	Mirrors []CompiledMirror

	cors []stringMatcher
	// weights is the sum of those of the destinations.
	weights uint64
}

// CompiledDestination is a Destination whose cluster and headers are resolved.
type CompiledDestination struct {
	Cluster ClusterRef
	Weight  uint32
	// RequestOps and ResponseOps are all changes to the headers, in the order in
	// which they are to be made: the destination's, then the route's.
	RequestOps, ResponseOps []HeaderOp
	// Authority replaces the request's, unless the route's Rewrite has one: see
	// [Decision.Authority].
	Authority string
}

// CompiledMirror is a Mirror whose cluster is resolved.
type CompiledMirror struct {
	Cluster  ClusterRef
	Fraction Fraction
}

// AllowsOrigin tells whether the route's CORS policy names an origin.
func (r *CompiledRoute) AllowsOrigin(origin string) bool {
	for i := range r.cors {
		if r.cors[i].holds(origin) {
			return true
		}
	}
	return false
}

// Spec returns what the table was built from.
func (t *Table) Spec() *Spec { return t.spec }

// Generation counts the builds that led to this table: 1 for the first.
func (t *Table) Generation() uint64 { return t.generation }

// Clusters returns the clusters by [ClusterRef.ID]. An entry is nil where routes
// name a cluster that the Spec does not have. The caller must not change it.
func (t *Table) Clusters() []*Cluster { return t.clusters.defined }

// Listeners returns the listeners to serve, in the order of the Spec. The caller
// must not change the slice.
func (t *Table) Listeners() []*Listener { return t.serving }

// Outcome is what a table makes of a request.
type Outcome uint8

const (
	// NoListener: no listener has that name.
	NoListener Outcome = iota
	// NotFound: no table, virtual host or route takes the request (404, flag NR).
	NotFound
	// TLSRedirect: the virtual host serves TLS only (301, [Decision.AppendLocation]).
	TLSRedirect
	// Redirected: the route's Redirect answers ([Decision.AppendLocation]).
	Redirected
	// Responded: the route's Direct answers.
	Responded
	// Forward: the request goes to one of the destinations ([Decision.Pick]).
	Forward
)

var outcomeNames = [...]string{"NoListener", "NotFound", "TLSRedirect", "Redirected", "Responded", "Forward"}

// String returns the constant's name.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "Outcome(" + strconv.Itoa(int(o)) + ")"
}

// Decision is what a table decided about one request, as far as it got: VirtualHost
// is nil where no host fits, Route where no route does. It points into the table and
// holds nothing of the request.
type Decision struct {
	Outcome  Outcome
	Listener *Listener
	// Chain is that of Request.Chain; nil on a listener without chains, and where it has
	// none of that name, any more.
	Chain *CompiledChain
	// Table is nil where the listener, or the chain, has none for the request.
	Table       *CompiledTable
	VirtualHost *CompiledVirtualHost
	Route       *CompiledRoute
}

// Route finds the first route that matches a request, in the virtual host that its
// authority names. It allocates nothing.
func (t *Table) Route(r *Request) Decision {
	listener := t.listeners[r.Listener]
	if listener == nil {
		return Decision{Outcome: NoListener}
	}
	d := Decision{Outcome: NotFound, Listener: listener.Listener}
	if listener.chains == nil {
		d.Table = listener.table(r.Port)
	} else if d.Chain, _ = listener.chains.names.lookup(r.Chain); d.Chain != nil {
		d.Table = d.Chain.table
	}
	if d.Table == nil {
		return d
	}
	if d.VirtualHost = d.Table.hosts.lookup(r.Authority); d.VirtualHost == nil {
		return d
	}
	if d.VirtualHost.requireTLS && r.Scheme != "https" && !strings.HasPrefix(r.Path, acmeChallenges) {
		d.Outcome = TLSRedirect
		return d
	}
	if d.Route = d.VirtualHost.first(r); d.Route == nil {
		return d
	}
	d.Outcome = d.Route.match.outcome
	return d
}

// acmeChallenges is where HTTP-01 looks for the answer to a challenge, in plaintext
// (RFC 8555 section 8.3).
const acmeChallenges = "/.well-known/acme-challenge/"

// table returns the table for a port that the caller addressed.
func (l *compiledListener) table(port uint16) *CompiledTable {
	if len(l.tables) == 1 {
		return l.tables[0]
	}
	if t := l.byPort[port]; t != nil {
		return t
	}
	return l.other
}

// outcome returns what a route does with a request.
func (r *Route) outcome() Outcome {
	switch {
	case r.Redirect != nil:
		return Redirected
	case r.Direct != nil:
		return Responded
	}
	return Forward
}

// Index returns the route's place among those in force in its virtual host, from 0.
func (r *CompiledRoute) Index() int { return int(r.match.ordinal) }

// Pick chooses one of the route's destinations by weight, given a random number. It
// returns nil where the decision is not to forward.
func (d *Decision) Pick(random uint64) *CompiledDestination {
	if d.Outcome != Forward {
		return nil
	}
	return pickByWeight(d.Route.Destinations, d.Route.weights, random)
}

// pickByWeight chooses a destination by weight; total is the sum of theirs.
func pickByWeight(destinations []CompiledDestination, total, random uint64) *CompiledDestination {
	if len(destinations) == 1 {
		return &destinations[0]
	}
	n := random % total
	for i := range destinations {
		weight := uint64(destinations[i].Weight)
		if n < weight {
			return &destinations[i]
		}
		n -= weight
	}
	return nil // unreachable: n is less than the sum of the weights
}
