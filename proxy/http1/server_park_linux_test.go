package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/listener"
	"github.com/sluicegate/sluice/proxy/socket"
)

// answering answers every request with its path.
var answering = handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
	body := []byte(ex.Request.Path)
	down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyLength, Length: int64(len(body))}}, body, true)
})

// waitFor waits until a server's counts are so.
func waitFor(t *testing.T, s *listener.Server, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: %d connections, %d of them parked", what, s.Connections(), s.Parked())
		}
	}
}

func waitParked(t *testing.T, s *listener.Server, n int) {
	t.Helper()
	waitFor(t, s, fmt.Sprintf("want %d parked", n), func() bool { return s.Parked() == n })
}

// client is a client that checks what it is answered.
type client struct {
	net.Conn
	r *bufio.Reader
	n int
}

func newClient(c net.Conn) *client { return &client{Conn: c, r: bufio.NewReader(c)} }

// ask sends n requests at once, in two pieces if cut is inside of them.
func (c *client) ask(n, cut int) error {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", c.n+i)
	}
	all := out.String()
	cut = min(cut, len(all))
	if _, err := io.WriteString(c, all[:cut]); err != nil {
		return err
	}
	if cut > 0 && cut < len(all) {
		time.Sleep(time.Millisecond)
	}
	if _, err := io.WriteString(c, all[cut:]); err != nil {
		return err
	}
	for range n {
		if err := c.answered(); err != nil {
			return err
		}
	}
	return nil
}

// answered reads the answer to the next request.
func (c *client) answered() error {
	length := 0
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == "\r\n" {
			break
		}
		fmt.Sscanf(line, "content-length: %d\r\n", &length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.r, body); err != nil {
		return err
	}
	want := fmt.Sprintf("/%d", c.n)
	c.n++
	if string(body) != want {
		return fmt.Errorf("answered %q, want %q", body, want)
	}
	return nil
}

// soon parks whatever is idle at the next look.
const soon = time.Nanosecond

// TestParkedServes: a connection that was parked serves what comes: one request, several,
// and pieces; before its first request too. One that is amid a head is not parked.
func TestParkedServes(t *testing.T) {
	t.Parallel()
	s, address := serveLoopback(t, Options{Engine: answering, ParkAfter: soon})
	c := newClient(call(t, address, ""))
	for _, n := range []int{1, 3, 1, 20} {
		waitParked(t, s, 1)
		if err := c.ask(n, 30*(n/2)); err != nil {
			t.Fatal(err)
		}
	}
	waitParked(t, s, 1)
	io.WriteString(c, "GET /")
	waitParked(t, s, 0)
	time.Sleep(250 * time.Millisecond)
	if n := s.Parked(); n != 0 || s.Connections() != 1 {
		t.Errorf("%d of %d connections are parked amid a head", n, s.Connections())
	}
	fmt.Fprintf(c, "%d HTTP/1.1\r\nHost: a\r\n\r\n", c.n)
	if err := c.answered(); err != nil {
		t.Error(err)
	}
}

// TestParkedEnds: however the client ends a parked connection, it is closed.
func TestParkedEnds(t *testing.T) {
	t.Parallel()
	s, address := serveLoopback(t, Options{Engine: answering, ParkAfter: soon})
	var clients []*client
	for range 3 {
		c := newClient(call(t, address, ""))
		if err := c.ask(1, 0); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	waitParked(t, s, 3)
	clients[0].Close()
	clients[1].Conn.(*net.TCPConn).SetLinger(0)
	clients[1].Close()
	clients[2].Conn.(*net.TCPConn).CloseWrite()
	if _, err := clients[2].r.ReadByte(); err != io.EOF {
		t.Errorf("who closed its side read %v", err)
	}
	waitFor(t, s, "all ended", func() bool { return s.Connections() == 0 && s.Parked() == 0 })
}

// TestParkedTimesOut: the idle timeout ends a parked connection, and is counted.
func TestParkedTimesOut(t *testing.T) {
	t.Parallel()
	var timeouts atomic.Int32
	s, address := serveLoopback(t, Options{
		Engine: answering, ParkAfter: soon, Timeouts: Timeouts{Idle: 4 * time.Second},
		Observe: func(e proxy.ConnEvent) {
			if e == proxy.ConnIdleTimeout {
				timeouts.Add(1)
			}
		},
	})
	c := newClient(call(t, address, ""))
	if err := c.ask(1, 0); err != nil {
		t.Fatal(err)
	}
	waitParked(t, s, 1)
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("read %v", err)
	}
	waitFor(t, s, "counted", func() bool { return timeouts.Load() == 1 })
	waitFor(t, s, "closed", func() bool { return s.Connections() == 0 && s.Parked() == 0 })
}

// TestParkedDrains: a drain closes parked connections, and so does its deadline.
func TestParkedDrains(t *testing.T) {
	t.Parallel()
	for name, deadline := range map[string]bool{"drain": false, "kill": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, address := serveLoopback(t, Options{Engine: answering, ParkAfter: soon})
			var clients []*client
			for range 300 {
				c := newClient(call(t, address, ""))
				if err := c.ask(1, 0); err != nil {
					t.Fatal(err)
				}
				clients = append(clients, c)
			}
			waitParked(t, s, len(clients))
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if deadline {
				cancel()
			}
			if err := s.Drain(ctx); deadline != errors.Is(err, context.Canceled) {
				t.Errorf("Drain: %v", err)
			}
			for _, c := range clients {
				if _, err := c.r.ReadByte(); err != io.EOF {
					t.Fatalf("a client read %v", err)
				}
			}
			if s.Connections() != 0 || s.Parked() != 0 {
				t.Errorf("%d connections, %d parked", s.Connections(), s.Parked())
			}
		})
	}
}

// TestParkedPreface: a connection that was parked before its first byte may yet become HTTP/2.
func TestParkedPreface(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	s, address := serveLoopback(t, Options{Engine: answering, ParkAfter: soon, HTTP2: func(conn net.Conn, early []byte, _ *proxy.Connection) proxy.Session {
		return &echoes{conn, early, got}
	}})
	c := call(t, address, "")
	waitParked(t, s, 1)
	io.WriteString(c, preface[:10])
	waitParked(t, s, 0)
	io.WriteString(c, preface[10:])
	if early := <-got; early != preface {
		t.Errorf("HTTP/2 began with %q", early)
	}
	// Nobody parks it now, nor interrupts it.
	time.Sleep(300 * time.Millisecond)
	io.WriteString(c, "x")
	if rest := <-got; rest != "x" || s.Parked() != 0 {
		t.Errorf("then %q came; %d parked", rest, s.Parked())
	}
}

// echoes is a session that tells what it was handed, and the next byte.
type echoes struct {
	conn  net.Conn
	early []byte
	got   chan string
}

func (e *echoes) Serve() {
	defer e.conn.Close()
	e.got <- string(e.early)
	var b [1]byte
	n, _ := e.conn.Read(b[:])
	e.got <- string(b[:n])
}

func (e *echoes) Check(int64) {}
func (e *echoes) CloseIdle()  {}
func (e *echoes) Kill()       { e.conn.Close() }

// TestParkedBehindProxy: the PROXY protocol's client stays the connection's, and counts.
func TestParkedBehindProxy(t *testing.T) {
	t.Parallel()
	clients := make(chan string, 10)
	s, address := serveWrapped(t, listener.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxConnectionsPerIP: 1},
		Options{ParkAfter: soon, Engine: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			clients <- ex.Client.String()
			answering(ex, down)
		})}, func(c net.Conn) net.Conn { return c })
	const header = "PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n"
	c := newClient(call(t, address, header))
	for range 2 {
		waitParked(t, s, 1)
		if err := c.ask(1, 0); err != nil {
			t.Fatal(err)
		}
		if got := <-clients; got != "192.0.2.7" {
			t.Errorf("the client is %s", got)
		}
	}
	waitParked(t, s, 1)
	if got, _ := io.ReadAll(call(t, address, header+getRequest)); len(got) > 0 {
		t.Errorf("one too many was answered %q", got)
	}
	waitParked(t, s, 1)
	if err := c.ask(2, 0); err != nil {
		t.Error(err)
	}
}

// TestParkedTLS: a connection inside TLS is parked as well, and loses nothing of its records.
func TestParkedTLS(t *testing.T) {
	t.Parallel()
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	defer certified.Close()
	server := &tls.Config{Certificates: certified.TLS.Certificates}
	config := certified.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "example.com"
	s, address := serveWrapped(t, listener.Options{}, Options{Engine: answering, ParkAfter: soon}, func(conn net.Conn) net.Conn {
		c := socket.Server(conn, nil, server)
		if err := c.Handshake(); err != nil {
			t.Error(err)
		}
		c.Decide()
		return c
	})
	c := newClient(tls.Client(call(t, address, ""), config))
	for _, n := range []int{1, 1, 7, 300} {
		if err := c.ask(n, 11*n); err != nil {
			t.Fatal(err)
		}
		waitParked(t, s, 1)
	}
	c.Close()
	waitFor(t, s, "closed", func() bool { return s.Connections() == 0 && s.Parked() == 0 })
}

// TestParkedAtRandom: connections that come, pause around the time at which they are parked,
// ask, and go, while servers drain. No request is lost but by a drain, between two answers.
func TestParkedAtRandom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clients int
		after   time.Duration
	}{"few": {100, soon}, "crowd": {500, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 {
				atRandom(t, c.clients, c.after)
			}
		})
	}
}

func atRandom(t *testing.T, clients int, after time.Duration) {
	s, address := serveLoopback(t, Options{Engine: answering, ParkAfter: after})
	var draining atomic.Bool
	var asked atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for !draining.Load() {
				if err := wander(address, &asked); err != nil && !draining.Load() {
					t.Error(err)
					return
				}
			}
		})
	}
	time.Sleep(1200 * time.Millisecond)
	waitFor(t, s, "asked", func() bool { return asked.Load() > 0 })
	draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Errorf("Drain: %v", err)
	}
	all.Wait()
	if s.Connections() != 0 || s.Parked() != 0 || asked.Load() == 0 {
		t.Errorf("%d connections, %d parked after %d requests", s.Connections(), s.Parked(), asked.Load())
	}
}

// wander is a client's connection, from its beginning to its end.
func wander(address string, asked *atomic.Int64) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := newClient(conn)
	for range rand.IntN(8) {
		// The watch looks every 100 ms: what comes just then meets a connection on its way
		// into the lot, or out of it.
		if rand.IntN(3) == 0 {
			time.Sleep(time.Duration(rand.IntN(210)) * time.Millisecond)
		}
		n := 1 + rand.IntN(3)
		if err := c.ask(n, rand.IntN(40)); err != nil {
			return fmt.Errorf("request %d: %w", c.n, err)
		}
		asked.Add(int64(n))
	}
	return nil
}
