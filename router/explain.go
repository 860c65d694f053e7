package router

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation says what a table makes of a request, and why.
type Explanation struct {
	// Outcome is the name of a constant of type Outcome or, where the connection is not
	// served requests, what its explanation says.
	Outcome string `json:"outcome"`
	// Connection is what became of the request's connection, where that was asked.
	Connection *ConnectionExplanation `json:"connection,omitempty"`
	// Misdirected says on what conditions the request is served at all, where its host is
	// not that of the connection's chain.
	Misdirected string `json:"misdirected,omitempty"`
	// Listener, Chain, Table and VirtualHost are names, as far as the request got.
	Listener    string `json:"listener,omitempty"`
	Chain       string `json:"chain,omitempty"`
	Table       string `json:"table,omitempty"`
	VirtualHost string `json:"virtualHost,omitempty"`
	// Host is the request's host as it was looked up, Domain what it was found by.
	Host   string `json:"host,omitempty"`
	Domain string `json:"domain,omitempty"`
	// Route is the rule that took the request.
	Route *ExplainedRoute `json:"route,omitempty"`
	// Location is where the client is sent, by the rule or because only TLS is served.
	Location string `json:"location,omitempty"`
	// Earlier are the rules before it (all of them, on a miss), and why each did not match.
	Earlier []RuleMiss `json:"earlier,omitempty"`
	// Nearest is, on a miss, the rule of which most conditions hold, of equals the one
	// of which fewest fail, then the first; but a rule whose path holds comes before all
	// others.
	Nearest *RuleMiss `json:"nearest,omitempty"`
	// KnownHosts are, where no virtual host fits, the domains most like the request's host.
	KnownHosts []string `json:"knownHosts,omitempty"`
	// KnownListeners are, where there is no such listener, the names of those there are.
	KnownListeners []string `json:"knownListeners,omitempty"`
	// KnownPorts are, where no table fits, the ports that have one, and KnownChains the
	// chains; not all of many.
	KnownPorts  []uint16 `json:"knownPorts,omitempty"`
	KnownChains []string `json:"knownChains,omitempty"`
}

// ExplainedRoute is a rule and what it does with the request.
type ExplainedRoute struct {
	Name   string `json:"name,omitempty"`
	Index  int    `json:"index"`
	Origin Origin `json:"origin"`
	// Path is what the upstream sees, where the request is forwarded.
	Path         string                 `json:"path,omitempty"`
	Destinations []ExplainedDestination `json:"destinations,omitempty"`
	// Timeout is written as by time.Duration; empty where there is none.
	Timeout string `json:"timeout,omitempty"`
	// Policies are the route's, in the order in which they act.
	Policies []Policy `json:"policies,omitempty"`
	// Status and Body are the answer of a redirect or direct response.
	Status int    `json:"status,omitempty"`
	Body   string `json:"body,omitempty"`
}

// ExplainedDestination is a share of a route's traffic.
type ExplainedDestination struct {
	Cluster string `json:"cluster"`
	// Weight is relative to the others; of a single destination it does not matter.
	Weight uint32 `json:"weight"`
	// Authority is what the upstream sees of a request.
	Authority string `json:"authority,omitempty"`
	// Missing: no such cluster exists, so its share is answered 503 with flag NC.
	Missing bool `json:"missing,omitempty"`
	// Policies are the cluster's.
	Policies []Policy `json:"policies,omitempty"`
}

// RuleMiss is a rule that did not match, and why.
type RuleMiss struct {
	Name   string `json:"name,omitempty"`
	Index  int    `json:"index"`
	Origin Origin `json:"origin"`
	// Failed are the conditions that do not hold, Held counts those that do.
	Failed []FailedCondition `json:"failed"`
	Held   int               `json:"held"`

	pathHolds bool
}

// FailedCondition is a condition, what it wants and what the request has.
type FailedCondition struct {
	// Condition names what is looked at: "path", "method", "header x-version" ...
	Condition string `json:"condition"`
	// Wanted reads like `exact "v2"`, or `not present`.
	Wanted string `json:"wanted"`
	Got    string `json:"got"`
	// Absent: the request has no such header or parameter.
	Absent bool `json:"absent,omitempty"`
}

// String returns the failure as people read it.
func (f FailedCondition) String() string {
	if f.Absent {
		return fmt.Sprintf("%s: wants %s, is absent", f.Condition, f.Wanted)
	}
	return fmt.Sprintf("%s: wants %s, is %q", f.Condition, f.Wanted, f.Got)
}

// Explain routes a request as Route does, and says why the answer is what it is.
func (t *Table) Explain(r *Request) *Explanation {
	d := t.Route(r)
	e := &Explanation{Outcome: d.Outcome.String(), Host: NormalizeHost(r.Authority)}
	if d.Chain != nil {
		e.Chain = d.Chain.Name
	}
	switch {
	case d.Listener == nil:
		for _, l := range t.serving {
			e.KnownListeners = append(e.KnownListeners, l.Name)
		}
		return e
	case d.Table == nil:
		e.Listener = d.Listener.Name
		for _, rt := range d.Listener.Tables {
			e.KnownPorts = append(e.KnownPorts, rt.Port)
		}
		e.KnownChains = t.listeners[d.Listener.Name].chainNames()
		return e
	case d.VirtualHost == nil:
		e.Listener, e.Table = d.Listener.Name, d.Table.Name
		e.KnownHosts = nearestDomains(e.Host, d.Table.VirtualHosts)
		return e
	}
	e.Listener, e.Table, e.VirtualHost = d.Listener.Name, d.Table.Name, d.VirtualHost.Name
	e.Domain = domainFor(d.VirtualHost.Domains, e.Host)
	e.Location = string(d.AppendLocation(nil, r))
	if d.Outcome == TLSRedirect {
		return e
	}
	e.Earlier = d.VirtualHost.misses(d.Route, r)
	if d.Route == nil {
		e.Nearest = nearest(e.Earlier)
		return e
	}
	e.Route = t.explainRoute(&d, r)
	return e
}

// domainFor returns by which of some domains a host is found, "" for none.
func domainFor(domains []string, host string) string {
	best, length := "", -1
	for _, name := range domains {
		d, err := parseDomain(name)
		switch {
		case err != nil || !d.takes(host):
		case !d.wildcard:
			return name
		case len(d.name) > length:
			best, length = name, len(d.name)
		}
	}
	return best
}

// explainRoute says what the route of a decision does.
func (t *Table) explainRoute(d *Decision, r *Request) *ExplainedRoute {
	route := d.Route
	e := &ExplainedRoute{Name: route.Name, Index: route.Index(), Origin: route.Origin(), Policies: route.Route.Policies()}
	switch d.Outcome {
	case Redirected:
		e.Status = route.Redirect.Status
		return e
	case Responded:
		e.Status, e.Body = route.Direct.Status, string(route.Direct.Body)
		return e
	}
	e.Path = string(d.AppendPath(nil, r))
	if route.Timeout > 0 {
		e.Timeout = route.Timeout.String()
	}
	for i := range route.Destinations {
		dest := &route.Destinations[i]
		ed := t.explainDestination(dest)
		ed.Authority = d.Authority(dest, r)
		e.Destinations = append(e.Destinations, ed)
	}
	return e
}

// misses says why each route before one, or every one, did not match.
func (v *CompiledVirtualHost) misses(before *CompiledRoute, r *Request) []RuleMiss {
	var misses []RuleMiss
	path := pathOf(r.Path)
	for i := range v.Routes {
		route := &v.Routes[i]
		if route == before {
			break
		}
		miss := RuleMiss{Name: route.Name, Index: route.Index(), Origin: route.Origin(), pathHolds: route.match.takes(path)}
		miss.note(miss.pathHolds, route.Route.Match.Path.Kind == MatchAny, func() FailedCondition {
			return FailedCondition{Condition: "path", Wanted: wantedPath(&route.Route.Match), Got: path}
		})
		compiled := route.match.conditions()
		for cond, comparison := range route.Route.Match.conditions() {
			trivial := comparison.Kind == MatchAny && !cond.invert
			holds := trivial || compiled[0].holds(r)
			if !trivial {
				compiled = compiled[1:]
			}
			miss.note(holds, trivial, func() FailedCondition {
				got, present := cond.valueIn(r)
				return FailedCondition{Condition: cond.String(), Wanted: wanted(comparison, cond.invert), Got: got, Absent: !present}
			})
		}
		misses = append(misses, miss)
	}
	return misses
}

// note counts a condition that holds, or describes one that does not. A trivial one
// holds for everything and does not count.
func (m *RuleMiss) note(holds, trivial bool, failed func() FailedCondition) {
	switch {
	case trivial:
	case holds:
		m.Held++
	default:
		m.Failed = append(m.Failed, failed())
	}
}

// valueIn returns what a request has for the condition.
func (c *condition) valueIn(r *Request) (value string, present bool) {
	switch c.subject {
	case onHeader:
		var values []string
		for _, h := range r.Headers {
			if h.Name == c.name {
				values = append(values, h.Value)
			}
		}
		return strings.Join(values, ","), len(values) > 0
	case onQuery:
		return findParameter(queryOf(r.Path), c.name)
	case onUpgrade:
		return upgradeValue(r, c.name)
	}
	return lineValue(r, c.subject), true
}

// wanted describes a comparison: `exact "v2"`.
func wanted(m StringMatch, invert bool) string {
	not := ""
	if invert {
		not = "not "
	}
	switch m.Kind {
	case MatchExact, MatchPrefix, MatchRegex:
		return fmt.Sprintf("%s%s %q", not, kindNames[m.Kind], m.Value)
	}
	return not + kindNames[m.Kind]
}

var kindNames = [...]string{MatchAny: "anything", MatchExact: "exact", MatchPrefix: "prefix", MatchRegex: "regex", MatchPresent: "present"}

// wantedPath describes a condition on the path.
func wantedPath(m *Match) string {
	if m.Conditions().IgnorePathCase && (m.Path.Kind == MatchExact || m.Path.Kind == MatchPrefix) {
		return wanted(m.Path, false) + " in any case"
	}
	return wanted(m.Path, false)
}

// nearest returns the miss that came nearest to a match, or nil where there is none.
func nearest(misses []RuleMiss) *RuleMiss {
	var best *RuleMiss
	for i := range misses {
		if m := &misses[i]; best == nil || m.nearer(best) {
			best = m
		}
	}
	return best
}

func (m *RuleMiss) nearer(than *RuleMiss) bool {
	switch {
	case m.pathHolds != than.pathHolds:
		return m.pathHolds
	case m.Held != than.Held:
		return m.Held > than.Held
	}
	return len(m.Failed) < len(than.Failed)
}

// knownHosts is how many domains an explanation offers.
const knownHosts = 5

// nearestDomains returns the domains that differ least from a host, of those there are.
func nearestDomains(host string, hosts []*VirtualHost) []string {
	host = host[:min(len(host), maxHost)]
	type candidate struct {
		domain   string
		distance int
	}
	var best []candidate
	worse := func(c candidate, distance int) int { return c.distance - distance }
	for _, v := range hosts {
		for _, name := range v.Domains {
			d := editDistance(strings.TrimPrefix(NormalizeHost(name), "*."), host)
			// Behind those that are as near, so that the first stays first.
			at, _ := slices.BinarySearchFunc(best, d+1, worse)
			if at == knownHosts {
				continue
			}
			best = slices.Insert(best, at, candidate{name, d})
			best = best[:min(len(best), knownHosts)]
		}
	}
	var names []string
	for _, c := range best {
		names = append(names, c.domain)
	}
	return names
}

// editDistance counts the bytes to put in, take out or replace to make a into b
// (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 0; i < len(a); i++ {
		diagonal := row[0]
		row[0] = i + 1
		for j := 0; j < len(b); j++ {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
