package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/sluicegate/sluice/router"
)

// maxQuery bounds the JSON of a question, in bytes.
const maxQuery = 1 << 20

// Query asks what a request would get.
type Query struct {
	// Method is GET where empty.
	Method string `json:"method,omitempty"`
	// URL is "http://host:port/path?query"; without a scheme it is http.
	URL string `json:"url"`
	// Port is the one that the client connects to; 0 takes the URL's.
	Port uint16 `json:"port,omitempty"`
	// Listener is the name of one; empty takes the one that serves Port.
	Listener string `json:"listener,omitempty"`
	// Headers are lines "name: value"; host replaces the URL's.
	Headers []string `json:"headers,omitempty"`
}

// Answer is what /explain says.
type Answer struct {
	// Generation is that of the table that was asked.
	Generation uint64 `json:"generation"`
	// Query is what was asked, with what was left out filled in.
	Query Query `json:"query"`
	*router.Explanation
}

// explainQuery answers a question in the URL.
func explainQuery(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		q := Query{Method: v.Get("method"), URL: v.Get("url"), Listener: v.Get("listener"), Headers: v["header"]}
		if p := v.Get("port"); p != "" {
			n, err := strconv.ParseUint(p, 10, 16)
			if err != nil {
				writeProblem(w, http.StatusBadRequest, fmt.Sprintf("port %q is not a port number", p))
				return
			}
			q.Port = uint16(n)
		}
		explain(w, o, q)
	}
}

// explainJSON answers a question in the body.
func explainJSON(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Query
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuery))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil {
			writeProblem(w, http.StatusBadRequest, "the body is not a question: "+err.Error())
			return
		}
		explain(w, o, q)
	}
}

func explain(w http.ResponseWriter, o Options, q Query) {
	table := o.Table()
	if table == nil {
		writeProblem(w, http.StatusServiceUnavailable, "there is no configuration yet")
		return
	}
	request, err := q.request(o.Info.Role == "sidecar")
	if err == nil {
		err = q.choose(table.Spec().Listeners, o.Listeners())
	}
	if err != nil {
		writeProblem(w, http.StatusBadRequest, err.Error())
		return
	}
	request.Listener, request.Port = q.Listener, q.Port
	if o.NormalPath != nil {
		if request.Path, err = o.NormalPath(request.Path); err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	writeJSON(w, Answer{Generation: table.Generation(), Query: q, Explanation: table.Explain(request)})
}

// request returns the request that is asked about, and fills the question's gaps. A
// sidecar's port is the authority's rather than the one connected to.
func (q *Query) request(byAuthority bool) (*router.Request, error) {
	if q.URL == "" {
		return nil, errors.New("say which url: /explain?url=http://bookinfo.example.com/productpage")
	}
	if !strings.Contains(q.URL, "://") {
		q.URL = "http://" + q.URL
	}
	u, err := url.Parse(q.URL)
	if err != nil {
		return nil, fmt.Errorf("the url cannot be read: %w", err)
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the url %q must be http://host/path or https://host/path", q.URL)
	}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	r := &router.Request{Method: q.Method, Scheme: u.Scheme, Authority: u.Host, Path: u.RequestURI()}
	if err := addHeaders(r, q.Headers); err != nil {
		return nil, err
	}
	if q.Port == 0 {
		q.Port = defaultPort(u, r.Authority, byAuthority)
	}
	return r, nil
}

func addHeaders(r *router.Request, lines []string) error {
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("the header %q must be written name: value", line)
		}
		if name == "host" {
			r.Authority = value
			continue
		}
		r.Headers = append(r.Headers, router.Header{Name: name, Value: value})
	}
	return nil
}

// defaultPort is the port of the URL or, if it has none or byAuthority says so, that of
// the authority, else of the scheme.
func defaultPort(u *url.URL, authority string, byAuthority bool) uint16 {
	_, port, _ := net.SplitHostPort(authority)
	if asked := u.Port(); asked != "" && (!byAuthority || port == "") {
		port = asked
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		return uint16(n)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// choose names the listener that serves the question's port: the one with a table for
// it, the one that listens there, one that serves every port, or the only one.
func (q *Query) choose(list []*router.Listener, sockets []Listener) error {
	if q.Listener != "" {
		return nil // the table itself says which there are
	}
	tests := []func(*router.Listener) bool{
		func(l *router.Listener) bool { return hasTable(l, q.Port) },
		func(l *router.Listener) bool { return l.Port == q.Port || slices.Contains(l.NodePorts, q.Port) },
		func(l *router.Listener) bool { return listens(sockets, l.Name, q.Port) },
		func(l *router.Listener) bool { return hasTable(l, 0) },
		func(*router.Listener) bool { return len(list) == 1 },
	}
	for _, test := range tests {
		if i := slices.IndexFunc(list, test); i >= 0 {
			q.Listener = list[i].Name
			return nil
		}
	}
	names := make([]string, len(list))
	for i, l := range list {
		names[i] = l.Name
	}
	return fmt.Errorf("no listener serves port %d; name a port, or a listener of: %s", q.Port, strings.Join(names, ", "))
}

func hasTable(l *router.Listener, port uint16) bool {
	return slices.ContainsFunc(l.Tables, func(t *router.RouteTable) bool { return t.Port == port })
}

// listens reports whether a listener has a socket at a port.
func listens(sockets []Listener, name string, port uint16) bool {
	suffix := ":" + strconv.Itoa(int(port))
	return slices.ContainsFunc(sockets, func(s Listener) bool { return s.Name == name && strings.HasSuffix(s.Address, suffix) })
}
