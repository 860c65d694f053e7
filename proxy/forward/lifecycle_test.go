package forward_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// A client that goes away takes its upstream exchange with it, soon.
func TestAbortedClients(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"waiting", "waiting, half closed", "downloading", "reset while downloading", "uploading", "reset while uploading", "uploading chunks", "small body cut"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			began, ended := make(chan bool, 1), make(chan bool, 1)
			complete := false
			o := startOrigin(t, func(c *originConn) {
				c.head()
				began <- true
				if strings.Contains(when, "downloading") {
					c.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
					for c.send(strings.Repeat("x", 64<<10)) == nil {
					}
				} else {
					rest, _ := io.ReadAll(c.br)
					complete = strings.HasSuffix(string(rest), "0\r\n\r\n") || len(rest) >= 1000000
				}
				ended <- true
			})
			g := start(t, toOrigin(o.addr))
			c := dial(t, g)
			switch {
			case when == "small body cut":
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
			case strings.Contains(when, "chunks"):
				c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
			case strings.Contains(when, "uploading"):
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhello")
			default:
				c.send(get())
			}
			if when != "small body cut" {
				<-began
			}
			if strings.Contains(when, "downloading") {
				io.ReadFull(c.br, make([]byte, 1<<20))
			}
			switch {
			case strings.Contains(when, "half"):
				c.CloseWrite()
			case strings.Contains(when, "reset"):
				c.SetLinger(0)
				c.Close()
			default:
				c.Close()
			}
			if when == "small body cut" {
				// Nothing was forwarded yet, and nothing is.
				eventually(t, patience, "the connection ends", func() bool { return g.server.Connections() == 0 })
				if n := o.bytes.Load(); n != 0 {
					t.Errorf("the upstream got %d bytes", n)
				}
				return
			}
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("the upstream's connection stays open")
			}
			if complete {
				t.Errorf("the upstream got a whole message")
			}
			if rec := g.completed(1); rec.flags != "DC" || rec.details != "downstream_remote_disconnect" {
				t.Errorf("flags %s, details %s", rec.flags, rec.details)
			}
			eventually(t, patience, "the client's connection ends", func() bool { return g.server.Connections() == 0 })
		})
	}
}

// An upstream may answer before it has the whole request. The client gets the answer, and
// neither connection is used again.
func TestEarlyAnswerToUpload(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"Content-Length: 100000000", "Transfer-Encoding: chunked"} {
		t.Run(framing, func(t *testing.T) {
			o := startOrigin(t, func(c *originConn) {
				for {
					if _, err := c.head(); err != nil {
						return
					}
					c.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
				}
			})
			g := start(t, toOrigin(o.addr))
			for n := range 3 {
				c := dial(t, g)
				c.send("POST / HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n")
				if strings.Contains(framing, "chunked") {
					c.send("5\r\nhello\r\n")
				}
				a := c.read("POST")
				if a.StatusCode != 413 || a.body != "big" || !a.Close {
					t.Errorf("answer %d %q close=%v", a.StatusCode, a.body, a.Close)
				}
				io.WriteString(c, next)
				c.expectEnd()
				if got := o.conns.Load(); got != int64(n+1) {
					t.Errorf("%d upstream connections, want %d", got, n+1)
				}
			}
		})
	}
}

// What an upstream sends while it still receives comes through at once.
func TestBothDirectionsAtOnce(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(c *originConn) {
		c.head()
		c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			line, err := c.br.ReadString('\n')
			if err != nil {
				return
			}
			if line == "0\r\n" {
				c.br.ReadString('\n')
				c.send("0\r\n\r\n")
				return
			}
			data := make([]byte, 7) // Each chunk is five bytes long.
			io.ReadFull(c.br, data)
			c.send("5\r\n" + string(data))
		}
	})
	c := dial(t, start(t, toOrigin(o.addr)))
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	if head, err := readHead(c.br); err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
		t.Fatalf("%q %v", head, err)
	}
	for n := range 20 {
		piece := fmt.Sprintf("5\r\n%05d\r\n", n)
		c.send(piece)
		got := make([]byte, len(piece))
		if _, err := io.ReadFull(c.br, got); err != nil || string(got) != piece {
			t.Fatalf("%q %v", got, err)
		}
	}
	c.send("0\r\n\r\n")
	got := make([]byte, 5)
	if io.ReadFull(c.br, got); string(got) != "0\r\n\r\n" {
		t.Errorf("end %q", got)
	}
}

// What goes wrong on the way to an upstream, and how it is told.
func TestUpstreamFailures(t *testing.T) {
	t.Parallel()
	nowhere := nobody(t)
	toNowhere := func() *router.Spec { return toOrigin(nowhere) }
	tests := map[string]struct {
		serve          func(*originConn)
		spec           func() *router.Spec
		status         int
		flags, details string
		attempts       int
	}{
		"no route":    {spec: func() *router.Spec { return withRoutes(nil) }, status: 404, flags: "NR", details: "route_not_found"},
		"no listener": {spec: func() *router.Spec { return &router.Spec{} }, status: 404, flags: "NR", details: "route_not_found"},
		"no cluster": {spec: func() *router.Spec {
			return withRoutes(nil, &router.Route{RouteAction: &router.RouteAction{Destinations: []router.Destination{{Cluster: "missing"}}}})
		}, status: 503, flags: "NC", details: "cluster_not_found"},
		"no endpoint": {spec: func() *router.Spec { return toOrigin() }, status: 503, flags: "UH", details: "no_healthy_upstream"},
		"refused":     {spec: toNowhere, status: 503, flags: "UF,URX", details: "upstream_reset_before_response_started{remote_connection_failure}", attempts: 3},
		"closed":      {serve: func(c *originConn) { c.head() }, status: 503, flags: "UC", details: "upstream_reset_before_response_started{connection_termination}", attempts: 1},
		"reset": {serve: func(c *originConn) {
			c.br.ReadByte()
			c.Conn.(*net.TCPConn).SetLinger(0)
		}, status: 503, flags: "UC", details: "upstream_reset_before_response_started{connection_termination}", attempts: 1},
		"half a head": {serve: func(c *originConn) { c.head(); c.send("HTTP/1.1 200 OK\r\nX: ") }, status: 503, flags: "UC", details: "upstream_reset_before_response_started{connection_termination}", attempts: 1},
		"garbage":     {serve: func(c *originConn) { c.head(); c.send("garbage") }, status: 502, flags: "UPE", details: "upstream_reset_before_response_started{protocol_error}", attempts: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := test.spec
			if test.serve != nil {
				o := startOrigin(t, test.serve)
				spec = func() *router.Spec { return toOrigin(o.addr) }
			}
			g := start(t, spec())
			c := dial(t, g)
			for n := 1; n <= 2; n++ {
				a := c.get("/")
				if a.StatusCode != test.status || a.Close || a.body == "" || a.Header.Get("Content-Type") != "text/plain" || a.Header.Get("Date") == "" {
					t.Errorf("answer %d close=%v %v %q", a.StatusCode, a.Close, a.Header, a.body)
				}
				rec := g.completed(n)
				if rec.flags != test.flags || rec.details != test.details || rec.attempts != test.attempts || rec.sent != int64(len(a.body)) {
					t.Errorf("record %+v", rec)
				}
			}
		})
	}
}

// A response that breaks off is seen to do so by the client.
func TestResponseCutOff(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		response string
		reset    bool
	}{
		"length":                {response: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"},
		"chunked":               {response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		"half a chunk":          {response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello"},
		"bad chunk":             {response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		"long":                  {response: "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + strings.Repeat("hello", 500000)},
		"until the end, reset":  {response: "HTTP/1.1 200 OK\r\n\r\nhello", reset: true},
		"until the end and 1.0": {response: "HTTP/1.1 200 OK\r\n\r\nhello", reset: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := make(chan bool)
			o := startOrigin(t, func(c *originConn) {
				c.head()
				c.send(test.response)
				<-read
				if name == "bad chunk" {
					c.send("zz\r\n")
				}
				if test.reset {
					c.Conn.(*net.TCPConn).SetLinger(0)
				}
			})
			g := start(t, toOrigin(o.addr))
			c := dial(t, g)
			if strings.HasSuffix(name, "1.0") {
				c.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
			} else {
				c.send(get())
			}
			head, err := readHead(c.br)
			if err != nil {
				t.Fatal(err)
			}
			seen := strings.Repeat("x", 5)
			io.ReadFull(c.br, []byte(seen))
			close(read)
			rest, err := io.ReadAll(c.br)
			if strings.HasSuffix(string(rest), "0\r\n\r\n") {
				t.Errorf("the client got an end: %q", rest[max(0, len(rest)-20):])
			}
			if strings.HasSuffix(name, "1.0") && err == nil {
				t.Errorf("the client cannot tell a cut from the end")
			}
			if rec := g.completed(1); rec.status != 200 || !strings.HasPrefix(rec.details, "upstream_reset_after_response_started") {
				t.Errorf("%q: record %+v", head, rec)
			}
		})
	}
}

// The time that a route, a stream, a head or an idle connection may take.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	stuck := func(c *originConn) { c.head(); io.Copy(io.Discard, c.br) }
	// ample is the time where something must come about within it.
	const ample = 4 * time.Second
	slowly := func(route time.Duration) func(*router.Spec) {
		return func(s *router.Spec) { thePolicy(s).Timeout = route }
	}
	tests := map[string]struct {
		serve   func(*originConn)
		route   func(*router.Spec)
		change  func(*http1.Timeouts)
		send    string
		status  int // 0: the connection ends without an answer.
		flags   string
		details string
		after   time.Duration
		cut     bool
	}{
		"route": {serve: stuck, route: slowly(300 * time.Millisecond), send: get(), status: 504, flags: "UT", details: "upstream_response_timeout", after: 300 * time.Millisecond},
		"route, with an upload": {serve: stuck, route: slowly(300 * time.Millisecond), send: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000),
			status: 504, flags: "UT", details: "upstream_response_timeout", after: 300 * time.Millisecond},
		"route, while the body comes": {serve: func(c *originConn) {
			c.head()
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
			io.Copy(io.Discard, c.br)
		}, route: slowly(ample), send: get(), status: 200, flags: "UT", after: ample, cut: true},
		"stream": {serve: stuck, change: func(t *http1.Timeouts) { t.Stream = 400 * time.Millisecond }, send: get(), status: 504, flags: "SI", details: "stream_idle_timeout", after: 400 * time.Millisecond},
		"stream, upload stands still": {serve: stuck, change: func(t *http1.Timeouts) { t.Stream = 400 * time.Millisecond },
			send: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello", status: 408, flags: "SI", details: "request_body_timeout", after: 400 * time.Millisecond},
		"stream, response stands still": {serve: func(c *originConn) {
			c.head()
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
			io.Copy(io.Discard, c.br)
		}, change: func(t *http1.Timeouts) { t.Stream = ample }, send: get(), status: 200, flags: "SI", details: "stream_idle_timeout", after: ample, cut: true},
		"head": {change: func(t *http1.Timeouts) { t.Head = 300 * time.Millisecond }, send: "GET / HTTP/1.1\r\nHos", status: 408, flags: "DPE", details: "http1.request_head_timeout", after: 300 * time.Millisecond},
		"idle": {change: func(t *http1.Timeouts) { t.Idle = ample }, after: ample},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve := test.serve
			if serve == nil {
				serve = answering(okResponse)
			}
			o := startOrigin(t, serve)
			spec := toOrigin(o.addr)
			if test.route != nil {
				test.route(spec)
			}
			g := start(t, spec, func(s *setup) {
				if test.change != nil {
					test.change(&s.server.Timeouts)
				}
			})
			began := time.Now() // before any of the clocks
			c := dial(t, g)
			if name == "idle" {
				c.get("/")
			}
			c.send(test.send)
			switch {
			case test.status == 0:
				c.expectEnd()
			case test.cut:
				if head, err := readHead(c.br); err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
					t.Fatalf("%q %v", head, err)
				}
				if rest, _ := io.ReadAll(c.br); string(rest) != "12345" {
					t.Errorf("body %q", rest)
				}
			default:
				if a := c.read("GET"); a.StatusCode != test.status {
					t.Errorf("answer %d, want %d", a.StatusCode, test.status)
				}
			}
			if took := time.Since(began); took < test.after || took > test.after+patience/2 {
				t.Errorf("took %v, want %v", took, test.after)
			}
			if test.status == 0 {
				return
			}
			if rec := g.completed(1); rec.flags != test.flags || test.details != "" && rec.details != test.details {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// A head that comes in drops is bounded in all, not from drop to drop.
func TestHeadTimeoutIsForTheWhole(t *testing.T) {
	t.Parallel()
	g := start(t, withRoutes(nil), func(s *setup) { s.server.Timeouts.Head = 500 * time.Millisecond })
	c := dial(t, g)
	go func() {
		for { // until the end
			if _, err := io.WriteString(c, "G"); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	if a := c.read("GET"); a.StatusCode != 408 {
		t.Errorf("answer %d, want 408", a.StatusCode)
	}
}

// A connection that nobody answers is bounded by the cluster's connect timeout, and by the
// route's where that is shorter.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	full := fullListener(t)
	for name, test := range map[string]struct {
		connect, route time.Duration
		status         int
		flags          string
	}{
		"connect": {100 * time.Millisecond, 0, 503, "UF,URX"},
		"route":   {time.Hour, 300 * time.Millisecond, 504, "UT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := toOrigin(full)
			spec.Clusters[0].ConnectTimeout = test.connect
			thePolicy(spec).Timeout = test.route
			g := start(t, spec)
			if a := dial(t, g).get("/"); a.StatusCode != test.status {
				t.Errorf("answer %d, want %d", a.StatusCode, test.status)
			}
			if rec := g.completed(1); rec.flags != test.flags {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// A refused endpoint is passed over for one that is well.
func TestConnectFailureTriesAnotherEndpoint(t *testing.T) {
	t.Parallel()
	got := make(chan string, 100)
	o := startOrigin(t, func(c *originConn) {
		for {
			r, _, err := c.request()
			if err != nil {
				return
			}
			got <- r.Header.Get("X-Envoy-Attempt-Count")
			c.send(okResponse)
		}
	})
	another := startOrigin(t, answering(okResponse))
	g := start(t, toOrigin(nobody(t), o.addr, another.addr))
	c := dial(t, g)
	seen := map[string]int{}
	for range 21 {
		if a := c.get("/"); a.StatusCode != 200 {
			t.Fatalf("answer %d", a.StatusCode)
		}
	}
	for close(got); len(got) > 0; {
		seen[<-got]++
	}
	if seen["2"] == 0 || seen["1"] == 0 && another.bytes.Load() == 0 {
		t.Errorf("attempts %v", seen)
	}
}

// A destination that is the listener itself is an error, not a loop.
func TestLoopGuard(t *testing.T) {
	t.Parallel()
	g := start(t, withRoutes(nil))
	g.engine.Publish(build(t, toOrigin(g.addr)))
	if a := dial(t, g).get("/"); a.StatusCode != 503 {
		t.Errorf("answer %d", a.StatusCode)
	}
	if rec := g.completed(1); rec.flags != "UF" || !strings.Contains(rec.failure, "listener") {
		t.Errorf("record %+v", rec)
	}
}

// A request whose kept connection was closed is sent again where that is safe, and only
// there.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	for method, body := range map[string]string{"GET": "", "PUT": "hello", "DELETE": "", "POST": "hello", "PATCH": "hello"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			seen := 0
			o := startOrigin(t, func(c *originConn) {
				for n := 0; ; n++ {
					r, _, err := c.request()
					if err != nil {
						return
					}
					if r.URL.Path == "/stale" {
						mu.Lock()
						seen++
						mu.Unlock()
						if n > 0 {
							return // as if it had closed just before
						}
					}
					c.send(okResponse)
				}
			})
			g := start(t, toOrigin(o.addr))
			c := dial(t, g)
			c.get("/")
			c.send(fmt.Sprintf("%s /stale HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", method, len(body), body))
			a := c.read(method)
			mu.Lock()
			defer mu.Unlock()
			safe := method != "POST" && method != "PATCH"
			if safe && (a.StatusCode != 200 || seen != 2) || !safe && (a.StatusCode != 503 || seen != 1) {
				t.Errorf("answer %d, sent %d times", a.StatusCode, seen)
			}
		})
	}
}

// Upstreams close connections whenever they like; clients of safe methods never notice.
func TestUpstreamClosesAtRandom(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(c *originConn) {
		left := 1 + int(o64(c)%40)
		for ; left > 0; left-- {
			if _, err := c.head(); err != nil || c.send(okResponse) != nil {
				return
			}
		}
	})
	g := start(t, toOrigin(o.addr), func(s *setup) { s.quiet = true })
	clients, each := 100, 1000
	if testing.Short() || raceEnabled {
		each = 100
	}
	var wg sync.WaitGroup
	for range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := hammer(g.addr, each); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
}

// hammer sends n small GETs on one connection and wants 200 for each.
func hammer(addr string, n int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	request := []byte(get())
	buf := make([]byte, 4096)
	for i := range n {
		conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write(request); err != nil {
			return err
		}
		m, err := conn.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:m]), "HTTP/1.1 200 ") || !strings.HasSuffix(string(buf[:m]), "\r\n\r\nok") {
			return fmt.Errorf("request %d: %q %v", i, buf[:m], err)
		}
	}
	return nil
}

// A drain lets everybody finish: a client that heeds Connection: close loses nothing.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, answering(okResponse))
	g := start(t, toOrigin(o.addr), func(s *setup) { s.quiet = true })
	idle := dial(t, g)
	idle.get("/")
	var wg sync.WaitGroup
	started := make(chan bool, 16)
	for range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := dial(t, g)
			for n := 0; ; n++ {
				if _, err := io.WriteString(c, get()); err != nil {
					t.Errorf("request %d: %v", n, err)
					return
				}
				a, err := tryRead(c)
				if err != nil || a.StatusCode != 200 {
					t.Errorf("request %d: %v", n, err)
					return
				}
				if a.Close {
					return
				}
				if n == 10 {
					started <- true
				}
			}
		}()
	}
	for range 16 {
		<-started
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.server.Drain(ctx); err != nil {
		t.Errorf("drain: %v", err)
	}
	wg.Wait()
	idle.expectEnd()
	if g.server.Connections() != 0 {
		t.Errorf("%d connections left", g.server.Connections())
	}
	// Somebody else may have the port by now.
	if err := g.listens.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the drained server still accepts: %v", err)
	}
}

// A drain whose time is up ends what is left, whatever it is doing.
func TestDrainKills(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(c *originConn) {
		h, err := c.head()
		if err != nil {
			return
		}
		if strings.Contains(h, "upgrade: websocket") {
			c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
		}
		io.Copy(io.Discard, c.br)
	})
	g := start(t, toOrigin(o.addr))
	for _, send := range []string{get(), webSocket(), "GET / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhe", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhe"} {
		c := dial(t, g)
		c.send(send)
		if strings.Contains(send, "Upgrade") {
			readHead(c.br)
		}
	}
	eventually(t, patience, "three requests are upstream", func() bool { return o.conns.Load() >= 3 })
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := g.server.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v", err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("took %v", took)
	}
}

// Tables come and go under load, and nobody notices.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	a, b := startOrigin(t, answering(okResponse)), startOrigin(t, answering(okResponse))
	g := start(t, toOrigin(a.addr), func(s *setup) { s.quiet = true })
	stop := make(chan bool)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := hammer(g.addr, 50); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	var previous *router.Table
	for n := range 1000 {
		spec := toOrigin(a.addr, b.addr)
		if n%2 == 1 {
			spec = toOrigin(b.addr)
		}
		if n%3 == 0 {
			other := &router.Cluster{Name: fmt.Sprint("other-", n), Endpoints: []*router.Endpoint{{Address: a.addr}}}
			spec.Clusters = append([]*router.Cluster{other}, spec.Clusters...)
			previous = nil
		}
		table, problems := router.Build(spec, previous)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		previous = table
		g.engine.Publish(table)
		if n%10 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	wg.Wait()
}

// Connections are kept through a reload that does not concern them.
func TestReloadKeepsConnections(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, answering(okResponse))
	g := start(t, toOrigin(o.addr))
	c := dial(t, g)
	for n := range 10 {
		spec := toOrigin(o.addr)
		for k := range n % 3 {
			spec.Clusters = append([]*router.Cluster{{Name: fmt.Sprint("other-", k), Endpoints: []*router.Endpoint{{Address: "127.0.0.1:1"}}}}, spec.Clusters...)
		}
		g.engine.Publish(build(t, spec))
		if a := c.get("/"); a.StatusCode != 200 {
			t.Fatalf("answer %d", a.StatusCode)
		}
	}
	if n := o.conns.Load(); n != 1 {
		t.Errorf("%d upstream connections, want 1", n)
	}
}
