package accesslog

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

func TestDefaultText(t *testing.T) {
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
			got := line(t, DefaultText, ex, nil)
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestHostileValues: no value that a client chooses can end its line or its field.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	fields := strings.Count(line(t, DefaultText, forwarded(), nil), " ")
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
		text := line(t, DefaultText, ex, nil)
		for i, c := range []byte(text) {
			if c < 0x20 || c > 0x7e {
				t.Errorf("%q: byte %#x at %d of %q", hostile, c, i, text)
			}
		}
		if n := strings.Count(text, `"`); n != 14 {
			t.Errorf("%q: %d quotes, want 14, in %s", hostile, n, text)
		}
		outside := 0
		for i, part := range strings.Split(text, `"`) {
			if i%2 == 0 {
				outside += strings.Count(part, " ")
			}
		}
		// The first quoted part holds two spaces of the format's own.
		if outside != fields-2 {
			t.Errorf("%q: %d spaces outside of quotes, want %d, in %s", hostile, outside, fields-2, text)
		}
	}
}

func TestDefaultTextOfConnections(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*proxy.Stream)
		want   string
	}{
		"carried": {
			func(*proxy.Stream) {},
			`[2026-11-21T08:08:07.065Z] "- - -" 0 - - - "-" 12 5183 24 - "-" "-" "-" "-" "127.0.0.1:13306" outbound|3306||mysql.default.svc.cluster.local 127.0.0.1:51234 127.0.0.1:3306 10.1.2.3:40123 - mysql`,
		},
		"by server name, ended by time": {
			func(st *proxy.Stream) {
				st.Connection.TLS = &proxy.TLSState{ServerName: "db.example.com"}
				st.Flags, st.Termination = proxy.FlagStreamIdleTimeout, "tcp_session_idle_timeout"
			},
			`[2026-11-21T08:08:07.065Z] "- - -" 0 SI - tcp_session_idle_timeout "-" 12 5183 24 - "-" "-" "-" "-" "127.0.0.1:13306" outbound|3306||mysql.default.svc.cluster.local 127.0.0.1:51234 127.0.0.1:3306 10.1.2.3:40123 db.example.com mysql`,
		},
		"refused": {
			func(st *proxy.Stream) {
				*st = proxy.Stream{Connection: st.Connection, Route: "mysql", Cluster: st.Cluster, Flags: proxy.FlagUpstreamConnectFailure,
					UpstreamHost: st.UpstreamHost, UpstreamFailure: `dial tcp: "refused"`}
			},
			`[2026-11-21T08:08:07.065Z] "- - -" 0 UF - - "dial tcp: \x22refused\x22" 0 0 0 - "-" "-" "-" "-" "127.0.0.1:13306" outbound|3306||mysql.default.svc.cluster.local - 127.0.0.1:3306 10.1.2.3:40123 - mysql`,
		},
		"no route": {
			func(st *proxy.Stream) {
				*st = proxy.Stream{Connection: st.Connection, Flags: proxy.FlagNoRoute}
			},
			`[2026-11-21T08:08:07.065Z] "- - -" 0 NR - - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 127.0.0.1:3306 10.1.2.3:40123 - -`,
		},
		"hostile name": {
			func(st *proxy.Stream) {
				st.Connection.TLS = &proxy.TLSState{ServerName: "a\r\nb c"}
			},
			`[2026-11-21T08:08:07.065Z] "- - -" 0 - - - "-" 12 5183 24 - "-" "-" "-" "-" "127.0.0.1:13306" outbound|3306||mysql.default.svc.cluster.local 127.0.0.1:51234 127.0.0.1:3306 10.1.2.3:40123 a\x0D\x0Ab\x20c mysql`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := carried()
			c.change(st)
			if got := line(t, DefaultText, nil, st); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func BenchmarkLine(b *testing.B) {
	for name, spec := range map[string]router.AccessLog{"text": {}, "JSON": {JSON: true}, "record": {OTLP: &router.OTLP{}}} {
		b.Run(name, func(b *testing.B) {
			line, _, err := compileLine(&spec)
			if err != nil {
				b.Fatal(err)
			}
			ex := forwarded()
			dst := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				dst = line(dst[:0], ofExchange(ex))
			}
		})
	}
}
