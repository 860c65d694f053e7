package http2

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// echo answers as its path asks.
func echo(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/hello":
		w.Header().Set("x-method", r.Method)
		w.Header().Set("x-agent", r.Header.Get("user-agent"))
		io.WriteString(w, "hello")
	case "/echo":
		io.Copy(w, r.Body)
	case "/empty":
		w.WriteHeader(204)
	case "/trailers":
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprintf(w, "%d bytes", len(body))
		w.Header().Set("X-Sum", r.Trailer.Get("x-request-sum"))
	case "/hints":
		w.Header().Set("link", "</a>; rel=preload")
		w.WriteHeader(103)
		io.WriteString(w, "done")
	case "/large":
		w.Write(bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
	}
}

func TestConnExchanges(t *testing.T) {
	t.Parallel()
	c := connTo(t, goOrigin(t, http.HandlerFunc(echo)), ConnOptions{})
	big := make([]byte, 3<<20)
	rand.Read(big)
	large := strings.Repeat("0123456789abcdef", 1<<16)
	tests := map[string]struct {
		ex       *proxy.Exchange
		stream   []byte
		trailers []router.Header
		status   int
		kind     proxy.BodyKind
		body     string
		want     map[string]string
		trailer  string
		interim  []int
	}{
		"GET":            {ex: connExchange("GET", "/hello", "user-agent", "test"), status: 200, kind: proxy.BodyLength, body: "hello", want: map[string]string{"x-method": "GET", "x-agent": "test"}},
		"HEAD":           {ex: connExchange("HEAD", "/hello"), status: 200, want: map[string]string{"x-method": "HEAD"}},
		"DELETE":         {ex: connExchange("DELETE", "/hello?a=b"), status: 200, kind: proxy.BodyLength, body: "hello", want: map[string]string{"x-method": "DELETE"}},
		"204":            {ex: connExchange("GET", "/empty"), status: 204},
		"404":            {ex: connExchange("GET", "/hello/no"), status: 200, kind: proxy.BodyNone},
		"POST":           {ex: withPayload(connExchange("POST", "/echo"), "some data"), status: 200, kind: proxy.BodyLength, body: "some data"},
		"large POST":     {ex: withPayload(connExchange("POST", "/echo"), large), status: 200, kind: proxy.BodyStream, body: large},
		"streamed POST":  {ex: withStream(connExchange("POST", "/echo")), stream: big, status: 200, kind: proxy.BodyStream, body: string(big)},
		"large response": {ex: connExchange("GET", "/large"), status: 200, kind: proxy.BodyStream, body: large},
		"trailers":       {ex: withStream(connExchange("POST", "/trailers", "trailer", "x-request-sum")), stream: []byte("12345"), trailers: []router.Header{{Name: "x-request-sum", Value: "abc"}}, status: 200, kind: proxy.BodyLength, body: "5 bytes", trailer: "abc"},
		"early hints":    {ex: connExchange("GET", "/hints"), status: 200, kind: proxy.BodyLength, body: "done", interim: []int{103}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 3 {
				down := newClient()
				if test.stream != nil {
					down.request, down.sendTrailers = bytes.NewReader(test.stream), test.trailers
				}
				res := do(t, c, test.ex, down)
				if res.Failure != proxy.FailNone || !res.Responded || !res.Received {
					t.Fatalf("%+v", res)
				}
				if down.status != test.status || down.kind.Kind != test.kind || down.body.String() != test.body || !down.ended {
					t.Errorf("status %d, body %+v of %d bytes, ended %v", down.status, down.kind, down.body.Len(), down.ended)
				}
				for name, value := range test.want {
					if down.headers[name] != value {
						t.Errorf("%s is %q", name, down.headers[name])
					}
				}
				if down.trailers["x-sum"] != test.trailer {
					t.Errorf("trailers %v", down.trailers)
				}
				if fmt.Sprint(down.interim) != fmt.Sprint(test.interim) {
					t.Errorf("interim %v", down.interim)
				}
			}
		})
	}
}

// Many exchanges at once share the connection.
func TestConnConcurrency(t *testing.T) {
	t.Parallel()
	c := connTo(t, goOrigin(t, http.HandlerFunc(echo)), ConnOptions{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 40 {
				text := fmt.Sprintf("%d-%d-%s", i, n, strings.Repeat("x", i*n*17))
				ex := withPayload(connExchange("POST", "/echo"), text)
				down := newClient()
				if n%2 == 0 {
					withStream(ex)
					down.request = strings.NewReader(text)
				}
				if res := do(t, c, ex, down); res.Failure != proxy.FailNone || down.body.String() != text {
					t.Errorf("%+v, %d of %d bytes", res, down.body.Len(), len(text))
				}
			}
		}()
	}
	wg.Wait()
	if s := c.State(); s.Active != 0 || s.Requests != 2000 || s.Closed {
		t.Errorf("%+v", s)
	}
}
