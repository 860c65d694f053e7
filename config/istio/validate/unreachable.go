package validate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// maxComparisons bounds the search for matches that others shadow. Matches are first
// told apart by their paths, so only thousands of them on one path come near it.
const maxComparisons = 300_000

// httpRules looks for matches that can never take a request.
type httpRules struct {
	// exact and prefix hold the matches so far by the text of their path, any those
	// that take every path, or that cannot be told apart by it.
	exact, prefix map[string][]earlierMatch
	any           []earlierMatch
	comparisons   int
}

// earlierMatch is a match that comes before the one in question.
type earlierMatch struct {
	rule, match int
	*networking.HTTPMatchRequest
}

// unreachableHTTP warns of http rules and matches that earlier ones shadow.
func (c *checker) unreachableHTTP(rules []*networking.HTTPRoute) {
	if len(rules) < 2 && (len(rules) == 0 || len(rules[0].Match) < 2) {
		return
	}
	h := httpRules{exact: map[string][]earlierMatch{}, prefix: map[string][]earlierMatch{}}
	catchAll := -1
	names := map[string]int{}
	for i, rule := range rules {
		at := field("http").Index(i)
		if first, found := names[rule.Name]; found && rule.Name != "" {
			c.warn(Duplicate, at.Field("name"), "%s has this name too: names tell rules apart in logs", ruleName(rules, first))
		} else {
			names[rule.Name] = i
		}
		if catchAll >= 0 {
			c.warn(Unreachable, at, "never reached: %s takes every request, and the first rule that matches counts. Move this one before it", ruleName(rules, catchAll))
			continue
		}
		if len(rule.Match) == 0 {
			catchAll = i
			continue
		}
		c.shadowedMatches(&h, rules, i)
	}
}

// shadowedMatches warns of the matches of rule i that earlier ones shadow, and adds
// the others to h.
func (c *checker) shadowedMatches(h *httpRules, rules []*networking.HTTPRoute, i int) {
	at := field("http").Index(i)
	shadowed, by := 0, earlierMatch{}
	var conditions []config.Condition
	for j, match := range rules[i].Match {
		later := earlierMatch{i, j, match}
		earlier, fully := h.shadow(later)
		if earlier.HTTPMatchRequest == nil {
			h.add(later)
			continue
		}
		name := ruleName(rules, earlier.rule)
		if !fully {
			h.add(later)
			c.warn(Unreachable, at.Field("match").Index(j), "%s, match[%d], takes some of these requests first: put the longer prefix before the shorter one", name, earlier.match)
			continue
		}
		shadowed++
		by = earlier
		conditions = append(conditions, config.Condition{
			Severity: config.Warning, Reason: Unreachable, Field: at.Field("match").Index(j).String(),
			Message: fmt.Sprintf("never reached: %s, match[%d], takes every request that it would. Move this one before it, or remove it", name, earlier.match),
		})
	}
	if shadowed == len(rules[i].Match) && by.rule != i {
		c.warn(Unreachable, at, "never reached: earlier rules take every request that it would, such as %s. Move this one before it, or remove it", ruleName(rules, by.rule))
		return
	}
	c.conditions = append(c.conditions, conditions...)
}

func ruleName(rules []*networking.HTTPRoute, i int) string {
	if name := rules[i].Name; name != "" {
		return fmt.Sprintf("http[%d] (%s)", i, name)
	}
	return fmt.Sprintf("http[%d]", i)
}

// add remembers a match.
func (h *httpRules) add(m earlierMatch) {
	path := m.Uri
	if m.IgnoreUriCase {
		h.any = append(h.any, m)
		return
	}
	switch kind := path.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		h.exact[kind.Exact] = append(h.exact[kind.Exact], m)
	case *networking.StringMatch_Prefix:
		if kind.Prefix == "/" {
			h.any = append(h.any, m)
			return
		}
		h.prefix[kind.Prefix] = append(h.prefix[kind.Prefix], m)
	default:
		h.any = append(h.any, m)
	}
}

// shadow returns the first earlier match that takes every request that later would
// (fully), or else one that takes some of them by a shorter prefix of the path.
func (h *httpRules) shadow(later earlierMatch) (earlier earlierMatch, fully bool) {
	var partly earlierMatch
	try := func(candidates []earlierMatch) bool {
		for _, candidate := range candidates {
			if h.comparisons++; h.comparisons > maxComparisons {
				return false
			}
			if coversMatch(candidate.HTTPMatchRequest, later.HTTPMatchRequest) {
				earlier, fully = candidate, true
				return true
			}
			if partly.HTTPMatchRequest == nil && partlyCovers(candidate.HTTPMatchRequest, later.HTTPMatchRequest) {
				partly = candidate
			}
		}
		return false
	}
	path, isText := pathText(later.Uri)
	if try(h.any) || isText && (try(h.exact[path]) || h.tryPrefixes(path, try)) {
		return earlier, fully
	}
	return partly, false
}

// tryPrefixes calls try for the matches of each prefix of path until it says true.
func (h *httpRules) tryPrefixes(path string, try func([]earlierMatch) bool) bool {
	if len(h.prefix) == 0 {
		return false
	}
	for end := range len(path) + 1 {
		if try(h.prefix[path[:end]]) {
			return true
		}
	}
	return false
}

// pathText returns the text of an exact or prefix match.
func pathText(m *networking.StringMatch) (string, bool) {
	switch kind := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return kind.Exact, true
	case *networking.StringMatch_Prefix:
		return kind.Prefix, true
	}
	return "", false
}

// coversMatch reports whether a takes every request that b takes.
func coversMatch(a, b *networking.HTTPMatchRequest) bool {
	return coversPath(a, b) && coversString(a.Scheme, b.Scheme) && coversString(a.Method, b.Method) && coversString(a.Authority, b.Authority) &&
		coversStrings(a.Headers, b.Headers) && coversStrings(a.QueryParams, b.QueryParams) && coversWithout(a.WithoutHeaders, b.WithoutHeaders) &&
		(a.Port == 0 || a.Port == b.Port) && coversSource(a, b)
}

// coversSource compares where requests come from.
func coversSource(a, b *networking.HTTPMatchRequest) bool {
	if a.SourceNamespace != "" && a.SourceNamespace != b.SourceNamespace {
		return false
	}
	for key, value := range a.SourceLabels {
		if other, found := b.SourceLabels[key]; !found || other != value {
			return false
		}
	}
	if len(a.Gateways) == 0 {
		return true
	}
	for _, gateway := range b.Gateways {
		if !slices.Contains(a.Gateways, gateway) {
			return false
		}
	}
	return len(b.Gateways) > 0
}

func coversPath(a, b *networking.HTTPMatchRequest) bool {
	if anyString(a.Uri) || a.Uri.GetPrefix() == "/" {
		return true // every path begins with "/"
	}
	if b.IgnoreUriCase && !a.IgnoreUriCase {
		return false
	}
	if a.IgnoreUriCase {
		return coversString(lowerMatch(a.Uri), lowerMatch(b.Uri))
	}
	return coversString(a.Uri, b.Uri)
}

func lowerMatch(m *networking.StringMatch) *networking.StringMatch {
	switch kind := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: strings.ToLower(kind.Exact)}}
	case *networking.StringMatch_Prefix:
		return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: strings.ToLower(kind.Prefix)}}
	}
	return m
}

// anyString reports whether m takes every string: no match, an empty prefix, ".*".
func anyString(m *networking.StringMatch) bool {
	switch kind := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return false
	case *networking.StringMatch_Prefix:
		return kind.Prefix == ""
	case *networking.StringMatch_Regex:
		return kind.Regex == ".*"
	}
	return true
}

// coversString reports whether a takes every string that b takes, as far as that can
// be told without comparing regular expressions.
func coversString(a, b *networking.StringMatch) bool {
	if anyString(a) {
		return true
	}
	switch kind := a.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		exact, ok := b.GetMatchType().(*networking.StringMatch_Exact)
		return ok && exact.Exact == kind.Exact
	case *networking.StringMatch_Prefix:
		text, ok := pathText(b)
		return ok && strings.HasPrefix(text, kind.Prefix)
	case *networking.StringMatch_Regex:
		regex, ok := b.GetMatchType().(*networking.StringMatch_Regex)
		return ok && regex.Regex == kind.Regex
	}
	return false
}

// coversStrings compares matches of headers or query parameters by name. One that is
// only named asks for its presence, so b must name it too.
func coversStrings(a, b map[string]*networking.StringMatch) bool {
	for name, match := range a {
		other, found := b[name]
		if !found || !coversString(match, other) {
			return false
		}
	}
	return true
}

// coversWithout compares conditions that headers must not meet.
func coversWithout(a, b map[string]*networking.StringMatch) bool {
	for name, match := range a {
		if other, found := b[name]; !found || !proto.Equal(match, other) {
			return false
		}
	}
	return true
}

// partlyCovers reports whether a, by a shorter prefix of the path, takes some requests
// that b means to have: everything else that a asks for, b leaves open or asks for too.
// Istio's validator warns of the same.
func partlyCovers(a, b *networking.HTTPMatchRequest) bool {
	short, ok := a.Uri.GetMatchType().(*networking.StringMatch_Prefix)
	if !ok || short.Prefix == "" {
		return false
	}
	long, ok := b.Uri.GetMatchType().(*networking.StringMatch_Prefix)
	if !ok || len(long.Prefix) <= len(short.Prefix) || !strings.HasPrefix(long.Prefix, short.Prefix) {
		return false
	}
	return a.Port == b.Port && narrows(a.Method, b.Method, "GET") && narrows(a.Authority, b.Authority, "") &&
		sameNames(a.Headers, b.Headers) && sameNames(a.QueryParams, b.QueryParams) && sameNames(a.WithoutHeaders, b.WithoutHeaders) && coversSource(a, b)
}

// narrows reports whether a is b, or takes a part of what b takes. ifOpen is the value
// that an open match stands for, as far as this warning goes.
func narrows(a, b *networking.StringMatch, ifOpen string) bool {
	return strings.HasPrefix(signature(a, ifOpen), signature(b, ifOpen))
}

// signature writes a match so that a longer prefix continues a shorter one.
func signature(m *networking.StringMatch, ifOpen string) string {
	if exact := m.GetExact(); exact != "" {
		return "exact:" + exact
	}
	if prefix := m.GetPrefix(); prefix != "" {
		return "prefix:" + prefix
	}
	if ifOpen != "" {
		return "exact:" + ifOpen
	}
	return ""
}

// sameNames reports whether a and b have the same names, and each of a narrows b's.
func sameNames(a, b map[string]*networking.StringMatch) bool {
	if len(a) != len(b) {
		return false
	}
	for name, match := range a {
		other, found := b[name]
		if !found || !narrows(match, other, "") {
			return false
		}
	}
	return true
}

// l4Rules looks for tls or tcp rules that can never take a connection.
type l4Rules struct {
	*checker
	kind     string
	catchAll int
	// seen holds the rule of each match so far, by everything that it says.
	seen map[string]int
}

func (c *checker) unreachableTLS(rules []*networking.TLSRoute) {
	l := l4Rules{checker: c, kind: "tls", catchAll: -1, seen: map[string]int{}}
	for i, rule := range rules {
		keys := make([]string, len(rule.Match))
		for j, m := range rule.Match {
			keys[j] = fmt.Sprint(sorted(m.SniHosts), sorted(m.DestinationSubnets), m.Port, sorted(m.Gateways), pairs(m.SourceLabels), m.SourceNamespace)
		}
		l.rule(i, keys)
	}
}

func (c *checker) unreachableTCP(rules []*networking.TCPRoute) {
	l := l4Rules{checker: c, kind: "tcp", catchAll: -1, seen: map[string]int{}}
	for i, rule := range rules {
		keys := make([]string, len(rule.Match))
		for j, m := range rule.Match {
			keys[j] = fmt.Sprint(sorted(m.DestinationSubnets), m.Port, sorted(m.Gateways), pairs(m.SourceLabels), m.SourceNamespace, m.SourceSubnet)
		}
		l.rule(i, keys)
	}
}

func sorted(s []string) string { return fmt.Sprintf("%q", slices.Sorted(slices.Values(s))) }

func pairs(m map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%q=%q,", key, m[key])
	}
	return b.String()
}

// rule warns if the i-th rule, whose matches have keys, is never reached.
func (l *l4Rules) rule(i int, keys []string) {
	at := field(l.kind).Index(i)
	switch {
	case l.catchAll >= 0:
		l.warn(Unreachable, at, "never reached: %s[%d] takes every connection, and the first rule that matches counts. Move this one before it", l.kind, l.catchAll)
		return
	case len(keys) == 0:
		l.catchAll = i
		return
	}
	for j, key := range keys {
		if first, found := l.seen[key]; found {
			l.warn(Unreachable, at.Field("match").Index(j), "never reached: %s[%d] has the same match. Remove one", l.kind, first)
		} else {
			l.seen[key] = i
		}
	}
}
