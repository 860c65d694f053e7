package telemetry

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
)

// carried is a connection as a gateway has it when a client of MySQL has gone.
func carried() *proxy.Stream {
	return &proxy.Stream{
		Connection: &proxy.Connection{
			Local:  netip.MustParseAddrPort("127.0.0.1:3306"),
			Remote: netip.MustParseAddrPort("10.1.2.3:40123"),
		},
		Route:         "mysql",
		Cluster:       "outbound|3306||mysql.default.svc.cluster.local",
		UpstreamHost:  "127.0.0.1:13306",
		UpstreamLocal: netip.MustParseAddrPort("127.0.0.1:51234"),
		Attempts:      1,
		BytesReceived: 12,
		BytesSent:     5183,
		Start:         1_000_000,
		End:           25_900_000,
	}
}

func TestAppendStreamLine(t *testing.T) {
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
			if got := string(appendStreamLine(nil, st, testStart)); got != c.want+"\n" {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestCompleteStream(t *testing.T) {
	t.Parallel()
	out := &sink{}
	tel, err := New(Options{AccessLog: "-", Stdout: out, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	tel.CompleteStream(carried())
	tel.Close()
	if lines := out.lines(); len(lines) != 1 || !strings.Contains(lines[0], `"- - -" 0 `) {
		t.Errorf("lines = %q", lines)
	}
}
