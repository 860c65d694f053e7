package router

import (
	"fmt"
	"regexp"
	"strings"
)

// pathRewrite is what a Rewrite does to the path.
type pathRewrite struct {
	// regex, where set, has its matches replaced by substitution; otherwise what the
	// route's match took is replaced by text, or, with whole, the entire path.
	regex        *regexp.Regexp
	substitution []substitutionPart
	text         string
	whole        bool
}

// substitutionPart is literal text or, where text is empty, a group's number.
type substitutionPart struct {
	text  string
	group int
}

// compileRewrite compiles what a Rewrite says about the path; nil if nothing.
func compileRewrite(r *Rewrite) (*pathRewrite, error) {
	if r == nil {
		return nil, nil
	}
	given := 0
	for _, is := range []bool{r.HasPrefix, r.Path != "", r.Regex != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		return nil, fmt.Errorf("rewrite: more than one of prefix, path and regex is set; keep one")
	}
	if err := checkTarget("rewrite", r.Prefix, r.Path, r.Substitution, r.Authority); err != nil {
		return nil, err
	}
	switch {
	case r.HasPrefix:
		return &pathRewrite{text: r.Prefix}, nil
	case r.Path != "":
		return &pathRewrite{text: r.Path, whole: true}, nil
	case r.Regex != "":
		return compileRegexRewrite(r.Regex, r.Substitution)
	}
	return nil, nil
}

func compileRegexRewrite(expression, substitution string) (*pathRewrite, error) {
	regex, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("rewrite: %w; see https://github.com/google/re2/wiki/Syntax", err)
	}
	parts, err := parseSubstitution(substitution, regex.NumSubexp())
	if err != nil {
		return nil, fmt.Errorf("rewrite: substitution %q: %w", substitution, err)
	}
	return &pathRewrite{regex: regex, substitution: parts}, nil
}

// parseSubstitution reads RE2's rewrite format: \0 is the match, \1 to \9 are
// groups, \\ is a backslash.
func parseSubstitution(s string, groups int) ([]substitutionPart, error) {
	var parts []substitutionPart
	text := ""
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			text += s[i : i+1]
			continue
		}
		i++
		switch {
		case i == len(s):
			return nil, fmt.Errorf(`ends in a single backslash; write \\ for the character itself`)
		case s[i] == '\\':
			text += `\`
		case s[i] < '0' || s[i] > '9':
			return nil, fmt.Errorf(`\%c is neither a group (\0 to \9) nor \\`, s[i])
		case int(s[i]-'0') > groups:
			return nil, fmt.Errorf(`\%c: the expression has only %d groups`, s[i], groups)
		default:
			if text != "" {
				parts = append(parts, substitutionPart{text: text})
				text = ""
			}
			parts = append(parts, substitutionPart{group: int(s[i] - '0')})
		}
	}
	if text != "" {
		parts = append(parts, substitutionPart{text: text})
	}
	return parts, nil
}

// CheckTarget says why a text cannot be a part of a path, an authority or a Location; nil where
// it can.
func CheckTarget(text string) error { return checkTarget("the text", text) }

// CheckSubstitution says why a text cannot take the place of what an expression matches, as
// [Rewrite.Substitution] does; nil where it can.
func CheckSubstitution(expression, substitution string) error {
	regex, err := regexp.Compile(expression)
	if err == nil {
		_, err = parseSubstitution(substitution, regex.NumSubexp())
	}
	if err == nil {
		err = CheckTarget(substitution)
	}
	return err
}

// checkTarget refuses what would break a request line or a Location.
func checkTarget(what string, values ...string) error {
	for _, v := range values {
		for i := 0; i < len(v); i++ {
			if v[i] <= ' ' || v[i] == 0x7f {
				return fmt.Errorf("%s: %q holds a space or control character; percent-encode it", what, v)
			}
		}
	}
	return nil
}

// RewritesPath says whether the route changes the path.
func (d *Decision) RewritesPath() bool { return d.Route != nil && d.Route.rewrite != nil }

// AppendPath appends the path, with its query, that the upstream is to see. A
// rewritten path always begins with a slash; one that is not rewritten stays as it
// is. Only a rewrite by regular expression allocates more than dst.
func (d *Decision) AppendPath(dst []byte, r *Request) []byte {
	if !d.RewritesPath() {
		return append(dst, r.Path...)
	}
	path := pathOf(r.Path)
	dst = d.Route.rewrite.append(dst, path, d.Route.match.taken(path))
	return append(dst, r.Path[len(path):]...)
}

// append appends the rewritten path, given how much of it the route's match took.
func (w *pathRewrite) append(dst []byte, path string, taken int) []byte {
	begin := len(dst)
	switch {
	case w.regex != nil:
		dst = w.replaceAll(dst, path)
	case w.whole:
		dst = append(dst, w.text...)
	default:
		dst = append(append(dst, w.text...), path[taken:]...)
	}
	if len(dst) == begin || dst[begin] != '/' {
		dst = append(dst, 0)
		copy(dst[begin+1:], dst[begin:])
		dst[begin] = '/'
	}
	return dst
}

// replaceAll appends the path with every match of the expression replaced.
func (w *pathRewrite) replaceAll(dst []byte, path string) []byte {
	last := 0
	for _, m := range w.regex.FindAllStringSubmatchIndex(path, -1) {
		dst = append(dst, path[last:m[0]]...)
		for _, part := range w.substitution {
			if part.text != "" {
				dst = append(dst, part.text...)
			} else if from, to := m[2*part.group], m[2*part.group+1]; from >= 0 {
				dst = append(dst, path[from:to]...)
			}
		}
		last = m[1]
	}
	return append(dst, path[last:]...)
}

// taken returns how many bytes of a path that matched are the match's: the prefix,
// or with an exact path or an expression all of it (Envoy, RouteAction.prefix_rewrite
// and Istio's use of it). No condition at all counts as the prefix "/".
func (m *matcher) taken(path string) int {
	switch {
	case m.whole:
		return len(path)
	case m.kind == MatchPrefix:
		return len(m.text)
	case strings.HasPrefix(path, "/"):
		return 1
	}
	return 0
}

// Authority returns the authority that the upstream is to see: that of the route's
// Rewrite, else the destination's, else the request's.
func (d *Decision) Authority(dest *CompiledDestination, r *Request) string {
	if d.Route != nil && d.Route.Rewrite != nil && d.Route.Rewrite.Authority != "" {
		return d.Route.Rewrite.Authority
	}
	if dest != nil && dest.Authority != "" {
		return dest.Authority
	}
	return r.Authority
}
