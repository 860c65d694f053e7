package router

import (
	"regexp"
	"strings"
)

// The naive router follows spec.go's comments by scanning everything. It shares no
// code with the engine, so that both must agree.

func naiveRoute(spec *Spec, r *Request) (Outcome, *VirtualHost, *Route) {
	for _, l := range spec.Listeners {
		if l.Name != r.Listener {
			continue
		}
		table := naiveTable(l, r.Port)
		if len(l.Chains) > 0 {
			table = nil
			if chain := naiveNamedChain(l, r.Chain); chain != nil {
				table = chain.Table
			}
		}
		if table == nil {
			return NotFound, nil, nil
		}
		host := naiveHost(table, r.Authority)
		switch {
		case host == nil:
			return NotFound, nil, nil
		case host.RequireTLS && r.Scheme != "https" && !strings.HasPrefix(r.Path, "/.well-known/acme-challenge/"):
			return TLSRedirect, host, nil
		}
		for _, route := range host.Routes {
			if naiveMatch(&route.Match, r) {
				switch {
				case route.Redirect != nil:
					return Redirected, host, route
				case route.Direct != nil:
					return Responded, host, route
				}
				return Forward, host, route
			}
		}
		return NotFound, host, nil
	}
	return NoListener, nil, nil
}

func naiveTable(l *Listener, port uint16) *RouteTable {
	var other *RouteTable
	for _, t := range l.Tables {
		if t.Port == port || len(l.Tables) == 1 {
			return t
		}
		if t.Port == 0 {
			other = t
		}
	}
	return other
}

// naiveChains are the chains in force.
func naiveChains(l *Listener) (chains []*Chain) {
	names := map[string]bool{}
	for _, c := range l.Chains {
		if (c.Table == nil) == (len(c.Streams) == 0) || names[c.Name] {
			continue
		}
		names[c.Name] = true
		chains = append(chains, c)
	}
	return chains
}

func naiveNamedChain(l *Listener, name string) *Chain {
	for _, c := range naiveChains(l) {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// naiveChain scans for the chain of a connection.
func naiveChain(l *Listener, serverName string, tls, istio bool) *Chain {
	if !tls {
		for _, c := range naiveChains(l) {
			if len(c.ServerNames) == 0 {
				return c
			}
		}
		return nil
	}
	// Virtual hosts are chosen alike.
	named := map[*VirtualHost]*Chain{}
	t := &RouteTable{}
	for _, c := range naiveChains(l) {
		vh := &VirtualHost{Domains: c.ServerNames}
		named[vh] = c
		t.VirtualHosts = append(t.VirtualHosts, vh)
	}
	c := named[naiveHost(t, serverName)]
	if c != nil && c.IstioALPN && !istio {
		return nil
	}
	return c
}

func naiveNormal(authority string) string {
	host := strings.ToLower(authority)
	if strings.HasPrefix(host, "[") {
		inside, _, _ := strings.Cut(host[1:], "]")
		return "[" + inside + "]"
	}
	if strings.Count(host, ":") == 1 {
		host, _, _ = strings.Cut(host, ":")
	}
	return strings.TrimSuffix(host, ".")
}

func naiveHost(t *RouteTable, authority string) *VirtualHost {
	host := naiveNormal(authority)
	var best *VirtualHost
	longest := -1
	for _, vh := range t.VirtualHosts {
		for _, d := range vh.Domains {
			d = naiveNormal(d)
			rank := -1
			switch {
			case d == "*":
				rank = 0
			case strings.HasPrefix(d, "*."):
				if len(host) > len(d)-1 && strings.HasSuffix(host, d[1:]) {
					rank = len(d)
				}
			case d == host:
				rank = 1 << 20
			}
			if rank > longest {
				best, longest = vh, rank
			}
		}
	}
	return best
}

func naiveMatch(m *Match, r *Request) bool {
	path, query, _ := strings.Cut(r.Path, "?")
	want := m.Path
	if m.Conditions().IgnorePathCase && want.Kind != MatchRegex {
		want.Value = strings.ToLower(want.Value)
		if !naiveString(want, strings.ToLower(path)) {
			return false
		}
	} else if !naiveString(want, path) {
		return false
	}
	if !naiveString(m.Conditions().Scheme, r.Scheme) || !naiveString(m.Conditions().Method, r.Method) || !naiveString(m.Conditions().Authority, r.Authority) {
		return false
	}
	for _, h := range m.Conditions().Headers {
		if !naiveHeader(h, r) {
			return false
		}
	}
	for _, q := range m.Conditions().Query {
		value, found := "", false
		// What follows the last ampersand is a parameter only if it is not empty.
		for parameter := range strings.SplitSeq(strings.TrimSuffix(query, "&"), "&") {
			name, v, _ := strings.Cut(parameter, "=")
			if name == q.Name && query != "" && !found {
				value, found = v, true
			}
		}
		if q.Match.Kind != MatchAny && (!found || !naiveString(q.Match, value)) {
			return false
		}
	}
	return true
}

func naiveHeader(h HeaderMatch, r *Request) bool {
	var values []string
	for _, header := range r.Headers {
		if header.Name == h.Name {
			values = append(values, header.Value)
		}
	}
	present := len(values) > 0
	switch {
	case h.Match.Kind == MatchAny:
		return !h.Invert
	case h.Match.Kind == MatchPresent:
		return present != h.Invert
	case !present && !h.TreatMissingAsEmpty:
		return false
	}
	return naiveString(h.Match, strings.Join(values, ",")) != h.Invert
}

func naiveString(m StringMatch, value string) bool {
	switch m.Kind {
	case MatchExact:
		return value == m.Value
	case MatchPrefix:
		return len(value) >= len(m.Value) && value[:len(m.Value)] == m.Value
	case MatchRegex:
		return regexp.MustCompile(`\A(?:` + m.Value + `)\z`).MatchString(value)
	}
	return true
}
