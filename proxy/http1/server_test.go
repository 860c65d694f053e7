package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/listener"
)

// handlerFunc serves exchanges, and answers what the codec refuses.
type handlerFunc func(*proxy.Exchange, proxy.Downstream)

func (f handlerFunc) Serve(ex *proxy.Exchange, down proxy.Downstream) { f(ex, down) }

func (f handlerFunc) Reject(ex *proxy.Exchange, down proxy.Downstream, r proxy.Rejection) {
	down.Respond(ex, &proxy.Response{Status: r.Status}, nil, true)
}

// serveLoopback serves on a loopback socket until the test ends.
func serveLoopback(t *testing.T, o Options) (*listener.Server, string) {
	t.Helper()
	return serveWrapped(t, listener.Options{}, o, func(conn net.Conn) net.Conn { return conn })
}

// serveWrapped serves sessions over what wrap makes of each connection.
func serveWrapped(t *testing.T, lo listener.Options, o Options, wrap func(net.Conn) net.Conn) (*listener.Server, string) {
	t.Helper()
	options := o.WithDefaults()
	lo.Name = "main"
	lo.HTTP = func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		return NewSession(wrap(conn), early, info, options)
	}
	s := listener.NewServer(lo)
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
	c.SetDeadline(time.Now().Add(30 * time.Second))
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

// TestNeitherProtocol: where HTTP/2 is served too, a first line of no HTTP at all ends the
// connection without an answer; what is a bad request of HTTP/1 is told so.
func TestNeitherProtocol(t *testing.T) {
	t.Parallel()
	_, address := serveLoopback(t, Options{
		Engine: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			down.Respond(ex, &proxy.Response{Status: 200}, nil, true)
		}),
		HTTP2: func(net.Conn, []byte, *proxy.Connection) proxy.Session { return nil },
	})
	for request, want := range map[string]string{
		"INVALID CONNECTION PREFACE\r\n\r\n":              "",
		"GET / HTTP/3.1\r\nHost: a\r\n\r\n":               "HTTP/1.1 505",
		"GET / http/1.1\r\nHost: a\r\n\r\n":               "HTTP/1.1 400",
		"GET /\r\n\r\n":                                   "HTTP/1.1 400",
		getRequest + "INVALID CONNECTION PREFACE\r\n\r\n": "HTTP/1.1 200",
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n":              "HTTP/1.1 400",
		"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n":                "HTTP/1.1 505",
	} {
		got, _ := io.ReadAll(call(t, address, request))
		if !strings.HasPrefix(string(got), want) || want == "" && len(got) > 0 {
			t.Errorf("%q: got %q, want %q", request, got, want)
		}
	}
}

// TestClientAsksForTheEnd: a client that asked for it, and has no more to send, is not waited
// for; one that was told of it is.
func TestClientAsksForTheEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request string
		closed  bool
	}{
		"asked":            {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true},
		"HTTP/1.0":         {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", true},
		"more was sent":    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nmore", false},
		"a bad request":    {"GET / HTTP/1.1\r\n\r\n", false},
		"a body half sent": {"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2000000\r\n\r\nbegin", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := serveLoopback(t, Options{Engine: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
				down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyLength, Length: 2}}, []byte("ok"), true)
			})})
			for tries := 1; ; tries++ {
				began := time.Now()
				conn := call(t, address, c.request)
				if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 ") {
					t.Fatalf("%q, %v", answer, err)
				}
				// Whoever has closed resets a client that goes on.
				var err error
				for n := 0; n < 50 && err == nil; n++ {
					_, err = conn.Write([]byte("x"))
					time.Sleep(time.Millisecond)
				}
				if time.Since(began) >= lingerTime && tries < 10 {
					continue // The machine stood still: by now either would be closed.
				}
				if closed := err != nil; closed != c.closed {
					t.Errorf("closed: %t, %v", closed, err)
				}
				return
			}
		})
	}
}

// TestRejectedPartTellsNothing: of a head that never ends nothing is told, wherever its parts came:
// the buffer that held the first of them may be another connection's by then.
func TestRejectedPartTellsNothing(t *testing.T) {
	t.Parallel()
	const part = "POST /path HTTP/1.0\r\nHost: a\r\nUser-Agent: b\r\nConnection: close\r\nCookie: "
	for name, rest := range map[string]string{
		"endless":     strings.Repeat("c", 64<<10),
		"a bare LF":   "\nmore\n",
		"late LF":     strings.Repeat("c", 2*smallBuffer) + "\nmore\n",
		"nothing yet": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := make(chan string, 1)
			_, address := serveLoopback(t, Options{
				Engine: rejects(func(ex *proxy.Exchange) {
					r := &ex.Request
					told <- fmt.Sprintf("%q %q %q %d", r.Method, r.Authority, r.Path, len(r.Headers))
				}),
				Timeouts: Timeouts{Head: 200 * time.Millisecond},
			})
			io.WriteString(call(t, address, part), rest)
			if got := <-told; got != `"" "" "" 0` {
				t.Errorf("method, authority, path and headers are %s", got)
			}
		})
	}
}

// TestDrainAfterSlowBody: a connection is idle from the end of a body that nobody wanted on, not
// from that of the answer: a drain leaves its client the time to send what is on its way.
func TestDrainAfterSlowBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const length = maxWaitedBody + 1
		client, server := net.Pipe()
		defer client.Close()
		options := (&Options{Engine: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			down.Respond(ex, &proxy.Response{Status: 200}, nil, true)
			ex.End = proxy.Now()
		})}).WithDefaults()
		session := NewSession(server, nil, &proxy.Connection{}, options)
		go session.Serve()
		answers := bufio.NewReader(client)
		answer := func() {
			if r, err := http.ReadResponse(answers, nil); err != nil || r.StatusCode != 200 {
				t.Fatal("no answer:", err)
			}
		}
		fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", length)
		answer()
		time.Sleep(2 * drainQuiet)
		client.Write(make([]byte, length))
		synctest.Wait()
		session.CloseIdle()
		go io.WriteString(client, getRequest)
		answer()
	})
}

// rejects looks at what the codec refuses.
type rejects func(*proxy.Exchange)

func (f rejects) Serve(ex *proxy.Exchange, down proxy.Downstream) {}

func (f rejects) Reject(ex *proxy.Exchange, down proxy.Downstream, r proxy.Rejection) {
	f(ex)
	down.Respond(ex, &proxy.Response{Status: r.Status}, nil, true)
}
