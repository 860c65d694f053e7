package accesslog

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

var quiet = slog.New(slog.DiscardHandler)

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
		Decision:            router.Decision{Outcome: router.Forward, Route: &router.CompiledRoute{Route: &router.Route{}, Handling: &router.Handling{Configured: router.Configured{RouteAction: &router.RouteAction{Name: "productpage"}, RoutePolicy: &router.RoutePolicy{}}}}},
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

// outlet is a writer that can be held up and can fail.
type outlet struct {
	mu      sync.Mutex
	b       bytes.Buffer
	writes  int
	fail    error
	entered chan struct{} // where not nil, told of each Write
	hold    chan struct{} // where not nil, Write waits for it
}

func (s *outlet) Write(p []byte) (int, error) {
	if s.entered != nil {
		s.entered <- struct{}{}
	}
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.fail != nil {
		return 0, s.fail
	}
	return s.b.Write(p)
}

func (s *outlet) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(strings.TrimSuffix(s.b.String(), "\n"), "\n")
}

// write, reopen, abort and close make an outlet a destination.
func (s *outlet) write(b []byte) (int, error) { return s.Write(b) }
func (s *outlet) reopen() error               { return nil }
func (s *outlet) abort()                      {}
func (s *outlet) close()                      {}

// atTestStart returns a source whose moments are moved such that it began at testStart.
func atTestStart(ex *proxy.Exchange, st *proxy.Stream) source {
	began := 1 + int64(testStart.Sub(proxy.Wall(1)))
	move := func(from int64, moments ...*int64) {
		for _, m := range moments {
			if *m != 0 {
				*m += began - from
			}
		}
	}
	if ex != nil {
		moved := *ex
		moved.Start, moved.End = began, began+ex.End-ex.Start
		move(ex.Start, &moved.UpstreamStart, &moved.UpstreamFirst, &moved.ResponseFlushed)
		return source{ex: &moved}
	}
	moved := *st
	moved.Start, moved.End = began, began+st.End-st.Start
	move(st.Start, &moved.Connected)
	return source{st: &moved}
}

// line returns what a format comes to at testStart, for an exchange or a connection.
func line(t testing.TB, text string, ex *proxy.Exchange, st *proxy.Stream) string {
	t.Helper()
	f, err := Compile(text, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.append(nil, atTestStart(ex, st)))
}

// await waits until something is so.
func await(t *testing.T, so func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatal("waited in vain")
}
