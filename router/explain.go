package router

// Explanation says what a table makes of a request, and why.
type Explanation struct {
	// Outcome is the name of a constant of type Outcome.
	Outcome string `json:"outcome"`
	// Listener, Table and VirtualHost are names, as far as the request got.
	Listener    string `json:"listener,omitempty"`
	Table       string `json:"table,omitempty"`
	VirtualHost string `json:"virtualHost,omitempty"`
	// Route is the rule that took the request.
	Route *ExplainedRoute `json:"route,omitempty"`
	// Earlier are the rules before it (all of them, on a miss), and why each did not match.
	Earlier []RuleMiss `json:"earlier,omitempty"`
	// Nearest is, on a miss, the rule that most conditions of hold.
	Nearest *RuleMiss `json:"nearest,omitempty"`
	// KnownHosts are, where no virtual host fits, the domains most like the request's host.
	KnownHosts []string `json:"knownHosts,omitempty"`
	// KnownListeners are, where there is no such listener, the names of those there are.
	KnownListeners []string `json:"knownListeners,omitempty"`
}

// ExplainedRoute is a rule and what it does with the request.
type ExplainedRoute struct {
	Name   string `json:"name,omitempty"`
	Index  int    `json:"index"`
	Origin Origin `json:"origin"`
	// Path and Authority are what the upstream sees, where the request is forwarded;
	// Authority is that of the first destination.
	Path         string                 `json:"path,omitempty"`
	Authority    string                 `json:"authority,omitempty"`
	Destinations []ExplainedDestination `json:"destinations,omitempty"`
	// Timeout is written as by time.Duration; empty where there is none.
	Timeout string `json:"timeout,omitempty"`
	// Status, Location and Body are the answer of a redirect or direct response.
	Status   int    `json:"status,omitempty"`
	Location string `json:"location,omitempty"`
	Body     string `json:"body,omitempty"`
}

// ExplainedDestination is a share of a route's traffic.
type ExplainedDestination struct {
	Cluster   string `json:"cluster"`
	Weight    uint32 `json:"weight"`
	Authority string `json:"authority,omitempty"`
	// Missing: no such cluster exists, so its share is answered 503 with flag NC.
	Missing bool `json:"missing,omitempty"`
}

// RuleMiss is a rule that did not match, and why.
type RuleMiss struct {
	Name   string `json:"name,omitempty"`
	Index  int    `json:"index"`
	Origin Origin `json:"origin"`
	// Failed are the conditions that do not hold, Held counts those that do.
	Failed []FailedCondition `json:"failed"`
	Held   int               `json:"held"`
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

// Explain routes a request as Route does, and says why the answer is what it is.
func (t *Table) Explain(r *Request) *Explanation {
	d := t.Route(r)
	return &Explanation{Outcome: d.Outcome.String()}
}
