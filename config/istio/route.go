package istio

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/sluicegate/sluice/router"
)

// compileRedirect returns a redirect for routes of a port, behind TLS or not. A port that is its
// scheme's own is left out.
func compileRedirect(r *networking.HTTPRedirect, port uint16, overTLS bool) *router.Redirect {
	out := &router.Redirect{Status: int(r.RedirectCode), Scheme: r.Scheme, Host: r.Authority, Path: r.Uri}
	if out.Status == 0 {
		out.Status = 301
	}
	if r.PrefixRewrite != "" {
		out.PrefixRewrite, out.HasPrefix = r.PrefixRewrite, true
	}
	switch p := r.RedirectPort.(type) {
	case *networking.HTTPRedirect_Port:
		out.Port = uint16(p.Port)
	case *networking.HTTPRedirect_DerivePort:
		if p.DerivePort == networking.HTTPRedirect_FROM_REQUEST_PORT {
			out.Port = port
		}
	}
	if r.Scheme != "" {
		overTLS = r.Scheme == "https"
	}
	if out.Port == 80 && !overTLS || out.Port == 443 && overTLS {
		out.Port = 0
	}
	return out
}

func compileDirectResponse(d *networking.HTTPDirectResponse) *router.DirectResponse {
	out := &router.DirectResponse{Status: int(d.Status)}
	switch b := d.GetBody().GetSpecifier().(type) {
	case *networking.HTTPBody_String_:
		out.Body = []byte(b.String_)
	case *networking.HTTPBody_Bytes:
		out.Body = b.Bytes
	}
	return out
}

// compileRewrite returns the changes to the path and authority. uri takes the place of what a prefix match took, and of the whole path where
// the match is another: then, as without any match, match is made to say so.
func compileRewrite(http *networking.HTTPRoute, match *router.Match) router.Rewrite {
	out := router.Rewrite{Authority: rewrittenAuthority(http)}
	if regex := http.GetRewrite().GetUriRegexRewrite(); regex != nil {
		out.Regex, out.Substitution = regex.Match, regex.Rewrite
	} else if uri := http.GetRewrite().GetUri(); uri != "" {
		switch match.Path.Kind {
		case router.MatchExact, router.MatchRegex:
			out.Path = uri
		default:
			out.Prefix, out.HasPrefix = uri, true
			if match.Path.Kind == router.MatchAny {
				// Every path has the prefix "/"; it is what the rewrite replaces.
				match.Path = router.StringMatch{Kind: router.MatchPrefix, Value: "/"}
			}
		}
	}
	return out
}

// headerPolicy returns the changes to headers. What concerns the authority is not
// among them: see authorityOf.
func headerPolicy(h *networking.Headers) router.HeaderPolicy {
	return router.HeaderPolicy{Request: headerOps(h.GetRequest()), Response: headerOps(h.GetResponse())}
}

func headerOps(o *networking.Headers_HeaderOperations) router.HeaderOps {
	ops := router.HeaderOps{Set: headerList(o.GetSet()), Add: headerList(o.GetAdd())}
	for _, name := range o.GetRemove() {
		if !isInternal(name) {
			ops.Remove = append(ops.Remove, name)
		}
	}
	return ops
}

func headerList(headers map[string]string) []router.Header {
	if len(headers) == 0 {
		return nil // Most routes: sorting nothing allocates.
	}
	var list []router.Header
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !isInternal(name) {
			list = append(list, router.Header{Name: name, Value: headers[name]})
		}
	}
	return list
}

// isInternal is for what is part of a request's line rather than its headers.
func isInternal(name string) bool {
	return strings.HasPrefix(name, ":") || strings.EqualFold(name, "host")
}

// authorityOf returns the authority that changes to the request's headers ask for,
// as host or :authority; set counts before add.
func authorityOf(h *networking.Headers) string {
	for _, headers := range []map[string]string{h.GetRequest().GetSet(), h.GetRequest().GetAdd()} {
		if len(headers) == 0 {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(headers)) {
			if strings.EqualFold(name, "host") || strings.EqualFold(name, ":authority") {
				return headers[name]
			}
		}
	}
	return ""
}

// rewrittenAuthority returns the authority that a rule gives its requests, wherever
// they go.
func rewrittenAuthority(http *networking.HTTPRoute) string {
	return cmp.Or(http.GetRewrite().GetAuthority(), authorityOf(http.Headers))
}

// joinPolicies returns the changes of both, the second's after the first's.
func joinPolicies(first, second router.HeaderPolicy) router.HeaderPolicy {
	return router.HeaderPolicy{Request: joinOps(first.Request, second.Request), Response: joinOps(first.Response, second.Response)}
}

func joinOps(first, second router.HeaderOps) router.HeaderOps {
	return router.HeaderOps{
		Set:    append(first.Set, second.Set...),
		Add:    append(first.Add, second.Add...),
		Remove: append(first.Remove, second.Remove...),
	}
}
