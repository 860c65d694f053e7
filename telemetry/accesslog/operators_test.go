package accesslog

import (
	"encoding/json"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// rich is an exchange of which everything is known: a rewritten gRPC call over mutual TLS.
func rich() *proxy.Exchange {
	ex := forwarded()
	ex.Connection = &proxy.Connection{
		Chain: "bookinfo", Peer: netip.MustParseAddrPort("192.0.2.9:5000"),
		TLS: &proxy.TLSState{
			ServerName: "bookinfo.example.com", Version: 0x304, CipherSuite: 0x1301,
			Peer: &proxy.PeerCertificate{
				Subject: "CN=client,O=Shop", Issuer: "CN=ca", Serial: "0a1b", Hash: "cafe",
				URIs: []string{"spiffe://cluster.local/ns/default/sa/curl", "spiffe://other"}, DNSNames: []string{"client.example.com"},
			},
		},
	}
	ex.Protocol, ex.GRPC, ex.GRPCStatus = "HTTP/2", true, "5"
	ex.Remote = netip.MustParseAddrPort("[2001:db8:1:2:3:4:5:6]:40123")
	ex.Client = ex.Remote.Addr()
	ex.Endpoint = &router.Endpoint{Address: "reviews.example.com:443"}
	ex.UpstreamPath, ex.UpstreamAuthority = "/v2/productpage", "internal"
	ex.Flags = proxy.FlagUpstreamReset | proxy.FlagRetryExceeded
	ex.Details, ex.Termination, ex.UpstreamFailure = "via upstream", "idle timeout", "TLS: bad certificate"
	ex.HeadReceived, ex.HeadSent, ex.Attempts = 100, 60, 3
	ex.ResponseHeaders = []router.Header{{Name: "content-type", Value: "text/html"}, {Name: "set-cookie", Value: "a=1"}, {Name: "set-cookie", Value: "b=2"}}
	ex.ResponseTrailers = []router.Header{{Name: "x-sum", Value: "9"}}
	ex.Buffered = true
	ex.UpstreamStart, ex.UpstreamFirst, ex.ResponseFlushed = 3_000_000, 20_500_000, 21_000_000
	ex.Trace.ID = [16]byte{0x4b, 0xf9, 15: 0x36}
	ex.Trace.Span = [8]byte{0: 0, 7: 0xb7}
	return ex
}

// TestOperators: what each comes to for an exchange, and for a connection.
func TestOperators(t *testing.T) {
	t.Setenv("SLUICE_TEST", "from the environment")
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ format, exchange, connection string }{
		{"%PROTOCOL%", "HTTP/2", "-"},
		{"%RESPONSE_CODE%", "200", "0"},
		{"%RESPONSE_CODE_DETAILS%", "via_upstream", "-"},
		{`"%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%"`, `"via upstream"`, `"-"`},
		{"%RESPONSE_FLAGS%", "UR,URX", "-"},
		{"%RESPONSE_FLAGS_LONG%", "UpstreamRemoteReset,UpstreamRetryLimitExceeded", "-"},
		{"%CONNECTION_TERMINATION_DETAILS%", `idle\x20timeout`, "-"},
		{"%BYTES_RECEIVED% %BYTES_SENT%", "12 5183", "12 5183"},
		{"%REQUEST_HEADERS_BYTES% %RESPONSE_HEADERS_BYTES%", "100 60", "0 0"},
		{"%DOWNSTREAM_HEADER_BYTES_RECEIVED% %DOWNSTREAM_HEADER_BYTES_SENT%", "100 60", "0 0"},
		{"%DOWNSTREAM_WIRE_BYTES_RECEIVED% %DOWNSTREAM_WIRE_BYTES_SENT%", "112 5243", "12 5183"},

		{"%START_TIME%", "2026-11-21T08:08:07.065Z", "2026-11-21T08:08:07.065Z"},
		{"%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%", "2026/11/21T08:08:07+0000 1795248487", "2026/11/21T08:08:07+0000 1795248487"},
		{"%START_TIME(%s.%3f)% %START_TIME(%6f|%9f|%f|%1f)%", "1795248487.065 065400|065400000|065400000|0", "1795248487.065 065400|065400000|065400000|0"},
		{"%START_TIME(%a %A %b %B %e %j %y %I%p %F %T %R %D %u %w %n%%)%", "Sat Saturday Nov November 21 325 26 08AM 2026-11-21 08:08:07 08:08 11/21/26 6 6 \n%", "Sat Saturday Nov November 21 325 26 08AM 2026-11-21 08:08:07 08:08 11/21/26 6 6 \n%"},
		{"%DURATION%", "24", "24"},
		{"%REQUEST_DURATION% %REQUEST_TX_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "0 2 19 5", "- - - -"},
		{"%COMMON_DURATION(DS_RX_BEG:US_RX_BEG:us)% %COMMON_DURATION(DS_RX_BEG:DS_TX_BEG:ms)% %COMMON_DURATION(DS_RX_BEG:mine:ns)%", "19500 20 -", "- - -"},
		{"%COMMON_DURATION(DS_CX_BEG:DS_CX_END:ns)%", "24900000", "24900000"},
		{"%COMMON_DURATION(DS_TX_END:DS_RX_BEG:ns)%", "-", "-"}, // backwards

		{"%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%", "127.0.0.1:19080 127.0.0.1:19080 127.0.0.1 19080", "127.0.0.1:13306 127.0.0.1:13306 127.0.0.1 13306"},
		{"%UPSTREAM_HOST_NAME% %UPSTREAM_HOST_NAME_WITHOUT_PORT%", "reviews.example.com:443 reviews.example.com", "127.0.0.1:13306 127.0.0.1"},
		{"%UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW%", "outbound|9080||productpage.default.svc.cluster.local outbound|9080||productpage.default.svc.cluster.local", "outbound|3306||mysql.default.svc.cluster.local outbound|3306||mysql.default.svc.cluster.local"},
		{"%UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_LOCAL_PORT%", "127.0.0.1:51234 127.0.0.1 51234", "127.0.0.1:51234 127.0.0.1 51234"},
		{`"%UPSTREAM_TRANSPORT_FAILURE_REASON%"`, `"TLS: bad certificate"`, `"-"`},
		{"%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "3", "1"},
		{"%ROUTE_NAME% %FILTER_CHAIN_NAME%", "productpage bookinfo", "mysql -"},

		{"%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_PORT%", "[2001:db8:1:2:3:4:5:6]:40123 40123", "10.1.2.3:40123 40123"},
		{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(64)%", "2001:db8:1:2:3:4:5:6 2001:db8:1:2::/64", "10.1.2.3 -"},
		{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)%", "2001::/16", "10.1.0.0/16"},
		{"%DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_PORT%", "192.0.2.9:5000 192.0.2.9 5000", "10.1.2.3:40123 10.1.2.3 40123"},
		{"%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%", "127.0.0.1:8080 127.0.0.1 8080", "127.0.0.1:3306 127.0.0.1 3306"},
		{"%DOWNSTREAM_DIRECT_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_PORT%", "127.0.0.1:8080 8080", "127.0.0.1:3306 3306"},

		{"%REQUESTED_SERVER_NAME% %REQUESTED_SERVER_NAME(SNI_FIRST:HOST)% %REQUESTED_SERVER_NAME(HOST_FIRST:ORIG)%", "bookinfo.example.com bookinfo.example.com bookinfo.example.com", "- - -"},
		{"%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER%", "TLSv1.3 TLS_AES_128_GCM_SHA256", "- -"},
		{"%DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_ISSUER% %DOWNSTREAM_PEER_SERIAL% %DOWNSTREAM_PEER_FINGERPRINT_256%", "CN=client,O=Shop CN=ca 0a1b cafe", "- - - -"},
		{"%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_DNS_SAN%", "spiffe://cluster.local/ns/default/sa/curl,spiffe://other client.example.com", "- -"},

		{"%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(Host)% %REQ(:SCHEME)%", "GET /productpage?u=test bookinfo.example.com bookinfo.example.com http", "- - - - -"},
		{"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQUEST_HEADER(X-ENVOY-ORIGINAL-HOST)%", "/productpage?u=test bookinfo.example.com", "- -"},
		{"%REQ(USER-AGENT):4% %REQ(X-NONE?User-Agent)% %REQ(X-NONE)% %REQ(X-NONE?X-OTHER)%", "curl curl/8.5.0 - -", "- - - -"},
		{"%REQ(X-REQUEST-ID):8% %STREAM_ID%", "6ba7b810 6ba7b810-9dad-41d1-80b4-00c04fd430c8", "- -"},
		{"%RESP(:STATUS)% %RESP(CONTENT-TYPE)% %RESPONSE_HEADER(Set-Cookie)% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", "200 text/html a=1,b=2 23", "- - - -"},
		{"%TRAILER(X-Sum)% %RESPONSE_TRAILER(x-none?x-sum)%", "9 9", "- -"},
		{"%PATH% %PATH(NQ)% %PATH(WQ:ORIG)% %PATH(NQ:PATH)%", "/productpage?u=test /productpage /productpage?u=test /productpage", "- - - -"},
		{"%REQ_WITHOUT_QUERY(:PATH)% %QUERY_PARAM(u)% %QUERY_PARAM(v)% %QUERY_PARAMS% %QUERY_PARAMS(DECODED)%", "/productpage test - u=test u=test", "- - - - -"},

		{"%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%", "NotFound NOT_FOUND 5 5", "- - - -"},
		{"%TRACE_ID% %SPAN_ID%", "4bf90000000000000000000000000036 00000000000000b7", "- -"},
		{"%HOSTNAME% %ENVIRONMENT(SLUICE_TEST):4% %ENVIRONMENT(SLUICE_NONE)% %ACCESS_LOG_TYPE%", hostname + " from - DownstreamEnd", hostname + " from - TcpConnectionEnd"},
		{"%CEL(response.code + 1)% %CEL(request.headers['x-none'])% %CEL(request.path.size() > 3 ? 'long (really)' : 'short'):4%", "201 - long", "- - -"},
		{`%COALESCE({"operators": [{"command": "REQ", "param": "x-none"}, "REQUESTED_SERVER_NAME", "PROTOCOL"]}):8%`, "bookinfo", "-"},
		{"%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload):10% %FILTER_STATE(a:PLAIN)% %UPSTREAM_METADATA(x)% %CONNECTION_ID% %VIRTUAL_CLUSTER_NAME%", "- - - - -", "- - - - -"},
		{"100%% of %PROTOCOL%%%", "100% of HTTP/2%", "100% of -%"},
		{"no operators", "no operators", "no operators"},
	} {
		ex, st := rich(), carried()
		if got := line(t, c.format, ex, nil); got != c.exchange {
			t.Errorf("%s\n  got  %s\n  want %s", c.format, got, c.exchange)
		}
		if got := line(t, c.format, nil, st); got != c.connection {
			t.Errorf("%s of a connection\n  got  %s\n  want %s", c.format, got, c.connection)
		}
	}
}

// TestEveryOperator: each that is known can be compiled and asked of anything, and a wrong
// argument is told of.
func TestEveryOperator(t *testing.T) {
	t.Parallel()
	needs := map[string]string{
		"REQ": "a", "REQUEST_HEADER": "a", "RESP": "a", "RESPONSE_HEADER": "a", "TRAILER": "a", "RESPONSE_TRAILER": "a", "REQ_WITHOUT_QUERY": "a",
		"QUERY_PARAM": "a", "ENVIRONMENT": "A", "CEL": "true", "TYPED_CEL": "true", "COMMON_DURATION": "a:b:ms", "COALESCE": `{"operators": ["PROTOCOL"]}`,
	}
	for name := range operators {
		format := "%" + name + "%"
		if a := needs[name]; a != "" {
			format = "%" + name + "(" + a + ")%"
			if err := Check("%" + name + "%"); err == nil {
				t.Errorf("%s without an argument is taken", name)
			}
		}
		line(t, format, rich(), nil)
		line(t, format, &proxy.Exchange{}, nil)
		line(t, format, nil, &proxy.Stream{})
	}
}

func TestTimesThatPass(t *testing.T) {
	t.Parallel()
	before := time.Now().Truncate(time.Millisecond)
	got, err := time.Parse("2006-01-02T15:04:05.000Z", line(t, "%EMIT_TIME%", rich(), nil))
	if err != nil || got.Before(before) || got.After(time.Now()) {
		t.Errorf("EMIT_TIME is %s (%v)", got, err)
	}
	if got, want := line(t, "%START_TIME_LOCAL(%H:%M%z)%", rich(), nil), testStart.Local().Format("15:04-0700"); got != want {
		t.Errorf("START_TIME_LOCAL is %s, want %s", got, want)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if a, b := line(t, "%UNIQUE_ID%", rich(), nil), line(t, "%UNIQUE_ID%", rich(), nil); a == b || !uuid.MatchString(a) {
		t.Errorf("UNIQUE_ID is %s, and %s", a, b)
	}
}

// TestWrongFormats: each error names the operator, and what would be right.
func TestWrongFormats(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"%RESPONSE_KODE%":            "%RESPONSE_KODE% is no operator that is known; did you mean %RESPONSE_CODE%?",
		"%XYZZY%":                    "%XYZZY% is no operator that is known; there are ACCESS_LOG_TYPE, BYTES_RECEIVED, ",
		"100% sure":                  `"% sure" begins no operator: its name is written in capitals`,
		"100%":                       `"%" begins no operator`,
		"%protocol%":                 `"%protocol%" begins no operator`,
		"%PROTOCOL":                  "%PROTOCOL has no end",
		"%REQ(X":                     `%REQ(X has no end: ")%" is missing`,
		"%REQ(X):a%":                 `%REQ(X):a% has no end: ")%" is missing`,
		"%PROTOCOL:a%":               `%PROTOCOL: "a" is no number of characters`,
		"%REQ()%":                    "%REQ()%: name a header",
		"%REQ(a?)%":                  "%REQ(a?)%: name a header",
		"%REQ(a b)%":                 "%REQ(a b)%: name a header",
		"%PROTOCOL(x)%":              "%PROTOCOL% takes no argument, and has (x)",
		"%START_TIME(%Q)%":           "%START_TIME(%Q)%: %Q is no conversion of a time that is known",
		"%START_TIME(a%)%":           "%START_TIME(a%)%: a time format ends in a percent sign",
		"%GRPC_STATUS(UPPER)%":       "%GRPC_STATUS(UPPER)%: the argument is CAMEL_STRING",
		"%COMMON_DURATION(a:b)%":     "%COMMON_DURATION(a:b)%: the argument is START:END:PRECISION",
		"%COMMON_DURATION(a:b:s)%":   `%COMMON_DURATION(a:b:s)%: "s" is no precision`,
		"%REQUESTED_SERVER_NAME(X)%": "%REQUESTED_SERVER_NAME(X)%: the first argument is",
		"%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(200)%": "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(200)%: the argument is the length",
		"%CEL(response.kode)%":                         "%CEL(response.kode)%: column 10: response.kode is no attribute",
		`%COALESCE({"operators": ["X"]})%`:             `%COALESCE({"operators": ["X"]})%: %X% is no operator`,
		`%COALESCE(x)%`:                                "%COALESCE(x)%: the argument is an object",
		strings.Repeat("x", maxFormat+1):               "the format is longer than 65536 bytes",
	} {
		if err := Check(format); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %s", format, err, want)
		}
	}
}

func TestWantedOfResponses(t *testing.T) {
	t.Parallel()
	f, err := Compile("%RESP(Server?ETag)% %RESP(:STATUS)% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% %RESP(SERVER)% %TRAILER(x-sum)% %CEL(response.headers['x-a'])%", false)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.ResponseHeaders(), []string{"server", "etag", "x-a"}; !slices.Equal(got, want) {
		t.Errorf("headers %q, want %q", got, want)
	}
	if got, want := f.ResponseTrailers(), []string{"x-sum"}; !slices.Equal(got, want) {
		t.Errorf("trailers %q, want %q", got, want)
	}
}

// TestLimits: what is cut off is cut, before it is escaped.
func TestLimits(t *testing.T) {
	t.Parallel()
	ex := rich()
	ex.Request.Path = "/" + strings.Repeat(" ", 2*maxValue)
	if got := line(t, `%REQ(:PATH):3%`, ex, nil); got != `/\x20\x20` {
		t.Errorf("got %q", got)
	}
	if got := line(t, `%REQ(:PATH):0%`, ex, nil); got != `-` {
		t.Errorf("got %q", got)
	}
	if got := line(t, `"%REQ(:PATH)%"`, ex, nil); len(got) != maxValue+len(`"..."`) || !strings.HasSuffix(got, ` ..."`) {
		t.Errorf("%d bytes, %q", len(got), got[len(got)-10:])
	}
}

func TestOmitEmptyAndPlain(t *testing.T) {
	t.Parallel()
	f, err := Compile("[%REQ(X-NONE)%] %RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", true)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.Append(nil, rich())); got != `[] via\x20upstream` {
		t.Errorf("got %q", got)
	}
	if got := string(f.AppendPlain(nil, rich())); got != `[] via upstream` {
		t.Errorf("plain: got %q", got)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{DefaultText, "%START_TIME(%s.%3f)%", "%REQ(a?b):10%", "%%%PROTOCOL%", "%CEL(a.b['c)%']):3%", `%COALESCE({"operators": ["PROTOCOL", {"command": "REQ", "param": "a", "max_length": 2}]})%`} {
		f.Add(s)
	}
	ex, st := rich(), carried()
	f.Fuzz(func(t *testing.T, s string) {
		format, err := Compile(s, false)
		if err != nil {
			return
		}
		format.Append(nil, ex)
		format.plain(nil, ofStream(st))
		o, _, err := compileFields([]router.LogField{{Name: s, Text: s}}, false)
		if err != nil {
			t.Fatalf("%q is a format alone, and none in JSON: %v", s, err)
		}
		if got := o.append(nil, ofExchange(ex)); !json.Valid(got) {
			t.Fatalf("%q makes invalid JSON: %s", s, got)
		}
	})
}

// TestAlternatives: the second header stands where there is none of the first, not where that is
// empty.
func TestAlternatives(t *testing.T) {
	t.Parallel()
	ex := forwarded()
	ex.Status = 0
	ex.Request.Headers = []router.Header{{Name: "x-empty"}, {Name: "x-a", Value: "a"}, {Name: "x-b", Value: "b"}, {Name: "x-b", Value: "c"}}
	ex.ResponseHeaders = []router.Header{{Name: "x-a", Value: "a"}}
	ex.UpstreamPath = "/v2"
	for format, want := range map[string]string{
		"%REQ(X-EMPTY?X-A)%": "-", "%REQ(X-NONE?X-A)%": "a", "%REQ(X-NONE?X-B)%": "b,c", "%REQ(X-B?X-A)%": "b,c",
		"%REQ(X-NONE?:METHOD)%": "GET", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%": "/productpage?u=test",
		"%REQ(X-ENVOY-ORIGINAL-HOST?HOST)%": "bookinfo.example.com", "%REQ(X-ENVOY-ORIGINAL-HOST)%": "-",
		"%RESP(:STATUS?X-A)%": "a", "%RESP(:STATUS)%": "-", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME?X-A)%": "23",
	} {
		if got := line(t, format, ex, nil); got != want {
			t.Errorf("%s is %q, want %q", format, got, want)
		}
	}
}
