package admin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/sluicegate/sluice/router"
)

// target is what a question is about: a connection and, of http and https, a request on it.
type target struct {
	connection router.Connection
	request    *router.Request
}

// target reads the question, and fills its gaps. A sidecar's port is the authority's rather
// than the one connected to.
func (q *Query) target(byAuthority bool) (t target, err error) {
	if q.URL == "" {
		return t, errors.New("say which url: /explain?url=http://bookinfo.example.com/productpage")
	}
	if !strings.Contains(q.URL, "://") {
		q.URL = "http://" + q.URL
	}
	u, err := url.Parse(q.URL)
	if err != nil {
		return t, fmt.Errorf("the url cannot be read: %w", err)
	}
	if u.Host == "" || !slices.Contains([]string{"http", "https", "tcp", "tls"}, u.Scheme) {
		return t, fmt.Errorf("the url %q must be http://host/path, https://host/path, tcp://host:port or tls://name:port", q.URL)
	}
	t.connection = q.connection(u)
	if u.Scheme == "tcp" || u.Scheme == "tls" {
		if q.Port == 0 {
			q.Port = defaultPort(u, u.Host, false)
		}
		return t, nil
	}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	r := &router.Request{Method: q.Method, Scheme: u.Scheme, Authority: u.Host, Path: u.RequestURI()}
	if err := addHeaders(r, q.Headers); err != nil {
		return t, err
	}
	if q.Port == 0 {
		q.Port = defaultPort(u, r.Authority, byAuthority)
	}
	t.request = r
	return t, nil
}

// connection is what a client would make for a URL. It sends no address as a server name
// (RFC 6066 section 3).
func (q *Query) connection(u *url.URL) router.Connection {
	c := router.Connection{TLS: u.Scheme == "https" || u.Scheme == "tls", ALPN: q.ALPN}
	address, err := netip.ParseAddr(u.Hostname())
	if err == nil {
		c.Local = address
	}
	switch {
	case !c.TLS:
		return c
	case q.SNI != nil:
		c.ServerName = *q.SNI
	case err != nil:
		c.ServerName = u.Hostname()
	}
	if len(c.ALPN) == 0 && u.Scheme == "https" {
		c.ALPN = []string{"h2", "http/1.1"}
	}
	return c
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
	if u.Scheme == "https" || u.Scheme == "tls" {
		return 443
	}
	return 80
}

// choose names the listener that serves the question's port: the one that is called by
// it, the one that listens there, one that serves every port, or the only one.
func (q *Query) choose(list []*router.Listener, sockets []Listener) error {
	if q.Listener != "" {
		return nil // the table itself says which there are
	}
	tests := []func(*router.Listener) bool{
		func(l *router.Listener) bool { return calledBy(l, q.Port) },
		func(l *router.Listener) bool { return l.Port == q.Port || slices.Contains(l.NodePorts, q.Port) },
		func(l *router.Listener) bool { return listens(sockets, l.Name, q.Port) },
		func(l *router.Listener) bool { return calledBy(l, 0) },
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

func calledBy(l *router.Listener, port uint16) bool {
	return slices.Contains(l.CalledPorts(), port)
}

// listens reports whether a listener has a socket at a port.
func listens(sockets []Listener, name string, port uint16) bool {
	suffix := ":" + strconv.Itoa(int(port))
	return slices.ContainsFunc(sockets, func(s Listener) bool { return s.Name == name && strings.HasSuffix(s.Address, suffix) })
}
