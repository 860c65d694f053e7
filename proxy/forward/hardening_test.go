package forward_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// The rows are those of the acceptance list of hostile input that concern HTTP/1.1: message
// framing (1 to 20), target and host (21 to 31), forwarding headers (32 to 39), upgrades (41
// to 45), resources (63 to 65) and responses (73). Rows 35, 36 and 40 wait for external
// authorization, RBAC and mirroring, 38 for the PROXY protocol, 46 to 62 are of HTTP/2,
// HTTP/3 and TLS, 66 to 72 of features that have tests of their own.

// next is a request that stands behind the hostile one: it must never be parsed.
const next = "GET /next HTTP/1.1\r\nHost: next.example\r\n\r\n"

// refusal is a request, or what looks like one, that must be refused.
type refusal struct {
	row  string
	send string
	// status is 400 where it is 0; also is another one that is right.
	status, also int
}

func req(line string, headers ...string) string { return line + "\r\n" + lines(headers) + "\r\n" }

func get(headers ...string) string {
	return req("GET / HTTP/1.1", append([]string{"Host: a.example"}, headers...)...)
}

func post(body string, headers ...string) string {
	return req("POST / HTTP/1.1", append([]string{"Host: a.example"}, headers...)...) + body
}

func chunkedPost(body string) string { return post(body, "Transfer-Encoding: chunked") }

func headRefusals() []refusal {
	chunk := "5\r\nhello\r\n0\r\n\r\n"
	all := []refusal{
		{row: "1 CL then TE", send: post(chunk, "Content-Length: 5", "Transfer-Encoding: chunked")},
		{row: "1 TE then CL", send: post(chunk, "Transfer-Encoding: chunked", "Content-Length: 5")},
		{row: "1 CL 0 and TE", send: post(chunk, "Content-Length: 0", "Transfer-Encoding: chunked")},
		{row: "2 two CL", send: post("hello", "Content-Length: 5", "Content-Length: 3")},
		{row: "2 list of CL", send: post("hello", "Content-Length: 3, 5")},
		{row: "2 equal CL", send: post("hello", "Content-Length: 5", "Content-Length: 5")},
		{row: "2 list of equal CL", send: post("hello", "Content-Length: 5, 5")},
		{row: "5 TE in 1.0", send: req("POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked") + chunk},
		{row: "5 TE in 1.0 kept alive", send: req("POST / HTTP/1.0", "Host: a", "Connection: keep-alive", "Transfer-Encoding: chunked") + chunk},
		{row: "6 space before TE's colon", send: post(chunk, "Transfer-Encoding : chunked")},
		{row: "6 space before CL's colon", send: post("hello", "Content-Length : 5")},
		{row: "6 tab before colon", send: post("hello", "Content-Length\t: 5")},
		{row: "6 leading space on first header", send: "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
		{row: "6 leading tab on first header", send: "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"},
		{row: "6 leading space, then Host", send: "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n"},
		{row: "6 obs-fold", send: get("X: a", " b")},
		{row: "6 obs-fold in TE", send: post(chunk, "Transfer-Encoding:", " chunked")},
		{row: "6 obs-fold with tab", send: get("X: a", "\tb")},
		{row: "7 bare LF behind the request line", send: "GET / HTTP/1.1\nHost: a\r\n\r\n"},
		{row: "7 bare LF behind a header", send: "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"},
		{row: "7 bare LF throughout", send: "GET / HTTP/1.1\nHost: a\n\n"},
		{row: "7 bare LF ends the head", send: "GET / HTTP/1.1\r\nHost: a\r\n\n"},
		{row: "7 bare CR in value", send: get("X: a\rb")},
		{row: "7 bare CR before a header", send: get("X: a\rTransfer-Encoding: chunked")},
		{row: "7 bare CR ends the line", send: "GET / HTTP/1.1\rHost: a\r\n\r\n"},
		{row: "7 CR CR LF", send: get("X: a\r")},
		{row: "8 NUL in value", send: get("X: a\x00b")},
		{row: "8 NUL in name", send: get("X\x00: a")},
		{row: "8 BEL in value", send: get("X: a\x07b")},
		{row: "8 ESC in value", send: get("X: \x1b[31m")},
		{row: "8 DEL in value", send: get("X: a\x7f")},
		{row: "8 VT in value", send: get("X: a\x0bb")},
		{row: "9 empty name", send: get(": a")},
		{row: "9 no colon", send: get("nocolon")},
		{row: "9 parenthesis in name", send: get("X(y): a")},
		{row: "9 slash in name", send: get("X/y: a")},
		{row: "9 space in name", send: get("X y: a")},
		{row: "9 non-ASCII name", send: get("X\xc3\xa9: a")},
		{row: "9 quoted name", send: get("\"X\": a")},
		{row: "17 Expect other than 100-continue", send: post("hello", "Content-Length: 5", "Expect: y"), status: 417},
		{row: "17 Expect list", send: post("hello", "Content-Length: 5", "Expect: y 100-continue"), status: 417},
		{row: "17 Expect twice", send: post("hello", "Content-Length: 5", "Expect: y", "Expect: 100-continue"), status: 417},
		{row: "19 method not a token", send: req("G@T / HTTP/1.1", "Host: a")},
		{row: "19 method with NUL", send: req("G\x00T / HTTP/1.1", "Host: a")},
		{row: "19 no method", send: req(" / HTTP/1.1", "Host: a")},
		{row: "19 version 1.10", send: req("GET / HTTP/1.10", "Host: a")},
		{row: "19 version 1.1x", send: req("GET / HTTP/1.1x", "Host: a")},
		{row: "19 version 1.2", send: req("GET / HTTP/1.2", "Host: a"), also: 505},
		{row: "19 lower case version", send: req("GET / http/1.1", "Host: a")},
		{row: "19 version 2.0", send: req("GET / HTTP/2.0", "Host: a"), status: 505, also: 400},
		{row: "19 HTTP/2 preface", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505, also: 400},
		{row: "19 version 0.9", send: req("GET / HTTP/0.9", "Host: a"), status: 505, also: 400},
		{row: "19 no version", send: req("GET /", "Host: a"), also: 505},
		{row: "19 no version and no headers", send: "GET /\r\n\r\n", also: 505},
		{row: "19 tab for space", send: req("GET\t/ HTTP/1.1", "Host: a")},
		{row: "19 tab before version", send: req("GET /\tHTTP/1.1", "Host: a")},
		{row: "19 two spaces", send: req("GET  / HTTP/1.1", "Host: a")},
		{row: "19 two spaces before version", send: req("GET /  HTTP/1.1", "Host: a")},
		{row: "19 trailing space", send: req("GET / HTTP/1.1 ", "Host: a")},
		{row: "19 leading space", send: req(" GET / HTTP/1.1", "Host: a")},
		{row: "21 no Host", send: req("GET / HTTP/1.1")},
		{row: "21 two Hosts", send: req("GET / HTTP/1.1", "Host: a", "Host: b")},
		{row: "21 two equal Hosts", send: req("GET / HTTP/1.1", "Host: a", "Host: a")},
		{row: "21 empty Host", send: req("GET / HTTP/1.1", "Host:")},
		{row: "22 absolute form with another Host", send: req("GET http://b.example/ HTTP/1.1", "Host: a.example")},
		{row: "22 absolute form with user", send: req("GET http://u:p@a.example/ HTTP/1.1", "Host: a.example")},
		{row: "22 absolute form with user and no port", send: req("GET http://u@a.example/ HTTP/1.1", "Host: u@a.example")},
		{row: "22 absolute form without authority", send: req("GET http:///x HTTP/1.1", "Host: a.example")},
		{row: "22 another scheme", send: req("GET ftp://a.example/ HTTP/1.1", "Host: a.example")},
		{row: "22 asterisk without OPTIONS", send: req("GET * HTTP/1.1", "Host: a")},
		{row: "22 CONNECT", send: req("CONNECT a.example:443 HTTP/1.1", "Host: a.example:443") + "early", status: 405},
		{row: "22 CONNECT with a path", send: req("CONNECT / HTTP/1.1", "Host: a.example"), status: 405, also: 400},
		{row: "22 relative target", send: req("GET x HTTP/1.1", "Host: a")},
		{row: "23 fragment", send: req("GET /a#b HTTP/1.1", "Host: a")},
		{row: "23 fragment first", send: req("GET #/a HTTP/1.1", "Host: a")},
		{row: "23 fragment in absolute form", send: req("GET http://a.example#@b/ HTTP/1.1", "Host: a.example")},
		{row: "24 space in target", send: req("GET /a b HTTP/1.1", "Host: a")},
		{row: "24 control in target", send: req("GET /a\x01b HTTP/1.1", "Host: a")},
		{row: "24 NUL in target", send: req("GET /a\x00b HTTP/1.1", "Host: a")},
		{row: "24 DEL in target", send: req("GET /a\x7f HTTP/1.1", "Host: a")},
		{row: "24 obs-text in target", send: req("GET /\xff HTTP/1.1", "Host: a")},
		{row: "24 bad escape", send: req("GET /%zz HTTP/1.1", "Host: a")},
		{row: "24 short escape", send: req("GET /a%2 HTTP/1.1", "Host: a")},
		{row: "24 escape of NUL", send: req("GET /a%00b HTTP/1.1", "Host: a")},
		{row: "25 above the root", send: req("GET /../a HTTP/1.1", "Host: a")},
		{row: "25 above the root, escaped", send: req("GET /a/%2e%2E/%2e./b HTTP/1.1", "Host: a")},
		{row: "25 above the root by absolute form", send: req("GET http://a.example/../x HTTP/1.1", "Host: a.example")},
		{row: "26 escaped slash", send: req("GET /a%2Fb HTTP/1.1", "Host: a")},
		{row: "26 escaped slash, lower case", send: req("GET /a%2fb HTTP/1.1", "Host: a")},
		{row: "26 escaped backslash", send: req("GET /a%5Cb HTTP/1.1", "Host: a")},
		{row: "26 backslash", send: req("GET /a\\b HTTP/1.1", "Host: a")},
		{row: "26 backslash dots", send: req("GET /a\\..\\b HTTP/1.1", "Host: a")},
		{row: "27 parameter behind dots", send: req("GET /a/..;/b HTTP/1.1", "Host: a")},
		{row: "27 parameter behind escaped dots", send: req("GET /a/%2e%2e;x=1/b HTTP/1.1", "Host: a")},
		{row: "27 parameter behind dot", send: req("GET /a/.;/b HTTP/1.1", "Host: a")},
		{row: "29 obs-text cannot dodge", send: req("GET /adm\xefin HTTP/1.1", "Host: a")},
		{row: "33 underscore alias", send: get("X_Forwarded_For: 10.0.0.1")},
		{row: "33 underscore in any name", send: get("content_length: 5")},
		{row: "39 LF in value", send: get("X: a\nSet-Cookie: b")},
		{row: "42 WebSocket by POST", send: strings.Replace(webSocket(), "GET", "POST", 1), also: 426},
		{row: "42 WebSocket without key", send: strings.Replace(webSocket(), "Sec-WebSocket-Key", "X-Key", 1), also: 426},
		{row: "42 WebSocket with a bad key", send: strings.Replace(webSocket(), "dGhlIHNhbXBsZSBub25jZQ==", "short", 1), also: 426},
		{row: "42 WebSocket version 12", send: strings.Replace(webSocket(), "Version: 13", "Version: 12", 1), also: 426},
		{row: "42 WebSocket without version", send: strings.Replace(webSocket(), "Sec-WebSocket-Version", "X-Version", 1), also: 426},
		{row: "63 too many fields", send: get(slices.Repeat([]string{"X: y"}, 101)...), status: 431},
		{row: "63 too long a header", send: get("X: " + strings.Repeat("y", 61<<10)), status: 431},
		{row: "63 head without end", send: "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 70<<10), status: 431},
		{row: "63 long target", send: req("GET /"+strings.Repeat("y", 9<<10)+" HTTP/1.1", "Host: a"), status: 414},
		{row: "63 target without end", send: "GET /" + strings.Repeat("y", 20<<10), status: 414},
	}
	for _, v := range []string{"", "+3", "-1", "0x3", "1 0", "3;", "3,", "18446744073709551619", "9223372036854775808", "99999999999999999999", "٣", "3 3", "1e1", "1_0", "'3'"} {
		all = append(all, refusal{row: fmt.Sprintf("3 Content-Length %q", v), send: post("abc", "Content-Length: "+v)})
	}
	for _, v := range []string{"xchunked", "identity", "gzip, chunked", "chunked, chunked", "chunked, identity", "chunked,", ",chunked", "\"chunked\"", "'chunked'", "chunked;q=1", "chunked\x0b", "\x0bchunked", "chunked\x00", "\xa0chunked", "chunked\xa0", "", "chunkedx", "gzip", "x-chunked"} {
		all = append(all, refusal{row: fmt.Sprintf("4 Transfer-Encoding %q", v), send: post(chunk, "Transfer-Encoding: "+v), also: 501})
	}
	for _, pair := range [][2]string{{"chunked", "chunked"}, {"chunked", "identity"}, {"identity", "chunked"}, {"", "chunked"}} {
		all = append(all, refusal{row: fmt.Sprintf("4 two Transfer-Encodings %q", pair), send: post(chunk, "Transfer-Encoding: "+pair[0], "Transfer-Encoding: "+pair[1]), also: 501})
	}
	for _, v := range []string{"a b", "a@b", "a:b", "a:80x", "a:99999", "[::1", "::1", "[::1]x", "[]", "[g::1]", "a/b", "a?b", "a#b", "a\\b", "a%00b", "a,b", "a b:80", "<a>", "a:80:80", "a\tb", "\xe9"} {
		all = append(all, refusal{row: fmt.Sprintf("21 Host %q", v), send: req("GET / HTTP/1.1", "Host: "+v)})
	}
	return all
}

// bodyRefusals are requests whose head is well and whose body is not.
func bodyRefusals() []refusal {
	all := []refusal{
		{row: "10 bare LF behind a size", send: chunkedPost("5\nhello\r\n0\r\n\r\n")},
		{row: "10 bare LF behind an extension", send: chunkedPost("5;a=b\nhello\r\n0\r\n\r\n")},
		{row: "10 bare LF behind the last size", send: chunkedPost("5\r\nhello\r\n0\n\r\n")},
		{row: "10 bare CR in an extension", send: chunkedPost("5;a\rb\r\nhello\r\n0\r\n\r\n")},
		{row: "10 bare CR behind a size", send: chunkedPost("5\rhello\r\n0\r\n\r\n")},
		{row: "10 NUL in an extension", send: chunkedPost("5;\x00\r\nhello\r\n0\r\n\r\n")},
		{row: "12 long extension", send: chunkedPost("5;" + strings.Repeat("x", 5000) + "\r\nhello\r\n0\r\n\r\n"), also: 413},
		{row: "12 many extensions", send: chunkedPost(strings.Repeat("1;"+strings.Repeat("x", 40)+"\r\nh\r\n", 200) + "0\r\n\r\n"), also: 413},
		{row: "13 data longer than its size", send: chunkedPost("4\r\nhello\r\n0\r\n\r\n")},
		{row: "13 data without CRLF", send: chunkedPost("5\r\nhello0\r\n\r\n")},
		{row: "13 data followed by LF", send: chunkedPost("5\r\nhello\n0\r\n\r\n")},
		{row: "13 data followed by CR and another", send: chunkedPost("5\r\nhello\rX0\r\n\r\n")},
		{row: "14 trailers too long", send: chunkedPost("5\r\nhello\r\n0\r\nX: " + strings.Repeat("y", 61<<10) + "\r\n\r\n"), status: 431},
		{row: "14 bare LF behind a trailer", send: chunkedPost("5\r\nhello\r\n0\r\nX: y\n\r\n")},
		{row: "14 trailer without colon", send: chunkedPost("5\r\nhello\r\n0\r\nX\r\n\r\n")},
		{row: "14 trailer with a space before its colon", send: chunkedPost("5\r\nhello\r\n0\r\nX : y\r\n\r\n")},
		{row: "14 NUL in a trailer", send: chunkedPost("5\r\nhello\r\n0\r\nX: \x00\r\n\r\n")},
	}
	for _, size := range []string{"0x5", "+5", "-5", " 5", "5 ", "5\t", "5_0", "", "8000000000000000", "10000000000000005", "FFFFFFFFFFFFFFFF", "00000000000000005", "g", "5,", "\"5\"", "5\x00"} {
		all = append(all, refusal{row: fmt.Sprintf("11 chunk size %q", size), send: chunkedPost(size + "\r\nhello\r\n0\r\n\r\n")})
	}
	return all
}

// silent is an origin that must not hear anything.
func silent(t *testing.T) *origin {
	return startOrigin(t, func(c *originConn) { io.Copy(io.Discard, c) })
}

// A refused request is answered once, the connection ends, and the upstream hears nothing.
func TestHardeningHeads(t *testing.T) {
	t.Parallel()
	for _, r := range headRefusals() {
		t.Run(r.row, func(t *testing.T) { expectRefusal(t, r, false) })
	}
	t.Logf("%d cases", len(headRefusals()))
}

func TestHardeningHeadsByteByByte(t *testing.T) {
	t.Parallel()
	for _, r := range headRefusals() {
		if len(r.send) < 1000 {
			t.Run(r.row, func(t *testing.T) { expectRefusal(t, r, true) })
		}
	}
}

func TestHardeningBodies(t *testing.T) {
	t.Parallel()
	for _, r := range bodyRefusals() {
		t.Run(r.row, func(t *testing.T) { expectRefusal(t, r, false) })
	}
	t.Logf("%d cases", len(bodyRefusals()))
}

func expectRefusal(t *testing.T, r refusal, slow bool) {
	o := silent(t)
	g := start(t, toOrigin(o.addr))
	c := dial(t, g)
	c.mustRefuse(r, slow)
	// Of a body that does not fit the first read, the beginning is forwarded.
	if n := o.bytes.Load(); n != 0 && len(r.send) < 4<<10 {
		t.Errorf("the upstream got %d bytes", n)
	}
	if rec := g.completed(1); rec.flags != "DPE" {
		t.Errorf("flags %s, want DPE", rec.flags)
	}
}

// mustRefuse sends a hostile request with a harmless one behind it, and wants one answer.
func (c *client) mustRefuse(r refusal, slow bool) {
	c.t.Helper()
	all := r.send + next
	step := len(all)
	if slow {
		step = 1
	}
	for at := 0; at < len(all); at += step {
		if _, err := io.WriteString(c, all[at:min(at+step, len(all))]); err != nil {
			break // The answer may have come, and the end with it.
		}
	}
	c.expectRefused(r)
}

func (c *client) expectRefused(r refusal) {
	c.t.Helper()
	a := c.read("GET")
	want := r.status
	if want == 0 {
		want = 400
	}
	if a.StatusCode != want && (r.also == 0 || a.StatusCode != r.also) {
		c.t.Errorf("status %d, want %d", a.StatusCode, want)
	}
	if !a.Close {
		c.t.Errorf("no Connection: close in the answer")
	}
	// Not before: whoever leaves is not answered.
	c.CloseWrite()
	c.expectEnd()
}

// The same bodies, when their head is with the upstream already: it must never see a whole
// message, and its connection is not used again.
func TestHardeningBodiesAlreadyForwarded(t *testing.T) {
	t.Parallel()
	for _, r := range bodyRefusals() {
		t.Run(r.row, func(t *testing.T) {
			began, ended := make(chan bool), make(chan error, 1)
			o := startOrigin(t, func(c *originConn) {
				head, err := c.head()
				if err != nil {
					return
				}
				select {
				case began <- true:
				case <-time.After(patience):
					t.Errorf("a second request was forwarded: %q", head)
					return
				}
				body := http.Request{Body: io.NopCloser(httpChunks(c))}
				_, err = io.Copy(io.Discard, body.Body)
				ended <- err
				io.Copy(io.Discard, c)
			})
			g := start(t, toOrigin(o.addr))
			c := dial(t, g)
			at := strings.Index(r.send, "\r\n\r\n") + 4
			c.send(r.send[:at])
			<-began
			io.WriteString(c, r.send[at:]+next)
			c.expectRefused(r)
			if err := <-ended; err == nil {
				t.Errorf("the upstream got a whole message")
			}
			if rec := g.completed(1); rec.flags != "DPE" {
				t.Errorf("flags %s, want DPE", rec.flags)
			}
		})
	}
}

// httpChunks reads a chunked body, strictly enough: it fails where the end is missing.
func httpChunks(c *originConn) io.Reader {
	r, _ := http.ReadResponse(newPrefixed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", c.br), nil)
	return r.Body
}

// Row 12: extensions are not forwarded.
func TestHardeningExtensionsAreDropped(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	o := startOrigin(t, func(c *originConn) {
		head, _ := c.head()
		rest := make([]byte, len("5\r\nhello\r\n0\r\n\r\n"))
		io.ReadFull(c.br, rest)
		got <- head + string(rest)
		c.send(okResponse)
	})
	c := dial(t, start(t, toOrigin(o.addr)))
	c.send(chunkedPost("5;secret=1\r\nhello\r\n0;last\r\n\r\n"))
	c.read("POST")
	if sent := <-got; !strings.HasSuffix(sent, "\r\n\r\n5\r\nhello\r\n0\r\n\r\n") {
		t.Errorf("upstream got %q", sent)
	}
}

// Row 14: trailers go on where TE allows, never those that say what headers say.
func TestHardeningTrailers(t *testing.T) {
	t.Parallel()
	bad := []string{"Content-Length: 3", "Transfer-Encoding: chunked", "Host: evil", "Authorization: x", "X-Forwarded-For: 6.6.6.6",
		"X_Forwarded_For: 6.6.6.6", "X-Forwarded-Proto: https", "Content-Encoding: gzip", "Connection: close", "Cookie: a=b", "Content-Type: x/y", "TE: gzip", "Trailer: x",
		"X-Envoy-Original-Path: /x", "X-Real-Ip: 6.6.6.6", "Forwarded: for=6.6.6.6", "Upgrade: h2c", "Expect: 100-continue"}
	for _, te := range []bool{true, false} {
		t.Run(fmt.Sprint("te=", te), func(t *testing.T) {
			got := make(chan string, 1)
			o := startOrigin(t, func(c *originConn) {
				head, _ := c.head()
				body, _ := readHead(c.br) // up to the end of the first chunk and trailers
				got <- head + body
				c.send(okResponse)
			})
			c := dial(t, start(t, toOrigin(o.addr)))
			headers := []string{"Transfer-Encoding: chunked"}
			if te {
				headers = append(headers, "TE: trailers")
			}
			c.send(post("5\r\nhello\r\n0\r\nX-Checksum: 42\r\n"+lines(bad)+"\r\n", headers...))
			c.read("POST")
			sent := <-got
			_, trailers, _ := strings.Cut(sent, "\r\n0\r\n")
			want := "\r\n"
			if te {
				want = "x-checksum: 42\r\n\r\n"
			}
			if trailers != want {
				t.Errorf("trailers %q, want %q", trailers, want)
			}
			if strings.Contains(sent[:strings.Index(sent, "\r\n\r\n")], "x-checksum") {
				t.Errorf("a trailer became a header")
			}
		})
	}
}

// Row 15: a body that comes with a method which seldom has one is framed exactly.
func TestHardeningBodiesOfAnyMethod(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, echo)
	g := start(t, toOrigin(o.addr))
	for _, method := range []string{"GET", "OPTIONS", "DELETE", "PATCH"} {
		for name, framed := range map[string]string{
			"length":  "Content-Length: 47\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\nX: y\r\n",
			"chunked": "Transfer-Encoding: chunked\r\n\r\n2f\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\nX: y\r\n\r\n0\r\n\r\n",
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				c := dial(t, g)
				c.send(method + " /first HTTP/1.1\r\nHost: a.example\r\n" + framed + next)
				if a := c.read(method); a.body != method+" /first\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\nX: y\r\n" {
					t.Errorf("first answer %q", a.body)
				}
				if a := c.read("GET"); a.body != "GET /next\n" {
					t.Errorf("second answer %q", a.body)
				}
			})
		}
	}
}

// bodyPatience is how long the rest of a body is waited for that nobody wants.
const bodyPatience = time.Second

// Row 15: an early answer reads the body, or ends the connection.
func TestHardeningEarlyAnswer(t *testing.T) {
	t.Parallel()
	g := start(t, withRoutes(nil,
		&router.Route{Match: router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/direct"}}, RouteAction: &router.RouteAction{Direct: &router.DirectResponse{Status: 401}}},
		&router.Route{Match: router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/redirect"}}, RouteAction: &router.RouteAction{Redirect: &router.Redirect{Status: 302, Host: "b.example"}}},
		&router.Route{Match: router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/next"}}, RouteAction: &router.RouteAction{Direct: &router.DirectResponse{Status: 200, Body: []byte("next")}}},
	))
	for path, status := range map[string]int{"/direct": 401, "/redirect": 302, "/none": 404} {
		for _, size := range []int{10, 40 << 10, 100 << 10, 1 << 20} {
			for _, late := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %d late=%v", path, size, late), func(t *testing.T) {
					t.Parallel()
					body := strings.Repeat(next, size/len(next)+1)[:size]
					for tries := 1; ; tries++ {
						c := dial(t, g)
						began := time.Now()
						c.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n", path, size))
						if late {
							time.Sleep(20 * time.Millisecond)
						}
						go io.WriteString(c, body+next)
						a := c.read("POST")
						if a.StatusCode != status {
							t.Fatalf("status %d, want %d", a.StatusCode, status)
						}
						if a.Close {
							c.expectEnd()
							return
						}
						if size > 64<<10 {
							t.Errorf("the connection stays open with %d bytes to read", size)
						}
						if _, err := c.br.Peek(1); err != nil && time.Since(began) > bodyPatience && tries < 10 {
							continue // The machine stood still: nobody waits so long for the body.
						}
						if a := c.read("GET"); a.body != "next" {
							t.Errorf("next answer %d %q", a.StatusCode, a.body)
						}
						return
					}
				})
			}
		}
	}
}

// Row 18: framing and identity cannot be nominated away.
func TestHardeningNominatedFields(t *testing.T) {
	t.Parallel()
	for _, option := range []string{"Content-Length", "content-length", "Transfer-Encoding", "Host", "close, Content-Length", "X-Forwarded-For", "x-forwarded-proto", "X-Request-Id", "Authorization", "Cookie", "TE", "X-Envoy-Attempt-Count"} {
		t.Run(option, func(t *testing.T) {
			got := make(chan string, 1)
			o := startOrigin(t, func(c *originConn) {
				head, _ := c.head()
				body := make([]byte, 5)
				io.ReadFull(c.br, body)
				got <- head + string(body)
				c.send(okResponse)
			})
			c := dial(t, start(t, toOrigin(o.addr)))
			c.send(post("hello", "Connection: "+option, "Content-Length: 5", "Authorization: secret", "Cookie: a=b", "X-Request-Id: id-1"))
			c.read("POST")
			sent := <-got
			for _, want := range []string{"host: a.example\r\n", "content-length: 5\r\n", "authorization: secret\r\n", "cookie: a=b\r\n", "x-request-id: id-1\r\n",
				"x-forwarded-for: 127.0.0.1\r\n", "x-forwarded-proto: http\r\n", "x-envoy-attempt-count: 1\r\n", "\r\n\r\nhello"} {
				if !strings.Contains(sent, want) {
					t.Errorf("upstream got %q, without %q", sent, want)
				}
			}
			if strings.Contains(sent, "connection:") {
				t.Errorf("the Connection field was forwarded: %q", sent)
			}
		})
	}
}

// Row 18, as it should work: what is hop by hop is dropped.
func TestHopByHopFieldsAreDropped(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	o := startOrigin(t, func(c *originConn) {
		head, _ := c.head()
		got <- head
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: a\r\nX-End: 2\r\nUpgrade: h3\r\n\r\n")
	})
	c := dial(t, start(t, toOrigin(o.addr)))
	a := c.get("/", "Connection: keep-alive, x-hop", "Connection: X-Other", "X-Hop: 1", "X-Other: 2", "Keep-Alive: 5", "Proxy-Connection: keep-alive", "TE: gzip", "X-End: 3")
	sent := <-got
	for _, name := range []string{"connection", "x-hop", "x-other", "keep-alive", "te", "proxy-connection"} {
		if strings.Contains(sent, "\r\n"+name+":") {
			t.Errorf("%s was forwarded: %q", name, sent)
		}
	}
	if !strings.Contains(sent, "x-end: 3\r\n") {
		t.Errorf("x-end was lost: %q", sent)
	}
	for _, name := range []string{"Connection", "X-Hop", "Keep-Alive", "Proxy-Connection", "Upgrade"} {
		if a.Header.Get(name) != "" {
			t.Errorf("the client got %s: %q", name, a.Header.Get(name))
		}
	}
	if a.Header.Get("X-End") != "2" {
		t.Errorf("the client did not get X-End")
	}
}

// Row 22: the authority of an absolute target is what counts; rows 25 and 26: what is
// routed is what is forwarded; row 30: the query stays as it is.
func TestHardeningForwardedTarget(t *testing.T) {
	t.Parallel()
	tests := []struct {
		row, line, host, want string
		policy                http1.EscapedSlashes
		status                int
	}{
		{row: "22", line: "GET http://B.example:8080/x?y HTTP/1.1", host: "b.example:8080", want: "GET /x?y HTTP/1.1\r\nhost: B.example:8080\r\n"},
		{row: "22 no path", line: "GET http://b.example HTTP/1.1", host: "b.example", want: "GET / HTTP/1.1\r\nhost: b.example\r\n"},
		{row: "22 query only", line: "GET http://b.example?q HTTP/1.1", host: "b.example", want: "GET /?q HTTP/1.1\r\nhost: b.example\r\n"},
		{row: "22 asterisk", line: "OPTIONS * HTTP/1.1", want: "OPTIONS * HTTP/1.1\r\n"},
		{row: "25 dots", line: "GET /a/../b HTTP/1.1", want: "GET /b HTTP/1.1\r\n"},
		{row: "25 escaped dots", line: "GET /a/%2e%2E/b?/../c HTTP/1.1", want: "GET /b?/../c HTTP/1.1\r\n"},
		{row: "25 one dot", line: "GET /a/./b/. HTTP/1.1", want: "GET /a/b/ HTTP/1.1\r\n"},
		{row: "25 slashes stay", line: "GET //a///b HTTP/1.1", want: "GET //a///b HTTP/1.1\r\n"},
		{row: "26 keep", line: "GET /a%2Fb HTTP/1.1", policy: http1.KeepEscapedSlashes, want: "GET /a%2Fb HTTP/1.1\r\n"},
		{row: "26 keep, not decoded twice", line: "GET /a%252F..%252Fb HTTP/1.1", want: "GET /a%252F..%252Fb HTTP/1.1\r\n"},
		{row: "26 keep, backslash", line: `GET /a\..\b HTTP/1.1`, policy: http1.KeepEscapedSlashes, want: "GET /b HTTP/1.1\r\n"},
		{row: "26 redirect", line: "GET /a%2F..%5cb?q=%2F HTTP/1.1", policy: http1.RedirectEscapedSlashes, want: "http://a.example/b?q=%2F", status: 307},
		{row: "26 redirect stays here", line: "GET /%2Fevil.example/ HTTP/1.1", policy: http1.RedirectEscapedSlashes, want: "http://a.example//evil.example/", status: 307},
		{row: "26 redirect above the root", line: "GET /a%2F..%2F..%2Fb HTTP/1.1", policy: http1.RedirectEscapedSlashes, status: 400},
		{row: "27 parameters", line: "GET /admin;x=1/y HTTP/1.1", want: "GET /admin;x=1/y HTTP/1.1\r\n"},
		{row: "30 query", line: "GET /?a=1;b=2&c=%zz&d=%2F&e=+ HTTP/1.1", want: "GET /?a=1;b=2&c=%zz&d=%2F&e=+ HTTP/1.1\r\n"},
		{row: "30 many parameters", line: "GET /?" + strings.Repeat("a=1&", 1500) + " HTTP/1.1", want: "GET /?" + strings.Repeat("a=1&", 1500) + " HTTP/1.1\r\n"},
	}
	for _, test := range tests {
		t.Run(test.row, func(t *testing.T) {
			got := make(chan string, 1)
			o := startOrigin(t, func(c *originConn) {
				head, _ := c.head()
				got <- head
				c.send(okResponse)
			})
			g := start(t, toOrigin(o.addr), func(s *setup) { s.server.Policy.EscapedSlashes = test.policy })
			c := dial(t, g)
			host := test.host
			if host == "" {
				host = "a.example"
			}
			c.send(req(test.line, "Host: "+host))
			a := c.read("GET")
			if test.status != 0 {
				if a.StatusCode != test.status || a.Header.Get("Location") != test.want {
					t.Errorf("answer %d to %q, want %d to %q", a.StatusCode, a.Header.Get("Location"), test.status, test.want)
				}
				return
			}
			if sent := <-got; !strings.HasPrefix(sent, test.want) {
				t.Errorf("upstream got %.200q, want %.200q", sent, test.want)
			}
		})
	}
}

// Row 31: a rewrite cannot lead out of where it leads to.
func TestHardeningRewriteIsNormalised(t *testing.T) {
	t.Parallel()
	o := silent(t)
	g := start(t, withRoutes([]*router.Cluster{{Name: "origin", Endpoints: []*router.Endpoint{{Address: o.addr}}}},
		&router.Route{
			Match:       router.Match{Path: router.StringMatch{Kind: router.MatchPrefix, Value: "/a"}},
			RouteAction: &router.RouteAction{Rewrite: &router.Rewrite{Prefix: "/files/", HasPrefix: true}, Destinations: []router.Destination{{Cluster: "origin"}}},
		},
		&router.Route{
			RouteAction: &router.RouteAction{Rewrite: &router.Rewrite{Regex: "^/r/(.*)$", Substitution: `/files/.\1/x`}, Destinations: []router.Destination{{Cluster: "origin"}}},
		}))
	for _, path := range []string{"/a../secret", "/a..", "/a%2e%2e/secret", "/a./x", "/r/.", "/r/%2e"} {
		c := dial(t, g)
		if a := c.get(path); a.StatusCode != 400 {
			t.Errorf("%s: status %d, want 400", path, a.StatusCode)
		}
	}
	if n := o.bytes.Load(); n != 0 {
		t.Errorf("the upstream got %d bytes", n)
	}
}

// Row 28: the host's case and trailing dot do not matter.
func TestHardeningHostForms(t *testing.T) {
	t.Parallel()
	spec := withRoutes(nil, &router.Route{RouteAction: &router.RouteAction{Direct: &router.DirectResponse{Status: 200, Body: []byte("here")}}})
	spec.Listeners[0].Tables[0].VirtualHosts[0].Domains = []string{"a.example"}
	g := start(t, spec)
	for host, status := range map[string]int{"A.Example": 200, "a.example.": 200, "a.example:80": 200, "A.EXAMPLE.:8080": 200, "b.example": 404, "a.example..": 404, "xa.example": 404} {
		c := dial(t, g)
		c.send(req("GET / HTTP/1.1", "Host: "+host))
		if a := c.read("GET"); a.StatusCode != status {
			t.Errorf("Host %s: %d, want %d", host, a.StatusCode, status)
		}
	}
}

// Row 64: one connection too many is told so.
func TestHardeningConnectionLimits(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*setup){
		"all":    func(s *setup) { s.accept.MaxConnections = 2 },
		"per IP": func(s *setup) { s.accept.MaxConnectionsPerIP = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			o := startOrigin(t, answering(okResponse))
			g := start(t, toOrigin(o.addr), limit)
			first, second := dial(t, g), dial(t, g)
			first.get("/")
			second.get("/")
			for range 20 {
				third := dial(t, g)
				a := third.get("/")
				if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || !a.Close {
					t.Fatalf("answer %d %v", a.StatusCode, a.Header)
				}
				third.expectEnd()
				third.Close()
			}
			first.Close()
			eventually(t, patience, "a place is free", func() bool {
				conn := dial(t, g)
				defer conn.Close()
				return conn.get("/").StatusCode == 200
			})
		})
	}
}

// Row 73: an upstream's message that is not valid gives 502, or breaks off.
func TestHardeningResponses(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\n"
	for name, response := range map[string]string{
		"two lengths":          head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		"two equal lengths":    head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
		"list of lengths":      head + "Content-Length: 2, 2\r\n\r\nok",
		"negative length":      head + "Content-Length: -2\r\n\r\nok",
		"signed length":        head + "Content-Length: +2\r\n\r\nok",
		"huge length":          head + "Content-Length: 18446744073709551618\r\n\r\nok",
		"empty length":         head + "Content-Length:\r\n\r\nok",
		"length and chunked":   head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"unknown coding":       head + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"chunked twice":        head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"chunked in 1.0":       "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"NUL in header":        head + "X: a\x00b\r\nContent-Length: 2\r\n\r\nok",
		"bare CR in header":    head + "X: a\rb\r\nContent-Length: 2\r\n\r\nok",
		"bare LF in header":    head + "X: a\nY: b\r\nContent-Length: 2\r\n\r\nok",
		"bare LF":              "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"folded header":        head + "X: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
		"space before colon":   head + "Content-Length : 2\r\n\r\nok",
		"empty name":           head + ": a\r\nContent-Length: 2\r\n\r\nok",
		"no colon":             head + "abc\r\nContent-Length: 2\r\n\r\nok",
		"bad chunk at once":    head + "Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
		"head too long":        head + "X: " + strings.Repeat("y", 66<<10) + "\r\nContent-Length: 2\r\n\r\nok",
		"too many fields":      head + strings.Repeat("X: y\r\n", 101) + "\r\n",
		"bad version":          "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"bad status":           "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
		"status 600":           "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok",
		"status 099":           "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
		"no HTTP":              "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n\r\n",
		"NUL in reason":        "HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\nok",
		"unsolicited 101":      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"nine interim answers": strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9) + head + "Content-Length: 2\r\n\r\nok",
		"noise":                strings.Repeat("\x00", 100),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startOrigin(t, answering(response))
			g := start(t, toOrigin(o.addr))
			c := dial(t, g)
			c.send(get())
			a := c.read("GET")
			for a.StatusCode == 103 {
				a = c.read("GET")
			}
			if a.StatusCode != 502 || strings.Contains(a.body, "ok") {
				t.Errorf("answer %d %q, want 502", a.StatusCode, a.body)
			}
			if rec := g.completed(1); rec.flags != "UPE" {
				t.Errorf("flags %s, want UPE", rec.flags)
			}
			// The client's connection goes on, the upstream's does not.
			if a.Close {
				t.Errorf("the client's connection was closed")
			}
			before := o.conns.Load()
			c.send(get())
			c.read("GET")
			if o.conns.Load() == before {
				t.Errorf("the upstream's connection was used again")
			}
		})
	}
}

// Row 73: what follows a message is never another client's answer.
func TestHardeningResponseDesync(t *testing.T) {
	t.Parallel()
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	for name, test := range map[string]struct{ method, response string }{
		"bytes behind a length":   {"GET", okResponse + poison},
		"bytes behind chunks":     {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + poison},
		"body of HEAD":            {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n" + poison},
		"body of 204":             {"GET", "HTTP/1.1 204 No Content\r\n\r\n" + poison},
		"body of 204 with length": {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 42\r\n\r\n" + poison},
		"body of 304":             {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\n\r\n" + poison},
		"length 0":                {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + poison},
	} {
		for _, gap := range []time.Duration{0, 20 * time.Millisecond} {
			t.Run(fmt.Sprint(name, " ", gap), func(t *testing.T) {
				t.Parallel()
				at := strings.Index(test.response, poison)
				sent := make(chan bool, 1)
				o := startOrigin(t, func(c *originConn) {
					for {
						r, _, err := c.request()
						if err != nil {
							return
						}
						if r.URL.Path == "/victim" {
							c.send(okResponse)
							continue
						}
						if gap == 0 {
							c.send(test.response)
						} else {
							c.send(test.response[:at])
							time.Sleep(gap)
							c.send(poison)
						}
						sent <- true
					}
				})
				g := start(t, toOrigin(o.addr), func(s *setup) { s.quiet = true })
				attacker, victim := dial(t, g), dial(t, g)
				for range 30 {
					attacker.send(req(test.method+" / HTTP/1.1", "Host: a.example"))
					a := attacker.read(test.method)
					if a.body != "" && a.body != "ok" {
						t.Fatalf("the attacker got %q", a.body)
					}
					<-sent
					if a := victim.get("/victim"); a.body != "ok" {
						t.Fatalf("the victim got %q", a.body)
					}
				}
			})
		}
	}
}
