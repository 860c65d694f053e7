package otlp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/test/leak"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { leak.Main(m) }

// pipes is a listener in memory, whose connections wait as synctest knows it.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4317} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accept <- server:
		return client, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// request is one as the collector got it.
type request struct {
	*http.Request
	body []byte
}

// collector serves answers to the requests that come, in turn; the last stands for the rest.
type collector struct {
	*pipes
	mu       sync.Mutex
	requests []request
	answers  []http.HandlerFunc
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.requests = append(c.requests, request{r, body})
	answer := c.answers[min(len(c.requests), len(c.answers))-1]
	c.mu.Unlock()
	answer(w, r)
}

// serve starts a collector, and returns what stops it.
func serve(answers ...http.HandlerFunc) (c *collector, stop func()) {
	c = &collector{pipes: newPipes(), answers: answers}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: c, Protocols: &protocols, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(c.pipes)
	}()
	return c, func() {
		s.Close()
		<-done
	}
}

func (c *collector) seen() []request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// spans is a message to send.
var spans = []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{Name: "productpage:9080/*"}}}}}}

// sent tells whether b is the message of spans.
func sent(t *testing.T, b []byte) {
	t.Helper()
	var got tracepb.TracesData
	if err := proto.Unmarshal(b, &got); err != nil || !proto.Equal(&got, &tracepb.TracesData{ResourceSpans: spans}) {
		t.Errorf("got %v (%v)", &got, err)
	}
}

// grpcAnswer ends a call with headers, a message where that is not nil, and trailers.
func grpcAnswer(message []byte, trailers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc+proto")
		if message != nil {
			b := make([]byte, 5, 5+len(message))
			binary.BigEndian.PutUint32(b[1:], uint32(len(message)))
			w.Write(append(b, message...))
		}
		for i := 0; i < len(trailers); i += 2 {
			w.Header().Set(http.TrailerPrefix+trailers[i], trailers[i+1])
		}
	}
}

// trailersOnly ends a call with nothing but its status.
func trailersOnly(code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", code)
	}
}

// status answers with a status, a body and headers.
func status(code int, body []byte, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		w.Write(body)
	}
}

// cut breaks the connection off.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// journal is a log to look into.
func journal() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}
