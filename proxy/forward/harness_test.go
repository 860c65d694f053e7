package forward_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/forward"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/router"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// gateway is an engine behind a server on a loopback port.
type gateway struct {
	t      testing.TB
	addr   string
	engine *forward.Engine
	server *listener.Server
	// listens is where it listens.
	listens *net.TCPListener

	mu      sync.Mutex
	records []record
	done    *sync.Cond
}

// record is what OnComplete saw of an exchange.
type record struct {
	status, attempts           int
	flags, details, host       string
	sent, received             int64
	method, path, client       string
	upgrade, protocol, failure string
}

// setup is what a test may change about a gateway.
type setup struct {
	engine forward.Options
	server http1.Options
	accept listener.Options
	// quiet leaves the records out, for tests of many requests.
	quiet bool
}

// start serves spec; change may adjust the options.
func start(t testing.TB, spec *router.Spec, change ...func(*setup)) *gateway {
	t.Helper()
	g := &gateway{t: t}
	g.done = sync.NewCond(&g.mu)
	var s setup
	s.accept.Name = "main"
	for _, c := range change {
		c(&s)
	}
	if !s.quiet && s.engine.OnComplete == nil {
		s.engine.OnComplete = g.record
	}
	g.engine = forward.New(s.engine)
	g.engine.Publish(build(t, spec))
	s.server.Engine = g.engine
	o := s.server.WithDefaults()
	s.accept.HTTP = func(conn net.Conn, early []byte, info *proxy.Connection) proxy.Session {
		return http1.NewSession(conn, early, info, o)
	}
	s.accept.Observe = s.server.Observe
	g.server = listener.NewServer(s.accept)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.addr, g.listens = l.Addr().String(), l.(*net.TCPListener)
	go g.server.Serve(l)
	t.Cleanup(g.stop)
	return g
}

func build(t testing.TB, spec *router.Spec) *router.Table {
	t.Helper()
	table, problems := router.Build(spec, nil)
	if len(problems) > 0 {
		t.Fatalf("spec: %v", problems)
	}
	return table
}

func (g *gateway) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	g.server.Drain(ctx)
	g.engine.Close()
}

func (g *gateway) record(ex *proxy.Exchange) {
	r := record{
		status: ex.Status, attempts: ex.Attempts, flags: ex.Flags.String(), details: ex.Details,
		host: strings.Clone(ex.UpstreamHost), sent: ex.BytesSent, received: ex.BytesReceived,
		method: strings.Clone(ex.Request.Method), path: strings.Clone(ex.Request.Path), client: ex.Client.String(),
		upgrade: strings.Clone(ex.UpgradeType), protocol: ex.Protocol, failure: strings.Clone(ex.UpstreamFailure),
	}
	g.mu.Lock()
	g.records = append(g.records, r)
	g.mu.Unlock()
	g.done.Broadcast()
}

// completed waits for the n-th exchange (from 1) to be over and returns its record.
func (g *gateway) completed(n int) record {
	g.t.Helper()
	expired := false
	timer := time.AfterFunc(patience, func() {
		g.mu.Lock()
		expired = true
		g.mu.Unlock()
		g.done.Broadcast()
	})
	defer timer.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.records) < n {
		if expired {
			g.t.Fatalf("%d exchanges completed, want %d", len(g.records), n)
		}
		g.done.Wait()
	}
	return g.records[n-1]
}

// toOrigin is a spec whose every request goes to the addresses.
func toOrigin(addresses ...string) *router.Spec {
	c := &router.Cluster{Name: "origin", Balancer: router.RoundRobin}
	for _, a := range addresses {
		c.Endpoints = append(c.Endpoints, &router.Endpoint{Address: a})
	}
	return withRoutes([]*router.Cluster{c}, &router.Route{RouteAction: &router.RouteAction{Name: "all", Destinations: []router.Destination{{Cluster: "origin"}}, Policy: &router.RoutePolicy{Retry: defaultRetry}}})
}

// defaultRetry is what Istio retries where a VirtualService says nothing.
var defaultRetry = &router.Retry{
	Attempts:      2,
	On:            router.RetryConnectFailure | router.RetryRefusedStream | router.RetryUnavailable | router.RetryCancelled | router.RetryStatusCodes,
	AvoidPrevious: true,
}

func withRoutes(clusters []*router.Cluster, routes ...*router.Route) *router.Spec {
	return &router.Spec{
		Listeners: []*router.Listener{{Name: "main", Tables: []*router.RouteTable{{
			Name: "http.80", VirtualHosts: []*router.VirtualHost{{Name: "any", Domains: []string{"*"}, Routes: routes}},
		}}}},
		Clusters: clusters,
	}
}

// origin is a scripted upstream: it hands each connection to a function.
type origin struct {
	addr  string
	conns atomic.Int64
	bytes atomic.Int64
}

// originConn is one connection to an origin, which counts what it reads.
type originConn struct {
	net.Conn
	o  *origin
	br *bufio.Reader
}

func (c *originConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.o.bytes.Add(int64(n))
	return n, err
}

func startOrigin(t testing.TB, serve func(*originConn)) *origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{addr: l.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			o.conns.Add(1)
			c := &originConn{Conn: conn, o: o}
			c.br = bufio.NewReader(c)
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			wg.Add(1)
			go func() {
				defer wg.Done()
				serve(c)
				conn.Close()
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return o
}

// head reads a message head, as it stands on the wire.
func (c *originConn) head() (string, error) { return readHead(c.br) }

func readHead(br *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := br.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String(), err
		}
		if line == "\r\n" {
			return b.String(), nil
		}
	}
}

// request reads a request with all of its body.
func (c *originConn) request() (*http.Request, []byte, error) {
	r, err := http.ReadRequest(c.br)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(r.Body)
	return r, body, err
}

func (c *originConn) send(s string) error {
	_, err := io.WriteString(c, s)
	return err
}

// answering is an origin that gives the same bytes for each request.
func answering(response string) func(*originConn) {
	return func(c *originConn) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			if c.send(response) != nil {
				return
			}
		}
	}
}

const okResponse = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

// echo answers with the request's method, path and body.
func echo(c *originConn) {
	for {
		r, body, err := c.request()
		if err != nil {
			return
		}
		var b bytes.Buffer
		b.WriteString(r.Method + " " + r.RequestURI + "\n")
		b.Write(body)
		resp := http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(b.Len()), Body: io.NopCloser(&b), Request: r}
		if resp.Write(c) != nil {
			return
		}
	}
}

// client is a raw connection to a gateway.
type client struct {
	*net.TCPConn
	t  testing.TB
	br *bufio.Reader
}

func dial(t testing.TB, g *gateway) *client {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{TCPConn: conn.(*net.TCPConn), t: t, br: bufio.NewReader(conn)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
}

// read reads the response to a request of that method.
func (c *client) read(method string) answer {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("response body: %v (after %d bytes)", err, len(body))
	}
	return answer{resp, string(body)}
}

// get sends a request without body and reads the answer.
func (c *client) get(path string, headers ...string) answer {
	c.t.Helper()
	c.send("GET " + path + " HTTP/1.1\r\nHost: example.com\r\n" + lines(headers) + "\r\n")
	return c.read("GET")
}

func lines(headers []string) string {
	if len(headers) == 0 {
		return ""
	}
	return strings.Join(headers, "\r\n") + "\r\n"
}

// expectEnd wants the connection to end, with nothing more on it. A reset is an end too.
func (c *client) expectEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.br)
	if len(rest) > 0 {
		c.t.Errorf("more came: %.200q", rest)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Errorf("the connection stays open")
	}
}

// eventually waits until f holds.
func eventually(t testing.TB, within time.Duration, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(within); ; {
		if f() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// newPrefixed reads prefix, then r.
func newPrefixed(prefix string, r io.Reader) *bufio.Reader {
	return bufio.NewReader(io.MultiReader(strings.NewReader(prefix), r))
}

// webSocket is the opening of a WebSocket (RFC 6455 section 1.3).
func webSocket(headers ...string) string {
	return req("GET /ws HTTP/1.1", append([]string{"Host: a.example", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"}, headers...)...)
}

// tryRead reads a response, for goroutines that cannot fail the test themselves.
func tryRead(c *client) (*http.Response, error) {
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

// o64 is a number that differs from connection to connection.
func o64(c *originConn) uint64 {
	_, port, _ := net.SplitHostPort(c.RemoteAddr().String())
	var n uint64
	for _, d := range port {
		n = n*31 + uint64(d)
	}
	return n
}

// nobody is an address at which nobody listens, nor will: the port is taken.
func nobody(t testing.TB) string {
	t.Helper()
	_, addr := bound(t)
	return addr
}

// bound takes a port, and returns the socket and the address.
func bound(t testing.TB) (fd int, addr string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.CloseOnExec(fd)
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, net.JoinHostPort("127.0.0.1", strconv.Itoa(sa.(*unix.SockaddrInet4).Port))
}

// fullListener is an address that answers no connection attempt: its backlog is full.
func fullListener(t testing.TB) string {
	t.Helper()
	fd, addr := bound(t)
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond); err == nil {
			t.Cleanup(func() { conn.Close() })
		}
	}
	return addr
}
