package router

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// matcher is a compiled Match. There is one for each route, so that it has at hand what most
// have, and not a byte more.
type matcher struct {
	// text is that of the condition on the path, as stringMatcher has it.
	text string
	// more is what few have; nil where this one has nothing of it.
	more *moreMatcher
	// kind is that of the condition on the path.
	kind MatchKind
	// fold: the path may be in any case; text is in lower case. whole: the match takes the
	// whole path, for a rewrite.
	fold, whole bool
	// outcome and ordinal are the route's, which fit in here: what it does with a request, and
	// its place in the virtual host's Routes.
	outcome Outcome
	ordinal int32
}

// moreMatcher is what few matchers have.
type moreMatcher struct {
	// regex is that of the condition on the path.
	regex *pattern
	// conditions are all but that on the path.
	conditions []condition
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
	// onPath is the path without its query, which is matched by a pathMatcher.
	onPath
	// onUpgrade is a header that asks for another protocol, which is not among the others.
	onUpgrade
)

// String names what the condition looks at: "header x-version".
func (c *condition) String() string {
	switch c.subject {
	case onHeader, onQuery, onUpgrade:
		return subjectNames[c.subject] + " " + c.name
	}
	return subjectNames[c.subject]
}

var subjectNames = [...]string{
	onMethod: "method", onScheme: "scheme", onAuthority: "authority",
	onHeader: "header", onQuery: "query parameter", onTarget: "path with query", onPath: "path",
	onUpgrade: "header",
}

// pseudoHeaders are the names under which a HeaderMatch reaches what is not among a request's Headers.
var pseudoHeaders = map[string]subject{
	":method":    onMethod,
	":scheme":    onScheme,
	":authority": onAuthority,
	"host":       onAuthority,
	":path":      onTarget,
	"upgrade":    onUpgrade,
	"connection": onUpgrade,
}

// compileMatch compiles a Match with the expressions of a build.
func (c *compiler) compileMatch(m *Match) (matcher, error) {
	out, more := matcher{}, moreMatcher{}
	path, err := c.compileString(m.Path)
	if err != nil {
		return matcher{}, fmt.Errorf("path: %w", err)
	}
	out.setPath(m, path)
	more.regex = path.regex
	for cond, comparison := range m.conditions() {
		if cond.value, err = c.compileString(comparison); err != nil {
			return matcher{}, fmt.Errorf("%s: %w", cond.String(), err)
		}
		if comparison.Kind != MatchAny || cond.invert {
			more.conditions = append(more.conditions, cond)
		}
	}
	if more.regex != nil || len(more.conditions) > 0 {
		more.conditions = slices.Clip(more.conditions)
		out.more = &more
	}
	return out, nil
}

// conditions returns all conditions but that on the path.
func (m *matcher) conditions() []condition {
	if m.more == nil {
		return nil
	}
	return m.more.conditions
}

// conditions yields all conditions but that on the path, not compiled yet, and what
// each compares with.
func (m *Match) conditions() iter.Seq2[condition, StringMatch] {
	return func(yield func(condition, StringMatch) bool) {
		if m.Rest == nil {
			return
		}
		if !yield(condition{subject: onMethod}, m.Rest.Method) ||
			!yield(condition{subject: onScheme}, m.Rest.Scheme) ||
			!yield(condition{subject: onAuthority}, m.Rest.Authority) {
			return
		}
		for i := range m.Rest.Headers {
			h := &m.Rest.Headers[i]
			cond := condition{subject: onHeader, name: lowerASCII(h.Name), invert: h.Invert, missingIsEmpty: h.TreatMissingAsEmpty}
			if subject, ok := pseudoHeaders[cond.name]; ok {
				cond.subject = subject
			}
			if !yield(cond, h.Match) {
				return
			}
		}
		for i := range m.Rest.Query {
			if !yield(condition{subject: onQuery, name: m.Rest.Query[i].Name}, m.Rest.Query[i].Match) {
				return
			}
		}
	}
}

// setPath takes the compiled condition on the path.
func (m *matcher) setPath(from *Match, path stringMatcher) {
	m.text, m.kind = path.text, path.kind
	m.whole = from.Path.Kind == MatchRegex || from.Path.Kind == MatchExact
	if from.Conditions().IgnorePathCase && (from.Path.Kind == MatchExact || from.Path.Kind == MatchPrefix) {
		m.fold = true
		m.text = lowerASCII(m.text)
	}
}

// matches says whether all conditions hold, given the request's path without query.
func (m *matcher) matches(r *Request, path string) bool {
	return m.takes(path) && m.rest(r)
}

// rest says whether all conditions but that on the path hold.
func (m *matcher) rest(r *Request) bool {
	if m.more == nil {
		return true
	}
	for i := range m.more.conditions {
		if !m.more.conditions[i].holds(r) {
			return false
		}
	}
	return true
}

// takes compares a path without query.
func (m *matcher) takes(path string) bool {
	if m.fold {
		return hasPrefixFold(path, m.text) && (m.kind == MatchPrefix || len(path) == len(m.text))
	}
	switch m.kind {
	case MatchPrefix:
		return strings.HasPrefix(path, m.text)
	case MatchExact:
		return path == m.text
	case MatchRegex:
		return m.more.regex.matches(path)
	}
	return true
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
		value, present = findParameter(queryOf(r.Path), c.name)
	case onUpgrade:
		value, present = upgradeValue(r, c.name)
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
	// text of MatchExact and MatchPrefix; of MatchRegex, what every match begins with.
	text  string
	regex *pattern
	kind  MatchKind
}

// compileString compiles a comparison. Of regular expressions only those that need
// it stay such.
func (c *compiler) compileString(m StringMatch) (stringMatcher, error) {
	switch m.Kind {
	case MatchAny, MatchPresent:
		return stringMatcher{kind: m.Kind}, nil
	case MatchExact, MatchPrefix:
		return stringMatcher{kind: m.Kind, text: m.Value}, nil
	case MatchRegex:
		p, err := c.pattern(m.Value)
		switch {
		case err != nil:
			return stringMatcher{}, err
		case p.shape == literal:
			return stringMatcher{kind: MatchExact, text: p.prefix}, nil
		case p.shape == around && p.gap == 0 && p.suffix == "":
			return stringMatcher{kind: MatchPrefix, text: p.prefix}, nil
		}
		return stringMatcher{kind: MatchRegex, text: p.prefix, regex: p}, nil
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

// pathOf returns a request's path without its query.
func pathOf(target string) string {
	if i := strings.IndexByte(target, '?'); i >= 0 {
		return target[:i]
	}
	return target
}

// queryOf returns a request's query, without its question mark.
func queryOf(target string) string {
	_, query, _ := strings.Cut(target, "?")
	return query
}

// parameterAt returns the query parameter at an offset, as it stands there, without
// decoding, and the offset of the next. It follows Envoy: "a" is "a=", an empty name
// counts, and the query ends where nothing follows an ampersand.
func parameterAt(query string, at int) (name, value string, next int) {
	parameter, _, _ := strings.Cut(query[at:], "&")
	name, value, _ = strings.Cut(parameter, "=")
	return name, value, at + len(parameter) + 1
}

// findParameter returns the first value of a query parameter.
func findParameter(query, name string) (value string, found bool) {
	for at := 0; at < len(query); {
		var key string
		if key, value, at = parameterAt(query, at); key == name {
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

// upgradeValue returns a header that asks for another protocol.
func upgradeValue(r *Request, name string) (value string, present bool) {
	if name == "upgrade" {
		return r.Upgrade, r.Upgrade != ""
	}
	return r.Connection, r.Connection != ""
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
