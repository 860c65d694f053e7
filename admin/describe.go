package admin

import (
	"fmt"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// DescribeMatch returns a match in a line: `path prefix "/api", header x exact "1"`.
func DescribeMatch(m *router.Match) string {
	var parts []string
	add := func(what string, s router.StringMatch) {
		if s.Kind != router.MatchAny {
			parts = append(parts, what+" "+describeString(s))
		}
	}
	add("path", m.Path)
	if m.Conditions().IgnorePathCase && m.Path.Kind != router.MatchAny {
		parts[len(parts)-1] += " in any case"
	}
	add("scheme", m.Conditions().Scheme)
	add("method", m.Conditions().Method)
	add("authority", m.Conditions().Authority)
	for _, h := range m.Conditions().Headers {
		what := "header " + h.Name
		if h.Invert {
			what = "not " + what
		}
		parts = append(parts, what+" "+describeString(h.Match))
	}
	for _, q := range m.Conditions().Query {
		add("query "+q.Name, q.Match)
	}
	if len(parts) == 0 {
		return "any"
	}
	return strings.Join(parts, ", ")
}

func describeString(s router.StringMatch) string {
	switch s.Kind {
	case router.MatchExact:
		return fmt.Sprintf("%q", s.Value)
	case router.MatchPrefix:
		return fmt.Sprintf("prefix %q", s.Value)
	case router.MatchRegex:
		return fmt.Sprintf("regex %q", s.Value)
	case router.MatchPresent:
		return "present"
	}
	return "any"
}

// DescribeAction returns what a route does, in a line.
func DescribeAction(r *router.Route) string {
	switch {
	case r.Redirect != nil:
		return fmt.Sprintf("redirect %d", r.Redirect.Status)
	case r.Direct != nil:
		return fmt.Sprintf("respond %d", r.Direct.Status)
	}
	parts := make([]string, len(r.Destinations))
	for i, d := range r.Destinations {
		parts[i] = d.Cluster
		if len(r.Destinations) > 1 {
			parts[i] = fmt.Sprintf("%s (%d)", d.Cluster, d.Weight)
		}
	}
	return strings.Join(parts, ", ")
}

// DescribeOrigin returns where a piece of configuration stands, "VirtualService default/shop
// http[0]"; empty where it comes from no object.
func DescribeOrigin(o router.Origin) string {
	if o.Kind == "" {
		return ""
	}
	s := o.Kind + " " + o.Name
	if o.Namespace != "" {
		s = o.Kind + " " + o.Namespace + "/" + o.Name
	}
	if o.Field != "" {
		s += " " + o.Field
	}
	return s
}
