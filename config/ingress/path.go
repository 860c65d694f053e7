package ingress

import (
	"cmp"
	"regexp"
	"strings"
	"unicode/utf8"

	networking "istio.io/api/networking/v1alpha3"
)

// pathKind says how a path is compared.
type pathKind uint8

const (
	// exactPath is the very path.
	exactPath pathKind = iota
	// prefixPath is the path and all below it, element by element.
	prefixPath
	// regexPath is an expression, in any case, that the path begins with.
	regexPath
)

// pathMatch is a path of an Ingress, in the one form that paths that mean the same have.
type pathMatch struct {
	kind pathKind
	// path is without a slash at the end where it is a prefix, "" for all paths.
	path string
}

var everything = pathMatch{kind: prefixPath}

// newPathMatch reads a path. problem says why it can take no request.
func newPathMatch(p, pathType string, s *settings) (m pathMatch, problem string) {
	switch pathType {
	case "Exact":
		m = pathMatch{exactPath, p}
	case "Prefix", "ImplementationSpecific":
		if (s.useRegex || strings.Contains(s.rewrite, "$")) && looksLikeExpression(p) {
			return newExpression(p)
		}
		m = pathMatch{prefixPath, strings.TrimRight(p, "/")}
		if p == "" && pathType == "ImplementationSpecific" {
			return everything, ""
		}
	default:
		return m, "pathType must be Exact, Prefix or ImplementationSpecific; the path is left out"
	}
	if !strings.HasPrefix(p, "/") {
		return m, "must begin with /; the path is left out"
	}
	for _, bad := range []string{"//", "/./", "/../", "%2f", "%2F"} {
		if strings.Contains(p, bad) {
			return m, "must not contain " + bad + ", which no request has once it is normalised; the path is left out"
		}
	}
	if !utf8.ValidString(p) || strings.HasSuffix(p, "/..") || strings.HasSuffix(p, "/.") || strings.ContainsAny(p, "?# \t\r\n") {
		return m, "has characters that no path has; the path is left out"
	}
	return m, ""
}

// looksLikeExpression says whether a path has characters that only expressions have.
func looksLikeExpression(p string) bool { return strings.ContainsAny(p, `()[]{}*+?|^$\`) }

// literal is what of a path stands before anything that only expressions have; "" for nothing
// that tells it from others.
func literal(p string) string {
	p = strings.TrimPrefix(p, "^")
	if i := strings.IndexAny(p, `()[]{}*+?|^$\`); i >= 0 {
		p = p[:i]
	}
	p = strings.ToValidUTF8(p, "")
	if !strings.HasPrefix(p, "/") {
		return ""
	}
	return p
}

func newExpression(p string) (pathMatch, string) {
	m := pathMatch{regexPath, strings.TrimPrefix(p, "^")}
	if _, err := regexp.Compile("^(?i:" + m.path + ").*$"); err != nil {
		return m, "is no expression of RE2 (which has no look-ahead and no back-references): " + strings.TrimPrefix(err.Error(), "error parsing regexp: ") + "; the path is left out"
	}
	return m, ""
}

// compare orders paths such that of those that take a request the first is to serve it: exact
// ones, then the longest first.
func (m pathMatch) compare(other pathMatch) int {
	if (m.kind == exactPath) != (other.kind == exactPath) {
		return cmp.Compare(m.kind, other.kind)
	}
	return cmp.Or(cmp.Compare(len(other.path), len(m.path)), cmp.Compare(m.kind, other.kind), cmp.Compare(m.path, other.path))
}

// uris are the matches of Istio's API for the path; one nil for all paths.
func (m pathMatch) uris() []*networking.StringMatch {
	switch {
	case m.kind == exactPath:
		return []*networking.StringMatch{exact(m.path)}
	case m.kind == regexPath:
		return []*networking.StringMatch{expression("(?i:" + m.path + ").*")}
	case m.path == "":
		return []*networking.StringMatch{startsWith("/")}
	}
	return []*networking.StringMatch{exact(m.path), startsWith(m.path + "/")}
}

// String is the path as conditions write it.
func (m pathMatch) String() string {
	switch {
	case m.kind == exactPath:
		return m.path + " (Exact)"
	case m.kind == regexPath:
		return m.path + " (an expression)"
	case m.path == "":
		return "/"
	}
	return m.path
}
