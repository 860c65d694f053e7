package main

import (
	"strings"
	"testing"
)

func TestParseCall(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		url         string
		headers     []string
		port        uint16
		byAuthority bool
		want        string // scheme, authority, path, port
	}{
		{"plain", "http://a.com/x?y=1", nil, 0, false, "http a.com /x?y=1 80"},
		{"no path", "http://a.com", nil, 0, false, "http a.com / 80"},
		{"no scheme", "a.com:8080/x", nil, 0, false, "http a.com:8080 /x 8080"},
		{"https", "https://a.com/", nil, 0, false, "https a.com / 443"},
		{"asked port", "http://a.com:8080/", nil, 80, false, "http a.com:8080 / 80"},
		{"host header", "http://127.0.0.1:31380/", []string{"Host: b.com"}, 0, false, "http b.com / 31380"},
		{"host header of a sidecar", "http://127.0.0.1/", []string{"host:b.com:9080"}, 0, true, "http b.com:9080 / 9080"},
		{"authority of a sidecar", "http://reviews:9080/", nil, 0, true, "http reviews:9080 / 9080"},
		{"IPv6", "http://[::1]:81/", nil, 0, true, "http [::1]:81 / 81"},
		{"TCP", "tcp://10.0.0.1:6379", nil, 0, false, "tcp 10.0.0.1:6379  6379"},
		{"TCP on a port", "tcp://db", nil, 3306, false, "tcp db  3306"},
		{"TLS", "tls://a.com", nil, 0, false, "tls a.com  443"},
		{"fragment", "http://a.com/x#y", nil, 0, false, "http a.com /x 80"},
		{"escapes stay", "http://a.com/a%20b/%C3%A4", nil, 0, false, "http a.com /a%20b/%C3%A4 80"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := parseCall("GET", test.url, test.headers, test.port, test.byAuthority)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join([]string{c.Scheme, c.Authority, c.Path, portText(c.Port)}, " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestServerNameOfACall(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://a.com:8443/x": "a.com", "https://127.0.0.1/": "", "https://[::1]/": "", "tls://a.com": "a.com", "http://a.com/": "", "tcp://a.com:1": "",
	} {
		c, err := parseCall("GET", url, []string{"Host: b.com"}, 0, false)
		if err != nil || c.ServerName != want {
			t.Errorf("%s: got %q, %v; want %q", url, c.ServerName, err, want)
		}
	}
	if _, err := parseCall("GET", "tcp://a.com", nil, 0, false); err == nil {
		t.Error("TCP without a port was accepted")
	}
}

func TestHeadersOfACall(t *testing.T) {
	t.Parallel()
	c, err := parseCall("GET", "http://a.com", []string{"X-A:  one two ", "x-empty:", "x-a: b:c"}, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range c.Headers {
		got = append(got, h.Name+"="+h.Value)
	}
	if want := "x-a=one two|x-empty=|x-a=b:c"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
}

// FuzzParseCall: nothing that is typed panics, and what is accepted can be sent.
func FuzzParseCall(f *testing.F) {
	f.Add("GET", "http://a.com/x?y", "Host: b", uint16(0))
	f.Add("GET", "tls://a.com:1", "a: b", uint16(0))
	f.Add("POST", "[::1]:80/%zz", "x:\r\ny: z", uint16(80))
	f.Fuzz(func(t *testing.T, method, url, header string, port uint16) {
		c, err := parseCall(method, url, []string{header}, port, port%2 == 0)
		if err != nil {
			return
		}
		parts := []string{c.Method, c.Authority, c.Path}
		if c.bytes() {
			parts, c.Path = []string{c.Authority}, "/"
		}
		for _, part := range parts {
			if part == "" || strings.ContainsAny(part, "\r\n \x00") {
				t.Errorf("%q in a request line", part)
			}
		}
		if c.Port == 0 || !strings.HasPrefix(c.Path, "/") {
			t.Errorf("port %d, path %q", c.Port, c.Path)
		}
	})
}
