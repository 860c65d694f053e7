package logs

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// collector is one of google.golang.org/grpc. It is not there for its first calls.
type collector struct {
	collectorpb.UnimplementedLogsServiceServer
	mu       sync.Mutex
	away     int
	calls    int
	records  []*logspb.LogRecord
	resource map[string]string
}

func (c *collector) Export(_ context.Context, r *collectorpb.ExportLogsServiceRequest) (*collectorpb.ExportLogsServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls++; c.calls <= c.away {
		return nil, status.Error(codes.Unavailable, "not yet")
	}
	for _, of := range r.ResourceLogs {
		c.resource = texts(of.Resource.Attributes)
		for _, scope := range of.ScopeLogs {
			c.records = append(c.records, scope.LogRecords...)
		}
	}
	return &collectorpb.ExportLogsServiceResponse{}, nil
}

func (c *collector) seen() []*logspb.LogRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.records
}

func texts(list []*commonpb.KeyValue) map[string]string {
	m := make(map[string]string)
	for _, a := range list {
		m[a.Key] = a.Value.GetStringValue()
	}
	return m
}

// TestCollector: what a filter lets through comes to the collector as records, none of them
// lost though the collector was away at first, and each with its trace.
func TestCollector(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{away: 2}
	server := grpc.NewServer()
	collectorpb.RegisterLogsServiceServer(server, c)
	go server.Serve(l)
	t.Cleanup(server.Stop)

	g := start(t, shop(t)+entry("otel.internal", "grpc", 4317, l.Addr().String())+telemetry(`
- name: als
  envoyOtelAls:
    service: otel.internal
    port: 4317
    logName: shop_log
    logFormat:
      text: "%REQ(:METHOD)% %REQ(:PATH)% %RESP(X-SHELF)%\n"
      labels: {code: "%RESPONSE_CODE%", details: "%RESPONSE_CODE_DETAILS%", took: {ms: "%DURATION%"}}
`, `
- providers: [{name: als}]
  filter: {expression: "response.code >= 400 || request.headers['x-log'] == 'yes' || request.path.endsWith('/logged')"}
`))
	const n = 20
	began := time.Now()
	for range n {
		if code := g.get(t, "/shop"); code != 200 {
			t.Fatalf("status %d", code)
		}
		g.get(t, "/shop/logged")
		if code := g.get(t, "/nothing"); code != 404 {
			t.Fatalf("status %d", code)
		}
	}
	await(t, "the records", func() bool { return len(c.seen()) >= 2*n })
	took := time.Since(began)
	g.stop()
	if got := len(c.seen()); got != 2*n {
		t.Errorf("%d records, want %d", got, 2*n)
	}
	for _, r := range c.seen() {
		attributes := texts(r.Attributes)
		switch body := r.Body.GetStringValue(); {
		case body == "GET /shop/logged 7" && attributes["code"] == "200" && attributes["details"] == "via_upstream":
		case body == "GET /nothing -" && attributes["code"] == "404" && attributes["details"] == "route_not_found":
		default:
			t.Errorf("record %v", r)
		}
		if r.TimeUnixNano == 0 || r.ObservedTimeUnixNano < r.TimeUnixNano {
			t.Errorf("times %d and %d", r.TimeUnixNano, r.ObservedTimeUnixNano)
		}
	}
	if c.resource["log_name"] != "shop_log" || c.calls > n+2*int(took.Seconds()) {
		t.Errorf("%d calls, resource %v", c.calls, c.resource)
	}
	if strings.Contains(g.out.String(), "GET") {
		t.Errorf("standard output has lines too: %s", g.out.String())
	}
}
