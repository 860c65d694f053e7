package telemetry

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

var testStart = time.Date(2026, 11, 21, 9, 8, 7, 65_400_000, time.FixedZone("", 3600))

// forwarded is an exchange as a gateway has it after a request to bookinfo.
func forwarded() *proxy.Exchange {
	return &proxy.Exchange{
		Request: router.Request{
			Listener:  "0.0.0.0_8080",
			Method:    "GET",
			Scheme:    "http",
			Authority: "bookinfo.example.com",
			Path:      "/productpage?u=test",
			Headers: []router.Header{
				{Name: "accept", Value: "*/*"},
				{Name: "user-agent", Value: "curl/8.5.0"},
				{Name: "x-forwarded-for", Value: "10.1.2.3"},
			},
		},
		Protocol:            "HTTP/1.1",
		Local:               netip.MustParseAddrPort("127.0.0.1:8080"),
		Remote:              netip.MustParseAddrPort("10.1.2.3:40123"),
		Client:              netip.MustParseAddr("10.1.2.3"),
		RequestID:           "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
		Decision:            router.Decision{Outcome: router.Forward, Route: &router.CompiledRoute{Route: &router.Route{Name: "productpage"}}},
		Destination:         &router.CompiledDestination{Cluster: router.ClusterRef{Name: "outbound|9080||productpage.default.svc.cluster.local"}},
		Status:              200,
		Details:             "via_upstream",
		UpstreamHost:        "127.0.0.1:19080",
		UpstreamLocal:       "127.0.0.1:51234",
		BytesReceived:       12,
		BytesSent:           5183,
		Start:               1_000_000,
		End:                 25_900_000,
		ResponseServiceTime: 23,
	}
}

func TestAppendAccessLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*proxy.Exchange)
		want   string
	}{
		"forwarded": {
			func(*proxy.Exchange) {},
			`[2026-11-21T08:08:07.065Z] "GET /productpage?u=test HTTP/1.1" 200 - via_upstream - "-" 12 5183 24 23 "10.1.2.3" "curl/8.5.0" "6ba7b810-9dad-41d1-80b4-00c04fd430c8" "bookinfo.example.com" "127.0.0.1:19080" outbound|9080||productpage.default.svc.cluster.local 127.0.0.1:51234 127.0.0.1:8080 10.1.2.3:40123 - productpage`,
		},
		"no route": {
			func(ex *proxy.Exchange) {
				ex.Decision, ex.Destination = router.Decision{Outcome: router.NotFound}, nil
				ex.Status, ex.Flags, ex.Details = 404, proxy.FlagNoRoute, "route_not_found"
				ex.UpstreamHost, ex.UpstreamLocal, ex.ResponseServiceTime = "", "", -1
				ex.Request.Headers = nil
			},
			`[2026-11-21T08:08:07.065Z] "GET /productpage?u=test HTTP/1.1" 404 NR route_not_found - "-" 12 5183 24 - "-" "-" "6ba7b810-9dad-41d1-80b4-00c04fd430c8" "bookinfo.example.com" "-" - - 127.0.0.1:8080 10.1.2.3:40123 - -`,
		},
		"upstream refuses": {
			func(ex *proxy.Exchange) {
				ex.Status, ex.Flags, ex.Details = 503, proxy.FlagUpstreamConnectFailure|proxy.FlagRetryExceeded, "upstream_reset_before_response_started{connection_failure}"
				ex.UpstreamFailure, ex.UpstreamLocal, ex.ResponseServiceTime = "connection refused", "", -1
				ex.ServerName = "bookinfo.example.com"
				ex.Termination = "downstream_gone"
			},
			`[2026-11-21T08:08:07.065Z] "GET /productpage?u=test HTTP/1.1" 503 UF,URX upstream_reset_before_response_started{connection_failure} downstream_gone "connection refused" 12 5183 24 - "10.1.2.3" "curl/8.5.0" "6ba7b810-9dad-41d1-80b4-00c04fd430c8" "bookinfo.example.com" "127.0.0.1:19080" outbound|9080||productpage.default.svc.cluster.local - 127.0.0.1:8080 10.1.2.3:40123 bookinfo.example.com productpage`,
		},
		"the caller behind trusted hops": {
			func(ex *proxy.Exchange) {
				ex.Client = netip.MustParseAddr("2001:db8::7")
				ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: "x-forwarded-for", Value: "2001:db8::7"})
			},
			`[2026-11-21T08:08:07.065Z] "GET /productpage?u=test HTTP/1.1" 200 - via_upstream - "-" 12 5183 24 23 "10.1.2.3,2001:db8::7" "curl/8.5.0" "6ba7b810-9dad-41d1-80b4-00c04fd430c8" "bookinfo.example.com" "127.0.0.1:19080" outbound|9080||productpage.default.svc.cluster.local 127.0.0.1:51234 127.0.0.1:8080 [2001:db8::7]:0 - productpage`,
		},
		"an IPv4 client of a dual stack socket": {
			func(ex *proxy.Exchange) {
				ex.Remote = netip.MustParseAddrPort("[::ffff:10.1.2.3]:40123")
				ex.Local = netip.MustParseAddrPort("[::ffff:127.0.0.1]:8080")
			},
			`[2026-11-21T08:08:07.065Z] "GET /productpage?u=test HTTP/1.1" 200 - via_upstream - "-" 12 5183 24 23 "10.1.2.3" "curl/8.5.0" "6ba7b810-9dad-41d1-80b4-00c04fd430c8" "bookinfo.example.com" "127.0.0.1:19080" outbound|9080||productpage.default.svc.cluster.local 127.0.0.1:51234 127.0.0.1:8080 10.1.2.3:40123 - productpage`,
		},
		"nothing was understood": {
			func(ex *proxy.Exchange) {
				*ex = proxy.Exchange{Status: 400, Flags: proxy.FlagDownstreamProtocolError, ResponseServiceTime: -1}
			},
			`[2026-11-21T08:08:07.065Z] "- - -" 400 DPE - - "-" 0 0 0 - "-" "-" "-" "-" "-" - - - - - -`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ex := forwarded()
			c.change(ex)
			got := string(appendAccessLine(nil, ex, testStart))
			if got != c.want+"\n" {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// TestHostileValues: no value that a client chooses can end its line or its field.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	fields := strings.Count(string(appendAccessLine(nil, forwarded(), testStart)), " ")
	for _, hostile := range []string{
		"a\r\n[2026-01-01T00:00:00.000Z] \"GET /forged HTTP/1.1\" 200",
		`" 200 - via_upstream`, `\" x`, "\x1b[2J", "\x00", "\x7f", "\u202e", "\xff\xfe",
	} {
		ex := forwarded()
		ex.Request.Method, ex.Request.Path, ex.Request.Authority = hostile, hostile, hostile
		ex.RequestID, ex.ServerName, ex.UpstreamFailure = hostile, hostile, hostile
		for i := range ex.Request.Headers {
			ex.Request.Headers[i].Value = hostile
		}
		line := string(appendAccessLine(nil, ex, testStart))
		for i, c := range []byte(line[:len(line)-1]) {
			if c < 0x20 || c > 0x7e {
				t.Errorf("%q: byte %#x at %d of %q", hostile, c, i, line)
			}
		}
		if n := strings.Count(line, `"`); n != 14 {
			t.Errorf("%q: %d quotes, want 14, in %s", hostile, n, line)
		}
		outside := 0
		for i, part := range strings.Split(line, `"`) {
			if i%2 == 0 {
				outside += strings.Count(part, " ")
			}
		}
		// The first quoted part holds two spaces of the format's own.
		if outside != fields-2 {
			t.Errorf("%q: %d spaces outside of quotes, want %d, in %s", hostile, outside, fields-2, line)
		}
	}
}

func TestAppendEscaped(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxValue)
	for _, c := range []struct {
		in     string
		quoted bool
		want   string
	}{
		{"", true, ""},
		{"plain", true, "plain"},
		{"two words", true, "two words"},
		{"two words", false, `two\x20words`},
		{"a\nb", true, `a\x0Ab`},
		{`"\`, true, `\x22\x5C`},
		{"é", true, `\xC3\xA9`},
		{long, true, long},
		{long + "y", true, long + "..."},
	} {
		if got := string(appendEscaped(nil, c.in, c.quoted)); got != c.want {
			t.Errorf("appendEscaped(%.20q, %t) = %.40q, want %.40q", c.in, c.quoted, got, c.want)
		}
	}
}

func FuzzAppendEscaped(f *testing.F) {
	for _, s := range []string{"", "a b", "\r\n", `"`, `\x0A`, "\xff"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, quoted bool) {
		got := appendEscaped(nil, s, quoted)
		for i, c := range got {
			if c < 0x20 || c > 0x7e || c == '"' || c == ' ' && !quoted {
				t.Fatalf("byte %#x at %d of %q", c, i, got)
			}
			if c == '\\' && (i+3 >= len(got) || got[i+1] != 'x') {
				t.Fatalf("a backslash that begins no escape at %d of %q", i, got)
			}
		}
	})
}

func BenchmarkAppendAccessLine(b *testing.B) {
	ex := forwarded()
	line := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		line = appendAccessLine(line[:0], ex, testStart)
	}
}
