package validate

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/router"
)

// httpRule checks one rule of http.
func (c *checker) httpRule(at *config.Path, rule *networking.HTTPRoute, inDelegate bool) {
	c.oneAction(at, rule, inDelegate)
	for i, match := range rule.Match {
		c.httpMatch(at.Field("match").Index(i), match)
	}
	c.headers(at.Field("headers"), rule.Headers)
	c.cors(at.Field("corsPolicy"), rule.CorsPolicy)
	c.fault(at.Field("fault"), rule.Fault)
	c.mirrors(at, rule)
	c.redirect(at, rule)
	c.directResponse(at.Field("directResponse"), rule.DirectResponse)
	c.retries(at.Field("retries"), rule.Retries)
	c.rewrite(at, rule)
	c.httpDestinations(at.Field("route"), rule.Route)
	c.duration(at.Field("timeout"), rule.Timeout)
}

// oneAction checks that a rule says exactly one thing to do.
func (c *checker) oneAction(at *config.Path, rule *networking.HTTPRoute, inDelegate bool) {
	exclude := func(action string, others ...string) {
		for _, other := range others {
			if ruleHas(rule, other) {
				c.fail(Conflict, at.Field(other), "a rule with %s cannot have %s: remove one", action, other)
			}
		}
	}
	switch {
	case rule.Delegate != nil && inDelegate:
		c.fail(Conflict, at.Field("delegate"), "a delegate cannot delegate again: route here")
	case rule.Delegate != nil:
		exclude("delegate", "redirect", "route", "directResponse")
		return
	}
	switch {
	case rule.Redirect != nil:
		exclude("redirect", "route", "fault", "rewrite", "directResponse")
	case rule.DirectResponse != nil:
		exclude("directResponse", "route", "fault", "rewrite")
	case len(rule.Route) == 0:
		c.fail(Missing, at.Field("route"), "a rule needs something to do: route, redirect, directResponse or delegate")
	}
	if rule.Mirror != nil && len(rule.Mirrors) > 0 {
		c.fail(Conflict, at.Field("mirrors"), "mirror and mirrors exclude each other: move mirror's destination into mirrors")
	}
}

// ruleHas reports whether a rule has one of the fields that exclude each other.
func ruleHas(rule *networking.HTTPRoute, name string) bool {
	switch name {
	case "route":
		return len(rule.Route) > 0
	case "redirect":
		return rule.Redirect != nil
	case "directResponse":
		return rule.DirectResponse != nil
	case "fault":
		return rule.Fault != nil
	case "rewrite":
		return rule.Rewrite != nil
	}
	return false
}

func (c *checker) mirrors(at *config.Path, rule *networking.HTTPRoute) {
	c.destination(at.Field("mirror"), rule.Mirror)
	//lint:ignore SA1019 deprecated and still in files
	if percent := rule.MirrorPercent; percent != nil {
		if percent.Value > 100 {
			c.fail(OutOfRange, at.Field("mirrorPercent"), "%d is more than 100 percent", percent.Value)
		}
		c.warn(Deprecated, at.Field("mirrorPercent"), "mirrorPercent is deprecated: write mirrorPercentage: {value: %d}", percent.Value)
	}
	c.mirrorPercentage(at.Field("mirrorPercentage"), rule.MirrorPercentage)
	for i, mirror := range rule.Mirrors {
		at := at.Field("mirrors").Index(i)
		if mirror.Destination == nil {
			c.fail(Missing, at.Field("destination"), "a mirror needs a destination")
			continue
		}
		c.destination(at.Field("destination"), mirror.Destination)
		c.mirrorPercentage(at.Field("percentage"), mirror.Percentage)
	}
}

func (c *checker) mirrorPercentage(at *config.Path, percentage *networking.Percent) {
	if v := percentage.GetValue(); v < 0 || v > 100 {
		c.fail(OutOfRange, at.Field("value"), "%v is not a percentage: write a number from 0 to 100", v)
	}
}

// redirectCodes are the codes that a redirect can answer with; others are as good as
// no action.
var redirectCodes = []uint32{0, 301, 302, 303, 307, 308}

func (c *checker) redirect(at *config.Path, rule *networking.HTTPRoute) {
	redirect := rule.Redirect
	if redirect == nil {
		return
	}
	at = at.Field("redirect")
	if redirect.Uri == "" && redirect.Authority == "" && redirect.RedirectPort == nil && redirect.Scheme == "" && redirect.PrefixRewrite == "" {
		c.fail(Missing, at, "a redirect must change something: give uri, prefixRewrite, authority, scheme or port")
	}
	switch code := redirect.RedirectCode; {
	case code != 0 && (code < 300 || code > 399):
		c.fail(OutOfRange, at.Field("redirectCode"), "%d is not a redirect: write 301, 302, 303, 307 or 308", code)
	case !slices.Contains(redirectCodes, code):
		c.warn(OutOfRange, at.Field("redirectCode"), "%d is not a code that browsers follow: write 301, 302, 303, 307 or 308", code)
	}
	if redirect.Scheme != "" && redirect.Scheme != "http" && redirect.Scheme != "https" {
		c.fail(OutOfRange, at.Field("scheme"), "%q is not a scheme of HTTP: write http or https", redirect.Scheme)
	}
	c.target(at.Field("uri"), redirect.Uri)
	c.target(at.Field("prefixRewrite"), redirect.PrefixRewrite)
	c.target(at.Field("authority"), redirect.Authority)
	if redirect.GetPort() > 0 {
		c.portNumber(at.Field("port"), redirect.GetPort())
	}
	if redirect.PrefixRewrite == "" {
		return
	}
	if redirect.Uri != "" {
		c.fail(Conflict, at.Field("prefixRewrite"), "uri and prefixRewrite exclude each other: keep one")
	}
	for i, match := range rule.Match {
		if _, isPrefix := match.GetUri().GetMatchType().(*networking.StringMatch_Prefix); !isPrefix {
			c.warn(NoEffect, at.Field("prefixRewrite"), "match[%d] has no uri.prefix that could be replaced: match by prefix, or use uri", i)
		}
	}
}

func (c *checker) directResponse(at *config.Path, response *networking.HTTPDirectResponse) {
	if response == nil {
		return
	}
	const large, tooLarge = 100 << 10, 1 << 20
	switch size := max(len(response.GetBody().GetString_()), len(response.GetBody().GetBytes())); {
	case size > tooLarge:
		c.fail(OutOfRange, at.Field("body"), "a body of %d bytes is too large: at most 1 MiB; serve it from a workload", size)
	case size > large:
		c.warn(OutOfRange, at.Field("body"), "a body of %d bytes makes the configuration large: serve it from a workload", size)
	}
	c.status(at.Field("status"), int64(response.Status))
}

// status checks the status of a response that the proxy makes. 600 is let through, as
// Istio does, though no client knows it.
func (c *checker) status(at *config.Path, status int64) {
	switch {
	case status < 200 || status > 600:
		c.fail(OutOfRange, at, "%d is not a status of a response: write a number from 200 to 599", status)
	case status == 600:
		c.warn(OutOfRange, at, "600 is not a status that clients know: write a number from 200 to 599")
	}
}

// retryConditions are the words of retryOn (Envoy's x-envoy-retry-on and
// x-envoy-retry-grpc-on).
var retryConditions = []string{
	"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream", "retriable-status-codes",
	"retriable-headers", "envoy-ratelimited", "http3-post-connect-failure",
	"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}

func (c *checker) retries(at *config.Path, retries *networking.HTTPRetry) {
	if retries == nil {
		return
	}
	switch {
	case retries.Attempts < 0:
		c.fail(OutOfRange, at.Field("attempts"), "%d is negative: write 0 for no retries", retries.Attempts)
	case retries.Attempts == 0 && (retries.PerTryTimeout != nil || retries.RetryOn != "" || retries.RetryRemoteLocalities != nil):
		c.fail(Conflict, at.Field("attempts"), "0 (which is also the default here) turns retries off: write how many there may be, or remove the rest")
	}
	c.duration(at.Field("perTryTimeout"), retries.PerTryTimeout)
	c.duration(at.Field("backoff"), retries.Backoff)
	if retries.RetryOn == "" {
		return
	}
	for word := range strings.SplitSeq(retries.RetryOn, ",") {
		code, _ := strconv.Atoi(word)
		if http.StatusText(code) != "" || slices.Contains(retryConditions, word) {
			continue
		}
		hint := "write words such as 5xx, reset, connect-failure, or status codes"
		if trimmed := strings.TrimSpace(word); slices.Contains(retryConditions, trimmed) {
			hint = "remove the spaces"
		}
		c.fail(OutOfRange, at.Field("retryOn"), "%q is not a condition to retry on: %s", word, hint)
	}
}

func (c *checker) rewrite(at *config.Path, rule *networking.HTTPRoute) {
	c.oneAuthority(at, rule)
	rewrite := rule.Rewrite
	if rewrite == nil {
		return
	}
	at = at.Field("rewrite")
	if rewrite.Uri == "" && rewrite.UriRegexRewrite == nil && rewrite.Authority == "" {
		c.fail(Missing, at, "a rewrite must change something: give uri, uriRegexRewrite or authority")
	}
	c.target(at.Field("uri"), rewrite.Uri)
	c.target(at.Field("authority"), rewrite.Authority)
	regex := rewrite.UriRegexRewrite
	if regex == nil {
		return
	}
	if rewrite.Uri != "" {
		c.fail(Conflict, at.Field("uriRegexRewrite"), "uri and uriRegexRewrite exclude each other: keep one")
	}
	if regex.Match == "" {
		c.fail(Missing, at.Field("uriRegexRewrite").Field("match"), "uriRegexRewrite needs both match and rewrite")
	} else {
		c.regex(at.Field("uriRegexRewrite").Field("match"), regex.Match)
	}
	if regex.Rewrite == "" {
		c.fail(Missing, at.Field("uriRegexRewrite").Field("rewrite"), "uriRegexRewrite needs both match and rewrite")
	} else if _, err := regexp.Compile(regex.Match); err == nil {
		if err := router.CheckSubstitution(regex.Match, regex.Rewrite); err != nil {
			c.fail(BadRegex, at.Field("uriRegexRewrite").Field("rewrite"), "%q cannot take the place of what match matches: %v", regex.Rewrite, err)
		}
	}
}

// target checks a text that becomes a part of a path, an authority or a Location.
func (c *checker) target(at *config.Path, text string) {
	if err := router.CheckTarget(text); err != nil {
		c.fail(OutOfRange, at, "%v", err)
	}
}

// oneAuthority checks that the authority is rewritten in one place only.
func (c *checker) oneAuthority(at *config.Path, rule *networking.HTTPRoute) {
	current := rule.GetRewrite().GetAuthority()
	request := rule.GetHeaders().GetRequest()
	for _, change := range []struct {
		name   string
		values map[string]string
	}{{"set", request.GetSet()}, {"add", request.GetAdd()}} {
		for _, name := range sortedKeys(change.values) {
			if !isAuthorityHeader(name) {
				continue
			}
			if current != "" {
				c.fail(Conflict, at.Field("headers").Field("request").Field(change.name).Key(name), "the authority is set to %q already: set it in one place only", current)
				return
			}
			current = change.values[name]
		}
	}
}

// httpDestinations checks the destinations that a rule splits its requests among.
func (c *checker) httpDestinations(at *config.Path, destinations []*networking.HTTPRouteDestination) {
	weights := make([]int32, len(destinations))
	for i, d := range destinations {
		at := at.Index(i)
		c.requiredDestination(at, d.Destination)
		c.headers(at.Field("headers"), d.Headers)
		weights[i] = d.Weight
	}
	c.weights(at, weights)
}

func (c *checker) requiredDestination(at *config.Path, d *networking.Destination) {
	if d == nil {
		c.fail(Missing, at.Field("destination"), "needs a destination with a host")
		return
	}
	c.destination(at.Field("destination"), d)
}

// weights checks the shares of several destinations. They are relative: they need not
// add up to 100.
func (c *checker) weights(at *config.Path, weights []int32) {
	total := int64(0)
	for i, weight := range weights {
		if weight < 0 {
			c.fail(BadWeights, at.Index(i).Field("weight"), "%d is negative: write 0 to send nothing there", weight)
		}
		total += int64(weight)
	}
	if len(weights) > 1 && total == 0 {
		c.fail(BadWeights, at.Index(0).Field("weight"), "the weights add up to 0, so no destination is chosen: give at least one a weight")
	}
}

// destination checks the address of a service, where there is one.
func (c *checker) destination(at *config.Path, d *networking.Destination) {
	if d == nil {
		return
	}
	switch problem := wildcardProblem(d.Host); {
	case d.Host == "":
		c.fail(Missing, at.Field("host"), "a destination needs a host: the name of a service")
	case d.Host == "*":
		c.fail(BadHost, at.Field("host"), "\"*\" is no destination: name the service")
	case problem != "":
		c.badHost(at.Field("host"), d.Host, problem)
	}
	if d.Subset != "" && !isDNSLabel(d.Subset) {
		c.fail(BadName, at.Field("subset"), "%q is not a subset's name: use letters, digits and '-', at most 63", d.Subset)
	}
	if d.Port != nil {
		c.portNumber(at.Field("port").Field("number"), d.Port.Number)
	}
}
