package router

import (
	"slices"
	"sync"
)

// scanLimit is up to how many routes are scanned rather than indexed.
const scanLimit = 8

// routeIndex finds the routes of a virtual host that may take a request. Every route
// is filed once: under its path, and where many share that, under a condition that
// few others have. It never changes.
type routeIndex struct {
	// paths is over the path as it is, folded over the path in lower case; nil where no
	// route is filed there.
	paths, folded *trie
}

// routeSet holds the routes of one place in an index.
type routeSet struct {
	// routes, in order, are those not filed further; facets file the others.
	routes []candidate
	facets *facets
	// single is where routes has its only one, so that it is at hand.
	single [1]candidate
}

// candidate is a route that may take a request.
type candidate struct {
	*CompiledRoute
	// place is the route's, in the virtual host.
	place int32
	// certain: where the index leads to the route, all its conditions hold.
	certain bool
}

// facets file the routes of a set further, by other conditions than that on the path.
type facets struct {
	// line are of the request line.
	line           []facet
	headers, query namedFacets
}

// namedFacets are facets with names, such as headers have.
type namedFacets struct {
	list   []facet
	byName map[string]int32
}

// facet files routes by what they want one part of the request to be.
type facet struct {
	subject subject
	name    string
	values  *trie
}

// search is one request on its way through an index.
type search struct {
	request *Request
	// inline are the first lists of routes, each sorted, that may take the request: so
	// many of them. Where they are too many, all are in spilled.
	inline  [24][]candidate
	inlined int
	spilled *spilledLists
	// visited counts steps in the index, examined routes that were looked at: the cost
	// of the search.
	visited, examined int
}

// spilledLists are the lists of a search that are too many for the stack.
type spilledLists struct{ lists [][]candidate }

var spills = sync.Pool{New: func() any { return new(spilledLists) }}

// first returns the first route that takes the request, or nil.
func (v *CompiledVirtualHost) first(r *Request) *CompiledRoute {
	path := pathOf(r.Path)
	if v.index == nil {
		for i := range v.Routes {
			if route := &v.Routes[i]; route.match.matches(r, path) {
				return route
			}
		}
		return nil
	}
	s := search{request: r}
	route := v.search(&s, path)
	s.free()
	return route
}

// search returns the first of the routes that the index offers and the request meets.
func (v *CompiledVirtualHost) search(s *search, path string) *CompiledRoute {
	if v.index.paths != nil {
		v.index.paths.collect(s, path)
	}
	if v.index.folded != nil {
		v.index.folded.collect(s, path)
	}
	// A heap by the lists' heads gives the routes in order.
	h := s.inline[:s.inlined]
	if s.spilled != nil {
		h = s.spilled.lists
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		siftDown(h, i)
	}
	for len(h) > 0 {
		next := &h[0][0]
		s.examined++
		if next.certain || next.match.beyondIndex(s.request, path) {
			return next.CompiledRoute
		}
		if h[0] = h[0][1:]; len(h[0]) == 0 {
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
		}
		siftDown(h, 0)
	}
	return nil
}

// beyondIndex says whether a route takes a request for which its path was found.
func (m *matcher) beyondIndex(r *Request, path string) bool {
	if m.kind == MatchRegex && !m.more.regex.matches(path) {
		return false
	}
	return m.rest(r)
}

// siftDown restores the heap below a list whose head changed.
func siftDown(h [][]candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1][0].place < h[child][0].place {
			child++
		}
		if h[i][0].place <= h[child][0].place {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// add adds a list to those to look through.
func (s *search) add(list []candidate) {
	if s.inlined < len(s.inline) {
		s.inline[s.inlined] = list
		s.inlined++
		return
	}
	if s.spilled == nil {
		s.spilled = spills.Get().(*spilledLists)
		s.spilled.lists = append(s.spilled.lists, s.inline[:]...)
	}
	s.spilled.lists = append(s.spilled.lists, list)
}

// free gives back what the search borrowed.
func (s *search) free() {
	if s.spilled != nil {
		clear(s.spilled.lists)
		s.spilled.lists = s.spilled.lists[:0]
		spills.Put(s.spilled)
	}
}

// collect adds the set's routes that may take the request.
func (set *routeSet) collect(s *search) {
	if len(set.routes) > 0 {
		s.add(set.routes)
	}
	if set.facets != nil {
		set.facets.collect(s)
	}
}

// collect looks up the parts of the request that routes are filed by. It goes by
// whichever are fewer, the names filed or those in the request.
func (f *facets) collect(s *search) {
	r := s.request
	for i := range f.line {
		f.line[i].values.collect(s, lineValue(r, f.line[i].subject))
	}
	if len(f.headers.list) <= len(r.Headers) {
		for i := range f.headers.list {
			f.headers.list[i].collectHeader(s)
		}
	} else {
		for i := range r.Headers {
			// Only at the first of a name, or its routes would be listed again.
			if found, ok := f.headers.byName[r.Headers[i].Name]; ok && firstHeader(r, r.Headers[i].Name) == i {
				f.headers.list[found].collectHeader(s)
			}
		}
	}
	if len(f.query.list) > 0 {
		f.query.collectQuery(s)
	}
}

// collectHeader looks up the values of the facet's header.
func (f *facet) collectHeader(s *search) {
	value, count := headerValue(s.request, f.name)
	switch count {
	case 0:
	case 1:
		f.values.collect(s, value)
	default:
		joined := joinHeader(s.request, f.name)
		f.values.collect(s, joined.String())
		joined.free()
	}
}

// collectQuery looks up the first values of query parameters.
func (f *namedFacets) collectQuery(s *search) {
	query := queryOf(s.request.Path)
	if len(f.list) <= 4 {
		for i := range f.list {
			if value, ok := findParameter(query, f.list[i].name); ok {
				f.list[i].values.collect(s, value)
			}
		}
		return
	}
	// The first of a name counts. A query has room for thousands of repetitions, so
	// that looking back at each would be dear.
	seen := marks.Get().(*markedFacets)
	seen.reset(len(f.list))
	for at := 0; at < len(query); {
		var name, value string
		name, value, at = parameterAt(query, at)
		if i, ok := f.byName[name]; ok && seen.add(i) {
			f.list[i].values.collect(s, value)
		}
	}
	marks.Put(seen)
}

// markedFacets is a set of facets, by their place in a list.
type markedFacets struct{ bits []uint64 }

var marks = sync.Pool{New: func() any { return new(markedFacets) }}

// reset empties the set and makes room for so many facets.
func (m *markedFacets) reset(facets int) {
	m.bits = slices.Grow(m.bits[:0], facets/64+1)[:facets/64+1]
	clear(m.bits)
}

// add says whether a facet was not in the set yet, and adds it.
func (m *markedFacets) add(i int32) bool {
	word, bit := &m.bits[i/64], uint64(1)<<(i%64)
	added := *word&bit == 0
	*word |= bit
	return added
}

// firstHeader returns where a header comes first.
func firstHeader(r *Request, name string) int {
	return slices.IndexFunc(r.Headers, func(h Header) bool { return h.Name == name })
}

// lineValue returns a part of the request line.
func lineValue(r *Request, on subject) string {
	switch on {
	case onMethod:
		return r.Method
	case onScheme:
		return r.Scheme
	case onAuthority:
		return r.Authority
	}
	return r.Path
}
