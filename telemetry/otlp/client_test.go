package otlp

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/router"
)

var _ otlptrace.Client = (*Client)(nil)

// message builds a message of Protocol Buffers: strings and messages by their field's number.
func message(fields ...any) (b []byte) {
	for i := 0; i < len(fields); i += 2 {
		id := protowire.Number(fields[i].(int))
		switch v := fields[i+1].(type) {
		case int:
			b = protowire.AppendVarint(protowire.AppendTag(b, id, protowire.VarintType), uint64(v))
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, id, protowire.BytesType), v)
		case []byte:
			b = protowire.AppendBytes(protowire.AppendTag(b, id, protowire.BytesType), v)
		}
	}
	return b
}

// retryAfterThree is google.rpc.Status with a RetryInfo of 3.5 s.
var retryAfterThree = message(1, 8, 2, "busy", 3, message(1, "type.googleapis.com/google.rpc.Help", 2, "x"),
	3, message(1, "type.googleapis.com/google.rpc.RetryInfo", 2, message(1, message(1, 3, 2, 500_000_000))))

func TestSend(t *testing.T) {
	t.Parallel()
	good := grpcAnswer([]byte{}, "Grpc-Status", "0")
	details := base64.RawStdEncoding.EncodeToString(retryAfterThree)
	for name, test := range map[string]struct {
		http    bool
		answers []http.HandlerFunc
		// tries, up to mostTries where that is set: pauses are drawn by lot.
		tries, mostTries int
		// least and most bound how long it took.
		least, most time.Duration
		err         string // empty for none
	}{
		"taken":                     {answers: []http.HandlerFunc{good}, tries: 1},
		"taken without a message":   {answers: []http.HandlerFunc{grpcAnswer(nil, "Grpc-Status", "0")}, tries: 1},
		"away for a moment":         {answers: []http.HandlerFunc{trailersOnly("14"), grpcAnswer(nil, "Grpc-Status", "14"), good}, tries: 3, least: 750 * time.Millisecond, most: 2500 * time.Millisecond},
		"cut off":                   {answers: []http.HandlerFunc{cut, good}, tries: 2, least: 250 * time.Millisecond, most: time.Second},
		"refused for good":          {answers: []http.HandlerFunc{grpcAnswer(nil, "Grpc-Status", "3", "Grpc-Message", "no%20such%20field")}, tries: 1, err: "send spans to collector otel:4317: INVALID_ARGUMENT: no such field"},
		"a code that gRPC has not":  {answers: []http.HandlerFunc{trailersOnly("99")}, tries: 1, err: "99"},
		"exhausted":                 {answers: []http.HandlerFunc{grpcAnswer(nil, "Grpc-Status", "8")}, tries: 1, err: "RESOURCE_EXHAUSTED"},
		"exhausted, but soon not":   {answers: []http.HandlerFunc{grpcAnswer(nil, "Grpc-Status", "8", "Grpc-Status-Details-Bin", details), good}, tries: 2, least: 3500 * time.Millisecond, most: 3500 * time.Millisecond},
		"away for long":             {answers: []http.HandlerFunc{trailersOnly("14")}, tries: 9, mostTries: 30, least: 50 * time.Second, most: time.Minute, err: "UNAVAILABLE"},
		"no gRPC":                   {answers: []http.HandlerFunc{status(404, nil)}, tries: 1, err: "status 404, where a response of gRPC was expected"},
		"a proxy before it is away": {answers: []http.HandlerFunc{status(503, nil), good}, tries: 2, least: 250 * time.Millisecond, most: time.Second},
		"a message cut short": {answers: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte{0, 0, 0, 0, 9, 1})
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}}, tries: 1, err: "1 bytes of a message of 9"},
		"an answer without end":   {answers: []http.HandlerFunc{status(200, make([]byte, maxResponse+10))}, tries: 1, err: "larger than"},
		"HTTP: taken":             {http: true, answers: []http.HandlerFunc{status(200, nil)}, tries: 1},
		"HTTP: away for a moment": {http: true, answers: []http.HandlerFunc{status(502, nil), status(504, nil), status(200, nil)}, tries: 3, least: 750 * time.Millisecond, most: 2500 * time.Millisecond},
		"HTTP: too many":          {http: true, answers: []http.HandlerFunc{status(429, nil, "Retry-After", "7"), status(200, nil)}, tries: 2, least: 7 * time.Second, most: 7 * time.Second},
		"HTTP: refused for good":  {http: true, answers: []http.HandlerFunc{status(400, message(2, "bad span"), "Content-Type", "application/x-protobuf")}, tries: 1, err: "status 400: bad span"},
		"HTTP: not found":         {http: true, answers: []http.HandlerFunc{status(404, []byte("404 page not found"))}, tries: 1, err: "status 404"},
		"HTTP: a redirect":        {http: true, answers: []http.HandlerFunc{status(307, nil, "Location", "http://elsewhere/")}, tries: 1, err: "status 307"},
		"HTTP: later than waited": {http: true, answers: []http.HandlerFunc{status(503, nil, "Retry-After", "3600")}, tries: 1, err: "status 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, stop := serve(test.answers...)
				defer stop()
				client := New(router.OTLP{Address: "otel:4317", HTTP: test.http}, c.dial, nil)
				defer client.Close()
				began := time.Now()
				err := client.SendTraces(t.Context(), spans)
				took := time.Since(began)
				if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				tries := len(c.seen())
				if tries < test.tries || tries > max(test.tries, test.mostTries) || took < test.least || took > max(test.most, time.Millisecond) {
					t.Errorf("%d tries in %s, want %d in %s to %s", len(c.seen()), took, test.tries, test.least, test.most)
				}
			})
		})
	}
}

// TestWire: what a collector sees of a request.
func TestWire(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		to      router.OTLP
		answer  http.HandlerFunc
		path    string
		host    string
		skip    int
		headers map[string]string
	}{
		"gRPC": {
			router.OTLP{Address: "otel:4317", Timeout: 3 * time.Second, Headers: []router.Header{{Name: "x-tenant", Value: "blue"}, {Name: ":authority", Value: "collector.example.com"}}},
			trailersOnly("0"), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "collector.example.com", 5,
			map[string]string{"Te": "trailers", "Content-Type": "application/grpc+proto", "Grpc-Timeout": "3000m", "X-Tenant": "blue"},
		},
		"HTTP": {
			router.OTLP{Address: "otel:4318", HTTP: true, Headers: []router.Header{{Name: "Authorization", Value: "Bearer x"}, {Name: "User-Agent", Value: "mine"}}},
			status(200, nil), "/v1/traces", "otel:4318", 0,
			map[string]string{"Content-Type": "application/x-protobuf", "Authorization": "Bearer x", "User-Agent": "mine"},
		},
		"HTTP at a path": {
			router.OTLP{Address: "otel:4318", HTTP: true, Path: "api/v2/otlp"},
			status(200, nil), "/api/v2/otlp", "otel:4318", 0, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, stop := serve(test.answer)
				defer stop()
				client := New(test.to, c.dial, nil)
				defer client.Close()
				if err := client.UploadTraces(t.Context(), spans); err != nil {
					t.Fatal(err)
				}
				r := c.seen()[0]
				if r.Method != "POST" || r.URL.Path != test.path || r.Host != test.host {
					t.Errorf("%s %s of %s, want %s of %s", r.Method, r.URL.Path, r.Host, test.path, test.host)
				}
				for name, want := range test.headers {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
				sent(t, r.body[test.skip:])
			})
		})
	}
}

func TestSendLogs(t *testing.T) {
	t.Parallel()
	for path, to := range map[string]router.OTLP{
		"/opentelemetry.proto.collector.logs.v1.LogsService/Export": {Address: "otel:4317"},
		"/v1/logs": {Address: "otel:4318", HTTP: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			answer := trailersOnly("0")
			if to.HTTP {
				answer = status(200, nil)
			}
			c, stop := serve(answer)
			defer stop()
			client := New(to, c.dial, nil)
			defer client.Close()
			records := []*logspb.ResourceLogs{{SchemaUrl: "x"}}
			if err := client.SendLogs(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			r := c.seen()[0]
			if r.URL.Path != path {
				t.Errorf("path %s, want %s", r.URL.Path, path)
			}
			want, _ := proto.Marshal(&logspb.LogsData{ResourceLogs: records})
			if !strings.HasSuffix(string(r.body), string(want)) {
				t.Errorf("body %q, want %q", r.body, want)
			}
		})
	}
}

// TestPartialSuccess: what was rejected is told of, not too often.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stop := serve(grpcAnswer(message(1, message(1, 3, 2, "too old")), "Grpc-Status", "0"))
		defer stop()
		logger, log := journal()
		client := New(router.OTLP{Address: "otel:4317"}, c.dial, logger)
		defer client.Close()
		for range 5 {
			if err := client.SendTraces(t.Context(), spans); err != nil {
				t.Fatal(err)
			}
		}
		if got := log.String(); strings.Count(got, "rejected=3") != 1 || !strings.Contains(got, `message="too old"`) {
			t.Errorf("log: %s", got)
		}
		time.Sleep(time.Minute)
		if err := client.SendTraces(t.Context(), spans); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); strings.Count(got, "rejected=3") != 2 {
			t.Errorf("a minute later, log: %s", got)
		}
	})
}

// TestBounds: neither a collector that says nothing nor the end of a context or of the client
// leaves a call hanging.
func TestBounds(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, test := range map[string]struct {
		end  func(c *Client, cancel context.CancelFunc)
		took time.Duration
	}{
		"its context ends":     {func(_ *Client, cancel context.CancelFunc) { time.Sleep(time.Second); cancel() }, time.Second},
		"the client is closed": {func(c *Client, _ context.CancelFunc) { time.Sleep(2 * time.Second); c.Close() }, 2 * time.Second},
		"the client is stopped, with patience": {func(c *Client, _ context.CancelFunc) {
			time.Sleep(2 * time.Second)
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			if err := c.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Stop: %v", err)
			}
		}, 5 * time.Second},
		"a minute is over": {func(*Client, context.CancelFunc) {}, maxElapsed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, stop := serve(hang)
				defer stop()
				client := New(router.OTLP{Address: "otel:4317"}, c.dial, nil)
				defer client.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go test.end(client, cancel)
				began := time.Now()
				if err := client.SendTraces(ctx, spans); err == nil {
					t.Error("no error")
				}
				if took := time.Since(began); took < test.took-10*time.Second || took > test.took+time.Millisecond {
					t.Errorf("took %s, want %s", took, test.took)
				}
				synctest.Wait()
			})
		})
	}
}

// TestPause: a collector that asks for a pause gets it from the messages that come next too, and
// not for ever.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stop := serve(status(503, nil, "Retry-After", "120"), status(429, nil, "Retry-After", "99999999"), status(200, nil))
		defer stop()
		client := New(router.OTLP{Address: "otel:4318", HTTP: true}, c.dial, nil)
		defer client.Close()
		send := func(patience time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			return client.SendTraces(ctx, spans)
		}
		asked := func(want int, when string) {
			t.Helper()
			if n := len(c.seen()); n != want {
				t.Fatalf("%s: it was asked %d times, want %d", when, n, want)
			}
		}
		if send(time.Second) == nil {
			t.Fatal("no error")
		}
		for range 100 {
			if err := send(time.Second); err == nil || !strings.Contains(err.Error(), "asked for a pause") {
				t.Fatal(err)
			}
		}
		asked(1, "in the pause")
		time.Sleep(119 * time.Second)
		if send(30*time.Second) == nil { // It waits for the rest.
			t.Fatal("no error")
		}
		asked(2, "after the pause")
		time.Sleep(maxPause)
		if err := send(time.Second); err != nil {
			t.Fatal(err)
		}
		asked(3, "after the longest pause")
	})
}

// TestStopEndsRetries: a client that stops does not wait for another try.
func TestStopEndsRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stop := serve(status(503, nil, "Retry-After", "30"))
		defer stop()
		client := New(router.OTLP{Address: "otel:4318", HTTP: true}, c.dial, nil)
		done := make(chan error)
		go func() { done <- client.SendTraces(t.Context(), spans) }()
		synctest.Wait()
		began := time.Now()
		if err := client.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil || time.Since(began) > 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if err := client.SendTraces(t.Context(), spans); !errors.Is(err, ErrClosed) {
			t.Errorf("after Stop: %v", err)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-5": 0, "soon": 0, "99999999999999": 0,
		"Sat, 21 Nov 2026 09:00:30 GMT": 30 * time.Second, "Sat, 21 Nov 2026 08:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q is %s, want %s", value, got, want)
		}
	}
}

func FuzzResponses(f *testing.F) {
	f.Add(retryAfterThree)
	f.Add(message(1, message(1, 3, 2, "too old")))
	f.Add([]byte{0, 0, 0, 0, 1, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		partialSuccess(b)
		if _, after := rpcStatus(b); after < 0 {
			t.Errorf("a pause of %s", after)
		}
		if m, err := unframe(b); err == nil && len(m) > len(b) {
			t.Error("a message longer than the body")
		}
	})
}
