package istio

import (
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// fullName makes a fully qualified name of a host as it is written in an object of a
// namespace: "reviews" is the Kubernetes Service of that name there, such as
// "reviews.default.svc.cluster.local". Where there is none it is "reviews.default",
// which Istio makes of it too where objects do not come from a cluster: hosts of
// ServiceEntries are named in full. Names with a dot, addresses and "*" stay as they
// are. The result is lower case.
func (r *registry) fullName(host, namespace string) string {
	host = strings.ToLower(host)
	if !isShort(host) {
		return host
	}
	if full := host + "." + namespace + ".svc." + r.domain; r.kubeHosts[full] > 0 {
		return full
	}
	return host + "." + namespace
}

// isShort says whether a host's meaning depends on the namespace.
func isShort(host string) bool {
	if host == "" || host == "*" || strings.Contains(host, ".") {
		return false
	}
	_, err := netip.ParseAddr(host)
	return err != nil
}

// isWildcard says whether a host stands for many: "*" or "*.example.com".
func isWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// covers says whether every host that narrow stands for is one that wide stands
// for. "*.example.com" does not cover "example.com".
func covers(wide, narrow string) bool {
	if !isWildcard(wide) {
		return wide == narrow
	}
	if isWildcard(narrow) {
		return len(narrow) >= len(wide) && strings.HasSuffix(narrow[1:], wide[1:])
	}
	return strings.HasSuffix(narrow, wide[1:])
}

// overlaps says whether one of two hosts covers the other.
func overlaps(a, b string) bool { return covers(a, b) || covers(b, a) }

// mostSpecific returns the value whose host is the most specific one that covers
// host: host itself, else the longest wildcard. ok filters the values.
func mostSpecific[V any](byHost map[string]V, host string, ok func(V) bool) (V, bool) {
	var found V
	have := false
	eachCovering(host, func(wide string) bool {
		v, there := byHost[wide]
		if have = there && ok(v); have {
			found = v
		}
		return !have
	})
	return found, have
}

// eachCovering calls f for the hosts that cover a host, the most specific first: itself,
// then the wildcards from the longest on. It stops where f returns false.
func eachCovering(host string, f func(wide string) bool) {
	if !f(host) {
		return
	}
	rest := host
	if isWildcard(rest) {
		rest = rest[1:]
	}
	for at := 0; at < len(rest); at++ {
		if rest[at] != '.' || (at == 0 && isWildcard(host)) {
			continue
		}
		if !f("*" + rest[at:]) {
			return
		}
	}
	if host != "*" {
		f("*")
	}
}

// eachCovered yields the hosts that one of several wildcards covers, each once, with their
// values. Hosts among the several that are no wildcards do not count.
func eachCovered[V any](wide []string, byHost map[string]V) iter.Seq2[string, V] {
	// whole are the wildcards that stand for whole labels: those that a host has above it.
	var odd []string
	whole := map[string]struct{}{}
	for _, h := range wide {
		switch {
		case !isWildcard(h):
		case h == "*" || h[1] == '.':
			whole[h] = struct{}{}
		default:
			odd = append(odd, h)
		}
	}
	covered := func(host string) (is bool) {
		if len(whole) > 0 {
			eachCovering(host, func(w string) bool {
				_, is = whole[w]
				return !is
			})
		}
		return is || slices.ContainsFunc(odd, func(w string) bool { return covers(w, host) })
	}
	return func(yield func(string, V) bool) {
		if len(whole)+len(odd) == 0 {
			return
		}
		for host, v := range byHost {
			if covered(host) && !yield(host, v) {
				return
			}
		}
	}
}

// gatewayName returns "namespace/name" of a Gateway as a VirtualService in a
// namespace names it: a name, "namespace/name", "./name", or the older
// "name.namespace.svc.cluster.local". The name "mesh" means sidecars.
func gatewayName(name, namespace string) string {
	if name == mesh {
		return mesh
	}
	if ns, rest, ok := strings.Cut(name, "/"); ok {
		if ns == "." {
			return namespace + "/" + rest
		}
		return name
	}
	first, rest, ok := strings.Cut(name, ".")
	if !ok {
		return namespace + "/" + name
	}
	ns, _, _ := strings.Cut(rest, ".")
	return ns + "/" + first
}

// mesh is the gateway name that stands for all sidecars.
const mesh = "mesh"
