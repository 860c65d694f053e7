package traces

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// span is one that the sink got.
type span struct {
	Trace, ID, Parent string
	Name              string
	Kind              tracepb.Span_SpanKind
	Service           string
	State             string
	Tags              map[string]string
	Failed            bool
	Start, End        uint64
}

func (s *span) String() string {
	return fmt.Sprintf("%s %s %q of %s, %s below %q in %s\n   %v", s.Service, s.Kind, s.Name, s.ID, s.Tags["http.url"], s.Parent, s.Trace, s.Tags)
}

// sink is a collector.
type sink struct {
	collectorpb.UnimplementedTraceServiceServer
	mu      sync.Mutex
	spans   []*span
	headers []string // those named "x-token", of requests
	paths   []string
	came    chan struct{} // closed, and made anew, when spans come
}

func newSink() *sink { return &sink{came: make(chan struct{})} }

// Export implements the collector's service.
func (s *sink) Export(ctx context.Context, r *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	s.take(r, strings.Join(md.Get("x-token"), ","), "")
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

// ServeHTTP is the collector's service over HTTP.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req collectorpb.ExportTraceServiceRequest
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(body, &req)
	}
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, fmt.Sprint("not OTLP: ", r.Method, r.Header, err), http.StatusBadRequest)
		return
	}
	s.take(&req, r.Header.Get("X-Token"), r.URL.Path)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (s *sink) take(r *collectorpb.ExportTraceServiceRequest, token, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.headers, s.paths = append(s.headers, token), append(s.paths, path)
	for _, of := range r.ResourceSpans {
		service := values(of.Resource.Attributes)["service.name"]
		for _, scope := range of.ScopeSpans {
			for _, p := range scope.Spans {
				s.spans = append(s.spans, &span{
					Trace: hex.EncodeToString(p.TraceId), ID: hex.EncodeToString(p.SpanId), Parent: hex.EncodeToString(p.ParentSpanId),
					Name: p.Name, Kind: p.Kind, Service: service, State: p.TraceState, Tags: values(p.Attributes),
					Failed: p.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR, Start: p.StartTimeUnixNano, End: p.EndTimeUnixNano,
				})
			}
		}
	}
	close(s.came)
	s.came = make(chan struct{})
}

func values(all []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range all {
		m[kv.Key] = kv.Value.GetStringValue()
	}
	return m
}

// serve starts the sink at an address, and returns that and what stops it.
func (s *sink) serve(t *testing.T, address string, overHTTP bool) (at string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if overHTTP {
		server := &http.Server{Handler: s}
		go server.Serve(l)
		stop = sync.OnceFunc(func() { server.Close() })
	} else {
		server := grpc.NewServer()
		collectorpb.RegisterTraceServiceServer(server, s)
		go server.Serve(l)
		stop = sync.OnceFunc(server.Stop)
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// await returns the spans of a trace once there are as many as n.
func (s *sink) await(t *testing.T, trace string, n int) []*span {
	t.Helper()
	late := time.After(patience)
	for {
		got, came := s.of(trace)
		if len(got) >= n {
			return got
		}
		select {
		case <-came:
		case <-late:
			t.Fatalf("%d spans of trace %s came, want %d:\n%s", len(got), trace, n, list(got))
		}
	}
}

// of returns the spans of a trace, all for "", and what is closed when more come.
func (s *sink) of(trace string) (found []*span, came chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.spans {
		if trace == "" || x.Trace == trace {
			found = append(found, x)
		}
	}
	return found, s.came
}

func list(spans []*span) string {
	var b strings.Builder
	for _, x := range spans {
		fmt.Fprintln(&b, x)
	}
	return b.String()
}
