package ingress

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// httpRule is a rule of a VirtualService, and what it was made from.
type httpRule struct {
	http *networking.HTTPRoute
	// entry is the path; destinations are those of its destinations.
	entry        *entry
	destinations []*entry
}

// ruleContext is what a path's rules depend on beside its Ingress.
type ruleContext struct {
	// canary takes a part of the requests to canaryEntry; nil for none.
	canary      *canary
	canaryEntry *entry
	// tls: the host has a certificate.
	tls bool
	// refused: what the Ingress demands of clients, nobody meets.
	refused bool
	// httpPort is the port for plaintext.
	httpPort uint16
	// domain ends the names of Services.
	domain string
	// port returns the number of an entry's port, 0 where there is no such port.
	port func(*entry) uint16
}

// sslRedirect names rules that send clients to https.
const sslRedirect = "ssl-redirect"

// challengePath begins the paths at which authorities look for proofs (RFC 8555 section 8.3).
const challengePath = "/.well-known/acme-challenge"

// rules are a path's rules, in order.
func (e *entry) rules(c ruleContext) []httpRule {
	s := e.from.settings
	if s.closed || c.refused {
		return []httpRule{e.unavailable(e.matches(nil))}
	}
	var out []httpRule
	switch {
	case strings.HasPrefix(e.match.path, challengePath) && !s.passthrough && s.clientAuth == nil:
		// Whoever issues certificates asks in the clear, also where there is none yet.
	case s.clientAuth != nil || s.passthrough:
		// Whatever the client claims of its own connection: the one here is plaintext.
		matches := e.matches(nil)
		for _, m := range matches {
			m.Port = uint32(c.httpPort)
		}
		out = append(out, e.toHTTPS(matches))
	case s.forceRedirect || s.sslRedirect && c.tls:
		matches := e.matches(nil)
		for _, m := range matches {
			m.Scheme = exact("http")
		}
		out = append(out, e.toHTTPS(matches))
	}
	switch {
	case s.passthrough:
		return out
	case e.redirect != nil:
		return append(out, httpRule{http: &networking.HTTPRoute{Name: e.name("redirect"), Match: e.matches(nil), Redirect: e.redirect}, entry: e})
	case e.backend == nil || c.port(e) == 0:
		return append(out, e.unavailable(e.matches(nil)))
	case c.canary == nil:
		return append(out, e.forwarding(c, choice{total: 1})...)
	}
	for _, choice := range c.canary.choices() {
		out = append(out, e.forwarding(c, choice)...)
	}
	return out
}

// name names a rule in logs.
func (e *entry) name(also string) string {
	name := e.from.object.Namespace + "/" + e.from.object.Name
	if also != "" {
		name += "/" + also
	}
	return name
}

func (e *entry) unavailable(matches []*networking.HTTPMatchRequest) httpRule {
	return httpRule{http: &networking.HTTPRoute{Name: e.name("unavailable"), Match: matches, DirectResponse: &networking.HTTPDirectResponse{Status: 503}}, entry: e}
}

func (e *entry) toHTTPS(matches []*networking.HTTPMatchRequest) httpRule {
	return httpRule{http: &networking.HTTPRoute{
		Name: e.name(sslRedirect), Match: matches, Redirect: &networking.HTTPRedirect{Scheme: "https", RedirectCode: 308},
	}, entry: e}
}

// matches are the match blocks of a path, with headers.
func (e *entry) matches(headers map[string]*networking.StringMatch) []*networking.HTTPMatchRequest {
	var out []*networking.HTTPMatchRequest
	for _, uri := range e.match.uris() {
		m := &networking.HTTPMatchRequest{Uri: uri, Headers: maps.Clone(headers)}
		if suffix, ok := strings.CutPrefix(e.host, "*."); ok {
			// A wildcard of an Ingress stands for one label, one of Istio for any number.
			m.Authority = expression(`(?i)[^.:]+\.` + regexp.QuoteMeta(suffix) + `\.?(?::[0-9]+)?`)
		}
		out = append(out, m)
	}
	return out
}

// forwarding are the rules for a part of a path's requests: one, or two where requests that
// must not be sent twice are tried again for other reasons than the others.
func (e *entry) forwarding(c ruleContext, part choice) []httpRule {
	s := e.from.settings
	r := &networking.HTTPRoute{Name: e.name(part.name), Match: e.matches(part.headers), CorsPolicy: s.cors}
	if s.rewrite != "" {
		pathExpression := ""
		if e.match.kind == regexPath {
			pathExpression = e.match.path
		}
		regex, _ := rewritten(s.rewrite, pathExpression)
		r.Rewrite = &networking.HTTPRewrite{UriRegexRewrite: regex}
	}
	if s.authority != "" {
		if r.Rewrite == nil {
			r.Rewrite = &networking.HTTPRewrite{}
		}
		r.Rewrite.Authority = s.authority
	}
	if s.requestHeaders != nil {
		r.Headers = &networking.Headers{Request: &networking.Headers_HeaderOperations{Set: s.requestHeaders}}
	}
	rule := httpRule{http: r, entry: e}
	add := func(to *entry, weight int) {
		if weight > 0 {
			r.Route = append(r.Route, &networking.HTTPRouteDestination{Destination: to.destination(c), Weight: int32(weight)})
			rule.destinations = append(rule.destinations, to)
		}
	}
	add(e, part.total-part.share)
	if part.share > 0 {
		add(c.canaryEntry, part.share)
	}
	if len(r.Route) == 1 {
		r.Route[0].Weight = 0
	}
	if s.retries == nil {
		return []httpRule{rule}
	}
	r.Retries = s.retries.idempotent
	if s.retries.idempotent == s.retries.other {
		return []httpRule{rule}
	}
	rest := rule
	rest.http = r.DeepCopy()
	rest.http.Retries = s.retries.other
	for _, m := range r.Match {
		m.Method = expression(idempotentMethods)
	}
	return []httpRule{rule, rest}
}

// destination is where an entry's requests go.
func (e *entry) destination(c ruleContext) *networking.Destination {
	d := &networking.Destination{Host: e.serviceHost(c.domain), Port: &networking.PortSelector{Number: uint32(c.port(e))}}
	if e.from.settings.traffic != nil {
		d.Subset = subsetName(e.from.object.Name)
	}
	return d
}

// serviceHost is the full name of an entry's Service.
func (e *entry) serviceHost(domain string) string {
	return fmt.Sprintf("%s.%s.svc.%s", e.backend.Name, e.from.object.Namespace, domain)
}
