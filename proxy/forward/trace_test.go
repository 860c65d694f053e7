package forward_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// tracing has every request traced.
func tracing(sampled bool) func(*setup) {
	policy := &router.Tracing{}
	return func(s *setup) {
		s.engine.Trace = func(ex *proxy.Exchange) {
			ex.Trace = proxy.Trace{Tracing: policy, ID: [16]byte{1}, Span: [8]byte{2}, Sampled: sampled, W3C: true, B3: true, Tries: ex.Trace.Tries}
		}
	}
}

// spansTo is an origin that tells of which span each request is, and answers 503 to those
// that the path says, "/refuse/N" being the number of them.
func spansTo(t *testing.T, spans chan string) string {
	refused := 0
	return startOrigin(t, func(c *originConn) {
		for {
			r, _, err := c.request()
			if err != nil {
				return
			}
			spans <- spanOf(t, r)
			response := okResponse
			var refuse int
			if fmt.Sscanf(r.URL.Path, "/refuse/%d", &refuse); refused < refuse {
				refused++
				response = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
			}
			if c.send(response) != nil {
				return
			}
		}
	}).addr
}

// spanOf returns the span of a request, which the headers of both kinds must agree upon.
func spanOf(t *testing.T, r *http.Request) string {
	parts := strings.Split(r.Header.Get("Traceparent"), "-")
	if len(parts) != 4 || parts[1] != r.Header.Get("X-B3-Traceid") || parts[2] != r.Header.Get("X-B3-Spanid") || len(r.Header["Traceparent"]) != 1 ||
		r.Header.Get("X-B3-Parentspanid") != "0200000000000000" || r.Header.Get("X-B3-Sampled") != parts[3][1:] || r.Header.Get("Tracestate") != "" {
		t.Errorf("headers %v", r.Header)
		return ""
	}
	return parts[2]
}

// Each try has a span of its own, which its endpoint is told, and all are recorded: those that
// were retried, the copies for mirrors, and what came to nothing.
func TestTracedTries(t *testing.T) {
	t.Parallel()
	spans, mirrored := make(chan string, 10), make(chan string, 10)
	spec := toOrigin(spansTo(t, spans))
	mirror := &router.Cluster{Name: "mirror", Endpoints: []*router.Endpoint{{Address: spansTo(t, mirrored)}}}
	spec.Clusters = append(spec.Clusters, mirror, &router.Cluster{Name: "empty"}, &router.Cluster{Name: "dead", Endpoints: []*router.Endpoint{{Address: "127.0.0.1:1"}}})
	routes := &spec.Listeners[0].Tables[0].VirtualHosts[0].Routes
	(*routes)[0].Policy.Retry = &router.Retry{Attempts: 2, On: router.Retry5xx, Backoff: 1}
	(*routes)[0].Policy.Mirrors = []router.Mirror{{Cluster: "mirror", Fraction: router.AllTraffic}}
	for _, name := range []string{"empty", "dead"} {
		*routes = append([]*router.Route{{Match: router.Match{Path: router.StringMatch{Kind: router.MatchExact, Value: "/" + name}}, RouteAction: &router.RouteAction{Name: name, Destinations: []router.Destination{{Cluster: name}}}}}, *routes...)
	}
	seen, tell := telling(func(ex *proxy.Exchange) []proxy.TracedTry { return append([]proxy.TracedTry(nil), ex.Trace.Tries...) })
	c := dial(t, start(t, spec, tell, tracing(true)))
	text := func(tries []proxy.TracedTry) string {
		var b strings.Builder
		for _, try := range tries {
			if try.Start == 0 || try.End < try.Start || try.Span == [8]byte{} {
				t.Errorf("a try of %+v", try)
			}
			fmt.Fprintf(&b, "%s endpoint %t status %d failure %d retry %t mirror %t\n", try.Cluster.Name, try.Endpoint != nil, try.Status, try.Failure, try.Retry, try.Mirror)
		}
		return b.String()
	}
	c.get("/refuse/1", "traceparent: theirs", "x-b3-flags: 1", "tracestate: a=b")
	tries := told(t, seen)
	if got, want := text(tries), "mirror endpoint false status 0 failure 0 retry false mirror true\n"+
		"origin endpoint true status 503 failure 9 retry false mirror false\norigin endpoint true status 200 failure 0 retry true mirror false\n"; got != want {
		t.Fatalf("recorded\n%swant\n%s", got, want)
	}
	for i, from := range []chan string{mirrored, spans, spans} {
		if got, want := told(t, from), fmt.Sprintf("%x", tries[i].Span); got != want {
			t.Errorf("the endpoint of try %d was told of span %s, want %s", i, got, want)
		}
	}
	for path, want := range map[string]string{
		"/empty": "empty endpoint false status 0 failure 1 retry false mirror false\n",
		"/dead":  "dead endpoint true status 0 failure 1 retry false mirror false\n",
	} {
		c.get(path)
		if got := text(told(t, seen)); got != want {
			t.Errorf("%s: recorded\n%swant\n%s", path, got, want)
		}
	}
}

// Without a sample nothing is recorded, but the endpoint is told so; without a policy the
// headers pass.
func TestUntracedTries(t *testing.T) {
	t.Parallel()
	seen, tell := telling(func(ex *proxy.Exchange) int { return len(ex.Trace.Tries) })
	spans := make(chan string, 10)
	dial(t, start(t, toOrigin(spansTo(t, spans)), tell, tracing(false))).get("/", "traceparent: theirs")
	if n := told(t, seen); n > 0 || told(t, spans) == "" {
		t.Errorf("%d tries were recorded", n)
	}
	passed := make(chan string, 1)
	o := startOrigin(t, func(c *originConn) {
		head, _ := c.head()
		passed <- head
		c.send(okResponse)
	})
	dial(t, start(t, toOrigin(o.addr))).get("/", "traceparent: theirs", "b3: 0", "tracestate: a=b")
	if head := told(t, passed); !strings.Contains(head, "\r\ntraceparent: theirs\r\nb3: 0\r\ntracestate: a=b\r\n") {
		t.Errorf("the headers became %q", head)
	}
}
