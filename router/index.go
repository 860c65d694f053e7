package router

import (
	"slices"
	"strings"
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
	// routes are the places, in the virtual host, of those not filed further.
	routes []int32
	facets *facets
}

// facets file the routes of a set further, by other conditions than that on the path.
type facets struct {
	// line are of the request line; headers and query are sorted by name.
	line, headers, query []facet
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
	// lists of routes, each sorted, that may take the request.
	lists [][]int32
	// inline is where the lists usually have room; else it is in spilled.
	inline  [24][]int32
	spilled *spilledLists
	// visited counts steps in the index, examined routes that were looked at: the cost
	// of the search.
	visited, examined int
}

// spilledLists are the lists of a search that are too many for the stack.
type spilledLists struct{ lists [][]int32 }

var spills = sync.Pool{New: func() any { return new(spilledLists) }}

// first returns the first route that takes the request, or nil.
func (v *CompiledVirtualHost) first(r *Request) *CompiledRoute {
	path := pathOf(r.Path)
	if v.index == nil {
		for _, route := range v.Routes {
			if route.match.matches(r, path) {
				return route
			}
		}
		return nil
	}
	s := search{request: r}
	s.lists = s.inline[:0]
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
	h := s.lists
	for i := len(h)/2 - 1; i >= 0; i-- {
		siftDown(h, i)
	}
	for len(h) > 0 {
		route := v.Routes[h[0][0]]
		s.examined++
		if route.match.beyondIndex(s.request, path) {
			return route
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
	if m.path.value.kind == MatchRegex && !m.path.value.holds(path) {
		return false
	}
	return m.rest(r)
}

// siftDown restores the heap below a list whose head changed.
func siftDown(h [][]int32, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1][0] < h[child][0] {
			child++
		}
		if h[i][0] <= h[child][0] {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// add adds a list to those to look through.
func (s *search) add(list []int32) {
	if len(s.lists) == cap(s.lists) && s.spilled == nil {
		s.spilled = spills.Get().(*spilledLists)
		s.lists = append(s.spilled.lists, s.lists...)
	}
	s.lists = append(s.lists, list)
}

// free gives back what the search borrowed.
func (s *search) free() {
	if s.spilled != nil {
		all := s.lists[:cap(s.lists)]
		clear(all)
		s.spilled.lists = all[:0]
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
	if len(f.headers) <= len(r.Headers) {
		for i := range f.headers {
			f.headers[i].collectHeader(s)
		}
	} else {
		for i := range r.Headers {
			// Only at the first of a name, or its routes would be listed again.
			if found := findFacet(f.headers, r.Headers[i].Name); found != nil && firstHeader(r, r.Headers[i].Name) == i {
				found.collectHeader(s)
			}
		}
	}
	if len(f.query) > 0 {
		f.collectQuery(s)
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

// collectQuery looks up the first value of each query parameter.
func (f *facets) collectQuery(s *search) {
	if len(f.query) <= 4 {
		for i := range f.query {
			if value, ok := queryValue(s.request.Path, f.query[i].name); ok {
				f.query[i].values.collect(s, value)
			}
		}
		return
	}
	query := s.request.Path[len(pathOf(s.request.Path)):]
	for before := 0; before < len(query); {
		parameter, _, _ := strings.Cut(query[before+1:], "&")
		name, value, _ := strings.Cut(parameter, "=")
		if found := findFacet(f.query, name); found != nil && !hasParameter(query[:before], name) {
			found.values.collect(s, value)
		}
		before += 1 + len(parameter)
	}
}

// hasParameter says whether a query, with its question mark, has a parameter.
func hasParameter(query, name string) bool {
	_, ok := queryValue(query, name)
	return ok
}

// firstHeader returns where a header comes first.
func firstHeader(r *Request, name string) int {
	return slices.IndexFunc(r.Headers, func(h Header) bool { return h.Name == name })
}

// findFacet finds a facet by name, or nil.
func findFacet(facets []facet, name string) *facet {
	i, ok := slices.BinarySearchFunc(facets, name, func(f facet, name string) int { return strings.Compare(f.name, name) })
	if !ok {
		return nil
	}
	return &facets[i]
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
