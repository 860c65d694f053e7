package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/router"
)

// DefaultTimeout bounds one request where the collector's own is 0.
const DefaultTimeout = 10 * time.Second

// Dial connects to the collector: network is "tcp", address the collector's. Where the way
// there is TLS, the connection it returns is that already.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Client sends to one collector. Its methods may be called from any goroutine. It is a client
// for go.opentelemetry.io/otel/exporters/otlp/otlptrace too, which may own it.
type Client struct {
	to        router.OTLP
	logger    *slog.Logger
	transport *http.Transport
	headers   http.Header
	authority string

	mu      sync.Mutex // for closed, and running as it begins
	closed  bool
	running sync.WaitGroup
	closing chan struct{} // closed when no further try is made
	ctx     context.Context
	cut     context.CancelFunc

	resume atomic.Int64 // before that the collector is to be left alone, in Unix nanoseconds

	told atomic.Int64 // when something was last said of partial success, in Unix seconds
}

// ErrClosed is the error of a Client that was closed.
var ErrClosed = errors.New("the client of the collector is closed")

// New returns a Client; it connects when there is something to send. A nil dial is a
// net.Dialer's, a nil logger slog.Default().
func New(to router.OTLP, dial Dial, logger *slog.Logger) *Client {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	if logger == nil {
		logger = slog.Default()
	}
	if to.Timeout <= 0 {
		to.Timeout = DefaultTimeout
	}
	c := &Client{to: to, logger: logger, closing: make(chan struct{})}
	c.ctx, c.cut = context.WithCancel(context.Background())
	c.headers, c.authority = header(to)
	var protocols http.Protocols
	protocols.SetHTTP1(to.HTTP)
	protocols.SetUnencryptedHTTP2(!to.HTTP)
	c.transport = &http.Transport{
		DialContext:         dial,
		Protocols:           &protocols,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     90 * time.Second,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second},
	}
	return c
}

// Collector returns where the client sends to.
func (c *Client) Collector() router.OTLP { return c.to }

// A signal is what one of the collector's services takes.
type signal struct {
	name, path, method string
}

var (
	traces = signal{"spans", "/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"}
	logs   = signal{"log records", "/v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"}
)

// SendTraces sends spans. It tries again what the collector may take later, until ctx ends or
// a minute is over. What the collector took in part is logged, and no error.
func (c *Client) SendTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// TracesData has the form of ExportTraceServiceRequest, LogsData that of
	// ExportLogsServiceRequest.
	return c.send(ctx, traces, &tracepb.TracesData{ResourceSpans: spans})
}

// SendLogs sends log records, as SendTraces does spans.
func (c *Client) SendLogs(ctx context.Context, records []*logspb.ResourceLogs) error {
	return c.send(ctx, logs, &logspb.LogsData{ResourceLogs: records})
}

// Start does nothing: the first request connects.
func (c *Client) Start(context.Context) error { return nil }

// UploadTraces is SendTraces.
func (c *Client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	return c.SendTraces(ctx, spans)
}

// Stop waits for requests that are under way, which are not tried again any more, and cuts
// them when ctx ends; it returns its error then.
func (c *Client) Stop(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closing)
	}
	c.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		c.running.Wait()
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.cut()
	<-idle
	c.transport.CloseIdleConnections()
	return err
}

// Close cuts what is under way, and the connection.
func (c *Client) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.Stop(ctx)
}

// send sends a message until it is taken, refused, or time is up.
func (c *Client) send(ctx context.Context, s signal, m proto.Message) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()

	ctx, cancel := context.WithTimeout(ctx, maxElapsed)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	body, err := c.encode(m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", s.name, err)
	}
	if err := c.retry(ctx, func() error { return c.try(ctx, s, body) }); err != nil {
		return fmt.Errorf("send %s to collector %s: %w", s.name, c.to.Address, err)
	}
	return nil
}

// encode returns the body of a request.
func (c *Client) encode(m proto.Message) ([]byte, error) {
	if c.to.HTTP {
		return proto.Marshal(m)
	}
	return frame(m)
}

// try makes one request.
func (c *Client) try(ctx context.Context, s signal, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.to.Timeout)
	defer cancel()
	var response []byte
	var err error
	if c.to.HTTP {
		response, err = c.post(ctx, s, body)
	} else {
		response, err = c.call(ctx, s, body)
	}
	if err != nil {
		return err
	}
	c.tellPartial(s, response)
	return nil
}

// tellPartial logs what the collector has rejected, at most once a minute.
func (c *Client) tellPartial(s signal, response []byte) {
	rejected, why := partialSuccess(response)
	if rejected == 0 && why == "" {
		return
	}
	now, before := time.Now().Unix(), c.told.Load()
	if now-before < 60 || !c.told.CompareAndSwap(before, now) {
		return
	}
	c.logger.Warn("the collector has not taken everything", "collector", c.to.Address, "what", s.name, "rejected", rejected, "message", why)
}
