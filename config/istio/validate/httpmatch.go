package validate

import (
	"regexp"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
)

// httpMatch checks one block of conditions of an http rule.
func (c *checker) httpMatch(at *config.Path, match *networking.HTTPMatchRequest) {
	c.headerMatches(at.Field("headers"), match.Headers, false)
	c.headerMatches(at.Field("withoutHeaders"), match.WithoutHeaders, true)
	// An empty prefix of a path takes every path; elsewhere it is no match at all.
	c.regexMatch(at.Field("uri"), match.Uri)
	c.stringMatch(at.Field("scheme"), match.Scheme)
	c.stringMatch(at.Field("method"), match.Method)
	c.stringMatch(at.Field("authority"), match.Authority)
	for _, name := range sortedKeys(match.QueryParams) {
		c.stringMatch(at.Field("queryParams").Key(name), match.QueryParams[name])
	}
	if match.Port != 0 {
		c.portNumber(at.Field("port"), match.Port)
	}
	c.labelMap(at.Field("sourceLabels"), match.SourceLabels)
	c.gatewayNames(at.Field("gateways"), match.Gateways)
	if match.SourceNamespace != "" && !isDNSLabel(match.SourceNamespace) {
		c.fail(BadName, at.Field("sourceNamespace"), "%q is not a namespace", match.SourceNamespace)
	}
}

func (c *checker) headerMatches(at *config.Path, headers map[string]*networking.StringMatch, without bool) {
	if len(headers) == 0 {
		return
	}
	for _, name := range sortedKeys(headers) {
		if !isClaim(name) {
			c.headerName(at.Key(name), name)
		}
		// "*" is the old way to say: the header is there. Only withoutHeaders still
		// has it.
		if !without || headers[name].GetRegex() != "*" {
			c.stringMatch(at.Key(name), headers[name])
		}
	}
}

// stringMatch checks a comparison that must not have an empty prefix.
func (c *checker) stringMatch(at *config.Path, match *networking.StringMatch) {
	if prefix, ok := match.GetMatchType().(*networking.StringMatch_Prefix); ok && prefix.Prefix == "" {
		c.fail(Missing, at.Field("prefix"), "an empty prefix matches nothing here: to match anything, write {}")
		return
	}
	c.regexMatch(at, match)
}

// regexMatch checks a comparison's regular expression, if it has one.
func (c *checker) regexMatch(at *config.Path, match *networking.StringMatch) {
	regex, ok := match.GetMatchType().(*networking.StringMatch_Regex)
	if !ok {
		return
	}
	if regex.Regex == "" {
		c.fail(BadRegex, at.Field("regex"), "an empty expression matches nothing: to match anything, write .*")
		return
	}
	c.regex(at.Field("regex"), regex.Regex)
}

// maxRegexLength is the length of the longest regular expression, in bytes, as in
// Istio.
const maxRegexLength = 1024

// regex checks that a regular expression is RE2
// (https://github.com/google/re2/wiki/Syntax).
func (c *checker) regex(at *config.Path, expression string) {
	if len(expression) > maxRegexLength {
		c.fail(BadRegex, at, "an expression of %d bytes is too long: at most %d; split it", len(expression), maxRegexLength)
		return
	}
	if _, err := regexp.Compile(expression); err != nil {
		hint := ""
		if expression == "*" {
			hint = "; to match anything, write .*"
		}
		c.fail(BadRegex, at, "%v (the syntax is RE2, without lookaround and back-references)%s", err, hint)
	}
}
