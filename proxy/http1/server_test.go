package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
)

// handlerFunc serves exchanges, and answers what the codec refuses.
type handlerFunc func(*proxy.Exchange, proxy.Downstream)

func (f handlerFunc) Serve(ex *proxy.Exchange, down proxy.Downstream) { f(ex, down) }

func (f handlerFunc) Reject(ex *proxy.Exchange, down proxy.Downstream, r proxy.Rejection) {
	down.Respond(ex, &proxy.Response{Status: r.Status}, nil, true)
}

func answerOK(ex *proxy.Exchange, down proxy.Downstream) {
	down.Respond(ex, &proxy.Response{Status: 200}, nil, true)
}

// serveLoopback serves on a loopback socket until the test ends.
func serveLoopback(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	s := NewServer(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		s.Drain(ctx)
	})
	return s, l.Addr().String()
}

func call(t *testing.T, address, request string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, request)
	return c
}

const getRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// TestKilledExchangeSendsNothing: what answers after the drain's deadline does not get
// through, be it small or large.
func TestKilledExchangeSendsNothing(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"small": "late", "large": strings.Repeat("late", 64<<10)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := make(chan error, 1)
			began := make(chan bool)
			s, address := serveLoopback(t, Options{Engine: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
				close(began)
				for lost := false; !lost; lost, _ = down.Lost() {
					time.Sleep(time.Millisecond)
				}
				r := &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyLength, Length: int64(len(body))}}
				failed <- down.Respond(ex, r, []byte(body), true)
			})})
			c := call(t, address, getRequest)
			<-began
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := s.Drain(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Drain: %v", err)
			}
			if err := <-failed; err == nil {
				t.Error("the answer was taken")
			}
			if got, _ := io.ReadAll(c); len(got) > 0 {
				t.Errorf("the client got %.40q", got)
			}
		})
	}
}

// TestConnectionLimits: each bound turns the connection away that is one too many, says
// which it was, and lets the next in when one has gone.
func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	budget := NewConnectionBudget(2)
	_, elsewhere := serveLoopback(t, Options{Engine: handlerFunc(answerOK), Budget: budget})
	for name, c := range map[string]struct {
		options Options
		want    ConnEvent
		before  []string // connections made elsewhere
	}{
		"listener": {Options{MaxConnections: 1}, ConnRefused, nil},
		"client":   {Options{MaxConnectionsPerIP: 1}, ConnRefusedPerIP, nil},
		"process":  {Options{Budget: budget}, ConnRefusedTotal, []string{elsewhere}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var events [ConnTunnelTimeout + 1]atomic.Int64
			c.options.Engine = handlerFunc(answerOK)
			c.options.Observe = func(e ConnEvent) { events[e].Add(1) }
			s, address := serveLoopback(t, c.options)
			for _, other := range c.before {
				readStatus(t, call(t, other, getRequest), "200")
			}
			first := call(t, address, getRequest)
			readStatus(t, first, "200")
			readStatus(t, call(t, address, ""), "503")
			if n := events[c.want].Load(); n != 1 {
				t.Errorf("event %d was told %d times, want once", c.want, n)
			}
			first.Close()
			for s.Connections() > 0 {
				time.Sleep(time.Millisecond)
			}
			readStatus(t, call(t, address, getRequest), "200")
		})
	}
	if got := (*ConnectionBudget)(nil).Open(); got != 0 {
		t.Errorf("no budget has %d connections open", got)
	}
}

func readStatus(t *testing.T, c net.Conn, want string) {
	t.Helper()
	buf := make([]byte, 512)
	n, err := c.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 "+want+" ") {
		t.Errorf("got %q, %v; want status %s", buf[:n], err, want)
	}
}
