package istio

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// compileMatch returns the match of a block; none takes all requests. What depends
// on the proxy (port, gateways, source) is left out: see Compiler.applies.
func compileMatch(m *networking.HTTPMatchRequest) router.Match {
	if m == nil {
		return router.Match{}
	}
	match := router.Match{Path: compilePath(m.Uri)}
	if !m.IgnoreUriCase && m.Scheme == nil && m.Method == nil && m.Authority == nil && len(m.Headers)+len(m.WithoutHeaders)+len(m.QueryParams) == 0 {
		return match
	}
	rest := &router.Conditions{
		IgnorePathCase: m.IgnoreUriCase,
		Scheme:         compileOptional(m.Scheme),
		Method:         compileOptional(m.Method),
		Authority:      compileOptional(m.Authority),
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		rest.Headers = append(rest.Headers, router.HeaderMatch{Name: strings.ToLower(name), Match: compileString(m.Headers[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(m.WithoutHeaders)) {
		s := compileString(m.WithoutHeaders[name])
		rest.Headers = append(rest.Headers, router.HeaderMatch{
			Name: strings.ToLower(name), Match: s, Invert: true, TreatMissingAsEmpty: s.Kind != router.MatchPresent,
		})
	}
	slices.SortStableFunc(rest.Headers, func(a, b router.HeaderMatch) int { return cmp.Compare(a.Name, b.Name) })
	for _, name := range slices.Sorted(maps.Keys(m.QueryParams)) {
		rest.Query = append(rest.Query, router.QueryMatch{Name: name, Match: compileString(m.QueryParams[name])})
	}
	match.Rest = rest
	return match
}

// compilePath leaves an expression as it is: for a path, "*" is no word for presence.
func compilePath(m *networking.StringMatch) router.StringMatch {
	if regex, ok := m.GetMatchType().(*networking.StringMatch_Regex); ok {
		return router.StringMatch{Kind: router.MatchRegex, Value: regex.Regex}
	}
	return compileOptional(m)
}

// compileOptional is for what every request has: without a comparison, all match.
func compileOptional(m *networking.StringMatch) router.StringMatch {
	s := compileString(m)
	if s.Kind == router.MatchPresent {
		s.Kind = router.MatchAny
	}
	return s
}

// compileString is for what a request may lack: no comparison, or the expression
// "*", asks for it to be there.
func compileString(m *networking.StringMatch) router.StringMatch {
	switch t := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return router.StringMatch{Kind: router.MatchExact, Value: t.Exact}
	case *networking.StringMatch_Prefix:
		return router.StringMatch{Kind: router.MatchPrefix, Value: t.Prefix}
	case *networking.StringMatch_Regex:
		if t.Regex != "*" {
			return router.StringMatch{Kind: router.MatchRegex, Value: t.Regex}
		}
	}
	return router.StringMatch{Kind: router.MatchPresent}
}

// takesAll says whether a match is one that takes all requests. Istio looks for
// these forms only, and so orders routes by them.
func takesAll(m *router.Match) bool {
	c := m.Conditions()
	if c.Scheme.Kind != router.MatchAny || c.Method.Kind != router.MatchAny || c.Authority.Kind != router.MatchAny ||
		len(c.Headers) > 0 || len(c.Query) > 0 {
		return false
	}
	switch m.Path.Kind {
	case router.MatchAny:
		return true
	case router.MatchPrefix:
		return m.Path.Value == "/"
	case router.MatchRegex:
		return m.Path.Value == ".*"
	}
	return false
}
