package router

import (
	"slices"
	"strings"
)

// maxFiling bounds under how many conditions one route is filed, that on the path included.
// Those that tell it from others come first: routes that agree in so many are scanned, rather
// than filed by each of the hundreds that an author may write alike.
const maxFiling = 16

// filer builds a routeIndex.
type filer struct{ routes []CompiledRoute }

// indexRoutes files routes; nil where there are so few that scanning them is faster.
func indexRoutes(routes []CompiledRoute) *routeIndex {
	if len(routes) <= scanLimit {
		return nil
	}
	f := filer{routes: routes}
	var paths, folded []filing
	for i := range routes {
		m := &routes[i].match
		filed := filing{key: fileKey{subject: onPath, text: m.text, exact: m.kind == MatchExact}, route: int32(i)}
		if m.fold {
			folded = append(folded, filed)
		} else {
			paths = append(paths, filed)
		}
	}
	return &routeIndex{paths: f.trie(paths, nil, false), folded: f.trie(folded, nil, true)}
}

// fileKey is what a route can be filed under: a condition that tells it from others.
type fileKey struct {
	subject subject
	name    string
	// text is the whole value, where exact, or what it begins with.
	text  string
	exact bool
}

// filing is a route and what it is filed under.
type filing struct {
	key   fileKey
	route int32
}

// trie files routes by the texts of their keys, and further by conditions that are
// not yet used.
func (f *filer) trie(filings []filing, used []fileKey, fold bool) *trie {
	if len(filings) == 0 {
		return nil
	}
	slices.SortFunc(filings, filing.compare)
	var keys []trieKey
	for len(filings) > 0 {
		key := filings[0].key
		n := 1
		for n < len(filings) && filings[n].key == key {
			n++
		}
		if len(keys) == 0 || keys[len(keys)-1].text != key.text {
			keys = append(keys, trieKey{text: key.text})
		}
		last := &keys[len(keys)-1]
		if set := f.set(filings[:n], append(used[:len(used):len(used)], key)); key.exact {
			last.exact = set
		} else {
			last.prefix = set
		}
		filings = filings[n:]
	}
	return buildTrie(keys, fold)
}

// compare orders filings of one facet by what they are filed under, then by route.
func (f filing) compare(than filing) int {
	switch {
	case f.key.text != than.key.text:
		return strings.Compare(f.key.text, than.key.text)
	case f.key.exact != than.key.exact:
		if f.key.exact {
			return -1
		}
		return 1
	}
	return int(f.route - than.route)
}

// set makes a set of routes, and files them further if they are many.
func (f *filer) set(routes []filing, used []fileKey) *routeSet {
	if len(routes) <= scanLimit/2 || len(used) >= maxFiling {
		return f.flat(routes, used)
	}
	count := map[fileKey]int{}
	for _, r := range routes {
		for key := range f.routes[r.route].match.keys(used) {
			count[key]++
		}
	}
	var rest []filing
	byFacet := map[fileKey][]filing{}
	for _, r := range routes {
		key, ok := f.routes[r.route].match.rarestKey(used, count)
		if !ok {
			rest = append(rest, r)
			continue
		}
		facet := fileKey{subject: key.subject, name: key.name}
		byFacet[facet] = append(byFacet[facet], filing{key: key, route: r.route})
	}
	set := f.flat(rest, used)
	if len(byFacet) > 0 {
		set.facets = f.facets(byFacet, used)
	}
	return set
}

// flat makes a set of routes that are not filed further.
func (f *filer) flat(routes []filing, used []fileKey) *routeSet {
	set := &routeSet{}
	if len(routes) == 1 {
		set.routes = set.single[:0]
	} else {
		set.routes = make([]candidate, 0, len(routes))
	}
	for _, r := range routes {
		route := &f.routes[r.route]
		set.routes = append(set.routes, candidate{CompiledRoute: route, place: r.route, certain: route.match.follows(used)})
	}
	return set
}

// follows says whether a request has all the conditions hold if it has the path and
// other keys under which the route is filed.
func (m *matcher) follows(used []fileKey) bool {
	if m.kind == MatchRegex {
		return false
	}
	conditions := m.conditions()
	for i := range conditions {
		key, ok := conditions[i].key()
		if !ok || conditions[i].value.kind == MatchRegex || !slices.Contains(used, key) {
			return false
		}
	}
	return true
}

// facets files routes by the subject and name of their keys.
func (f *filer) facets(byFacet map[fileKey][]filing, used []fileKey) *facets {
	out := &facets{}
	for key, filings := range byFacet {
		facet := facet{subject: key.subject, name: key.name, values: f.trie(filings, used, false)}
		switch key.subject {
		case onHeader:
			out.headers.list = append(out.headers.list, facet)
		case onQuery:
			out.query.list = append(out.query.list, facet)
		default:
			out.line = append(out.line, facet)
		}
	}
	out.headers.index()
	out.query.index()
	return out
}

// index makes the facets findable by name.
func (f *namedFacets) index() {
	f.byName = make(map[string]int32, len(f.list))
	for i := range f.list {
		f.byName[f.list[i].name] = int32(i)
	}
}

// keys yields what the route can be filed under, beyond its path and what is used.
func (m *matcher) keys(used []fileKey) func(yield func(fileKey) bool) {
	return func(yield func(fileKey) bool) {
		conditions := m.conditions()
		for i := range conditions {
			if key, ok := conditions[i].key(); ok && !slices.Contains(used, key) && !yield(key) {
				return
			}
		}
	}
}

// rarestKey returns the key that the fewest others have; among equals a whole value
// rather than a beginning.
func (m *matcher) rarestKey(used []fileKey, count map[fileKey]int) (rarest fileKey, ok bool) {
	for key := range m.keys(used) {
		if !ok || count[key] < count[rarest] || count[key] == count[rarest] && key.exact && !rarest.exact {
			rarest, ok = key, true
		}
	}
	return rarest, ok
}

// key returns what a condition allows a route to be filed under. There is nothing
// where the condition also holds for a value that is absent or that is another.
func (c *condition) key() (fileKey, bool) {
	key := fileKey{subject: c.subject, name: c.name, text: c.value.text, exact: c.value.kind == MatchExact}
	always := c.subject != onHeader && c.subject != onQuery
	switch {
	case c.invert, c.value.kind == MatchAny, c.subject == onUpgrade:
		return fileKey{}, false
	case key.exact && !(c.missingIsEmpty && key.text == ""):
		return key, true
	case key.text != "":
		return key, true
	}
	return key, !always && (!c.missingIsEmpty || c.value.kind == MatchPresent)
}
