package router

import (
	"fmt"
	"strconv"
	"strings"
)

// String names a piece of configuration: "VirtualService default/reviews http[0]".
func (o Origin) String() string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + o.Name
	}
	return strings.TrimSpace(strings.Join([]string{o.Kind, name, o.Field}, " "))
}

// String says in a line which requests the match takes: the path as operators write
// it ("/static*" for a prefix, "~/v[0-9]+" for a regular expression), then what else
// must hold.
func (m *Match) String() string {
	var parts []string
	if m.Path.Kind != MatchAny {
		path := m.Path.brief()
		if m.Conditions().IgnorePathCase {
			path += " (any case)"
		}
		parts = append(parts, path)
	}
	c := m.Conditions()
	parts = c.Scheme.appendBrief(parts, "scheme")
	parts = c.Method.appendBrief(parts, "method")
	parts = c.Authority.appendBrief(parts, "authority")
	for _, h := range c.Headers {
		name := h.Name
		if h.Invert {
			name = "not " + name
		}
		parts = h.Match.appendBrief(parts, name)
	}
	for _, q := range c.Query {
		parts = q.Match.appendBrief(parts, "?"+q.Name)
	}
	if len(parts) == 0 {
		return "any request"
	}
	return strings.Join(parts, ", ")
}

// appendBrief appends a condition on something with a name, unless it always holds.
func (m StringMatch) appendBrief(parts []string, name string) []string {
	switch m.Kind {
	case MatchAny:
		return parts
	case MatchPresent:
		return append(parts, name+" present")
	case MatchRegex:
		return append(parts, name+m.brief())
	}
	return append(parts, name+"="+m.brief())
}

func (m StringMatch) brief() string {
	switch m.Kind {
	case MatchPrefix:
		return m.Value + "*"
	case MatchRegex:
		return "~" + m.Value
	}
	return m.Value
}

// Action says in a line what routes do with a request.
func (a *RouteAction) Action() string {
	switch {
	case a.Redirect != nil:
		return fmt.Sprintf("%d to %s", a.Redirect.Status, a.Redirect.brief())
	case a.Direct != nil:
		return fmt.Sprintf("answer %d", a.Direct.Status)
	}
	var total uint64
	for _, d := range a.Destinations {
		total += uint64(d.Weight)
	}
	parts := make([]string, len(a.Destinations))
	for i, d := range a.Destinations {
		parts[i] = d.Cluster
		if len(a.Destinations) > 1 {
			parts[i] = Share(d.Weight, total) + " " + d.Cluster
		}
	}
	return strings.Join(parts, ", ")
}

// brief shows what of a Location is set.
func (r *Redirect) brief() string {
	var b strings.Builder
	if r.Scheme != "" {
		b.WriteString(r.Scheme + "://")
	}
	b.WriteString(r.Host)
	switch {
	case r.PortFromRequest:
		b.WriteString(":<port>")
	case r.Port != 0:
		fmt.Fprintf(&b, ":%d", r.Port)
	}
	switch {
	case r.Path != "":
		b.WriteString(r.Path)
	case r.HasPrefix:
		b.WriteString(r.PrefixRewrite + "*")
	default:
		b.WriteString("<path>")
	}
	return b.String()
}

// Share returns a weight's part in a total as a percentage, with a decimal where it
// needs one: "33.3%".
func Share(weight uint32, total uint64) string {
	if total == 0 {
		return "0%"
	}
	percent := strconv.FormatFloat(float64(weight)*100/float64(total), 'f', 1, 64)
	return strings.TrimSuffix(percent, ".0") + "%"
}

// String returns the name that Istio and Envoy give to the kind of discovery.
func (r Resolution) String() string {
	switch r {
	case ResolutionDNS:
		return "DNS"
	case ResolutionLogicalDNS:
		return "LOGICAL_DNS"
	case ResolutionOriginal:
		return "ORIGINAL_DST"
	}
	return "STATIC"
}

// String returns the name that Istio and Envoy give to the policy.
func (b Balancer) String() string {
	switch b {
	case RoundRobin:
		return "ROUND_ROBIN"
	case Random:
		return "RANDOM"
	case RingHash:
		return "RING_HASH"
	case Maglev:
		return "MAGLEV"
	}
	return "LEAST_REQUEST"
}
