package forward_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// telling has what look makes of each exchange, when it is over, sent to the channel.
func telling[T any](look func(*proxy.Exchange) T) (chan T, func(*setup)) {
	seen := make(chan T, 100)
	return seen, func(s *setup) { s.engine.OnComplete = func(ex *proxy.Exchange) { seen <- look(ex) } }
}

func told[T any](t testing.TB, seen chan T) (v T) {
	t.Helper()
	select {
	case v = <-seen:
	case <-time.After(patience):
		t.Fatal("no exchange has completed")
	}
	return v
}

// An exchange tells of the cluster and the endpoint that were tried last, and the next one on
// the same connection nothing of them.
func TestTellsEndpoint(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, answering(okResponse))
	good := &router.Cluster{Name: "good", Endpoints: []*router.Endpoint{{Address: o.addr, Workload: "default/a"}}}
	bad := &router.Cluster{Name: "bad", Endpoints: []*router.Endpoint{{Address: "127.0.0.1:1"}}}
	empty := &router.Cluster{Name: "empty"}
	original := &router.Cluster{Name: "original", Resolution: router.ResolutionOriginal}
	to := func(path, cluster string) *router.Route {
		return &router.Route{Match: router.Match{Path: router.StringMatch{Kind: router.MatchExact, Value: path}}, RouteAction: &router.RouteAction{Name: path, Destinations: []router.Destination{{Cluster: cluster}}}}
	}
	faulty := to("/fault", "good")
	faulty.Policy = &router.RoutePolicy{Fault: &router.Fault{AbortStatus: 418, AbortFraction: router.AllTraffic}}
	type place struct {
		cluster  *router.Cluster
		endpoint *router.Endpoint
	}
	seen, tell := telling(func(ex *proxy.Exchange) place { return place{ex.Cluster, ex.Endpoint} })
	g := start(t, withRoutes([]*router.Cluster{good, bad, empty, original}, to("/good", "good"), to("/bad", "bad"), to("/empty", "empty"),
		to("/original", "original"), to("/none", "none"), faulty), tell)
	c := dial(t, g)
	for _, test := range []struct {
		path string
		want place
	}{
		{"/good", place{good, good.Endpoints[0]}}, {"/", place{}}, {"/bad", place{bad, bad.Endpoints[0]}}, {"/none", place{}},
		{"/empty", place{empty, nil}}, {"/fault", place{good, nil}}, {"/original", place{original, nil}},
	} {
		c.get(test.path)
		if got := told(t, seen); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.path, got, test.want)
		}
	}
}

// What is counted of heads and trailers are their bytes as they are on the wire, and the time
// of the response's head is known.
func TestTellsHeads(t *testing.T) {
	t.Parallel()
	type heads struct {
		received, sent, body int64
		flushed              bool
	}
	tests := map[string]struct{ head, body, trailers, response string }{
		"no bodies":      {req("GET / HTTP/1.1", "Host: a", "Connection: close"), "", "", "HTTP/1.1 204 No Content\r\n\r\n"},
		"length":         {req("POST / HTTP/1.1", "Host: a", "Content-Length: 4", "Connection: close"), "body", "", okResponse},
		"trailers":       {req("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "TE: trailers", "Connection: TE, close"), "4\r\nbody\r\n0\r\n", "X-T: end\r\n\r\n", chunkedWithTrailers},
		"malformed":      {req("GET / HTTP/1.1", "Host: a", "Bad Name: x"), "", "", ""},
		"large response": {req("GET / HTTP/1.1", "Host: a", "Connection: close"), "", "", "HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + strings.Repeat("b", 300000)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen, tell := telling(func(ex *proxy.Exchange) heads {
				return heads{ex.HeadReceived, ex.HeadSent, ex.BytesSent, ex.ResponseFlushed >= ex.Start && ex.ResponseFlushed <= ex.End}
			})
			g := start(t, toOrigin(startOrigin(t, answering(test.response)).addr), tell)
			c := dial(t, g)
			c.send(test.head + test.body + test.trailers)
			all, err := io.ReadAll(c.br)
			if err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(string(all), "\r\n\r\n")
			want := heads{int64(len(test.head + test.trailers)), int64(len(head) + 4), int64(len(body)), true}
			if test.trailers != "" {
				_, trailers, _ := strings.Cut(body, "\r\n0\r\n")
				want.sent, want.body = want.sent+int64(len(trailers)), int64(len("ok"))
			}
			if got := told(t, seen); got != want {
				t.Errorf("told %+v, want %+v", got, want)
			}
		})
	}
}

const chunkedWithTrailers = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n"

// What was asked for of responses is copied, be they an upstream's or the proxy's own, and
// nothing of it stays for the next exchange.
func TestCapture(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(c *originConn) {
		for {
			r, _, err := c.request()
			if err != nil {
				return
			}
			response := "HTTP/1.1 200 OK\r\nX-Two: 1\r\nX-Other: no\r\nX-Two: 2\r\nContent-Length: 2\r\n\r\nok"
			switch {
			case r.Method == "HEAD":
				response = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
			case r.URL.Path == "/trailers":
				response = chunkedWithTrailers
			case r.URL.Path == "/bad":
				response = "HTTP/1.1 200 OK\r\nX-Two: 1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
			}
			if c.send(response) != nil {
				return
			}
		}
	})
	type copies struct{ headers, trailers string }
	seen, tell := telling(func(ex *proxy.Exchange) copies {
		return copies{fmt.Sprint(ex.ResponseHeaders), fmt.Sprint(ex.ResponseTrailers)}
	})
	spec := toOrigin(o.addr)
	spec.Listeners[0].Tables[0].VirtualHosts[0].Routes[0].Match.Path = router.StringMatch{Kind: router.MatchPrefix, Value: "/"}
	g := start(t, spec, tell)
	c := dial(t, g)
	const te = "TE: trailers\r\nConnection: TE\r\n"
	for _, test := range []struct {
		request           string
		headers, trailers []string
		want              copies
	}{
		{"GET / HTTP/1.1\r\n", nil, nil, copies{"[]", "[]"}},
		{"GET / HTTP/1.1\r\n", []string{"x-two", "content-length"}, nil, copies{"[{x-two 1} {x-two 2} {content-length 2}]", "[]"}},
		{"HEAD / HTTP/1.1\r\n", []string{"x-two", "content-length"}, nil, copies{"[{content-length 7}]", "[]"}},
		{"GET /trailers HTTP/1.1\r\n" + te, []string{"content-length"}, []string{"x-sum"}, copies{"[]", "[{x-sum 1}]"}},
		{"GET /trailers HTTP/1.1\r\n", nil, []string{"x-sum"}, copies{"[]", "[]"}},
		{"GET / HTTP/1.1\r\n", []string{"x-two"}, []string{"x-sum"}, copies{"[{x-two 1} {x-two 2}]", "[]"}},
		{"GET /bad HTTP/1.1\r\n", []string{"x-two", "content-type"}, nil, copies{"[{content-type text/plain}]", "[]"}},
		{"GET /bad\\ HTTP/1.1\r\n", []string{"content-type"}, nil, copies{"[{content-type text/plain}]", "[]"}},
	} {
		g.engine.Capture(test.headers, test.trailers)
		c.send(test.request + "Host: a\r\n\r\n")
		c.read(test.request[:strings.IndexByte(test.request, ' ')])
		if got := told(t, seen); got != test.want {
			t.Errorf("%q: %+v, want %+v", test.request, got, test.want)
		}
	}
}

// Of a call of gRPC-Web, what is told is what the client was sent.
func TestCaptureGRPCWeb(t *testing.T) {
	t.Parallel()
	seen, tell := telling(func(ex *proxy.Exchange) string { return fmt.Sprint(ex.ResponseHeaders, ex.ResponseTrailers) })
	g := start(t, toHTTP2(startHTTP2(t, http.HandlerFunc(grpcEcho))), tell)
	g.engine.Capture([]string{"content-type"}, []string{"grpc-status"})
	c := dial(t, g)
	c.send(post(message("a"), "Content-Length: 6", "Content-Type: application/grpc-web"))
	c.read("POST")
	if got, want := told(t, seen), "[{content-type application/grpc-web+proto}] [{grpc-status 0}]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}
