package http1

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

func TestParseRequest(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     head
		err      *ProtocolError
	}{
		{name: "plain", in: "GET /a?b HTTP/1.1\r\nHost: x:80\r\nUser-Agent:\tcurl \r\n\r\n",
			want: head{method: "GET", authority: "x:80", path: "/a?b", headers: []router.Header{{Name: "user-agent", Value: "curl"}}, framing: framing{length: -1}}},
		{name: "empty line first", in: "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", want: head{method: "GET", authority: "x", path: "/", framing: framing{length: -1}}},
		{name: "two empty lines first", in: "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", err: errMethod},
		{name: "odd method", in: "M-SEARCH! / HTTP/1.1\r\nHost: x\r\n\r\n", want: head{method: "M-SEARCH!", authority: "x", path: "/", framing: framing{length: -1}}},
		{name: "length", in: "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 00042\r\n\r\n", want: head{method: "PUT", authority: "x", path: "/", framing: framing{length: 42}}},
		{name: "greatest length", in: "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n", want: head{method: "PUT", authority: "x", path: "/", framing: framing{length: 1<<63 - 1}}},
		{name: "chunked", in: "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n", want: head{method: "PUT", authority: "x", path: "/", framing: framing{length: -1, chunked: true, hasTE: true}}},
		{name: "empty value", in: "GET / HTTP/1.1\r\nHost: x\r\nA:\r\nB: \t \r\n\r\n",
			want: head{method: "GET", authority: "x", path: "/", headers: []router.Header{{Name: "a"}, {Name: "b"}}, framing: framing{length: -1}}},
		{name: "obs-text in value", in: "GET / HTTP/1.1\r\nHost: x\r\nA: \xfc\tb\r\n\r\n",
			want: head{method: "GET", authority: "x", path: "/", headers: []router.Header{{Name: "a", Value: "\xfc\tb"}}, framing: framing{length: -1}}},
		{name: "no Host", in: "GET / HTTP/1.1\r\n\r\n", err: errHostMissing},
		{name: "two Hosts", in: "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", err: errHostTwice},
		{name: "underscore", in: "GET / HTTP/1.1\r\nHost: a\r\nA_B: c\r\n\r\n", err: errUnderscore},
		{name: "length and chunked", in: "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", err: errLengthAndTE},
		{name: "1.0 chunked", in: "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", err: errTEOldVersion},
		{name: "folded", in: "GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", err: errFolded},
		{name: "no colon", in: "GET / HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n", err: errFieldColon},
		{name: "bad name", in: "GET / HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n", err: errFieldName},
		{name: "bad value", in: "GET / HTTP/1.1\r\nHost: x\r\na: \x01\r\n\r\n", err: errFieldValue},
		{name: "bare CR", in: "GET / HTTP/1.1\r\nHost: x\r\na: b\rc\r\n\r\n", err: errLineEnd},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h, end, err := parseRequest([]byte(test.in+"GET"), &Policy{})
			if err != test.err {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			if end != len(test.in) {
				t.Errorf("the head ends at %d, want %d", end, len(test.in))
			}
			if h.method != test.want.method || h.authority != test.want.authority || h.path != test.want.path || h.framing != test.want.framing || !slices.Equal(h.headers, test.want.headers) {
				t.Errorf("got %+v, want %+v", *h, test.want)
			}
		})
	}
}

// A head may arrive in pieces cut anywhere.
func TestHeadEndAtEverySplit(t *testing.T) {
	t.Parallel()
	in := "\r\nGET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nrest\r\n\r\n"
	want := strings.Index(in, "\r\n\r\nrest") + 4
	for i := range len(in) {
		if got, err := headEndSplit([]byte(in), i); got != want || err != nil {
			t.Errorf("cut at %d: %d %v, want %d", i, got, err, want)
		}
	}
	for i := range 20 {
		if _, err := headEndSplit([]byte("GET / HTTP/1.1\nHost: x"), i); err != errLineEnd {
			t.Errorf("bare LF, cut at %d: %v", i, err)
		}
	}
}

func TestParseLength(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"0": 0, "7": 7, "9223372036854775807": 1<<63 - 1, "0000000000000000001": 1} {
		if got, ok := parseLength(in); got != want || !ok {
			t.Errorf("%q: %d %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "9223372036854775808", "00000000000000000001", "-1", "+1", " 1", "1 ", "1a", "0x1", "/", ":"} {
		if got, ok := parseLength(in); ok {
			t.Errorf("%q: %d", in, got)
		}
	}
}

func TestValidAuthority(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"a", "A.b-c_d", "a:0", "a:65535", "a:", "127.0.0.1:80", "[::1]", "[2001:db8::1]:80", "[::ffff:1.2.3.4]", "a.", "xn--bcher-kva.example", "axn--.example", "XN--BCHER-KVA.example.:80"} {
		if !validAuthority(a) {
			t.Errorf("%q is refused", a)
		}
	}
	for _, a := range []string{":80", "a:65536", "a:-1", "a:+1", "[::1", "[]", "[::1]a", "[::1%25eth0]", "[1.2.3.4]", "[00]", "::1", "a@b", "a/b", "a b", "a%41", "é", "xn--a.example", "a.xn--\x7f.example", "xn--0000h.example", "b.xn--zzzzzzzzz99999.example"} {
		if validAuthority(a) {
			t.Errorf("%q is accepted", a)
		}
	}
}

func TestAuthorityPort(t *testing.T) {
	t.Parallel()
	for a, want := range map[string]uint16{"": 80, "a": 80, "a:": 80, "a:8080": 8080, "[::1]": 80, "[::1]:9": 9, "a:65535": 65535, "1.2.3.4": 80} {
		if got := authorityPort(a); got != want {
			t.Errorf("%q: %d, want %d", a, got, want)
		}
	}
}

func TestNormalizePath(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in       string
		policy   EscapedSlashes
		want     string
		redirect bool
		err      *ProtocolError
	}{
		{in: "/", want: "/"},
		{in: "*", want: "*"},
		{in: "/a/b?c", want: "/a/b?c"},
		{in: "/a/./b", want: "/a/b"},
		{in: "/a/../b", want: "/b"},
		{in: "/a/b/..", want: "/a/"},
		{in: "/a/b/.", want: "/a/b/"},
		{in: "/a/..", want: "/"},
		{in: "/a/../..", err: errPathClimbs},
		{in: "/..", err: errPathClimbs},
		{in: "//..", want: "/"},
		{in: "/a//../b", want: "/a/b"},
		{in: "/%2e%2e", err: errPathClimbs},
		{in: "/a/%2E./b?%2e", want: "/b?%2e"},
		{in: "/...", want: "/..."},
		{in: "/.a/..b", want: "/.a/..b"},
		{in: "/a%20b", want: "/a%20b"},
		{in: "/a%zzb", err: errPathEscape},
		{in: "/a%2", err: errPathEscape},
		{in: "/a%", err: errPathEscape},
		{in: "/%00", err: errPathEscape},
		{in: "/?%zz", want: "/?%zz"},
		{in: "/a%2fb", err: errPathSlash},
		{in: `/a\b`, err: errPathSlash},
		{in: `/?a\b`, want: `/?a\b`},
		{in: "/a%2fb", policy: KeepEscapedSlashes, want: "/a%2fb"},
		{in: "/a%2f../b", policy: KeepEscapedSlashes, want: "/a%2f../b"},
		{in: `/a\b`, policy: KeepEscapedSlashes, want: "/a/b"},
		{in: "/a%2f..%5Cb?%2f", policy: RedirectEscapedSlashes, want: "/b?%2f", redirect: true},
		{in: "/a%252fb", policy: RedirectEscapedSlashes, want: "/a%252fb"},
		{in: "/a%2f../..", policy: RedirectEscapedSlashes, err: errPathClimbs},
		{in: "/a/..;/b", err: errPathClimbs},
		{in: "/a/.;x=y", err: errPathClimbs},
		{in: "/a;x/..b;y", want: "/a;x/..b;y"},
	}
	for _, test := range tests {
		got, _, redirect, err := normalizePath(nil, test.in, test.policy)
		if err != test.err || err == nil && (got != test.want || redirect != test.redirect) {
			t.Errorf("%q by policy %d: %q %v %v, want %q %v %v", test.in, test.policy, got, redirect, err, test.want, test.redirect, test.err)
		}
	}
}

func TestNormalPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{"/": true, "*": true, "": false, "a": false, "/a/..": false, "/a/%2e%2e/b": false, "/a../b": true, "/?/../": true, "/.": false, `/a\..`: false, "/..;x": false, "/.well-known": true} {
		if got := NormalPath(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

// A chunked body decodes to the same however it is cut, in two and in single bytes.
func TestChunkedAtEverySplit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, data string
		trailers       []router.Header
		err            *ProtocolError
		open           bool // The end is still to come.
	}{
		{name: "plain", in: "5\r\nhello\r\n0\r\n\r\n", data: "hello"},
		{name: "two chunks", in: "5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n000;z\r\n\r\n", data: "hello0123456789"},
		{name: "empty", in: "0\r\n\r\n"},
		{name: "trailers", in: "1\r\na\r\n0\r\nX: y\r\nHost: z\r\nZ:\r\n\r\n", data: "a", trailers: []router.Header{{Name: "x", Value: "y"}, {Name: "z"}}},
		{name: "greatest size", in: "7fffffffffffffff\r\nabc", data: "abc", open: true},
		{name: "too great a size", in: "8000000000000000\r\n", err: errChunkSize},
		{name: "no size", in: "\r\n", err: errChunkSize},
		{name: "sign", in: "+1\r\na\r\n", err: errChunkSize},
		{name: "space", in: "1 \r\na\r\n", err: errChunkSize},
		{name: "bare LF", in: "1\na\r\n", err: errChunkSize},
		{name: "bare LF in extension", in: "1;\na\r\n", err: errLineEnd},
		{name: "CR CR", in: "1\r\ra\r\n", err: errLineEnd},
		{name: "long data", in: "1\r\nab\r\n", data: "a", err: errChunkEnd},
		{name: "LF behind data", in: "1\r\na\n", data: "a", err: errChunkEnd},
		{name: "CR behind data", in: "1\r\na\rb", data: "a", err: errChunkEnd},
		{name: "trailer without colon", in: "0\r\nabc\r\n\r\n", err: errFieldColon},
		{name: "bare LF behind trailer", in: "0\r\na: b\n\r\n", err: errLineEnd},
		{name: "bare CR in trailer", in: "0\r\na: b\rc\r\n\r\n", err: errLineEnd},
	}
	for _, test := range tests {
		in := test.in
		if test.err == nil && !test.open {
			in += "GET / HTTP/1.1\r\n"
		}
		for i := range len(in) + 1 {
			for _, cuts := range [][]int{{i}, {i / 2, i}} {
				got := decodeIn([]byte(in), cuts...)
				if got.data != test.data || got.err != test.err || !slices.Equal(got.trailers, test.trailers) || test.err == nil && (got.done == test.open || got.used != len(test.in)) {
					t.Errorf("%s, cut at %v: %+v", test.name, cuts, got)
				}
			}
		}
	}
}

func TestAppendChunkHead(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0\r\n", 15: "f\r\n", 16: "10\r\n", 65536: "10000\r\n"} {
		if got := string(appendChunkHead(nil, n)); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestParseResponse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, reason string
		status     int
		body       proxy.Body
		keeps      bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "OK", 200, proxy.Body{Kind: proxy.BodyLength, Length: 5}, true},
		{"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", 200, proxy.Body{}, true},
		{"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", "", 200, proxy.Body{Kind: proxy.BodyStream}, true},
		{"HTTP/1.1 404 Nicht gefunden \xfc\r\n\r\n", "Nicht gefunden \xfc", 404, proxy.Body{Kind: proxy.BodyStream}, false},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "No Content", 204, proxy.Body{}, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, Close\r\n\r\n", "OK", 200, proxy.Body{Kind: proxy.BodyLength, Length: 5}, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "OK", 200, proxy.Body{Kind: proxy.BodyLength, Length: 5}, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", "OK", 200, proxy.Body{Kind: proxy.BodyLength, Length: 5}, true},
	}
	for _, test := range tests {
		h, ok := parseResponse([]byte(test.in))
		if !ok {
			t.Errorf("%q is refused", test.in)
			continue
		}
		if h.status != test.status || h.reason != test.reason || h.body("GET") != test.body || h.keepsAlive("GET") != test.keeps {
			t.Errorf("%q: %d %q %v %v", test.in, h.status, h.reason, h.body("GET"), h.keepsAlive("GET"))
		}
		if h.body("HEAD") != (proxy.Body{}) {
			t.Errorf("%q has a body for HEAD", test.in)
		}
	}
	for _, in := range []string{"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 200 O\x01K\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 -20 OK\r\n\r\n"} {
		if _, ok := parseResponse([]byte(in)); ok {
			t.Errorf("%q is accepted", in)
		}
	}
}

// Connection options take fields away, but none that says what a message is.
func TestDropNominated(t *testing.T) {
	t.Parallel()
	h, _, err := parseRequest([]byte("GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nConnection: a, ,keep-alive\r\nB: 2\r\nCookie: c\r\nConnection: B,cookie,content-length\r\nC: 3\r\n\r\n"), &Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []router.Header{{Name: "cookie", Value: "c"}, {Name: "c", Value: "3"}}; !slices.Equal(h.headers, want) {
		t.Errorf("%v, want %v", h.headers, want)
	}
}

// What a Connection field costs is bounded, however long it is, in requests and in responses.
func TestManyOptions(t *testing.T) {
	t.Parallel()
	fields := strings.Repeat("field: 1\r\n", 90)
	for name, test := range map[string]struct {
		line string
		err  *ProtocolError
	}{
		"as many as may be": {"connection: " + strings.Repeat("a, ", maxOptions-1) + "b\r\n", nil},
		"one more":          {"connection: " + strings.Repeat("a, ", maxOptions) + "b\r\n", errOptions},
		"in two fields":     {"connection: " + strings.Repeat("a,", maxOptions) + "\r\nconnection: a\r\n", errOptions},
		"empty":             {"connection: " + strings.Repeat(",", maxOptions+1) + "\r\n", errOptions},
		"a long one":        {"connection: " + strings.Repeat("a", 50_000) + "\r\n", nil},
	} {
		began := time.Now()
		for range 100 {
			_, _, err := parseRequest([]byte("GET / HTTP/1.1\r\nhost: x\r\n"+test.line+fields+"\r\n"), &Policy{})
			if err != test.err {
				t.Fatalf("%s: error %v, want %v", name, err, test.err)
			}
			if _, ok := parseResponse([]byte("HTTP/1.1 200 OK\r\n" + test.line + fields + "\r\n")); ok != (test.err == nil) {
				t.Fatalf("%s: a response is accepted: %v", name, ok)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: 100 of each took %v", name, took)
		}
	}
}

// No host has a name that long, and to look at it costs more than at other bytes.
func TestLongAuthority(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 126) + "a"
	for a, want := range map[string]bool{long: true, long + ".:65535": true, long + ".b": true, strings.Repeat("xn--4dbrk0ce.", 21): false} {
		if validAuthority(a) != want {
			t.Errorf("%d bytes: accepted is %v", len(a), !want)
		}
	}
}
