package forward_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sluicegate/sluice/proxy/upstream"
	"github.com/sluicegate/sluice/router"
)

func TestHTTP2Upstream(t *testing.T) {
	t.Parallel()
	addr := startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", fmt.Sprint(r.Proto, " ", r.Host, " ", r.Header.Get("X-Forwarded-Proto"), " ", r.ContentLength))
		w.Header().Set("Trailer", "X-Trailer")
		if r.ContentLength < 0 {
			w.(http.Flusher).Flush()
		}
		io.Copy(w, r.Body)
		w.Header().Set("X-Trailer", "end")
	}))
	g := start(t, toHTTP2(addr))
	c := dial(t, g)
	c.send(post("some body", "Content-Length: 9"))
	if a := c.read("POST"); a.StatusCode != 200 || a.body != "some body" || a.Header.Get("X-Seen") != "HTTP/2.0 a.example http 9" || a.Trailer.Get("X-Trailer") != "" {
		t.Errorf("%+v %q", a.Response, a.body)
	}
	c.send(req("POST / HTTP/1.1", "Host: a.example", "TE: trailers", "Connection: TE", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n")
	if a := c.read("POST"); a.StatusCode != 200 || a.body != "hello" || a.Trailer.Get("X-Trailer") != "end" {
		t.Errorf("%+v %q", a.Response, a.body)
	}
	large := strings.Repeat("0123456789abcdef", 1<<17)
	c.send(post(large, fmt.Sprintf("Content-Length: %d", len(large))))
	if a := c.read("POST"); a.body != large {
		t.Errorf("%d bytes came back", len(a.body))
	}
	if r := g.completed(1); r.details != "via_upstream" || r.host != addr || r.status != 200 || r.sent != 9 {
		t.Errorf("%+v", r)
	}
}

// Requests that come at once to a cold cluster share one connection.
func TestHTTP2DialsOnce(t *testing.T) {
	t.Parallel()
	const requests = 32
	var all sync.WaitGroup
	all.Add(requests)
	o := startFramed(t, func(f *framed) {
		for {
			frame, err := f.next()
			if err != nil {
				return
			}
			if h, ok := frame.(*http2.HeadersFrame); ok {
				// All are there at the same time.
				all.Done()
				go func() {
					all.Wait()
					f.c.Write([]byte{0, 0, 1, 1, 5, 0, byte(h.StreamID >> 16), byte(h.StreamID >> 8), byte(h.StreamID), 0x88})
				}()
			}
		}
	})
	g := start(t, toHTTP2(o.addr))
	var wg sync.WaitGroup
	for range requests {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := dial(t, g)
			io.WriteString(c, get())
			if resp, err := tryRead(c); err != nil || resp.StatusCode != 200 {
				t.Errorf("%v %v", resp, err)
			}
		}()
	}
	wg.Wait()
	if n := o.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	// An answer may be there before its request is over.
	g.completed(requests)
	stats := g.engine.Clusters()[0].Stats
	if stats[upstream.CxTotal] != 1 || stats[upstream.RqTotal] != requests || stats[upstream.RqActive] != 0 {
		t.Errorf("%d connections for %d requests, %d active", stats[upstream.CxTotal], stats[upstream.RqTotal], stats[upstream.RqActive])
	}
}

// failing answers the first requests by what fail does, and others with 200.
func failing(t *testing.T, times int64, fail func(f *framed, stream uint32) error) (*origin, *atomic.Int64) {
	var seen atomic.Int64
	return startFramed(t, func(f *framed) {
		for {
			frame, err := f.next()
			if err != nil {
				return
			}
			if !frame.Header().Flags.Has(http2.FlagDataEndStream) || frame.Header().Type == http2.FrameRSTStream {
				continue
			}
			stream := frame.Header().StreamID
			if seen.Add(1) <= times {
				err = fail(f, stream)
			} else {
				err = f.respond(stream, true, ":status", "200")
			}
			if err != nil {
				return
			}
		}
	}), &seen
}

func TestHTTP2Failures(t *testing.T) {
	t.Parallel()
	reset := func(code http2.ErrCode) func(*framed, uint32) error {
		return func(f *framed, stream uint32) error { return f.WriteRSTStream(stream, code) }
	}
	tests := map[string]struct {
		fail           func(*framed, uint32) error
		times          int64
		retry          *router.Retry
		request        string
		status         int
		details, flags string
		seen           int64
	}{
		"GOAWAY": {func(f *framed, stream uint32) error { return f.WriteGoAway(stream-1, http2.ErrCodeNo, nil) }, 1, nil, get(), 200, "via_upstream", "-", 2},
		"GOAWAY, POST": {func(f *framed, stream uint32) error { return f.WriteGoAway(stream-1, http2.ErrCodeNo, nil) }, 1, nil,
			post("hello", "Content-Length: 5"), 200, "via_upstream", "-", 2},
		"refused once":    {reset(http2.ErrCodeRefusedStream), 2, nil, post("hello", "Content-Length: 5"), 200, "via_upstream", "-", 3},
		"refused always":  {reset(http2.ErrCodeRefusedStream), 99, nil, get(), 503, "upstream_reset_before_response_started{remote_refused_stream_reset}", "UR", 3},
		"refused, policy": {reset(http2.ErrCodeRefusedStream), 4, defaultRetry, get(), 200, "via_upstream", "-", 5},
		"CANCEL":          {reset(http2.ErrCodeCancel), 1, defaultRetry, get(), 503, "upstream_reset_before_response_started{remote_reset}", "UR", 1},
		"CANCEL, policy":  {reset(http2.ErrCodeCancel), 1, &router.Retry{Attempts: 1, On: router.RetryReset}, get(), 200, "via_upstream", "-", 2},
		"INTERNAL_ERROR":  {reset(http2.ErrCodeInternal), 1, nil, get(), 503, "upstream_reset_before_response_started{remote_reset}", "UR", 1},
		"malformed": {func(f *framed, stream uint32) error {
			return f.respond(stream, true, ":status", "200", "Upper", "case")
		}, 1, defaultRetry,
			get(), 502, "upstream_reset_before_response_started{protocol_error}", "UPE", 1},
		"closed": {func(f *framed, stream uint32) error { return errors.New("closed") }, 1, nil,
			post("hello", "Content-Length: 5"), 503, "upstream_reset_before_response_started{connection_termination}", "UC", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, seen := failing(t, test.times, test.fail)
			spec := toHTTP2(o.addr)
			thePolicy(spec).Retry = test.retry
			g := start(t, spec)
			c := dial(t, g)
			c.send(test.request)
			if a := c.read("GET"); a.StatusCode != test.status {
				t.Errorf("status %d %q", a.StatusCode, a.body)
			}
			if r := g.completed(1); r.details != test.details || r.flags != test.flags {
				t.Errorf("%+v", r)
			}
			if n := seen.Load(); n != test.seen {
				t.Errorf("the endpoint saw %d requests, want %d", n, test.seen)
			}
		})
	}
}

// A response is relayed while the request's body is still being sent.
func TestHTTP2BothWays(t *testing.T) {
	t.Parallel()
	addr := startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				return
			}
		}
	}))
	g := start(t, toHTTP2(addr))
	c := dial(t, g)
	c.send(req("POST /chat HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked"))
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	for _, word := range []string{"one", "two", "three"} {
		c.send(fmt.Sprintf("%x\r\n%s\r\n", len(word), word))
		buf := make([]byte, len(word))
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != word {
			t.Fatalf("%q, %v", buf, err)
		}
	}
	c.send("0\r\n\r\n")
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
}

// Outlier detection looks at what gRPC says of a call, in the head or in the trailers.
func TestGRPCEjects(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(f *framed, stream uint32) error{
		"head": func(f *framed, stream uint32) error {
			return f.respond(stream, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "14")
		},
		"trailers": func(f *framed, stream uint32) error {
			f.respond(stream, false, ":status", "200", "content-type", "application/grpc")
			return f.respond(stream, true, "grpc-status", "13")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, _ := failing(t, 1<<30, answer)
			spec := toHTTP2(o.addr)
			spec.Clusters[0].Outlier = &router.Outlier{Consecutive5xx: 3, MaxEjectionPercent: 100}
			thePolicy(spec).Retry = nil
			g := start(t, spec)
			c := dial(t, g)
			for i := range 3 {
				if a := c.get("/"); a.StatusCode != 200 {
					t.Errorf("%d: status %d", i, a.StatusCode)
				}
			}
			if a := c.get("/"); a.StatusCode != 503 || a.body != "no healthy upstream\n" {
				t.Errorf("status %d %q", a.StatusCode, a.body)
			}
		})
	}
}
