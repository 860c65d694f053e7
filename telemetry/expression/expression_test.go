package expression

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestText evaluates expressions for an exchange; "!" stands for an error.
func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`response.code`:        "503",
		`response.code >= 400`: "true",
		`response.code >= 500 && response.code < 600 ? '5xx' : 'other'`: "5xx",
		`response.flags`: "32800", // UF 0x20, URX 0x8000
		`response.code_details.startsWith('upstream_reset')`:            "true",
		`response.size + response.headers_bytes == response.total_size`: "true",
		`response.headers['Content-Type']`:                              "text/html",
		`response.headers.missing`:                                      "!",
		`response.trailers['x-sum']`:                                    "9",
		`response.grpc_status`:                                          "!",
		`request.method + ' ' + request.path`:                           "GET /productpage?u=test",
		`request.url_path`:                                              "/productpage",
		`request.query`:                                                 "u=test",
		`request.host`:                                                  "bookinfo.example.com",
		`request.scheme`:                                                "https",
		`request.useragent`:                                             "curl/8.5.0",
		`request.referer`:                                               "!",
		`has(request.referer)`:                                          "false",
		`has(request.useragent)`:                                        "true",
		`request.id.size()`:                                             "36",
		`request.protocol`:                                              "HTTP/2",
		`request.size`:                                                  "12",
		`request.total_size`:                                            "112",
		`request.duration`:                                              "0.2509s",
		`request.duration > duration('250ms')`:                          "true",
		`request.time > timestamp('2020-01-01T00:00:00Z')`:              "true",
		`request.headers['x-many']`:                                     "one,two",
		`request.headers['X-Many']`:                                     "one,two",
		`request.headers[':path']`:                                      "/productpage?u=test",
		`request.headers['x-request-id'] == request.id`:                 "true",
		`request.headers['x-other']`:                                    "",
		`'x-other' in request.headers`:                                  "true",
		`'x-none' in request.headers`:                                   "false",
		`has(request.headers.accept)`:                                   "true",
		`size(request.headers)`:                                         "8",
		`request.headers.exists(h, h.startsWith('x-m'))`:                "true",
		`request.headers['x-none'] == 'a' || true`:                      "true",
		`request.headers['x-none'] == 'a'`:                              "!",
		`request.headers['x-none'] == 'a' && false`:                     "false",
		`source.address`:                                                "10.1.2.3:40123",
		`source.port`:                                                   "40123",
		`string(destination.port)`:                                      "8443",
		`destination.address`:                                           "127.0.0.1:8443",
		`connection.mtls`:                                               "true",
		`connection.requested_server_name`:                              "bookinfo.example.com",
		`connection.tls_version`:                                        "TLSv1.3",
		`connection.subject_peer_certificate`:                           "CN=client",
		`connection.uri_san_peer_certificate`:                           "spiffe://cluster.local/ns/default/sa/curl",
		`connection.dns_san_peer_certificate`:                           "client.example.com",
		`connection.sha256_peer_certificate_digest`:                     "abcd",
		`connection.termination_details`:                                "!",
		`upstream.address`:                                              "127.0.0.1:19080",
		`upstream.port`:                                                 "19080",
		`upstream.local_address`:                                        "127.0.0.1:51234",
		`upstream.transport_failure_reason.contains('refused')`:         "true",
		`upstream.request_attempt_count > 1`:                            "true",
		`upstream.request_attempt_count == 3u`:                          "true",
		`xds.route_name`:                                                "productpage",
		`xds.cluster_name.matches('^outbound\\|[0-9]+\\|')`:             "true",
		`xds.filter_chain_name`:                                         "bookinfo",
		`xds.listener_direction`:                                        "2",
		`request['path']`:                                               "/productpage?u=test",
		`response.code in [500, 502, 503]`:                              "true",
		`{'GET': 'read', 'POST': 'write'}[request.method]`:              "read",
		`[1, 2, 3].filter(x, x > 1).map(x, x * 2)[1]`:                   "6",
		"// a remark\nresponse.code == 503":                             "true",
		`!(response.code == 200) ? "bad" : "good"`:                      "bad",
	} {
		p, err := Compile(text, Text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, ok := p.AppendString([]byte("x"), answered())
		if !ok {
			got = append(got, '!')
		}
		if string(got) != "x"+want {
			t.Errorf("%s is %q, want %q", text, got[1:], want)
		}
	}
}

func TestConditionsOfConnections(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`destination.port == 3306`:                                        "true",
		`source.address == '10.1.2.3:40123'`:                              "true",
		`connection.mtls`:                                                 "false",
		`connection.requested_server_name == 'db.example.com'`:            "true",
		`connection.termination_details == 'idle'`:                        "true",
		`upstream.address == '127.0.0.1:13306'`:                           "true",
		`upstream.local_address == '127.0.0.1:51234'`:                     "true",
		`xds.cluster_name.contains('mysql') && xds.route_name == 'mysql'`: "true",
		`xds.listener_direction == 1`:                                     "true",
		`response.flags == 2`:                                             "true",
		`response.code == 200`:                                            "error",
		`response.code == 200 || true`:                                    "true",
		`has(request.path)`:                                               "false",
		`'a' in request.headers`:                                          "error",
	} {
		p, err := Compile(text, Condition)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		value, ok := p.BoolStream(carried())
		if got := map[[2]bool]string{{true, true}: "true", {false, true}: "false", {false, false}: "error"}[[2]bool{value, ok}]; got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

func TestHeadersOfResponses(t *testing.T) {
	t.Parallel()
	p, err := Compile(`response.headers['Content-Type'] == 'a' || 'etag' in response.headers || has(response.headers.etag) || response.trailers.sum == ''`, Condition)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.ResponseHeaders(), []string{"content-type", "etag"}; !slices.Equal(got, want) {
		t.Errorf("headers %q, want %q", got, want)
	}
	if got, want := p.ResponseTrailers(), []string{"sum"}; !slices.Equal(got, want) {
		t.Errorf("trailers %q, want %q", got, want)
	}
}

// TestAllocatesNothing holds the request path to its budget.
func TestAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for _, text := range []string{
		`response.code >= 400 || request.duration > duration('1s')`,
		`request.headers['x-many'] == 'one,two' && request.path.matches('^/product.*test$')`,
		`request.method + '-' + string(response.code) in ['GET-503', source.address]`,
		`{'a': [1, response.code], 'b': [2]}['a'].exists(x, x > 500)`,
		`request.headers.exists(h, h.startsWith('x-o')) && [1, 2].map(x, x + response.size).filter(x, x > 1).size() == 2`,
	} {
		p, err := Compile(text, Condition)
		if err != nil {
			t.Fatal(err)
		}
		ex := answered()
		if value, ok := p.Bool(ex); !value || !ok {
			t.Errorf("%s is %t, %t", text, value, ok)
		}
		if n := testing.AllocsPerRun(1000, func() { p.Bool(ex) }); n > 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

// TestBounded: no expression runs for long.
func TestBounded(t *testing.T) {
	t.Parallel()
	list := "[" + strings.Repeat("1, ", 100) + "1]"
	p, err := Compile(list+".all(a, "+list+".all(b, "+list+".all(c, a + b + c > 0)))", Condition)
	if err != nil {
		t.Fatal(err)
	}
	if value, ok := p.Bool(answered()); value || ok {
		t.Errorf("a million steps came to %t, %t", value, ok)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{`response.code >= 400`, `a.b['c'](1u, 2.5e3, -0x1F)`, `[1, 2].map(x, x > 1, {x: r"\d"})`, `b'\377' == b"""a"""`, `has(request.headers.a) ? 1 : null`, `timestamp('2020-01-01T00:00:00Z').getHours('+01:00')`} {
		f.Add(s)
	}
	ex, st := answered(), carried()
	f.Fuzz(func(t *testing.T, s string) {
		for _, want := range []Kind{Condition, Text} {
			p, err := Compile(s, want)
			if err != nil {
				if !strings.Contains(err.Error(), "column ") {
					t.Fatalf("%q: %v names no place", s, err)
				}
				continue
			}
			p.Bool(ex)
			p.BoolStream(st)
			p.AppendString(nil, ex)
			p.AppendStringStream(nil, st)
		}
	})
}

func BenchmarkBool(b *testing.B) {
	p, err := Compile(`response.code >= 400 || request.duration > duration('1s') && request.headers['x-many'] != ''`, Condition)
	if err != nil {
		b.Fatal(err)
	}
	ex := answered()
	ex.Status = 200
	b.ReportAllocs()
	for b.Loop() {
		p.Bool(ex)
	}
}

// TestErrors: each names the place, and what would be right.
func TestErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                               "column 1: the expression is empty",
		`response.code = 200`:            `column 15: '=' means nothing here; equality is ==`,
		`response.code == '200'`:         "column 15: == compares a int with a string, which are never equal; a number has no quotes",
		`response.code == 200 &&`:        "column 24: the expression ends where a value is missing",
		`response.kode == 200`:           "column 10: response.kode is no attribute that is known; there are response.backend_latency, response.code, ",
		`respons.code == 200`:            "column 9: respons is not known; attributes begin with connection, destination, request, response, source, upstream, xds",
		`code == 200`:                    "column 1: code is not known; attributes begin with",
		`request`:                        "column 1: request is no value by itself; name an attribute of it, such as request.path",
		`response.code`:                  "column 10: the expression is of type int where a condition",
		`request.path.startswith('/a')`:  "column 14: there is no function startswith; there are ",
		`startsWith(request.path, '/a')`: "column 1: startsWith is called on what it is asked of: x.startsWith(...)",
		`request.path.matches('(')`:      "column 22: the pattern is none of RE2: missing closing ): `(`",
		"request.path.matches('" + strings.Repeat("x{1000}", 50) + "')": "column 22: the pattern is too large",
		`request.path.matches(request.host)`:                            "column 30: the pattern of matches() must be a literal string",
		`request.duration > 5`:                                          "column 18: > compares a duration with a int, which have no order; durations are written duration('1.5s')",
		`duration('5 seconds') > duration('1s')`:                        "column 1: duration() cannot make a duration of '5 seconds'",
		`response.code in 200`:                                          "column 15: in needs a list or a map on its right, and this is a int",
		`'a' in request.path`:                                           "column 5: in needs a list or a map on its right, and this is a string; for a part of a string write a.contains(b)",
		`request.path[0] == 'a'`:                                        "column 13: a string has nothing to index; lists and maps have",
		`request.headers[1] == 'a'`:                                     "column 17: the keys of this map are of type string, and this is a int",
		`'abc`:                                                          "column 1: a string has no end: ' is missing",
		`'\q'`:                                                          "column 2: a backslash begins no escape here",
		`99999999999999999999 == 1`:                                     "column 1: 99999999999999999999 is out of the range of int",
		`1 + 'a' == 2`:                                                  "column 3: + is not defined for a int and a string",
		"true &&\n  response.code":                                      "line 2, column 12: && needs conditions on both sides",
		`if == 1`:                                                       "column 1: if is a reserved word, not a name",
		`has(1)`:                                                        "column 1: has() takes a selection",
		`[1].all(x)`:                                                    "column 5: all() takes a name and an expression of it",
		`Message{a: 1}`:                                                 "column 8: messages of Protocol Buffers cannot be made here",
		strings.Repeat("(", 200) + "1":                                  "column 101: expressions stand in each other more than 100 deep",
		strings.Repeat(" ", maxText+1):                                  "column 1: the expression is longer than 16 KB",
		`response.headers == {}`:                                        "column 10: of the headers of a response, single ones can be asked for by a literal name",
		`response.trailers.exists(h, h == 'a')`:                         "column 10: of the headers of a response, single ones",
	} {
		_, err := Compile(text, Condition)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %s", text, err, want)
		}
	}
}
