package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// describeMatch says in one line which requests a route takes: the path as
// operators write it ("/static*" for a prefix), then what else must hold.
func describeMatch(m router.Match) string {
	var parts []string
	if m.Path.Kind != router.MatchAny {
		path := describeString(m.Path)
		if m.IgnorePathCase {
			path += " (any case)"
		}
		parts = append(parts, path)
	}
	for _, c := range []struct {
		name  string
		match router.StringMatch
	}{{"scheme", m.Scheme}, {"method", m.Method}, {"authority", m.Authority}} {
		if c.match.Kind != router.MatchAny {
			parts = append(parts, describeNamed(c.name, c.match))
		}
	}
	for _, h := range m.Headers {
		text := describeNamed(h.Name, h.Match)
		if h.Invert {
			text = "not " + text
		}
		parts = append(parts, text)
	}
	for _, q := range m.Query {
		parts = append(parts, describeNamed("?"+q.Name, q.Match))
	}
	if len(parts) == 0 {
		return "any request"
	}
	return strings.Join(parts, ", ")
}

func describeString(m router.StringMatch) string {
	switch m.Kind {
	case router.MatchPrefix:
		return m.Value + "*"
	case router.MatchRegex:
		return "~" + m.Value
	case router.MatchExact:
		return m.Value
	case router.MatchPresent:
		return "present"
	default:
		return "any"
	}
}

func describeNamed(name string, m router.StringMatch) string {
	switch m.Kind {
	case router.MatchPresent:
		return name + " present"
	case router.MatchRegex:
		return name + "~" + m.Value
	default:
		return name + "=" + describeString(m)
	}
}

// describeAction says in one line what a route does with a request.
func describeAction(r *router.Route) string {
	switch {
	case r.Redirect != nil:
		return fmt.Sprintf("%d to %s", r.Redirect.Status, describeRedirect(r.Redirect))
	case r.Direct != nil:
		return fmt.Sprintf("answer %d", r.Direct.Status)
	}
	parts := make([]string, len(r.Destinations))
	total := totalWeight(r.Destinations)
	for i, d := range r.Destinations {
		parts[i] = d.Cluster
		if len(r.Destinations) > 1 {
			parts[i] = share(d.Weight, total) + " " + d.Cluster
		}
	}
	return strings.Join(parts, ", ")
}

func describeRedirect(r *router.Redirect) string {
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

func totalWeight(destinations []router.Destination) uint64 {
	var total uint64
	for _, d := range destinations {
		total += uint64(d.Weight)
	}
	return total
}

// share returns a weight as a percentage, with one decimal where it needs one.
func share(weight uint32, total uint64) string {
	if total == 0 {
		return "0%"
	}
	percent := strconv.FormatFloat(float64(weight)*100/float64(total), 'f', 1, 64)
	return strings.TrimSuffix(percent, ".0") + "%"
}

// describeOrigin names a rule: "VirtualService default/reviews http[0]".
func describeOrigin(o router.Origin) string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + o.Name
	}
	return strings.TrimSpace(strings.Join([]string{o.Kind, name, o.Field}, " "))
}

func describeResolution(r router.Resolution) string {
	switch r {
	case router.ResolutionDNS:
		return "DNS"
	case router.ResolutionOriginal:
		return "ORIGINAL_DST"
	default:
		return "STATIC"
	}
}

func describeBalancer(b router.Balancer) string {
	switch b {
	case router.RoundRobin:
		return "ROUND_ROBIN"
	case router.Random:
		return "RANDOM"
	default:
		return "LEAST_REQUEST"
	}
}
