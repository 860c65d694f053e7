package http2

import (
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// An endpoint that says GOAWAY finishes what it has begun; what it has not, it never saw.
func TestConnGoAway(t *testing.T) {
	t.Parallel()
	changes := make(chan ConnState, 10)
	c, f := fakePair(t, ConnOptions{Changed: func(c *Conn) { changes <- c.State() }})
	first, second := make(chan proxy.Result, 1), make(chan proxy.Result, 1)
	down := newClient()
	go func() { first <- do(t, c, connExchange("GET", "/1"), down) }()
	f.request()
	go func() { second <- do(t, c, connExchange("GET", "/2"), newClient()) }()
	f.request()
	taken := c.Acquire(10)
	f.write(appendGoAway(nil, 1, codeNone, "bye"))
	if res := <-second; res.Failure != proxy.FailRefusedStream || res.Received {
		t.Errorf("behind the last: %+v", res)
	}
	if c.Acquire(10) != nil {
		t.Error("the connection takes another")
	}
	if res := taken.RoundTrip(connExchange("GET", "/3"), newClient(), newClient()); res.Failure != proxy.FailRefusedStream {
		t.Errorf("not begun: %+v", res)
	}
	taken.Release()
	f.write(join(rawHead(1, false, ":status", "200"), rawData(1, true, "whole")))
	if res := <-first; res.Failure != proxy.FailNone || down.body.String() != "whole" {
		t.Errorf("before the last: %+v %q", res, down.body.String())
	}
	// With the last stream the connection ends.
	if err := f.end(); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	for s := range changes {
		if s.Closed {
			break
		}
	}
}

// Retire is what GOAWAY is from our side.
func TestConnRetire(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{})
	res := make(chan proxy.Result, 1)
	go func() { res <- do(t, c, connExchange("GET", "/"), newClient()) }()
	f.request()
	c.Retire()
	if c.Acquire(10) != nil {
		t.Error("the connection takes another")
	}
	f.write(rawHead(1, true, ":status", "200"))
	if r := <-res; r.Failure != proxy.FailNone {
		t.Errorf("%+v", r)
	}
	if r := f.next(frameGoAway, frameReset); r.kind != frameGoAway || r.code() != codeNone {
		t.Errorf("frame %d", r.kind)
	}
	if err := f.end(); err != io.EOF {
		t.Errorf("read: %v", err)
	}
}

// What ends an exchange from our side tells the endpoint to stop.
func TestConnGivesUp(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		begun   bool
		end     func(s *ConnStream, down *client)
		failure proxy.Failure
	}{
		"the client leaves":        {false, func(s *ConnStream, down *client) { down.leave() }, proxy.FailDownstream},
		"the client leaves, begun": {true, func(s *ConnStream, down *client) { down.leave() }, proxy.FailDownstream},
		"time is up":               {false, func(s *ConnStream, down *client) { s.Bound(time.Millisecond) }, proxy.FailTimeout},
		"time is up, begun":        {true, func(s *ConnStream, down *client) { s.Bound(time.Millisecond) }, proxy.FailTimeout},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := fakePair(t, ConnOptions{})
			s, down := c.Acquire(10), newClient()
			s.Bound(time.Hour)
			down.Attach(s.Aborter())
			go func() {
				f.request()
				if test.begun {
					f.write(join(rawHead(1, false, ":status", "200"), rawData(1, false, "some")))
					down.until(t, "the head", func() bool { return down.body.Len() == 4 })
				}
				test.end(s, down)
			}()
			res := s.RoundTrip(connExchange("GET", "/"), down, down)
			down.Attach(nil)
			s.Release()
			if res.Failure != test.failure || down.cut != (test.begun && test.failure == proxy.FailTimeout) {
				t.Errorf("%+v, cut %v", res, down.cut)
			}
			if r := f.next(frameReset); r.code() != codeCancel || r.stream != 1 {
				t.Errorf("RST_STREAM of %d with %v", r.stream, r.code())
			}
			// The stream serves again, and nothing of before has a say.
			res2 := make(chan proxy.Result, 1)
			go func() { res2 <- do(t, c, connExchange("GET", "/"), newClient()) }()
			r := f.request()
			f.write(rawHead(r.stream, true, ":status", "200"))
			if r := <-res2; r.Failure != proxy.FailNone {
				t.Errorf("then %+v", r)
			}
		})
	}
}

// The end of a connection is the end of its exchanges. What of ours was not read makes it a
// reset.
func TestConnEnds(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]bool{"at once": false, "begun": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := fakePair(t, ConnOptions{})
			down := newClient()
			go func() {
				f.request()
				if begun {
					f.write(join(rawHead(1, false, ":status", "200"), rawData(1, false, "some")))
					down.until(t, "the head", func() bool { return down.body.Len() == 4 })
				}
				f.conn.Close()
			}()
			res := do(t, c, connExchange("GET", "/"), down)
			if res.Failure != proxy.FailClosed && res.Failure != proxy.FailReset {
				t.Errorf("%+v", res)
			}
			if res.Err == nil || res.Responded != begun || down.cut != begun {
				t.Errorf("%+v, cut %v", res, down.cut)
			}
		})
	}
}

// An answer that comes before the request's body has ended is relayed, and the rest of the
// body is not wanted.
func TestConnEarlyAnswer(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{})
	go func() {
		f.request()
		f.next(frameData)
		f.write(join(rawHead(1, false, ":status", "413"), rawData(1, true, "too much"), appendReset(nil, 1, codeNone)))
	}()
	down := newClient()
	r, w := io.Pipe()
	down.request = r
	go w.Write([]byte("some"))
	res := do(t, c, withStream(connExchange("POST", "/")), down)
	if res.Failure != proxy.FailNone || down.status != 413 || down.body.String() != "too much" || !down.ended {
		t.Errorf("%+v, status %d %q", res, down.status, down.body.String())
	}
	select {
	case <-down.closed:
	default:
		t.Error("the body was not closed")
	}
}

// A fault in the client's body is told, and the endpoint does not take it for the end.
func TestConnBadBody(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		f.request()
		for {
			switch r := f.next(frameData, frameReset); {
			case r.kind == frameReset:
				return
			case r.has(flagEndStream):
				t.Error("the body ended")
				return
			}
		}
	}()
	down := newClient()
	down.request = io.MultiReader(strings.NewReader("some"), failingReader{})
	if res := do(t, c, withStream(connExchange("POST", "/")), down); res.Failure != proxy.FailDownstream || res.BodyError != io.ErrUnexpectedEOF {
		t.Errorf("%+v", res)
	}
	<-told
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// The endpoint's limit of streams holds, also when it changes.
func TestConnStreams(t *testing.T) {
	t.Parallel()
	changed := make(chan struct{}, 10)
	c, f := fakePair(t, ConnOptions{Changed: func(*Conn) { changed <- struct{}{} }}, setting{settingMaxConcurrentStreams, 2})
	<-changed
	all := []*ConnStream{c.Acquire(9), c.Acquire(9), c.Acquire(9)}
	if all[1] == nil || all[2] != nil {
		t.Fatalf("%v", all)
	}
	f.write(appendSettings(nil, setting{settingMaxConcurrentStreams, 5}))
	<-changed
	if all[2] = c.Acquire(3); all[2] == nil || c.Acquire(3) != nil {
		t.Error("not three")
	}
	if active, room := c.Load(9); active != 3 || room != 2 {
		t.Errorf("%d active, room for %d", active, room)
	}
	for _, s := range all {
		s.Release()
	}
}

// An endpoint without an answer to PING is given up.
func TestConnKeepalive(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{})
	<-c.settled
	// What is still being written would seem to have been so for an hour.
	written := func() {
		for writing := true; writing; time.Sleep(time.Millisecond) {
			c.mu.Lock()
			writing = c.queue.writing
			c.mu.Unlock()
		}
	}
	written()
	now := c.heard.Load()
	c.Check(now+int64(time.Second), 2*time.Second, time.Second)
	c.Check(now+int64(2*time.Second), 2*time.Second, time.Second)
	ping := f.next(framePing)
	f.write(appendPing(nil, true, [8]byte(ping.payload)))
	// Its answer is dealt with before what comes behind it.
	f.write(appendPing(nil, false, [8]byte{1}))
	for f.next(framePing).payload[0] != 1 {
	}
	written()
	c.Check(now+int64(time.Hour), time.Hour/2, time.Second)
	f.next(framePing)
	res := make(chan proxy.Result, 1)
	go func() { res <- do(t, c, connExchange("GET", "/"), newClient()) }()
	f.request()
	written()
	c.Check(now+int64(time.Hour+2*time.Second), time.Hour/2, time.Second)
	if r := <-res; r.Failure != proxy.FailClosed || r.Err != errKeepalive {
		t.Errorf("%+v", r)
	}
}

// An endpoint that reads nothing does not hold an exchange beyond its time, and is given up
// when it has read nothing for too long.
func TestConnStuck(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]bool{"time is up": false, "found out": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := fakePair(t, ConnOptions{}, setting{settingInitialWindowSize, maxWindow})
			f.write(appendWindowUpdate(nil, 0, maxWindow-defaultWindow))
			<-c.settled
			down := newClient()
			down.request = endlessReader{}
			s := c.Acquire(1)
			over := make(chan struct{})
			if !check {
				// Nobody need look again: the write has not waited for long by then.
				s.Bound(50 * time.Millisecond)
			} else {
				go func() {
					for {
						c.mu.Lock()
						stuck, since := c.queue.writing, c.queue.since
						c.mu.Unlock()
						if stuck && proxy.Now()-since > int64(300*time.Millisecond) {
							c.Check(since+int64(maxWriting+time.Second), 0, 0)
						}
						select {
						case <-over:
							return
						case <-time.After(10 * time.Millisecond):
						}
					}
				}()
			}
			res := s.RoundTrip(withStream(connExchange("POST", "/")), down, down)
			s.Release()
			close(over)
			if check && (res.Failure != proxy.FailClosed || res.Err != errUnwritten) || !check && res.Failure != proxy.FailTimeout && res.Err != errUnwritten {
				t.Errorf("%+v", res)
			}
		})
	}
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }

// An endpoint may do without a table for compression.
func TestConnNoTable(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{}, setting{settingHeaderTableSize, 0})
	<-c.settled
	f.dec.allowed = 0
	for i := range 5 {
		res := make(chan proxy.Result, 1)
		go func() { res <- do(t, c, connExchange("GET", "/path", "x-name", "value"), newClient()) }()
		r := f.request()
		if r.field(":path") != "/path" || r.field("x-name") != "value" || r.field(":authority") != "origin.example" || f.dec.table.n != 0 {
			t.Errorf("%d: %v", i, r.fields)
		}
		f.write(rawHead(r.stream, true, ":status", "200"))
		<-res
	}
}

// A request's head that is larger than a frame goes in several.
func TestConnLargeHead(t *testing.T) {
	t.Parallel()
	c := connTo(t, goOrigin(t, nil), ConnOptions{})
	ex := connExchange("GET", "/", "x-large", strings.Repeat("v", 50<<10))
	down := newClient()
	if res := do(t, c, ex, down); res.Failure != proxy.FailNone || down.status != 404 {
		t.Errorf("%+v, status %d", res, down.status)
	}
}

// A WebSocket is asked for by extended CONNECT, and answered in the client's way.
func TestConnWebSocket(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{}, setting{settingEnableConnectProtocol, 1})
	served := make(chan struct{})
	go func() {
		defer close(served)
		r := f.request()
		if r.field(":method") != "CONNECT" || r.field(":protocol") != "websocket" || r.field(":path") != "/ws" || r.field("sec-websocket-version") != "13" || r.field("sec-websocket-key") != "" || r.has(flagEndStream) {
			t.Errorf("%v", r.fields)
		}
		f.write(join(rawHead(1, false, ":status", "200", "sec-websocket-protocol", "chat"), rawData(1, false, "first words")))
		got := ""
		for {
			d := f.next(frameData)
			if got += string(d.payload); d.has(flagEndStream) {
				break
			}
		}
		if got != "early late" {
			t.Errorf("%q came", got)
		}
		f.write(rawData(1, true, ", last words"))
	}()
	ex := connExchange("GET", "/ws", "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version", "13")
	ex.Request.Upgrade = "websocket"
	down := newClient()
	down.early = []byte("early")
	near, far := tcpPair(t)
	down.tunnel = far
	s := c.Acquire(1)
	down.Attach(s.Aborter())
	res := s.RoundTrip(ex, down, down)
	if !res.Upgraded || down.status != 101 || down.upgrade != "websocket" ||
		down.headers["sec-websocket-accept"] != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || down.headers["sec-websocket-protocol"] != "chat" {
		t.Fatalf("%+v, status %d, %v", res, down.status, down.headers)
	}
	var both sync.WaitGroup
	both.Add(1)
	go func() {
		defer both.Done()
		s.Tunnel(down, time.Minute)
	}()
	io.WriteString(near, " late")
	near.CloseWrite()
	if got, err := io.ReadAll(near); err != nil || string(got) != "first words, last words" {
		t.Errorf("%q, %v", got, err)
	}
	both.Wait()
	s.Release()
	<-served
}

func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	a.SetDeadline(time.Now().Add(connPatience))
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// An endpoint that does not take WebSockets is not asked.
func TestConnNoWebSocket(t *testing.T) {
	t.Parallel()
	c, _ := fakePair(t, ConnOptions{})
	ex := connExchange("GET", "/ws")
	ex.Request.Upgrade = "websocket"
	if res := do(t, c, ex, newClient()); res.Failure != proxy.FailStreamReset || res.Err != errNoConnect {
		t.Errorf("%+v", res)
	}
}

// A WebSocket ends when nothing moves, and when the endpoint resets it.
func TestConnTunnelEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f *fakeOrigin){
		"idle":  func(*fakeOrigin) {},
		"reset": func(f *fakeOrigin) { f.write(appendReset(nil, 1, codeCancel)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := fakePair(t, ConnOptions{}, setting{settingEnableConnectProtocol, 1})
			go func() {
				f.request()
				f.write(rawHead(1, false, ":status", "200"))
			}()
			ex := connExchange("GET", "/ws")
			ex.Request.Upgrade = "websocket"
			down := newClient()
			near, far := tcpPair(t)
			down.tunnel = far
			s := c.Acquire(1)
			if res := s.RoundTrip(ex, down, down); !res.Upgraded {
				t.Fatalf("%+v", res)
			}
			end(f)
			idle := time.Minute
			if name == "idle" {
				idle = 20 * time.Millisecond
			}
			s.Tunnel(down, idle)
			s.Release()
			if _, err := near.Read(make([]byte, 1)); err == nil {
				t.Error("the client's side goes on")
			}
		})
	}
}

// An endpoint of HTTP/1.1 is told from one that is broken.
func TestConnSpeaksHTTP1(t *testing.T) {
	t.Parallel()
	near, far := tcpPair(t)
	c := startConn(t, near, ConnOptions{})
	s, down := c.Acquire(100), newClient()
	defer s.Release()
	go func() {
		io.ReadFull(far, make([]byte, len(preface)))
		io.WriteString(far, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	}()
	if res := s.RoundTrip(connExchange("GET", "/"), down, down); res.Failure != proxy.FailProtocol || res.Err != errSpeaksHTTP1 {
		t.Errorf("%+v", res)
	}
}

// Request trailers go with a body that was there, too.
func TestConnRequestTrailers(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{})
	go func() {
		f.request()
		if d := f.next(frameData); string(d.payload) != "body" || d.has(flagEndStream) {
			t.Errorf("%q", d.payload)
		}
		if tr := f.request(); tr.field("x-sum") != "1" || !tr.has(flagEndStream) {
			t.Errorf("%v", tr.fields)
		}
		f.write(join(rawHead(1, false, ":status", "200"), rawHead(1, true, "grpc-status", "14", "content-length", "7")))
	}()
	ex := connExchange("POST", "/")
	ex.Payload, ex.Body = []byte("body"), proxy.Body{Kind: proxy.BodyStream}
	down := newClient()
	down.sendTrailers = []router.Header{{Name: "x-sum", Value: "1"}}
	if res := do(t, c, ex, down); res.Failure != proxy.FailNone || ex.GRPCStatus != "14" || len(down.trailers) != 1 || down.trailers["grpc-status"] != "14" {
		t.Errorf("%+v %v %q", res, down.trailers, ex.GRPCStatus)
	}
}

// An end that came together with the last bytes is found, though nothing tells of it.
func TestConnFindsEnd(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{})
	s, down := c.Acquire(10), newClient()
	res := make(chan proxy.Result, 1)
	go func() {
		res <- s.RoundTrip(connExchange("GET", "/"), down, down)
		down.mu.Lock()
		down.cond.Broadcast()
		down.mu.Unlock()
	}()
	f.request()
	// The connection has read the PING, and mostly cannot go on, while both come.
	c.mu.Lock()
	before := c.heard.Load()
	f.write(rawFrame(framePing, 0, 0, "12345678"))
	for c.heard.Load() == before {
		// It may be stuck with what came before that.
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	f.write(join(rawHead(1, false, ":status", "200"), rawData(1, false, "some")))
	// A close of both directions could reset the connection for what it has not read.
	f.conn.(*net.TCPConn).CloseWrite()
	for !c.sock.Gone() {
		runtime.Gosched()
	}
	c.mu.Unlock()
	// Where something told of it all the same, that is known before the head is passed on.
	down.until(t, "the head, or the end", func() bool { return down.body.Len() == 4 || len(res) > 0 })
	c.Check(c.heard.Load()+int64(overlooked), 0, 0)
	if r := <-res; r.Failure != proxy.FailClosed || down.cut != r.Responded {
		t.Errorf("%+v, cut %v", r, down.cut)
	}
	s.Release()
}
