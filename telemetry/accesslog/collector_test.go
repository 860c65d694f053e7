package accesslog

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
	"github.com/sluicegate/sluice/telemetry/otlp"
)

// recordOf returns the record of a log at testStart.
func recordOf(t *testing.T, spec router.AccessLog, ex *proxy.Exchange, st *proxy.Stream) *logspb.LogRecord {
	t.Helper()
	line, _, err := compileLine(&spec)
	if err != nil {
		t.Fatal(err)
	}
	var scope logspb.ScopeLogs
	if err := proto.Unmarshal(line(nil, atTestStart(ex, st)), &scope); err != nil {
		t.Fatal(err)
	}
	if len(scope.LogRecords) != 1 {
		t.Fatalf("%d records", len(scope.LogRecords))
	}
	return scope.LogRecords[0]
}

func TestRecord(t *testing.T) {
	t.Parallel()
	spec := router.AccessLog{
		Text: "%REQ(:METHOD)% %ROUTE_NAME%\n",
		OTLP: &router.OTLP{Attributes: []router.LogField{
			{Name: "code", Text: "%RESPONSE_CODE%"},
			{Name: "mixed", Text: "<%REQ(X-NONE)%>"},
			{Name: "nested", Fields: []router.LogField{{Name: "agent", Text: "%REQ(USER-AGENT)%"}}},
		}},
	}
	ex := rich()
	ex.Trace.Sampled = true
	for want, got := range map[string]*logspb.LogRecord{
		`time_unix_nano: 1795248487065400000 observed_time_unix_nano: 1795248487090300000 body: {string_value: "GET productpage"}
		 attributes: {key: "code" value: {string_value: "200"}} attributes: {key: "mixed" value: {string_value: "<->"}}
		 attributes: {key: "nested" value: {kvlist_value: {values: {key: "agent" value: {string_value: "curl/8.5.0"}}}}}
		 flags: 1 trace_id: "K\xf9\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x006" span_id: "\x00\x00\x00\x00\x00\x00\x00\xb7"`: recordOf(t, spec, ex, nil),
		`time_unix_nano: 1795248487065400000 observed_time_unix_nano: 1795248487090300000 body: {string_value: "- mysql"}
		 attributes: {key: "code" value: {string_value: "0"}} attributes: {key: "mixed" value: {string_value: "<->"}}
		 attributes: {key: "nested" value: {kvlist_value: {values: {key: "agent" value: {string_value: "-"}}}}}`: recordOf(t, spec, nil, carried()),
	} {
		var record logspb.LogRecord
		if err := prototext.Unmarshal([]byte(want), &record); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, &record) {
			t.Errorf("got  %v\nwant %v", got, &record)
		}
	}
	spec.OmitEmpty = true
	if got := recordOf(t, spec, nil, carried()); len(got.Attributes) != 3 || got.Attributes[1].Value.GetStringValue() != "<>" || len(got.Attributes[2].Value.GetKvlistValue().Values) != 0 {
		t.Errorf("with omitted values: %v", got)
	}
}

// TestRecordsAreValid: whatever a client sends, the record can be read.
func TestRecordsAreValid(t *testing.T) {
	t.Parallel()
	spec := router.AccessLog{OTLP: &router.OTLP{Attributes: []router.LogField{{Name: "p", Text: "%REQ(:PATH)%"}}}}
	for _, hostile := range []string{"", "\xff\xfe", strings.Repeat("\x00", 1<<16), strings.Repeat("é", maxValue)} {
		ex := rich()
		ex.Request.Path, ex.Request.Authority = hostile, hostile
		if r := recordOf(t, spec, ex, nil); len(r.Attributes) != 1 || !strings.Contains(r.Body.GetStringValue(), "via_upstream") {
			t.Errorf("%.20q: %v", hostile, r)
		}
	}
}

// TestRecordOfCutTime: a time that is cut within a letter leaves the record one that can be read.
func TestRecordOfCutTime(t *testing.T) {
	t.Parallel()
	spec := router.AccessLog{Text: "%START_TIME(né%H):2% %START_TIME(é):1%", OTLP: &router.OTLP{Attributes: []router.LogField{{Name: "p", Text: "%START_TIME(né%H):2%"}}}}
	if r := recordOf(t, spec, rich(), nil); r.Body.GetStringValue() != "n -" || r.Attributes[0].Value.GetStringValue() != "n" {
		t.Errorf("got %v", r)
	}
}

// TestCollector: records go to the collector of their definition, in batches, with who they
// come from.
func TestCollector(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []*logspb.ResourceLogs
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var data logspb.LogsData
		b, err := io.ReadAll(r.Body)
		if err != nil || proto.Unmarshal(b, &data) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, data.ResourceLogs...)
	}))
	defer server.Close()
	var dialed []string
	l, err := New(Options{
		Shards: 1, Logger: quiet,
		Identity: identity.Identity{Workload: "gateway", Namespace: "istio-system", Node: "router~1"},
		Dial: func(to *router.OTLP) otlp.Dial {
			dialed = append(dialed, to.Cluster)
			return func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	to := &router.OTLP{Cluster: "outbound|4318||otel.observability.svc.cluster.local", Address: "otel:4318", HTTP: true}
	l.Apply(outbound(router.AccessLog{OTLP: to, Text: "%REQ(:PATH)%"}))
	const n = 100
	for range n {
		l.Complete(0, forwarded())
	}
	l.CloseCollectors()
	l.Complete(0, forwarded())
	l.Close()
	records := 0
	for _, r := range got {
		for _, scope := range r.ScopeLogs {
			records += len(scope.LogRecords)
		}
		attributes := map[string]string{}
		for _, a := range r.Resource.Attributes {
			attributes[a.Key] = a.Value.Value.(*commonpb.AnyValue_StringValue).StringValue
		}
		if attributes["log_name"] != "otel_envoy_accesslog" || attributes["node_name"] != "router~1" || attributes["service.name"] != "gateway.istio-system" {
			t.Errorf("resource %v", attributes)
		}
	}
	lines, dropped, failures := l.Counts()
	if records != n || len(got) > n/10 || lines != n || dropped != 1 || failures != 0 || len(dialed) != 1 || dialed[0] != to.Cluster {
		t.Errorf("%d records in %d requests, counted %d, dropped %d, failures %d, dialed %q", records, len(got), lines, dropped, failures, dialed)
	}
}
