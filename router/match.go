package router

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unsafe"
)

// matcher is a compiled Match.
type matcher struct {
	path pathMatcher
	// conditions are all the others, cheap ones first.
	conditions []condition
}

// pathMatcher is the condition on the path. Envoy has no path condition less than
// the prefix "/", so that is what an absent one counts as in a rewrite.
type pathMatcher struct {
	value stringMatcher
	// fold: the path may be in any case; value is in lower case.
	fold bool
}

// condition is one on anything but the path.
type condition struct {
	subject subject
	// name of the header or query parameter.
	name           string
	value          stringMatcher
	invert         bool
	missingIsEmpty bool
}

// subject is the part of a request that a condition looks at.
type subject uint8

const (
	onMethod subject = iota
	onScheme
	onAuthority
	onHeader
	onQuery
	// onTarget is the path with its query, which a condition on the pseudo-header
	// ":path" sees.
	onTarget
)

// pseudoHeaders are the names under which a HeaderMatch reaches the request line.
var pseudoHeaders = map[string]subject{
	":method":    onMethod,
	":scheme":    onScheme,
	":authority": onAuthority,
	"host":       onAuthority,
	":path":      onTarget,
}

// compileMatch compiles a Match with the expressions of a build.
func (c *compiler) compileMatch(m *Match) (matcher, error) {
	var out matcher
	path, err := c.compileString(m.Path)
	if err != nil {
		return matcher{}, fmt.Errorf("path: %w", err)
	}
	out.path.value = path
	if m.IgnorePathCase && (m.Path.Kind == MatchExact || m.Path.Kind == MatchPrefix) {
		out.path.fold = true
		out.path.value.text = lowerASCII(m.Path.Value)
	}
	add := func(what string, cond condition, m StringMatch) error {
		value, err := c.compileString(m)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if m.Kind == MatchAny && !cond.invert {
			return nil
		}
		cond.value = value
		out.conditions = append(out.conditions, cond)
		return nil
	}
	if err := add("method", condition{subject: onMethod}, m.Method); err != nil {
		return matcher{}, err
	}
	if err := add("scheme", condition{subject: onScheme}, m.Scheme); err != nil {
		return matcher{}, err
	}
	if err := add("authority", condition{subject: onAuthority}, m.Authority); err != nil {
		return matcher{}, err
	}
	for i := range m.Headers {
		h := &m.Headers[i]
		cond := condition{subject: onHeader, name: lowerASCII(h.Name), invert: h.Invert, missingIsEmpty: h.TreatMissingAsEmpty}
		if subject, ok := pseudoHeaders[cond.name]; ok {
			cond.subject = subject
		}
		if err := add("header "+h.Name, cond, h.Match); err != nil {
			return matcher{}, err
		}
	}
	for i := range m.Query {
		q := &m.Query[i]
		if err := add("query parameter "+q.Name, condition{subject: onQuery, name: q.Name}, q.Match); err != nil {
			return matcher{}, err
		}
	}
	return out, nil
}

// matches says whether all conditions hold.
func (m *matcher) matches(r *Request) bool {
	return m.path.holds(pathOf(r.Path)) && m.rest(r)
}

// rest says whether all conditions but that on the path hold.
func (m *matcher) rest(r *Request) bool {
	for i := range m.conditions {
		if !m.conditions[i].holds(r) {
			return false
		}
	}
	return true
}

// holds compares a path without query.
func (p *pathMatcher) holds(path string) bool {
	if !p.fold {
		return p.value.holds(path)
	}
	switch p.value.kind {
	case MatchExact:
		return len(path) == len(p.value.text) && hasPrefixFold(path, p.value.text)
	default:
		return hasPrefixFold(path, p.value.text)
	}
}

// holds evaluates the condition.
func (c *condition) holds(r *Request) bool {
	var value string
	present := true
	switch c.subject {
	case onMethod:
		value = r.Method
	case onScheme:
		value = r.Scheme
	case onAuthority:
		value = r.Authority
	case onTarget:
		value = r.Path
	case onQuery:
		value, present = queryValue(r.Path, c.name)
	case onHeader:
		var count int
		value, count = headerValue(r, c.name)
		if present = count > 0; count > 1 {
			joined := joinHeader(r, c.name)
			holds := c.compare(joined.String(), true)
			joined.free()
			return holds
		}
	}
	return c.compare(value, present)
}

// compare applies the condition to a value. One that is missing satisfies neither a
// comparison nor its inverse, unless it counts as empty (Envoy, HeaderMatcher
// invert_match and treat_missing_as_empty); presence is always the real one.
func (c *condition) compare(value string, present bool) bool {
	switch c.value.kind {
	case MatchAny:
		return !c.invert
	case MatchPresent:
		return present != c.invert
	}
	if !present && !c.missingIsEmpty {
		return false
	}
	return c.value.holds(value) != c.invert
}

// stringMatcher is a compiled StringMatch.
type stringMatcher struct {
	kind MatchKind
	// text of MatchExact and MatchPrefix.
	text  string
	regex *pattern
}

// compileString compiles a comparison, and a regular expression that is a plain
// text, or begins with one and takes whatever follows, into what it amounts to.
func (c *compiler) compileString(m StringMatch) (stringMatcher, error) {
	switch m.Kind {
	case MatchAny, MatchPresent:
		return stringMatcher{kind: m.Kind}, nil
	case MatchExact, MatchPrefix:
		return stringMatcher{kind: m.Kind, text: m.Value}, nil
	case MatchRegex:
		p, err := c.pattern(m.Value)
		if err != nil {
			return stringMatcher{}, err
		}
		return stringMatcher{kind: MatchRegex, regex: p}, nil
	}
	return stringMatcher{}, fmt.Errorf("unknown kind of match %d", m.Kind)
}

// holds compares a value that is there.
func (m *stringMatcher) holds(value string) bool {
	switch m.kind {
	case MatchExact:
		return value == m.text
	case MatchPrefix:
		return strings.HasPrefix(value, m.text)
	case MatchRegex:
		return m.regex.matches(value)
	}
	return true
}

// pattern is a regular expression that must match a whole value.
type pattern struct {
	source string
	full   *regexp.Regexp
}

// matches says whether the expression takes the whole value.
func (p *pattern) matches(value string) bool { return p.full.MatchString(value) }

// compilePattern compiles an RE2 expression.
func compilePattern(source string) (*pattern, error) {
	if _, err := regexp.Compile(source); err != nil {
		return nil, fmt.Errorf("%w; see https://github.com/google/re2/wiki/Syntax", err)
	}
	full, err := regexp.Compile(`^(?:` + source + `)$`)
	if err != nil {
		return nil, err
	}
	return &pattern{source: source, full: full}, nil
}

// pathOf returns a request's path without its query.
func pathOf(target string) string {
	if i := strings.IndexByte(target, '?'); i >= 0 {
		return target[:i]
	}
	return target
}

// queryValue returns the first value of a query parameter, as it stands in the
// request, without decoding.
func queryValue(target, name string) (value string, found bool) {
	i := strings.IndexByte(target, '?')
	if i < 0 {
		return "", false
	}
	for rest := target[i+1:]; rest != ""; {
		var parameter string
		parameter, rest, _ = strings.Cut(rest, "&")
		if key, value, _ := strings.Cut(parameter, "="); key == name {
			return value, true
		}
	}
	return "", false
}

// headerValue returns the first value of a header, and how many there are.
func headerValue(r *Request, name string) (first string, count int) {
	for i := range r.Headers {
		if r.Headers[i].Name == name {
			if count == 0 {
				first = r.Headers[i].Value
			}
			count++
		}
	}
	return first, count
}

// joinedValue is the text of a header that came several times.
type joinedValue struct{ bytes []byte }

// joinedValues keeps the buffers of the rare requests that repeat a header which a
// condition looks at, so that those do not allocate either.
var joinedValues = sync.Pool{New: func() any { return new(joinedValue) }}

// joinHeader joins all values of a header by commas. The caller frees the result,
// and keeps no String of it.
func joinHeader(r *Request, name string) *joinedValue {
	j := joinedValues.Get().(*joinedValue)
	for i := range r.Headers {
		if r.Headers[i].Name == name {
			j.bytes = append(j.bytes, r.Headers[i].Value...)
			j.bytes = append(j.bytes, ',')
		}
	}
	j.bytes = j.bytes[:len(j.bytes)-1]
	return j
}

// String returns the text, which is valid until the value is freed.
func (j *joinedValue) String() string { return unsafe.String(unsafe.SliceData(j.bytes), len(j.bytes)) }

func (j *joinedValue) free() {
	j.bytes = j.bytes[:0]
	joinedValues.Put(j)
}

// lowerASCII lowers A to Z, as Envoy's comparisons that ignore case do.
func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lowerByte(b[i])
			}
			return string(b)
		}
	}
	return s
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// hasPrefixFold says whether s begins with prefix, which is in lower case.
func hasPrefixFold(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		if lowerByte(s[i]) != prefix[i] {
			return false
		}
	}
	return true
}
