package http3

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/test/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// handler answers with what it understood of a request.
type handler struct{}

func (handler) Reject(ex *proxy.Exchange, down proxy.Downstream, r proxy.Rejection) {
	headers := []router.Header{{Name: "x-detail", Value: r.Detail}}
	if r.Location != "" {
		headers = append(headers, router.Header{Name: "location", Value: r.Location})
	}
	down.Respond(ex, &proxy.Response{Status: r.Status, Headers: headers}, nil, true)
}

func (handler) Serve(ex *proxy.Exchange, down proxy.Downstream) {
	switch {
	case strings.HasPrefix(ex.Request.Path, "/cut"):
		r := &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyStream}}
		down.Respond(ex, r, []byte("some"), false)
		down.Cut()
		return
	case strings.HasPrefix(ex.Request.Path, "/wait"):
		a := proxy.NewWaiter()
		down.Attach(a)
		<-a.Woken()
		if _, timeout := down.Lost(); timeout {
			down.Respond(ex, &proxy.Response{Status: 504}, nil, true)
		}
		return
	case strings.HasPrefix(ex.Request.Path, "/stall"):
		down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyStream}}, []byte("some"), false)
		a := proxy.NewWaiter()
		down.Attach(a)
		<-a.Woken()
		return
	case strings.HasPrefix(ex.Request.Path, "/echo"):
		echo(ex, down)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s %s buffered=%t\n", ex.Request.Method, ex.Request.Authority, ex.Request.Path, ex.Protocol, ex.Connection.Chain, ex.Buffered)
	for _, h := range ex.Request.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	body := []byte(b.String())
	r := &proxy.Response{Status: 200, Headers: []router.Header{{Name: "x-a", Value: "1"}, {Name: "x-a", Value: "2"}},
		Body: proxy.Body{Kind: proxy.BodyLength, Length: int64(len(body))}, DeclaredLength: int64(len(body))}
	down.Respond(ex, r, body, true)
}

// echo sends a body back as it comes, with trailers.
func echo(ex *proxy.Exchange, down proxy.Downstream) {
	down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyStream}}, nil, false)
	if ex.Buffered {
		down.WriteBody(ex.Payload, nil, false)
	} else {
		buf := make([]byte, 8<<10)
		for {
			n, err := down.ReadBody(buf)
			if down.WriteBody(buf[:n], nil, false) != nil {
				return
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				down.Cut()
				return
			}
		}
	}
	down.WriteBody(nil, append(down.Trailers(), router.Header{Name: "x-end", Value: "yes"}), true)
}

// serve starts a server for a.example.com and returns a client of it.
func serve(t *testing.T, change ...func(*Options)) (*Server, *http.Client, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"a.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	table, problems := router.Build(&router.Spec{Listeners: []*router.Listener{{Name: "main", Chains: []*router.Chain{
		{Name: "a", ServerNames: []string{"a.example.com"}, TLS: &router.ServerTLS{}, Table: &router.RouteTable{Name: "a"}},
	}}}}, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	o := Options{HTTP: http1.Options{Engine: handler{}}.WithDefaults(), Options: listener.Options{
		Name: "main",
		Chain: func(name string, inside bool, alpn []string) *router.CompiledChain {
			return table.Chain("main", name, inside, alpn)
		},
		ServerTLS: func(*router.ServerTLS, *tls.ClientHelloInfo) (*tls.Config, error) { return config, nil },
		TLSState: func(_ *router.ServerTLS, s tls.ConnectionState) *proxy.TLSState {
			return &proxy.TLSState{ServerName: s.ServerName, Protocol: s.NegotiatedProtocol}
		},
	}}
	for _, c := range change {
		c(&o)
	}
	s := NewServer(o)
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- s.Serve(conn)
		conn.Close() // As whoever serves does: what is in progress must have ended.
	}()
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.example.com"}}
	t.Cleanup(func() {
		transport.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Drain(ctx)
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		conn.Close()
	})
	return s, &http.Client{Transport: transport, Timeout: 60 * time.Second}, "https://" + conn.LocalAddr().String()
}

func do(t *testing.T, c *http.Client, method, url string, body io.Reader, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "a.example.com"
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// TestRequests: what a client asks is what the handler sees, cleaned and normalised.
func TestRequests(t *testing.T) {
	t.Parallel()
	_, c, url := serve(t)
	for _, want := range []struct {
		method, path string
		headers      []string
		status       int
		text         string
	}{
		{"GET", "/x?y=%20", []string{"X-One", "1"}, 200, "GET a.example.com /x?y=%20 HTTP/3 a buffered=true\naccept-encoding: gzip\nuser-agent: quic-go HTTP/3\nx-one: 1\n"},
		{"DELETE", "/a/../b", nil, 200, "DELETE a.example.com /b HTTP/3 a buffered=true\naccept-encoding: gzip\nuser-agent: quic-go HTTP/3\n"},
		{"GET", "/a%2Fb", nil, 400, ""},
		{"GET", "/x", []string{"X_Under", "1"}, 400, ""},
		{"GET", "/x", []string{"Expect", "else"}, 417, ""},
		{"GET", "/" + strings.Repeat("a", 9000), nil, 414, ""},
	} {
		resp, text := do(t, c, want.method, url+want.path, nil, want.headers...)
		if resp.StatusCode != want.status || want.text != "" && text != want.text {
			t.Errorf("%s %.40s: %d %q, want %d %q", want.method, want.path, resp.StatusCode, text, want.status, want.text)
		}
	}
	resp, _ := do(t, c, "GET", url+"/x", nil)
	if got := resp.Header["X-A"]; len(got) != 2 || resp.ContentLength <= 0 {
		t.Errorf("response: %v, length %d", resp.Header, resp.ContentLength)
	}
	if resp, text := do(t, c, "HEAD", url+"/x", nil); text != "" || resp.ContentLength <= 0 {
		t.Errorf("HEAD: %q, length %d", text, resp.ContentLength)
	}
}

// TestTooManyFields: the count of fields is bounded, not their bytes alone.
func TestTooManyFields(t *testing.T) {
	t.Parallel()
	_, c, url := serve(t)
	var headers []string
	for i := range 120 {
		headers = append(headers, fmt.Sprintf("X-%d", i), "v")
	}
	if resp, _ := do(t, c, "GET", url+"/", nil, headers...); resp.StatusCode != 431 {
		t.Errorf("got %d, want 431", resp.StatusCode)
	}
}

// TestBodies: small, large and streamed bodies come back whole, with trailers.
func TestBodies(t *testing.T) {
	t.Parallel()
	_, c, url := serve(t)
	large := make([]byte, 3<<20)
	rand.Read(large)
	for name, body := range map[string]io.Reader{
		"small": strings.NewReader("hello"), "large": bytes.NewReader(large), "streamed": io.MultiReader(bytes.NewReader(large)),
	} {
		want := "hello"
		if name != "small" {
			want = string(large)
		}
		resp, text := do(t, c, "POST", url+"/echo", body)
		if text != want || resp.Trailer.Get("X-End") != "yes" {
			t.Errorf("%s: %d bytes came back of %d, trailers %v", name, len(text), len(want), resp.Trailer)
		}
	}
}

// TestBothWays: parts of a request are answered before the next is sent.
func TestBothWays(t *testing.T) {
	t.Parallel()
	_, c, url := serve(t)
	body, feed := io.Pipe()
	r, err := http.NewRequest("POST", url+"/echo", body)
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(feed, "one")
	resp, err := c.Do(r)
	if err != nil {
		// quic-go's client verifies the name that the URL has.
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 3)
	for _, part := range []string{"one", "two"} {
		if part == "two" {
			go io.WriteString(feed, part)
		}
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != part {
			t.Fatalf("got %q, %v; want %q", buf, err, part)
		}
	}
	feed.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
		t.Errorf("at the end: %q, %v", rest, err)
	}
}

// TestCut: a response that cannot be completed is told to be so, and the connection goes on.
func TestCut(t *testing.T) {
	t.Parallel()
	_, c, url := serve(t)
	resp, err := c.Get(url + "/cut")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a cut response looked whole")
	}
	do(t, c, "GET", url+"/x", nil)
}

// TestClientGone: an exchange hears of a client that gives up.
func TestClientGone(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	_, c, url := serve(t, func(o *Options) { o.HTTP = http1.Options{Engine: telling{began: began}}.WithDefaults() })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-began; cancel() }()
	r, _ := http.NewRequestWithContext(ctx, "GET", url+"/wait", nil)
	if _, err := c.Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// The server's cleanup waits for the exchange.
}

// telling is a handler of one request, that tells of its beginning.
type telling struct {
	handler
	began chan struct{}
}

func (h telling) Serve(ex *proxy.Exchange, down proxy.Downstream) {
	close(h.began)
	h.handler.Serve(ex, down)
}

// TestServerName: a name that nobody serves gets no connection.
func TestServerName(t *testing.T) {
	t.Parallel()
	_, _, url := serve(t)
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "b.example.com"}}
	defer transport.Close()
	if resp, err := (&http.Client{Transport: transport}).Get(url + "/x"); err == nil {
		resp.Body.Close()
		t.Error("a stranger's name was served")
	}
}

// TestDrain: what is in progress ends as it should, and Drain waits for it.
func TestDrain(t *testing.T) {
	t.Parallel()
	s, c, url := serve(t)
	body, feed := io.Pipe()
	go io.WriteString(feed, "one")
	resp, err := c.Post(url+"/echo", "", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	select {
	case err := <-drained:
		t.Fatalf("Drain did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	feed.Close()
	if text, err := io.ReadAll(resp.Body); string(text) != "one" || err != nil {
		t.Errorf("the exchange in progress: %q, %v", text, err)
	}
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
}

// TestIdle: an upstream that says nothing is waited for as long as the options say.
func TestIdle(t *testing.T) {
	t.Parallel()
	const idle, step = 4 * time.Second, 250 * time.Millisecond
	events := make(chan proxy.ConnEvent, 100)
	_, c, url := serve(t, func(o *Options) {
		o.HTTP.Timeouts.Stream = idle
		o.Observe = func(e proxy.ConnEvent) { events <- e }
	})
	// What moves goes on, for longer than that.
	body, send := io.Pipe()
	go func() {
		for range idle/step + 2 {
			time.Sleep(step)
			io.WriteString(send, "x")
		}
		send.Close()
	}()
	if r, got := do(t, c, "POST", url+"/echo", body); r.StatusCode != 200 || got != strings.Repeat("x", int(idle/step)+2) {
		t.Errorf("%d %q", r.StatusCode, got)
	}
	if r, _ := do(t, c, "GET", url+"/wait", nil); r.StatusCode != 504 {
		t.Errorf("status %d, want 504", r.StatusCode)
	}
	for e := range events {
		if e == proxy.ConnStreamTimeout {
			break
		}
	}
	// A response that does not go on does not end as if it were complete.
	r, err := http.NewRequest("GET", url+"/stall", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "a.example.com"
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(resp.Body); err == nil || string(got) != "some" {
		t.Errorf("%q, %v: want an error behind it", got, err)
	}
	resp.Body.Close()
}
