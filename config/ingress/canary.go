package ingress

import (
	"regexp"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// canary says which requests for another Ingress' paths go to this one's services.
type canary struct {
	// header decides by its value: "always" and "never", or where value or pattern is set
	// the values that those take.
	header         string
	value, pattern string
	// cookie decides by "always" and "never".
	cookie string
	// weight of total is the share of the others.
	weight, total int
}

// canary reads the group of canary, nil where there is none.
func (a *annotations) canary() *canary {
	if !a.flag("canary", false) {
		for name := range a.values {
			if strings.HasPrefix(name, "canary-") {
				a.add(config.Warning, AnnotationNotServed, name, "it has no effect without canary: \"true\"")
			}
		}
		return nil
	}
	c := &canary{
		header: a.text("canary-by-header"), value: a.text("canary-by-header-value"), pattern: a.text("canary-by-header-pattern"),
		cookie: a.text("canary-by-cookie"), total: a.number("canary-weight-total", 100, 1, 1_000_000),
	}
	c.weight = a.number("canary-weight", 0, 0, c.total)
	if c.header != "" && !token.MatchString(c.header) {
		a.bad("canary-by-header", "is no name of a header; it has no effect")
		c.header = ""
	}
	if c.cookie != "" && !token.MatchString(c.cookie) {
		a.bad("canary-by-cookie", "is no name of a cookie; it has no effect")
		c.cookie = ""
	}
	if c.pattern != "" {
		if _, err := regexp.Compile(c.pattern); err != nil {
			a.bad("canary-by-header-pattern", "is no expression of RE2, and takes no request")
			c.pattern = `[^\x00-\x{10FFFF}]`
		}
	}
	if c.header == "" && c.value+c.pattern != "" {
		name, _ := a.first("canary-by-header-value", "canary-by-header-pattern")
		a.add(config.Warning, AnnotationNotServed, name, "it has no effect without canary-by-header")
	}
	return c
}

// choice is a part of the requests for a path: those with a header's value, or all others.
type choice struct {
	name    string
	headers map[string]*networking.StringMatch
	// share is the canary's, of total.
	share, total int
}

// choices are what a canary makes of a path's requests, in order.
func (c *canary) choices() []choice {
	var out []choice
	add := func(name, header string, value *networking.StringMatch, share int) {
		out = append(out, choice{name: name, headers: map[string]*networking.StringMatch{strings.ToLower(header): value}, share: share, total: 1})
	}
	switch {
	case c.header == "":
	case c.value != "":
		add("canary-by-header", c.header, exact(c.value), 1)
	case c.pattern != "":
		add("canary-by-header", c.header, expression(".*(?:"+c.pattern+").*"), 1)
	default:
		add("canary-by-header", c.header, exact("always"), 1)
		add("no-canary-by-header", c.header, exact("never"), 0)
	}
	if c.cookie != "" {
		is := func(value string) *networking.StringMatch {
			return expression(`(?:.*;)?\s*` + regexp.QuoteMeta(c.cookie) + `=` + value + `\s*(?:;.*)?`)
		}
		add("canary-by-cookie", "cookie", is("always"), 1)
		add("no-canary-by-cookie", "cookie", is("never"), 0)
	}
	return append(out, choice{share: c.weight, total: c.total})
}
