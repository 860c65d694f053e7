package forward_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// message is a message of gRPC, framed.
func message(s string) string { return string([]byte{0, 0, 0, 0, byte(len(s))}) + s }

// call is a call of gRPC over HTTP/1.1, as far as that can carry one.
func call(payload string, headers ...string) string {
	return post(payload, append([]string{fmt.Sprintf("Content-Length: %d", len(payload)),
		"Content-Type: application/grpc", "TE: trailers", "Connection: TE"}, headers...)...)
}

func rpc(stream uint32, f *framed, status string) error {
	return f.respond(stream, true, ":status", "200", "content-type", "application/grpc", "grpc-status", status)
}

// What the proxy itself answers, a gRPC client gets as gRPC.
func TestGRPCLocalReplies(t *testing.T) {
	t.Parallel()
	respond := func(status int, text string) *router.Spec {
		return withRoutes(nil, &router.Route{RouteAction: &router.RouteAction{Name: "r", Direct: &router.DirectResponse{Status: status, Body: []byte(text)}}})
	}
	for name, tc := range map[string]struct {
		spec                     *router.Spec
		status, message, details string
	}{
		"no route":        {withRoutes(nil), "12", "404: no route matches this request", "route_not_found"},
		"direct response": {respond(403, "100 % no\n"), "7", "100 %25 no", "direct_response"},
		"direct 200":      {respond(200, ""), "2", "", "direct_response"},
		"no endpoint":     {toHTTP2(), "14", "no healthy upstream", "no_healthy_upstream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, tc.spec)
			c := dial(t, g)
			c.send(call(message("hello")))
			a := c.read("POST")
			if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/grpc" || a.body != "" ||
				a.Header.Get("Grpc-Status") != tc.status || a.Header.Get("Grpc-Message") != tc.message {
				t.Errorf("%d %v %q", a.StatusCode, a.Header, a.body)
			}
			if r := g.completed(1); r.status != 200 || r.details != tc.details {
				t.Errorf("%+v", r)
			}
			// Another client gets what it understands.
			c.send(post("x", "Content-Length: 1", "Content-Type: application/grpcx"))
			if a := c.read("POST"); a.Header.Get("Grpc-Status") != "" {
				t.Errorf("%v", a.Header)
			}
		})
	}
}

// A response of gRPC that cannot be completed ends with a status where the client takes
// trailers, and is cut where it does not.
func TestGRPCCut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end             func(*framed, uint32)
		timeout, status string
	}{
		"reset":  {func(f *framed, id uint32) { f.WriteRSTStream(id, http2.ErrCodeInternal) }, "20S", "14"},
		"closed": {func(f *framed, _ uint32) { f.c.Close() }, "20S", "14"},
		"late":   {func(*framed, uint32) {}, "300m", "4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := make(chan bool)
			o := startFramed(t, func(f *framed) {
				for {
					frame, err := f.next()
					if err != nil {
						return
					}
					if id := frame.Header().StreamID; frame.Header().Flags.Has(http2.FlagDataEndStream) && frame.Header().Type == http2.FrameData {
						f.respond(id, false, ":status", "200", "content-type", "application/grpc")
						f.WriteData(id, false, []byte(message("one")))
						<-begun
						tc.end(f, id)
					}
				}
			})
			g := start(t, toHTTP2(o.addr))
			for _, takes := range []bool{true, false} {
				request := call(message("hello"), "Grpc-Timeout: "+tc.timeout)
				if !takes {
					request = strings.Replace(request, "TE: trailers", "X: y", 1)
				}
				c := dial(t, g)
				c.send(request)
				resp, err := http.ReadResponse(c.br, nil)
				if err != nil {
					t.Fatal(err)
				}
				begun <- true
				body, err := io.ReadAll(resp.Body)
				if string(body) != message("one") || takes != (err == nil) || takes && resp.Trailer.Get("Grpc-Status") != tc.status {
					t.Errorf("takes trailers %v: %q %v %v", takes, body, err, resp.Trailer)
				}
			}
			if r := g.completed(2); !strings.HasPrefix(r.details, "upstream_re") || r.details == "via_upstream" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A policy's gRPC conditions hold for responses that consist of headers alone.
func TestGRPCRetries(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		on     router.RetryOn
		status string
		seen   int64
	}{
		{router.RetryCancelled, "1", 2},
		{router.RetryDeadlineExceeded, "4", 2},
		{router.RetryResourceExhausted, "8", 2},
		{router.RetryInternal, "13", 2},
		{router.RetryUnavailable, "14", 2},
		{router.RetryUnavailable, "13", 1},
		{router.Retry5xx, "14", 1},
	} {
		o, seen := failing(t, 1, func(f *framed, stream uint32) error { return rpc(stream, f, tc.status) })
		spec := toHTTP2(o.addr)
		thePolicy(spec).Retry = &router.Retry{Attempts: 2, On: tc.on}
		g := start(t, spec)
		c := dial(t, g)
		c.send(call(message("hello")))
		a := c.read("POST")
		if n := seen.Load(); n != tc.seen || a.StatusCode != 200 {
			t.Errorf("%v: grpc-status %s was tried %d times, want %d", tc.on, tc.status, n, tc.seen)
		}
	}
}

// The upstream is told the time that there is, and no more passes.
func TestGRPCTimeout(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	addr := startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get("Grpc-Timeout")
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
		}
	}))
	for _, tc := range []struct {
		route time.Duration
		asked string
		told  string
	}{
		{0, "", ""},
		{0, "7S", "7S"},
		{0, "7", "7"},
		{time.Hour, "7S", "7S"},
		{5 * time.Second, "7S", "5000m"},
		{5 * time.Second, "", "5000m"},
		{5 * time.Second, "1x", "5000m"},
		{5 * time.Second, "0S", "5000m"},
		{48 * time.Hour, "", "172800S"},
	} {
		spec := toHTTP2(addr)
		thePolicy(spec).Timeout = tc.route
		c := dial(t, start(t, spec))
		headers := []string{}
		if tc.asked != "" {
			headers = append(headers, "Grpc-Timeout: "+tc.asked)
		}
		c.send(call(message("hello"), headers...))
		c.read("POST")
		if got := <-told; got != tc.told {
			t.Errorf("route %v, asked %q: told %q, want %q", tc.route, tc.asked, got, tc.told)
		}
	}
	g := start(t, toHTTP2(addr))
	c := dial(t, g)
	c.send(strings.Replace(call(message("hello"), "Grpc-Timeout: 50000u"), "POST /", "POST /wait", 1))
	if a := c.read("POST"); a.Header.Get("Grpc-Status") != "4" {
		t.Errorf("%v", a.Header)
	}
	if r := g.completed(1); r.details != "upstream_response_timeout" || r.flags != "UT" {
		t.Errorf("%+v", r)
	}
}

// A call of gRPC to an upstream of HTTP/1.1 goes on as HTTP/1.1, trailers and all.
func TestGRPCOverHTTP1(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(c *originConn) {
		for {
			r, body, err := c.request()
			if err != nil {
				return
			}
			if r.Header.Get("Te") != "trailers" || r.ContentLength != int64(len(body)) {
				c.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
				continue
			}
			c.send("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n" +
				fmt.Sprintf("%x\r\n%s\r\n0\r\nGrpc-Status: 5\r\n\r\n", len(body), body))
		}
	})
	c := dial(t, start(t, toOrigin(o.addr)))
	c.send(call(message("hello")))
	if a := c.read("POST"); a.body != message("hello") || a.Trailer.Get("Grpc-Status") != "5" {
		t.Errorf("%d %q %v", a.StatusCode, a.body, a.Trailer)
	}
}

// grpcEcho answers messages with themselves.
func grpcEcho(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") || strings.Contains(r.Header.Get("Content-Type"), "web") || r.Header.Get("Te") != "trailers" {
		w.Header().Set("Grpc-Status", "13")
		return
	}
	var all bytes.Buffer
	io.Copy(&all, r.Body)
	w.Write(all.Bytes())
	w.Header().Set("Grpc-Status", "0")
}

// A call of gRPC-Web is one of gRPC to the upstream, and its status comes in the body; so does
// that of an answer of the proxy itself.
func TestGRPCWeb(t *testing.T) {
	t.Parallel()
	g := start(t, toHTTP2(startHTTP2(t, http.HandlerFunc(grpcEcho))))
	nowhere := start(t, toHTTP2())
	const ok, gone = "\x80\x00\x00\x00\x0fgrpc-status:0\r\n", "\x80\x00\x00\x00\x32grpc-status:14\r\ngrpc-message:no healthy upstream\r\n"
	frame, text := message("hello"), base64.StdEncoding.EncodeToString([]byte(message("hello")))
	for _, tc := range []struct {
		to                         *gateway
		payload, contentType, want string
	}{
		{g, frame, "application/grpc-web+proto", frame + ok},
		{g, frame, "application/grpc-web", frame + ok},
		{g, text, "application/grpc-web-text", frame + ok},
		{g, "", "application/grpc-web-text", ok},
		{g, "not base64", "application/grpc-web-text", "\x80\x00\x00\x00\x43grpc-status:13\r\ngrpc-message:bad gRPC-Web request: invalid base64\r\n"},
		{nowhere, frame, "application/grpc-web+proto", gone},
		{nowhere, text, "application/grpc-web-text", gone},
	} {
		for _, chunked := range []bool{false, true} {
			c := dial(t, tc.to)
			if chunked {
				c.send(req("POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked", "Content-Type: "+tc.contentType))
				for i := range len(tc.payload) {
					c.send("1\r\n" + tc.payload[i:i+1] + "\r\n")
				}
				c.send("0\r\n\r\n")
			} else {
				c.send(post(tc.payload, fmt.Sprintf("Content-Length: %d", len(tc.payload)), "Content-Type: "+tc.contentType))
			}
			a := c.read("POST")
			body, got := a.body, a.Header.Get("Content-Type")
			if strings.Contains(tc.contentType, "text") {
				var parts []byte
				for len(body) > 0 {
					part, _ := base64.StdEncoding.DecodeString(body[:4])
					parts, body = append(parts, part...), body[4:]
				}
				body = string(parts)
			}
			if want := strings.TrimSuffix(tc.contentType, "+proto") + "+proto"; a.StatusCode != 200 || got != want || body != tc.want || a.Header.Get("Grpc-Status") != "" {
				t.Errorf("%s, chunked %v: %d %v %q, want %q", tc.contentType, chunked, a.StatusCode, a.Header, body, tc.want)
			}
		}
	}
}

// The messages of a call are counted in both directions, however they come, and those of a
// retried call once; nothing of other responses is taken for messages.
func TestGRPCMessages(t *testing.T) {
	t.Parallel()
	seen, tell := telling(func(ex *proxy.Exchange) [2]uint64 { return [2]uint64{ex.MessagesReceived, ex.MessagesSent} })
	refused := false
	spec := toHTTP2(startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/html":
			io.Copy(io.Discard, r.Body) // an answer before would end the upload
			w.Write(make([]byte, 100))
			return
		case "/retry":
			if io.Copy(io.Discard, r.Body); !refused {
				refused = true
				w.Header().Set("Grpc-Status", "14")
				w.Header().Set("Content-Type", "application/grpc")
				return
			}
			w.Header().Set("Content-Type", "application/grpc")
			w.Write([]byte(message("once")))
			return
		}
		grpcEcho(w, r)
	})))
	thePolicy(spec).Retry = &router.Retry{Attempts: 1, On: router.RetryUnavailable, Backoff: 1}
	g := start(t, spec, tell)
	three := message("") + message("hello") + message(strings.Repeat("x", 250))
	for _, tc := range []struct {
		path, contentType, payload string
		want                       [2]uint64
	}{
		{"/", "application/grpc", three, [2]uint64{3, 3}},
		{"/", "application/grpc-web+proto", three, [2]uint64{3, 3}},
		{"/", "application/grpc-web-text", base64.StdEncoding.EncodeToString([]byte(three)), [2]uint64{3, 3}},
		{"/html", "application/grpc", three, [2]uint64{3, 0}},
		{"/", "application/json", three, [2]uint64{0, 0}},
		{"/retry", "application/grpc", three, [2]uint64{3, 1}},
	} {
		for _, chunked := range []bool{false, true} {
			refused = false
			c := dial(t, g)
			if chunked {
				c.send(req("POST "+tc.path+" HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked", "TE: trailers", "Connection: TE", "Content-Type: "+tc.contentType))
				for i := 0; i < len(tc.payload); i += 7 {
					piece := tc.payload[i:min(i+7, len(tc.payload))]
					c.send(fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
				}
				c.send("0\r\n\r\n")
			} else {
				c.send(req("POST "+tc.path+" HTTP/1.1", "Host: a.example", fmt.Sprintf("Content-Length: %d", len(tc.payload)), "TE: trailers", "Connection: TE", "Content-Type: "+tc.contentType) + tc.payload)
			}
			c.read("POST")
			if got := told(t, seen); got != tc.want {
				t.Errorf("%s %s, chunked %t: %d messages, want %d", tc.path, tc.contentType, chunked, got, tc.want)
			}
		}
	}
}
