package generate

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/loadtest/work"
)

func newLoop(l Load, atRate bool) (*loop, error) {
	addr, err := address(l.Addr)
	if err != nil {
		return nil, err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &loop{
		Load: l, atRate: atRate, addr: addr, tls: l.tlsConfig(), epoll: epoll, newCodec: newCodecs(l),
		room: make([]byte, 256<<10), result: Result{Latency: new(Histogram)},
		total: int(l.Duration.Seconds() * float64(l.Rate)),
	}
	for i := range l.Connections {
		c := &conn{loop: p, index: i}
		for slot := range l.Streams {
			lane := &lane{conn: c, slot: slot}
			c.lanes = append(c.lanes, lane)
		}
		p.conns = append(p.conns, c)
	}
	// One connection after the other, and not one stream: what is due together is then not
	// all on one.
	for slot := range l.Streams {
		for _, c := range p.conns {
			c.lanes[slot].next = len(p.lanes)
			p.lanes = append(p.lanes, c.lanes[slot])
		}
	}
	return p, nil
}

// newCodecs returns what makes the codec of a connection.
func newCodecs(l Load) func() codec {
	choose := newChooser(l)
	switch l.Protocol {
	case work.HTTP2, work.GRPCUnary, work.GRPCStream:
		return func() codec { return newHTTP2(l, choose) }
	case work.WebSocket:
		return func() codec { return newWebSocket(l) }
	case work.TCP:
		message := slices.Repeat([]byte("x"), l.Want)
		return func() codec { return &echo{message: message} }
	}
	request := newRequest(l, choose)
	return func() codec { return &http1{requests: request, want: l.Want, once: l.Protocol == work.HTTP1Close} }
}

// tlsConfig takes any certificate, and is the same for all: TLS 1.3, X25519.
func (l Load) tlsConfig() *tls.Config {
	c := &tls.Config{
		InsecureSkipVerify: true, ServerName: l.Host, MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
		// Else a peer that knows a post-quantum exchange would have more to do than one that
		// does not.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
	}
	switch l.Protocol {
	case work.TCP:
	case work.HTTP2, work.GRPCUnary, work.GRPCStream:
		c.NextProtos = []string{"h2"}
	default:
		c.NextProtos = []string{"http/1.1"}
	}
	return c
}

// connect opens all connections, those of HTTP1Close excepted.
func (p *loop) connect(ctx context.Context) error {
	if p.Protocol == work.HTTP1Close {
		return nil
	}
	for i, c := range p.conns {
		if err := c.open(); err != nil {
			return fmt.Errorf("connection %d of %d to %s: %w", i+1, len(p.conns), p.Addr, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (p *loop) close() {
	for _, c := range p.conns {
		c.close()
	}
	unix.Close(p.epoll)
}
