package main

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/sluicegate/sluice/router"
)

// call is a request to explain, as a client would send it, or of the schemes tcp and tls a
// connection alone.
type call struct {
	Method    string `json:"method,omitempty"`
	Scheme    string `json:"scheme"`
	Authority string `json:"authority"`
	Path      string `json:"path,omitempty"`
	// ServerName is what the client names when it begins TLS, ALPN the protocols that it
	// offers.
	ServerName string   `json:"serverName,omitempty"`
	ALPN       []string `json:"alpn,omitempty"`
	// Port is where the client connects: the Gateway server's port, or for a
	// sidecar the service's.
	Port    uint16          `json:"port"`
	Headers []router.Header `json:"-"`

	// address is the one connected to, where the URL has one.
	address netip.Addr
}

// parseCall reads a URL, such as "http://host:8080/path?query", "host/path" or
// "tcp://host:9000", and headers written "Name: value". port 0 takes the port from the URL or its scheme.
// byAuthority takes the port from a Host header in preference, as a sidecar does.
func parseCall(method, rawURL string, headers []string, port uint16, byAuthority bool) (call, error) {
	if !strings.Contains(rawURL, "://") {
		rawURL = "http://" + rawURL
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return call{}, misusef("%q is not a URL: %v", rawURL, err)
	}
	if !slices.Contains([]string{"http", "https", "tcp", "tls"}, u.Scheme) {
		return call{}, misusef("%q: the scheme must be http, https, tcp or tls", rawURL)
	}
	if u.Hostname() == "" {
		return call{}, misusef("%q names no host", rawURL)
	}
	if !httpguts.ValidHeaderFieldName(method) {
		return call{}, misusef("%q is not a method", method)
	}
	c := call{Scheme: u.Scheme, Authority: u.Host}
	if c.address, err = netip.ParseAddr(u.Hostname()); err != nil && c.tls() {
		// An address is no server name (RFC 6066 section 3).
		c.ServerName = u.Hostname()
	}
	if c.bytes() {
		if u.Scheme == "tcp" && port == 0 && u.Port() == "" {
			return call{}, misusef("%q: which port?", rawURL)
		}
		c.Port, err = choosePort(port, u, c.Authority, byAuthority)
		return c, err
	}
	c.Method, c.Path = method, u.RequestURI()
	if err := c.addHeaders(headers); err != nil {
		return call{}, err
	}
	c.Port, err = choosePort(port, u, c.Authority, byAuthority)
	return c, err
}

// tls tells whether the connection begins with TLS, bytes whether it alone is asked about.
func (c *call) tls() bool   { return c.Scheme == "https" || c.Scheme == "tls" }
func (c *call) bytes() bool { return c.Scheme == "tcp" || c.Scheme == "tls" }

// connection returns the call's connection as the router takes it, on a listener.
func (c *call) connection(listener string) *router.Connection {
	alpn := c.ALPN
	if alpn == nil && c.Scheme == "https" {
		alpn = []string{"h2", "http/1.1"}
	}
	return &router.Connection{Listener: listener, TLS: c.tls(), ServerName: c.ServerName, ALPN: alpn, Local: c.address}
}

// addHeaders reads "Name: value"; Host replaces the authority.
func (c *call) addHeaders(lines []string) error {
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value):
			return misusef("header %q: write it as 'Name: value'", line)
		case name == "host" && !validAuthority(value):
			return misusef("header %q: not a host", line)
		case name == "host":
			c.Authority = value
		default:
			c.Headers = append(c.Headers, router.Header{Name: name, Value: value})
		}
	}
	return nil
}

func validAuthority(s string) bool {
	return s != "" && httpguts.ValidHostHeader(s) && !strings.ContainsAny(s, " /?#@")
}

// choosePort: what was asked for, else the authority's (a sidecar), the URL's, the scheme's.
func choosePort(asked uint16, u *url.URL, authority string, byAuthority bool) (uint16, error) {
	if asked != 0 {
		return asked, nil
	}
	candidates := []string{u.Port()}
	if byAuthority {
		if _, port, err := net.SplitHostPort(authority); err == nil {
			candidates = []string{port, u.Port()}
		}
	}
	for _, text := range candidates {
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return 0, misusef("%q is not a port", text)
		}
		return uint16(n), nil
	}
	if u.Scheme == "https" || u.Scheme == "tls" {
		return 443, nil
	}
	return 80, nil
}

// request returns the call as the router takes it, on a listener and port.
func (c call) request(listener string, port uint16) *router.Request {
	return &router.Request{
		Listener: listener, Port: port,
		Method: c.Method, Scheme: c.Scheme, Authority: c.Authority, Path: c.Path,
		Headers: slices.Clone(c.Headers),
	}
}
