package why

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// noRoute: nothing takes the request.
func (c *inquiry) noRoute() {
	e := c.Explanation
	if c.Details == "misdirected_request" {
		c.withoutFlag()
		return
	}
	if c.Method == "" {
		c.noStream()
		return
	}
	if e == nil {
		c.because("no route takes the request")
		c.fix(router.Origin{}, "there is no configuration that could have one: see /conditions, or sluice validate")
		return
	}
	if e.Nearest != nil {
		c.because("the host is known (virtual host %s), but none of its rules takes the request", e.VirtualHost)
		c.nearestFacts(e.Nearest)
		c.fix(withField(e.Nearest), "%s", NearestHint(e.Nearest))
		return
	}
	c.because("%s", unroutedCause(e))
	rule := router.Origin{}
	if e.VirtualHost == "" && e.Table != "" {
		rule = c.hostOf(e)
	}
	c.fix(rule, "%s", NotFoundHint(e, c.Port))
}

// noStream: the server that took a connection has no route for its bytes.
func (c *inquiry) noStream() {
	c.because("no route of the server that took the connection is for the address that was called, %s", c.Authority)
	c.fix(c.chainOrigin(), "add a route without destinationSubnets, or one whose destinationSubnets hold that address")
}

// chainOrigin is where the server stands that took the connection.
func (c *inquiry) chainOrigin() router.Origin {
	if c.evidence.Spec != nil {
		for _, l := range c.evidence.Spec.Listeners {
			for _, chain := range l.Chains {
				if l.Name == c.Listener && chain.Name == c.Chain {
					return chain.Origin
				}
			}
		}
	}
	return router.Origin{}
}

// nearestFacts say what the nearest rule lacks.
func (c *inquiry) nearestFacts(m *router.RuleMiss) {
	name := m.Origin.String()
	if m.Name != "" {
		name = m.Name + ", " + name
	}
	c.fact("the rule that came nearest: %s", name)
	for _, f := range m.Failed {
		c.fact("%s", f)
	}
}

// withField is the place of the first condition that does not hold.
func withField(m *router.RuleMiss) router.Origin {
	rule := m.Origin
	if len(m.Failed) == 0 || !strings.Contains(rule.Field, "match") {
		return rule
	}
	kind, name, _ := strings.Cut(m.Failed[0].Condition, " ")
	switch kind {
	case "path":
		rule.Field += ".uri"
	case "method", "scheme", "authority":
		rule.Field += "." + kind
	case "header":
		rule.Field += ".headers." + name
	case "query":
		rule.Field += ".queryParams." + strings.TrimPrefix(name, "parameter ")
	}
	return rule
}

// unroutedCause says how far a request got that no rule is near to.
func unroutedCause(e *router.Explanation) string {
	switch {
	case e.Outcome == router.NoListener.String():
		return "the listener is not configured any more"
	case e.Table == "" && len(e.KnownChains) > 0:
		return "the TLS server that took the connection serves no requests"
	case e.Table == "":
		return "the listener " + e.Listener + " has no routes for this port"
	case e.VirtualHost == "":
		return fmt.Sprintf("no VirtualService has the host %q at listener %s", e.Host, e.Listener)
	}
	return fmt.Sprintf("the host %s has no rule in force", e.Host)
}

// hostOf returns the object whose host is most like the one that was asked for.
func (c *inquiry) hostOf(e *router.Explanation) router.Origin {
	if c.evidence.Spec == nil || len(e.KnownHosts) == 0 {
		return router.Origin{}
	}
	for _, l := range c.evidence.Spec.Listeners {
		for _, table := range l.RouteTables() {
			for _, v := range table.VirtualHosts {
				if slices.Contains(v.Domains, e.KnownHosts[0]) && len(v.Routes) > 0 {
					origin := v.Routes[0].Origin()
					origin.Field = "hosts"
					return origin
				}
			}
		}
	}
	return router.Origin{}
}

// NotFoundHint says what would make a request be taken that nothing takes; port is that of the
// route table, or 0.
func NotFoundHint(e *router.Explanation, port uint16) string {
	switch {
	case e.Outcome == router.NoListener.String():
		return "ask at one of the listeners there are: " + strings.Join(e.KnownListeners, ", ")
	case e.Table == "" && port != 0:
		return fmt.Sprintf("port %d has no routes", port)
	case e.Table == "":
		return "this port has no routes: bind a VirtualService to a Gateway that has a server for it"
	case e.VirtualHost == "" && len(e.KnownHosts) == 0:
		return "no VirtualService is bound to this port: name its Gateway under gateways:, with a host that the Gateway's server has too"
	case e.VirtualHost == "":
		return fmt.Sprintf("no VirtualService has the host %q here (known: %s). Add it to hosts:, or send another with -H 'Host: ...'", e.Host, strings.Join(e.KnownHosts, ", "))
	case e.Nearest != nil:
		return NearestHint(e.Nearest)
	case len(e.Earlier) == 0:
		return "the host is known but has no rule in force: see sluice validate"
	}
	return "no rule takes the request; a rule without match would"
}

// NearestHint turns what the nearest rule lacks into what to do about it.
func NearestHint(m *router.RuleMiss) string {
	wants := make([]string, len(m.Failed))
	for i, f := range m.Failed {
		wants[i] = fmt.Sprintf("%s %s", f.Condition, f.Wanted)
	}
	rule := m.Name
	if rule == "" {
		rule = m.Origin.Field
	}
	hint := fmt.Sprintf("rule %s would take it with %s. To have it taken as it is, widen that match or add a rule for it", rule, strings.Join(wants, " and "))
	if len(m.Failed) == 1 {
		hint += slip(&m.Failed[0])
	}
	return hint
}

// slip says what small difference keeps a path or value from matching, if it is one.
func slip(f *router.FailedCondition) string {
	kind, quoted, _ := strings.Cut(f.Wanted, " ")
	want, err := strconv.Unquote(quoted)
	if err != nil || f.Absent {
		return ""
	}
	switch {
	case want == f.Got:
		return ""
	case f.Condition == "path" && kind == "exact" && strings.TrimSuffix(want, "/") == strings.TrimSuffix(f.Got, "/"):
		return ". They differ in the slash at the end: prefix takes both"
	case f.Condition == "path" && strings.EqualFold(want, f.Got):
		return ". They differ in upper and lower case: ignoreUriCase: true takes both"
	case f.Condition == "path" && kind == "exact" && strings.HasPrefix(f.Got, want):
		return ". It begins so: prefix instead of exact would take it"
	case strings.EqualFold(want, f.Got):
		return ". They differ in upper and lower case"
	}
	return ""
}
