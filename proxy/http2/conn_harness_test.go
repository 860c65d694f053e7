package http2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// connPatience is how long these tests wait for what must happen.
const connPatience = 20 * time.Second

// client is the downstream of an exchange: it keeps what it is given.
type client struct {
	mu       sync.Mutex
	cond     sync.Cond
	interim  []int
	status   int
	headers  map[string]string
	kind     proxy.Body
	declared int64
	body     bytes.Buffer
	trailers map[string]string
	ended    bool
	cut      bool
	upgrade  string
	// slow is waited for before each piece of the body is taken.
	slow <-chan struct{}
	// fails is what writing says, from when the head was sent on.
	fails error

	// request is the request's body; a nil one has none.
	request      io.Reader
	sendTrailers []router.Header
	closed       chan struct{}
	closeOnce    sync.Once
	aborter      *proxy.Aborter
	gone         bool
	tunnel       net.Conn
	early        []byte
}

func newClient() *client {
	c := &client{closed: make(chan struct{})}
	c.cond.L = &c.mu
	return c
}

func toMap(fields []router.Header) map[string]string {
	m := make(map[string]string, len(fields))
	for _, f := range fields {
		m[strings.Clone(f.Name)] = strings.Clone(f.Value)
	}
	return m
}

var errBodyClosed = errors.New("the body was closed")

func (c *client) ReadBody(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	got := make(chan result, 1)
	go func() { n, err := c.request.Read(p); got <- result{n, err} }()
	select {
	case r := <-got:
		return r.n, r.err
	case <-c.closed:
		if closer, ok := c.request.(io.Closer); ok {
			closer.Close()
		}
		<-got
		return 0, errBodyClosed
	}
}

func (c *client) CloseBody()                { c.closeOnce.Do(func() { close(c.closed) }) }
func (c *client) KeepBody()                 {}
func (c *client) Rewindable() bool          { return true }
func (c *client) Rewind() bool              { return true }
func (c *client) Trailers() []router.Header { return c.sendTrailers }

func (c *client) Interim(r *proxy.Response) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interim = append(c.interim, r.Status)
	return nil
}

func (c *client) Respond(ex *proxy.Exchange, r *proxy.Response, body []byte, end bool) error {
	c.mu.Lock()
	c.status, c.headers, c.kind, c.declared, c.upgrade = r.Status, toMap(r.Headers), r.Body, r.DeclaredLength, r.Upgrade
	c.cond.Broadcast()
	c.mu.Unlock()
	return c.WriteBody(body, nil, end)
}

func (c *client) WriteBody(p []byte, trailers []router.Header, end bool) error {
	if c.slow != nil {
		<-c.slow
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails != nil {
		return c.fails
	}
	c.body.Write(p)
	if trailers != nil {
		c.trailers = toMap(trailers)
	}
	c.ended = c.ended || end
	c.cond.Broadcast()
	return nil
}

func (c *client) Splice(net.Conn, int64) (int64, bool, error) { return 0, false, nil }
func (c *client) Cut()                                        { c.mu.Lock(); c.cut = true; c.mu.Unlock() }
func (c *client) Tunnel() ([]byte, net.Conn)                  { return c.early, c.tunnel }
func (c *client) Lost() (bool, bool)                          { c.mu.Lock(); defer c.mu.Unlock(); return c.gone, false }

func (c *client) Attach(a *proxy.Aborter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborter = a
	return !c.gone
}

// leave has the client go away.
func (c *client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	if c.aborter != nil {
		c.aborter.Abort()
	}
}

// until waits until something has come.
func (c *client) until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	late := false
	timer := time.AfterFunc(connPatience, func() { c.mu.Lock(); late = true; c.cond.Broadcast(); c.mu.Unlock() })
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !holds() {
		if late {
			t.Fatalf("waited in vain for %s", what)
		}
		c.cond.Wait()
	}
}

// FilterResponse lets every response pass.
func (c *client) FilterResponse(*proxy.Exchange, *proxy.Response) bool { return true }

// request makes an exchange.
func connExchange(method, path string, headers ...string) *proxy.Exchange {
	ex := &proxy.Exchange{Buffered: true, UpstreamPath: path, UpstreamAuthority: "origin.example", WantsTrailers: true, Protocol: "HTTP/2"}
	ex.Request.Method, ex.Request.Path, ex.Request.Scheme = method, path, "http"
	for i := 0; i < len(headers); i += 2 {
		ex.Request.Headers = append(ex.Request.Headers, router.Header{Name: headers[i], Value: headers[i+1]})
	}
	return ex
}

// withPayload gives an exchange a body that is there.
func withPayload(ex *proxy.Exchange, body string) *proxy.Exchange {
	ex.Payload, ex.Body = []byte(body), proxy.Body{Kind: proxy.BodyLength, Length: int64(len(body))}
	return ex
}

// withStream gives an exchange a body that is to be read.
func withStream(ex *proxy.Exchange) *proxy.Exchange {
	ex.Buffered, ex.Body = false, proxy.Body{Kind: proxy.BodyStream}
	return ex
}

// do makes an exchange on a stream of c.
func do(t testing.TB, c *Conn, ex *proxy.Exchange, down *client) proxy.Result {
	t.Helper()
	s := c.Acquire(100)
	if s == nil {
		t.Fatal("no room for a stream")
	}
	defer s.Release()
	down.Attach(s.Aborter())
	defer down.Attach(nil)
	return s.RoundTrip(ex, down, down)
}

// goOrigin serves handler as net/http does, without TLS.
func goOrigin(t testing.TB, handler http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: protocols}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-served })
	return l.Addr().String()
}

// connTo dials an address.
func connTo(t testing.TB, address string, o ConnOptions) *Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return startConn(t, conn, o)
}

// startConn begins HTTP/2, and ends it with the test.
func startConn(t testing.TB, conn net.Conn, o ConnOptions) *Conn {
	t.Helper()
	over := make(chan struct{})
	var once sync.Once
	changed := o.Changed
	o.Changed = func(c *Conn) {
		if changed != nil {
			changed(c)
		}
		if c.State().Closed {
			once.Do(func() { close(over) })
		}
	}
	c := NewConn(conn, o)
	t.Cleanup(func() {
		c.Close()
		select {
		case <-over:
		case <-time.After(connPatience):
			t.Error("the connection does not end")
		}
	})
	return c
}
