package generate

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/loadtest/work"
)

// respond answers each request of HTTP/1.1 with the same bytes, and closes the connection then
// if they are told to.
func respond(t *testing.T, answer string, last bool) string {
	return listen(t, func(c net.Conn) {
		b := make([]byte, 4096)
		for {
			if n, err := c.Read(b); err != nil || !strings.HasSuffix(string(b[:n]), "\r\n\r\n") {
				return
			}
			// In pieces, so that no part comes as a whole.
			for i := 0; i < len(answer); i += 7 {
				if _, err := io.WriteString(c, answer[i:min(i+7, len(answer))]); err != nil {
					return
				}
			}
			if last {
				return
			}
		}
	})
}

// TestAnswers has the forms that an answer of HTTP/1.1 can have, and those it must not have.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		last         bool
		problem      string
	}{
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n", false, ""},
		{"informed first", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nabcde", false, ""},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nabcde", true, ""},
		{"last", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde", true, ""},
		{"another status", "HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nabcde", false, "the status is 503"},
		{"without body", "HTTP/1.1 204 No Content\r\n\r\n", false, "the status is 204"},
		{"another length", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", false, "the body has 4 bytes, not 5"},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", true, "closed before the answer was complete"},
		{"chunks cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", true, "closed before the answer was complete"},
		{"no chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", false, "a chunk begins with"},
		{"nothing", "", true, "closed before the answer was complete"},
		{"too much", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcdeHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", false, "an answer came without a request"},
		{"no HTTP", "220 smtp.example.com\r\n\r\n", false, "the answer begins with"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := load(respond(t, c.answer, c.last), work.HTTP1, 5)
			if c.problem == "" {
				open(t, l)
				return
			}
			fails(t, l, c.problem)
		})
	}
}

// fails offers a load of which some fails, with a problem.
func fails(t *testing.T, l Load, problem string) {
	t.Helper()
	res, err := Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if res.Failed == 0 || !strings.Contains(res.Problem, problem) {
		t.Errorf("%d requests, %d failed: %q; want %q", res.Requests, res.Failed, res.Problem, problem)
	}
	if problem != "an answer came without a request" { // which is one more
		if want := int(l.Duration.Seconds() * float64(l.Rate)); res.Requests+res.Failed != want {
			t.Errorf("%d requests and %d that failed, want %d together", res.Requests, res.Failed, want)
		}
	}
}

// TestFailures has servers do wrong in other protocols.
func TestFailures(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	grpc := func(status, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
			io.WriteString(w, body)
			w.Header().Set("Grpc-Status", status)
			w.Header().Set("Grpc-Message", "because")
		}
	}
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for _, c := range []struct {
		name     string
		protocol work.Protocol
		tls      bool
		handler  http.HandlerFunc
		problem  string
	}{
		{"status", work.HTTP2, true, status(503), "the status is 503"},
		{"length", work.HTTP2, true, body(9), "the body has 9 bytes, not 10"},
		{"reset", work.HTTP2, false, abort, "HTTP/2: the stream was reset: INTERNAL_ERROR"},
		{"status without gRPC", work.GRPCUnary, false, status(502), "the status is 502"},
		{"gRPC status", work.GRPCUnary, false, grpc("14", ""), `the gRPC status is "14": because`},
		{"no gRPC status", work.GRPCUnary, false, body(10), `the gRPC status is ""`},
		{"no message", work.GRPCUnary, false, grpc("0", ""), "answered with 0 messages"},
		{"short message", work.GRPCUnary, false, grpc("0", "\x00\x00\x00\x00\x03abc"), "the body has 3 bytes, not 10"},
		{"stream that ends", work.GRPCStream, false, grpc("0", ""), "not answered within"},
		{"stream refused", work.GRPCStream, false, status(500), "the call ended before the message was answered: the status is 500"},
		{"handshake", work.Handshake, true, status(404), "the status is 404"},
		{"close", work.HTTP1Close, false, status(500), "the status is 500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := load(serve(t, c.tls, c.handler), c.protocol, 10)
			if l.TLS = c.tls; c.problem == "not answered within" {
				l.drain = 300 * time.Millisecond // which is all waited for
			}
			fails(t, l, c.problem)
		})
	}
}

// TestNotAnswered gives up requests that nobody answers, those that were never sent too.
func TestNotAnswered(t *testing.T) {
	t.Parallel()
	for _, p := range []work.Protocol{work.HTTP1, work.TCP} {
		l := load(listen(t, func(c net.Conn) { io.Copy(io.Discard, c) }), p, 5)
		l.drain = 100 * time.Millisecond
		res, err := Open(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		if res.Requests != 0 || res.Failed != 80 || !strings.Contains(res.Problem, "not answered within 100ms") {
			t.Errorf("%d requests, %d of 80 failed: %s", res.Requests, res.Failed, res.Problem)
		}
	}
}

// TestOtherEcho does not take anything else for what was sent.
func TestOtherEcho(t *testing.T) {
	t.Parallel()
	addr := listen(t, func(c net.Conn) {
		c.Read(make([]byte, 100))
		io.WriteString(c, "something else")
		io.Copy(io.Discard, c)
	})
	fails(t, load(addr, work.TCP, 100), "what came back is not what was sent")
}

// TestNothingThere says so at once, where there is nobody, and where it is not what was expected.
func TestNothingThere(t *testing.T) {
	t.Parallel()
	const closed = "127.0.0.1:1" // a port that nobody listens at, or is given
	plain := serve(t, false, body(1))
	for _, c := range []struct {
		addr     string
		protocol work.Protocol
		problem  string
	}{
		{closed, work.HTTP1, "connection refused"},
		{closed, work.Resumption, "connection refused"},
		{"nowhere", work.HTTP1, `the address "nowhere"`},
		{plain, work.HTTPS, "TLS handshake"},
		{plain, work.WebSocket, "upgrading to WebSocket"},
		{plain, "http9", `the protocol "http9"`},
	} {
		if _, err := Open(t.Context(), load(c.addr, c.protocol, 1)); err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: the error is %v, want %q", c.protocol, err, c.problem)
		}
	}
	l := load(plain, work.HTTP1, 1)
	l.Rate = 0
	if _, err := Open(t.Context(), l); err == nil {
		t.Error("no rate, and no error")
	}
	// Each connection is a request's here.
	fails(t, load(closed, work.HTTP1Close, 1), "connection refused")
}

// TestServerGoesAway closes connections in good order, which loses nothing.
func TestServerGoesAway(t *testing.T) {
	for _, p := range []work.Protocol{work.HTTP1, work.HTTPS, work.HTTP2} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			l := load(serve(t, p != work.HTTP1, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Connection", "close") // of HTTP/2, GOAWAY
			}), p, 0)
			l.TLS, l.Streams = p != work.HTTP1, 3
			open(t, l)
		})
	}
}
