package recent

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// Filter says which requests a tap is for. The zero value lets all pass; of several values of
// one kind, one must hold.
type Filter struct {
	// Methods are such as "GET". Hosts are names, or "*.example.com". Listeners are names.
	Methods, Hosts, Listeners []string
	// PathPrefix and Path, an expression that matches somewhere, are about the path with its
	// query.
	PathPrefix string
	Path       *regexp.Regexp
	// Statuses are ranges of what was answered; Flags response flags, "-" for none of them and
	// "*" for any.
	Statuses []StatusRange
	Flags    []string
	// Routes are parts of a route's name or of the name of its object, Clusters parts of a
	// cluster's name.
	Routes, Clusters []string
	// MinDuration is what the whole exchange took at least.
	MinDuration time.Duration
	// Headers are of the request, each of which must be there, with the value if it has one.
	Headers []Header
	// Every takes one of so many; 0 and 1 take all.
	Every uint64
}

// StatusRange is from one status to another, both included.
type StatusRange struct{ From, To int }

// FilterParameters are the names that ParseFilter knows, with what they mean.
var FilterParameters = map[string]string{
	"method":       "a method, such as GET",
	"host":         "a host, or *.example.com",
	"listener":     "a listener, by its name",
	"path":         "a prefix of path and query",
	"path-regex":   "an RE2 expression that matches somewhere in path and query",
	"status":       "a status (404), a class (5xx) or a range (500-504)",
	"flag":         "a response flag (UH), * for any, - for none",
	"route":        "a part of a route's name, or of namespace/name of its object",
	"cluster":      "a part of a cluster's name",
	"min-duration": "what it took at least, such as 250ms",
	"header":       "a request header that is there, or name: value",
	"every":        "one of so many",
}

// ParseFilter reads a filter as it stands in a URL's query: see FilterParameters. Lists are
// parameters that come again. It returns an error that says what is wrong with a value; other
// parameters are not looked at.
func ParseFilter(q url.Values) (Filter, error) {
	f := Filter{
		Methods: q["method"], Hosts: lower(q["host"]), Listeners: q["listener"], PathPrefix: q.Get("path"),
		Flags: q["flag"], Routes: q["route"], Clusters: q["cluster"],
	}
	var err error
	if text := q.Get("path-regex"); text != "" {
		if f.Path, err = regexp.Compile(text); err != nil {
			return f, fmt.Errorf("path-regex %q: %w", text, err)
		}
	}
	for _, text := range q["status"] {
		r, err := ParseStatus(text)
		if err != nil {
			return f, err
		}
		f.Statuses = append(f.Statuses, r)
	}
	if text := q.Get("min-duration"); text != "" {
		if f.MinDuration, err = time.ParseDuration(text); err != nil || f.MinDuration < 0 {
			return f, fmt.Errorf("min-duration %q: write it like 250ms or 1.5s", text)
		}
	}
	for _, text := range q["header"] {
		name, value, _ := strings.Cut(text, ":")
		if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
			return f, fmt.Errorf("header %q: write it as name or name: value", text)
		}
		f.Headers = append(f.Headers, Header{name, strings.TrimSpace(value)})
	}
	if text := q.Get("every"); text != "" {
		if f.Every, err = strconv.ParseUint(text, 10, 64); err != nil || f.Every == 0 {
			return f, fmt.Errorf("every %q: must be a number from 1 up", text)
		}
	}
	return f, nil
}

// UnknownParameter returns a name in q that is neither a filter's nor one of others.
func UnknownParameter(q url.Values, others ...string) (name string, unknown bool) {
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if _, ok := FilterParameters[name]; !ok && !slices.Contains(others, name) {
			return name, true
		}
	}
	return "", false
}

func lower(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.ToLower(s)
	}
	return out
}

// ParseStatus reads "404", "4xx" or "500-504".
func ParseStatus(text string) (StatusRange, error) {
	fail := fmt.Errorf("status %q: write a status (404), a class (5xx) or a range (500-504)", text)
	if class, ok := strings.CutSuffix(strings.ToLower(text), "xx"); ok {
		n, err := strconv.Atoi(class)
		if err != nil || n < 0 || n > 5 {
			return StatusRange{}, fail
		}
		return StatusRange{n * 100, n*100 + 99}, nil
	}
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 10)
	b, errB := strconv.ParseUint(to, 10, 10)
	if errA != nil || errB != nil || a > b {
		return StatusRange{}, fail
	}
	return StatusRange{int(a), int(b)}, nil
}

// Matches tells whether the filter lets an exchange pass, but for Every.
func (f *Filter) Matches(ex *proxy.Exchange) bool {
	r := &ex.Request
	return oneOf(f.Methods, func(m string) bool { return strings.EqualFold(m, r.Method) }) &&
		oneOf(f.Listeners, func(l string) bool { return l == r.Listener }) &&
		f.matchesHost(r.Authority) &&
		strings.HasPrefix(r.Path, f.PathPrefix) && (f.Path == nil || f.Path.MatchString(r.Path)) &&
		f.matchesStatus(ex) && f.matchesFlags(ex.Flags) && f.matchesDecision(ex) &&
		ex.End-ex.Start >= int64(f.MinDuration) &&
		f.matchesHeaders(r.Headers)
}

// samples tells whether the nth that passed is one to take, from 1.
func (f *Filter) samples(n uint64) bool { return f.Every <= 1 || n%f.Every == 1 }

// oneOf tells whether one of a list holds; of an empty list all do.
func oneOf(list []string, holds func(string) bool) bool {
	return len(list) == 0 || slices.ContainsFunc(list, holds)
}

func (f *Filter) matchesHost(authority string) bool {
	if len(f.Hosts) == 0 {
		return true
	}
	host := router.NormalizeHost(authority)
	return slices.ContainsFunc(f.Hosts, func(want string) bool {
		if suffix, ok := strings.CutPrefix(want, "*"); ok {
			return strings.HasSuffix(host, suffix)
		}
		return host == want || strings.EqualFold(authority, want)
	})
}

func (f *Filter) matchesStatus(ex *proxy.Exchange) bool {
	status := effectiveStatus(ex)
	return len(f.Statuses) == 0 || slices.ContainsFunc(f.Statuses, func(r StatusRange) bool {
		return status >= r.From && status <= r.To
	})
}

func (f *Filter) matchesFlags(flags proxy.Flags) bool {
	if len(f.Flags) == 0 {
		return true
	}
	names := strings.Split(flags.String(), ",")
	return slices.ContainsFunc(f.Flags, func(want string) bool {
		return want == "*" && flags != 0 || slices.Contains(names, strings.ToUpper(want))
	})
}

func (f *Filter) matchesDecision(ex *proxy.Exchange) bool {
	route, destination := ex.Decision.Route, ex.Destination
	if len(f.Routes) > 0 && (route == nil || !slices.ContainsFunc(f.Routes, func(part string) bool {
		return strings.Contains(route.Name, part) || strings.Contains(route.Origin().String(), part)
	})) {
		return false
	}
	return len(f.Clusters) == 0 || destination != nil && slices.ContainsFunc(f.Clusters, func(part string) bool {
		return strings.Contains(destination.Cluster.Name, part)
	})
}

func (f *Filter) matchesHeaders(headers []router.Header) bool {
	for _, want := range f.Headers {
		if !slices.ContainsFunc(headers, func(h router.Header) bool {
			return h.Name == want.Name && (want.Value == "" || h.Value == want.Value)
		}) {
			return false
		}
	}
	return true
}
