package generate

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

// Target is what is asked, and where.
type Target struct {
	// Addr is host:port, an address and not a name. Host and Path are what requests name;
	// gRPC calls are those of UnaryMethod and StreamMethod below Path. Host is the name asked
	// for inside TLS too.
	Addr, Host, Path string
	// TLS speaks inside TLS 1.3, whatever the certificate. HTTPS and handshakes always do.
	TLS      bool
	Protocol work.Protocol
}

// UnaryMethod and StreamMethod are the gRPC methods that are called, after the Target's Path.
// Their messages are a protobuf message of one bytes field, number 1, and an answer is such a
// message of Load.Want bytes.
const (
	UnaryMethod  = "sluice.loadtest.Echo/Unary"
	StreamMethod = "sluice.loadtest.Echo/Stream"
)

// Load is what is offered.
type Load struct {
	Target
	// Connections are kept open, with so many Streams at a time each: requests of HTTP/2,
	// calls of gRPC; 1 at least of both.
	Connections, Streams int
	// Rate is the number of requests a second. It is for Open; Saturate offers what is borne.
	Rate     int
	Duration time.Duration
	// Upload is the size of the body of a request, which is a POST then.
	Upload int
	// Want is the length of the body of each answer, -1 for any. Messages of WebSocket, TCP and
	// gRPC are as long in both directions.
	Want int
	// Hosts, where more than one, spreads requests at random, the same at each call, over as
	// many: the number in Host, h0.example.com, becomes 0 to Hosts-1; RoutesPerHost does the
	// same to that in Path, /r0/.
	Hosts, RoutesPerHost int
	// Ready, where not nil, is called when all connections are open, before the first request:
	// what is measured from there has no part in opening them.
	Ready func()

	// drain is how long answers are waited for when no more requests are sent.
	drain time.Duration
}

// Open offers requests at a fixed rate. Each connection, or stream, has its times at which
// requests are due; one that is still busy then sends late, and the time of the request counts
// from when it was due. Whatever is not answered 10 seconds after the last was due has failed.
// The error says why nothing could be measured; requests that failed are in the Result.
func Open(ctx context.Context, l Load) (Result, error) {
	if l.Rate <= 0 {
		return Result{}, fmt.Errorf("the rate is %d requests a second: must be positive", l.Rate)
	}
	return l.run(ctx, true)
}

// Saturate offers as many requests as are borne: by wrk for HTTP/1.1 and h2load for HTTP/2,
// where they are installed and can offer the load, by own means for all else. Times are then from
// when a request was sent, if they are measured at all.
func Saturate(ctx context.Context, l Load) (Result, error) {
	if tool := l.tool(); tool != nil {
		return tool(ctx)
	}
	return l.run(ctx, false)
}

// run offers the load by own means, at its rate or as much as is borne.
func (l Load) run(ctx context.Context, atRate bool) (Result, error) {
	if err := l.check(); err != nil {
		return Result{}, err
	}
	if l.Protocol == work.Handshake || l.Protocol == work.Resumption {
		return l.shakeHands(ctx, atRate)
	}
	p, err := newLoop(l, atRate)
	if err != nil {
		return Result{}, err
	}
	defer p.close()
	if err := p.connect(ctx); err != nil {
		return Result{}, err
	}
	return p.run(ctx)
}

// check fills in what has a default and refuses what makes no sense.
func (l *Load) check() error {
	l.Connections, l.Streams = max(l.Connections, 1), max(l.Streams, 1)
	l.Hosts, l.RoutesPerHost = max(l.Hosts, 1), max(l.RoutesPerHost, 1)
	if l.drain == 0 {
		l.drain = 10 * time.Second
	}
	switch l.Protocol {
	case work.HTTPS, work.Handshake, work.Resumption:
		l.TLS, l.Streams = true, 1
	case work.HTTP1, work.HTTP1Close:
		l.Streams = 1
	case work.WebSocket, work.TCP:
		l.Streams, l.Want = 1, max(l.Want, 1)
	case work.GRPCUnary, work.GRPCStream:
		l.Want = max(l.Want, 2)
	case work.HTTP2:
	default:
		return fmt.Errorf("there is no load generator for the protocol %q", l.Protocol)
	}
	if l.Duration <= 0 {
		return fmt.Errorf("the duration is %s: must be positive", l.Duration)
	}
	return nil
}
