package http1

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/router"
)

// defaults are the limits that the tests parse by.
var defaults = Limits{}.WithDefaults()

// parseRequest parses the head at the beginning of b, if there is a whole one.
func parseRequest(b []byte, policy *Policy) (h *head, end int, err *ProtocolError) {
	b = slices.Clip(bytes.Clone(b))
	end, err = headEnd(b, 0)
	if err != nil || end == 0 {
		return nil, 0, err
	}
	h = new(head)
	_, err = h.parse(b[:end:end], &defaults, policy)
	return h, end, err
}

// FuzzRequest: no bytes make the parser panic, whatever is accepted says the same when it is
// written as it would be forwarded and parsed again, where a head ends does not depend
// on how it arrives, and parsing it before its end was looked for comes to the same.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"\r\nPOST /a?b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nhello",
		"OPTIONS * HTTP/1.0\r\n\r\n",
		"GET http://[::1]:8080?q HTTP/1.1\r\nhost: [::1]:8080\r\nConnection: upgrade, x\r\nUpgrade: websocket\r\nX: y\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: x\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "\r\n\r\n", "\r\n", "PRI * HTTP/2.0\r\n\r\n",
	} {
		f.Add([]byte(seed), uint(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, split uint) {
		policy := &Policy{AllowUnderscores: true}
		h, end, err := parseRequest(b, policy)
		if whole, werr := headEndSplit(b, int(split%uint(len(b)+1))); err == nil && h != nil && (werr != nil || whole != end) {
			t.Fatalf("in two pieces the head ends at %d (%v), in one at %d", whole, werr, end)
		}
		var once head
		at, perr := once.parse(slices.Clip(bytes.Clone(b)), &defaults, policy)
		if good := err == nil && h != nil; good != (perr == nil) || good && (at != end || !reflect.DeepEqual(&once, h)) {
			t.Fatalf("in one pass: %+v up to %d (%v), in two %+v up to %d (%v)", once, at, perr, h, end, err)
		}
		if err != nil || h == nil {
			return
		}
		checkAccepted(t, h)
		again, _, err := parseRequest(serialize(h), policy)
		if err != nil || again == nil {
			t.Fatalf("%q is refused when forwarded: %v", b[:end], err)
		}
		if again.method != h.method || again.path != h.path || again.authority != h.authority ||
			again.chunked != h.chunked || again.length != h.length || !slices.Equal(again.headers, h.headers) {
			t.Fatalf("%q reads as %+v, forwarded as %+v", b[:end], h, again)
		}
	})
}

func headEndSplit(b []byte, at int) (int, *ProtocolError) {
	if end, err := headEnd(b[:at], 0); end != 0 || err != nil {
		return end, err
	}
	return headEnd(b, at)
}

// checkAccepted holds an accepted head to what the rest of the proxy relies on.
func checkAccepted(t *testing.T, h *head) {
	t.Helper()
	if h.path == "" || h.path[0] != '/' && h.path != "*" {
		t.Fatalf("path %q", h.path)
	}
	if strings.ContainsAny(h.method+h.path+h.authority, " \t\r\n\x00#") {
		t.Fatalf("%q %q %q", h.method, h.path, h.authority)
	}
	if h.chunked && (h.length >= 0 || h.http10) {
		t.Fatalf("ambiguous framing accepted: %+v", h)
	}
	for _, f := range h.headers {
		if f.Name == "" || f.Name != strings.ToLower(f.Name) || strings.ContainsAny(f.Name, " \t\r\n\x00:") ||
			strings.ContainsAny(f.Value, "\r\n\x00") || f.Value != strings.Trim(f.Value, " \t") || kindOf(f.Name) != fieldForward {
			t.Fatalf("field %q: %q", f.Name, f.Value)
		}
	}
}

// serialize writes a head as it would be forwarded.
func serialize(h *head) []byte {
	var b []byte
	version := "HTTP/1.1"
	if h.http10 {
		version = "HTTP/1.0"
	}
	b = append(b, h.method+" "+h.path+" "+version+"\r\n"...)
	if h.authority != "" {
		b = append(b, "host: "+h.authority+"\r\n"...)
	}
	b = appendFields(b, h.headers)
	if h.chunked {
		b = append(b, "transfer-encoding: chunked\r\n"...)
	}
	if h.length >= 0 {
		b = appendLengthField(b, h.length)
	}
	return append(b, "\r\n"...)
}

// FuzzResponse: as FuzzRequest, for an upstream's head.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.0 404\r\n\r\n", "HTTP/1.1 204 \r\nX: y\r\nConnection: close, x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 20x\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := parseResponse(b)
		var once responseHead
		if _, perr := once.parse(slices.Clip(bytes.Clone(b)), &defaults); ok != (perr == nil) || ok && !reflect.DeepEqual(&once, h) {
			t.Fatalf("in one pass: %+v (%v), in two %+v (%t)", once, perr, h, ok)
		}
		if !ok {
			return
		}
		if h.status < 100 || h.status > 599 || strings.ContainsAny(h.reason, "\r\n\x00") {
			t.Fatalf("status %d %q", h.status, h.reason)
		}
		var out []byte
		out = append(out, "HTTP/1.1 "...)
		out = append(out, byte('0'+h.status/100), byte('0'+h.status/10%10), byte('0'+h.status%10), ' ')
		out = append(append(out, h.reason...), "\r\n"...)
		out = appendFields(out, h.headers)
		if h.chunked {
			out = append(out, "transfer-encoding: chunked\r\n"...)
		}
		if h.length >= 0 {
			out = appendLengthField(out, h.length)
		}
		again, ok := parseResponse(append(out, "\r\n"...))
		if !ok || again.status != h.status || again.reason != h.reason || again.length != h.length || again.chunked != h.chunked || !slices.Equal(again.headers, h.headers) {
			t.Fatalf("%q reads as %+v, relayed as %+v", b, h, again)
		}
		h.body("GET")
		h.keepsAlive("GET")
	})
}

func parseResponse(b []byte) (*responseHead, bool) {
	b = bytes.Clone(b)
	end, err := headEnd(b, 0)
	if err != nil || end == 0 {
		return nil, false
	}
	h := new(responseHead)
	_, err = h.parse(b[:end:end], &defaults)
	return h, err == nil
}

// chunked is what decoding a chunked body came to.
type decoded struct {
	data     string
	used     int
	done     bool
	err      *ProtocolError
	trailers []router.Header
}

// decodeIn decodes b, which arrives in pieces that end at the cuts.
func decodeIn(b []byte, cuts ...int) decoded {
	var d chunkDecoder
	var r decoded
	from := 0
	for _, to := range append(cuts, len(b)) {
		piece := bytes.Clone(b[from:to])
		for len(piece) > 0 && !r.done && r.err == nil {
			var data []byte
			var used int
			data, used, r.done, r.err = d.next(piece, &defaults)
			r.data += string(data)
			r.used += used
			piece = piece[used:]
			if used == 0 && r.err == nil && !r.done {
				panic("no progress")
			}
		}
		from = to
	}
	if r.done && r.err == nil {
		r.trailers, r.err = d.fields(&defaults)
	}
	return r
}

func (r decoded) equal(o decoded) bool {
	return r.data == o.data && r.used == o.used && r.done == o.done && r.err == o.err && slices.Equal(r.trailers, o.trailers)
}

// FuzzChunked: a chunked body decodes to the same in whatever pieces it arrives, and what is
// decoded decodes to the same when it is encoded again.
func FuzzChunked(f *testing.F) {
	for _, seed := range []string{
		"5\r\nhello\r\n0\r\n\r\n", "a;x=y\r\n0123456789\r\n000\r\nX: y\r\nZ: w\r\n\r\nGET", "5\nhello\r\n", "0\r\n\r\n", "7fffffffffffffff\r\nabc", "fffffffffffffffff\r\n",
	} {
		f.Add([]byte(seed), uint(2), uint(5))
	}
	f.Fuzz(func(t *testing.T, b []byte, first, second uint) {
		whole := decodeIn(b)
		i, j := int(first%uint(len(b)+1)), int(second%uint(len(b)+1))
		if split := decodeIn(b, min(i, j), max(i, j)); !whole.equal(split) {
			t.Fatalf("%q in one piece: %+v, cut at %d and %d: %+v", b, whole, i, j, split)
		}
		if !whole.done || whole.err != nil {
			return
		}
		var out []byte
		if whole.data != "" {
			out = append(appendChunkHead(out, len(whole.data)), whole.data+"\r\n"...)
		}
		out = appendLastChunk(out, whole.trailers)
		again := decodeIn(out)
		if !again.done || again.err != nil || again.data != whole.data || !slices.Equal(again.trailers, whole.trailers) || again.used != len(out) {
			t.Fatalf("%q encoded again gives %+v, want %+v", b, again, whole)
		}
	})
}

// slowPath resolves dot segments the obvious way.
func slowPath(path string, unescape bool) (string, bool) {
	path = strings.ReplaceAll(path, `\`, "/")
	if unescape {
		path = strings.NewReplacer("%2F", "/", "%2f", "/", "%5C", "/", "%5c", "/").Replace(path)
	}
	var kept []string
	segments := strings.Split(path, "/")[1:]
	for i, s := range segments {
		plain := strings.NewReplacer("%2e", ".", "%2E", ".").Replace(s)
		name, _, params := strings.Cut(plain, ";")
		dots := name == "." || name == ".."
		switch {
		case dots && params:
			return "", false
		case plain == "..":
			if len(kept) == 0 {
				return "", false
			}
			kept = kept[:len(kept)-1]
		case plain != ".":
			kept = append(kept, s)
			continue
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/"), true
}

// FuzzPath: normalising agrees with slowPath, is done after one time, never leads above the
// root, and leaves the query alone.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/a/../b", "/a/%2e%2E/./b?x=/../", `/a\..\b`, "/a%2F..%5Cb", "/..;/a", "/.well-known/x", "//a//..//b", "/a/..", "/%", "/%00", "/a/.;x"} {
		f.Add(seed, uint8(2))
	}
	f.Fuzz(func(t *testing.T, path string, p uint8) {
		if path == "" || path[0] != '/' {
			path = "/" + path
		}
		policy := EscapedSlashes(p % 3)
		got, _, redirect, err := normalizePath(nil, strings.Clone(path), policy)
		if err != nil {
			return
		}
		raw, query := path, ""
		if q := strings.IndexByte(path, '?'); q >= 0 {
			raw, query = path[:q], path[q:]
		}
		want, ok := slowPath(raw, policy == RedirectEscapedSlashes)
		if !ok {
			t.Fatalf("%q is accepted as %q", path, got)
		}
		if got != want+query {
			t.Fatalf("%q gives %q, want %q", path, got, want+query)
		}
		if !NormalPath(got) {
			t.Fatalf("%q gives %q, which is not normal", path, got)
		}
		again, _, twice, err := normalizePath(nil, got, policy)
		if again != got || twice || err != nil {
			t.Fatalf("%q gives %q, then %q (%v, %v)", path, got, again, twice, err)
		}
		if redirect && policy != RedirectEscapedSlashes {
			t.Fatalf("%q redirects", path)
		}
	})
}

// FuzzValueEnd: eight bytes at a time find what one at a time finds.
func FuzzValueEnd(f *testing.F) {
	f.Add([]byte("abcdefgh\tijklmnop\xff\r\n"), uint(0))
	f.Add([]byte("\t\t\t\t\t\t\t\t\t\x7f"), uint(1))
	f.Fuzz(func(t *testing.T, b []byte, from uint) {
		i := int(from % uint(len(b)+1))
		want := i
		for want < len(b) && valueByte[b[want]] {
			want++
		}
		if got := valueEnd(b, i); got != want {
			t.Fatalf("valueEnd(%q, %d) = %d, want %d", b, i, got, want)
		}
	})
}

// FuzzAuthority: what is accepted is a host and a port and nothing that a URL would take for
// more.
func FuzzAuthority(f *testing.F) {
	for _, seed := range []string{"a", "a.example:80", "[::1]:8080", "[::1", "u@a", "a:", "a:99999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, a string) {
		if a == "" || !validAuthority(a) {
			return
		}
		if strings.ContainsAny(a, "@/?#\\ %,\t\r\n\x00") {
			t.Fatalf("%q is accepted", a)
		}
		host := a
		if at := strings.LastIndexByte(a, ':'); at > strings.LastIndexByte(a, ']') {
			host = a[:at]
		}
		if host == "" || strings.Contains(strings.Trim(host, "[]"), ":") != strings.HasPrefix(host, "[") {
			t.Fatalf("%q is accepted with host %q", a, host)
		}
		authorityPort(a)
	})
}
