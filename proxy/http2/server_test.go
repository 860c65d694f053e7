package http2

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

func fetch(t *testing.T, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r, err := http.NewRequest(method, url, b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRequestReachesHandler(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	c := s.client()
	r := request(t, "POST", s.url()+"/a/../b?x=1", "hello")
	r.Header.Set("X-One", "1")
	r.Header["Cookie"] = []string{"a=1; b=2; c=3"}
	res, body := fetch(t, c, r)
	if res.StatusCode != 200 || res.Proto != "HTTP/2.0" {
		t.Fatalf("%s %d", res.Proto, res.StatusCode)
	}
	for _, want := range []string{"POST http " + s.listener.Addr().String() + " /b?x=1\n", "x-one: 1\n", "cookie: a=1; b=2; c=3\n", "\n\nhello"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q not in\n%s", want, body)
		}
	}
	if res.Header.Get("X-Buffered") != "true" {
		t.Error("a small body is not buffered")
	}
}

func TestLargeBodiesBothWays(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]*tls.Config{"plaintext": nil, "TLS": serverTLS(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveTLS(t, Options{}, config)
			c, url := s.client(), s.url()
			if config != nil {
				c, url = s.tlsClient(), strings.Replace(s.url(), "http:", "https:", 1)
			}
			largeBodies(t, c, url)
		})
	}
}

// serverTLS returns a configuration that nobody verifies.
func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	origin := httptest.NewUnstartedServer(nil)
	origin.StartTLS()
	defer origin.Close()
	return &tls.Config{Certificates: origin.TLS.Certificates, NextProtos: []string{"h2"}}
}

func (s *server) tlsClient() *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func largeBodies(t *testing.T, c *http.Client, url string) {
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			r, _ := http.NewRequest("POST", fmt.Sprint(url, "/", i), bytes.NewReader(payload))
			res, err := c.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || !bytes.HasSuffix(body, payload) {
				t.Errorf("stream %d: %d bytes, %v", i, len(body), err)
			}
		})
	}
	all.Wait()
}

func TestResponses(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		switch ex.Request.Path {
		case "/stream":
			down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyStream}, DeclaredLength: -1}, []byte("one "), false)
			down.WriteBody([]byte("two "), nil, false)
			down.WriteBody([]byte("three"), []router.Header{{Name: "x-end", Value: "yes"}}, true)
		case "/204":
			down.Respond(ex, &proxy.Response{Status: 204, DeclaredLength: -1}, nil, true)
		case "/304":
			down.Respond(ex, &proxy.Response{Status: 304, DeclaredLength: 7}, nil, true)
		case "/head":
			down.Respond(ex, &proxy.Response{Status: 200, DeclaredLength: 12, Headers: []router.Header{{Name: "Connection", Value: "close"}, {Name: "X-Upper", Value: "1"}}}, nil, true)
		case "/early":
			down.Interim(&proxy.Response{Status: 103, Headers: []router.Header{{Name: "link", Value: "</a>"}}})
			respond(ex, down, 200, "ok")
		case "/cut":
			down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyLength, Length: 100}}, []byte("part"), false)
			down.Cut()
		}
	})})
	p := s.greet()
	for i, tc := range []struct {
		method, path, status, body string
		check                      func(a answer) string
	}{
		{"GET", "/stream", "200", "one two three", func(a answer) string { return a.trailers["x-end"] + "," + a.headers["content-length"] + "=yes," }},
		{"GET", "/204", "204", "", nil},
		{"GET", "/304", "304", "", func(a answer) string { return a.headers["content-length"] + "=7" }},
		{"HEAD", "/head", "200", "", func(a answer) string {
			return a.headers["content-length"] + a.headers["x-upper"] + a.headers["connection"] + "=121"
		}},
		{"GET", "/early", "200", "ok", func(a answer) string { return fmt.Sprint(a.interim, "=[103]") }},
		{"GET", "/cut", "200", "part", func(a answer) string { return fmt.Sprint(a.wasReset, a.reset, "=true INTERNAL_ERROR") }},
	} {
		id := uint32(2*i + 1)
		p.headers(id, true, ":method", tc.method, ":scheme", "http", ":authority", "host.test", ":path", tc.path)
		a := p.await(id)
		if a.status != tc.status || string(a.body) != tc.body {
			t.Errorf("%s: %s %q", tc.path, a, a.body)
		}
		if tc.check != nil {
			if got, want, _ := strings.Cut(tc.check(a), "="); got != want {
				t.Errorf("%s: got %s, want %s", tc.path, got, want)
			}
		}
	}
}
