package envoy

import (
	"cmp"
	"strconv"

	"github.com/sluicegate/sluice/router"
)

// routeTable is envoy.config.route.v3.RouteConfiguration.
func routeTable(t *router.RouteTable) object {
	hosts := make([]object, 0, len(t.VirtualHosts))
	for i, v := range t.VirtualHosts {
		host := object{"name": cmp.Or(v.Name, "virtual-host-"+strconv.Itoa(i)), "domains": v.Domains}
		if v.RequireTLS {
			host["require_tls"] = "ALL"
		}
		var routes []object
		for _, r := range v.Routes {
			routes = append(routes, route(r))
		}
		put(host, "routes", routes)
		hosts = append(hosts, host)
	}
	o := object{"name": t.Name}
	put(o, "virtual_hosts", hosts)
	return o
}

// route is envoy.config.route.v3.Route.
func route(r *router.Route) object {
	o := object{"match": routeMatch(&r.Match)}
	put(o, "name", r.Name)
	switch {
	case r.Redirect != nil:
		o["redirect"] = redirect(r.Redirect)
	case r.Direct != nil:
		direct := object{"status": r.Direct.Status}
		if len(r.Direct.Body) > 0 {
			direct["body"] = object{"inline_bytes": r.Direct.Body}
		}
		o["direct_response"] = direct
	default:
		o["route"] = routeAction(r)
	}
	if r.Object != nil {
		o["metadata"] = object{"filter_metadata": object{"istio": object{"config": configPath(r.Origin())}}}
	}
	headerOps(o, r.PolicyInForce().Headers)
	return o
}

// headerOps adds the changes to headers.
func headerOps(o object, p router.HeaderPolicy) {
	for name, ops := range map[string]router.HeaderOps{"request": p.Request, "response": p.Response} {
		var add []object
		for _, h := range ops.Set {
			add = append(add, object{"header": object{"key": h.Name, "value": h.Value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"})
		}
		for _, h := range ops.Add {
			add = append(add, object{"header": object{"key": h.Name, "value": h.Value}})
		}
		put(o, name+"_headers_to_add", add)
		put(o, name+"_headers_to_remove", ops.Remove)
	}
}

// stringMatcher is envoy.type.matcher.v3.StringMatcher.
func stringMatcher(m router.StringMatch) object {
	switch m.Kind {
	case router.MatchExact:
		return object{"exact": m.Value}
	case router.MatchPrefix:
		return object{"prefix": m.Value}
	case router.MatchRegex:
		return regex(m.Value)
	}
	return regex(".*")
}

func regex(expression string) object { return object{"safe_regex": object{"regex": expression}} }

// routeMatch is envoy.config.route.v3.RouteMatch. What Envoy matches as pseudo-headers are
// headers here too.
func routeMatch(m *router.Match) object {
	o := object{}
	switch m.Path.Kind {
	case router.MatchExact:
		o["path"] = m.Path.Value
	case router.MatchPrefix:
		o["prefix"] = m.Path.Value
	case router.MatchRegex:
		o["safe_regex"] = object{"regex": m.Path.Value}
	default:
		o["prefix"] = "/"
	}
	rest := m.Conditions()
	if rest.IgnorePathCase {
		o["case_sensitive"] = false
	}
	var headers []object
	for _, pseudo := range []struct {
		name  string
		match router.StringMatch
	}{{":scheme", rest.Scheme}, {":method", rest.Method}, {":authority", rest.Authority}} {
		if pseudo.match.Kind != router.MatchAny {
			headers = append(headers, object{"name": pseudo.name, "string_match": stringMatcher(pseudo.match)})
		}
	}
	for _, h := range rest.Headers {
		header := object{"name": h.Name}
		if h.Match.Kind == router.MatchAny || h.Match.Kind == router.MatchPresent {
			header["present_match"] = true
		} else {
			header["string_match"] = stringMatcher(h.Match)
		}
		if h.Invert {
			header["invert_match"] = true
		}
		if h.TreatMissingAsEmpty {
			header["treat_missing_header_as_empty"] = true
		}
		headers = append(headers, header)
	}
	put(o, "headers", headers)
	var query []object
	for _, q := range rest.Query {
		parameter := object{"name": q.Name, "string_match": stringMatcher(q.Match)}
		if q.Match.Kind == router.MatchAny || q.Match.Kind == router.MatchPresent {
			parameter = object{"name": q.Name, "present_match": true}
		}
		query = append(query, parameter)
	}
	put(o, "query_parameters", query)
	return o
}

// routeAction is envoy.config.route.v3.RouteAction.
func routeAction(r *router.Route) object {
	o := object{"timeout": duration(r.PolicyInForce().Timeout)}
	if len(r.Destinations) == 1 {
		o["cluster"] = r.Destinations[0].Cluster
	} else {
		var list []object
		for i := range r.Destinations {
			d := &r.Destinations[i]
			weighted := object{"name": d.Cluster, "weight": d.Weight}
			put(weighted, "host_rewrite_literal", d.Authority)
			headerOps(weighted, d.Headers)
			list = append(list, weighted)
		}
		o["weighted_clusters"] = object{"clusters": list}
	}
	if rewrite := r.Rewrite; rewrite != nil {
		switch {
		case rewrite.HasPrefix && rewrite.Prefix != "":
			o["prefix_rewrite"] = rewrite.Prefix
		case rewrite.Regex != "":
			o["regex_rewrite"] = object{"pattern": object{"regex": rewrite.Regex}, "substitution": rewrite.Substitution}
		case rewrite.Path != "":
			o["regex_rewrite"] = object{"pattern": object{"regex": "^.*$"}, "substitution": rewrite.Path}
		}
		put(o, "host_rewrite_literal", rewrite.Authority)
	}
	put(o, "retry_policy", retry(r.PolicyInForce().Retry))
	var mirrors []object
	for _, m := range r.PolicyInForce().Mirrors {
		mirrors = append(mirrors, object{
			"cluster":          m.Cluster,
			"runtime_fraction": object{"default_value": object{"numerator": uint32(m.Fraction), "denominator": "MILLION"}},
		})
	}
	put(o, "request_mirror_policies", mirrors)
	return o
}

func retry(p *router.Retry) object {
	if p == nil || p.Attempts == 0 {
		return nil
	}
	o := object{"num_retries": p.Attempts, "retry_on": p.On.String()}
	if p.PerTry > 0 {
		o["per_try_timeout"] = duration(p.PerTry)
	}
	if len(p.StatusCodes) > 0 {
		o["retriable_status_codes"] = p.StatusCodes
	}
	return o
}

// redirectCodes are Envoy's names of the statuses of redirects.
var redirectCodes = map[int]string{301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}

// redirect is envoy.config.route.v3.RedirectAction.
func redirect(r *router.Redirect) object {
	o := object{"response_code": redirectCodes[r.Status]}
	put(o, "scheme_redirect", r.Scheme)
	put(o, "host_redirect", r.Host)
	if r.Port != 0 {
		o["port_redirect"] = r.Port
	}
	switch {
	case r.HasPrefix:
		o["prefix_rewrite"] = r.PrefixRewrite
	default:
		put(o, "path_redirect", r.Path)
	}
	return o
}
