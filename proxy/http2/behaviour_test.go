package http2

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// TestSmallBodiesAreWaitedFor: a body that is announced to be small comes with its request,
// so that it can be sent again; one that does not come is not waited for long.
func TestSmallBodiesAreWaitedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	p := s.greet()
	p.headers(1, false, with(post, "content-length", "6")...)
	p.WriteData(1, false, []byte("abc"))
	p.WritePing(false, [8]byte{1}) // Its answer tells that the rest was read.
	for {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Header().Type == http2.FramePing {
			break
		}
	}
	p.WriteData(1, true, []byte("def"))
	if a := p.await(1); a.headers["x-buffered"] != "true" || !bytes.HasSuffix(a.body, []byte("\n\nabcdef")) {
		t.Errorf("%s %s %q", a, a.headers, a.body)
	}
	p.headers(3, false, with(post, "content-length", "6")...)
	p.WriteData(3, false, []byte("abc"))
	time.AfterFunc(1500*time.Millisecond, func() { p.WriteData(3, true, []byte("def")) })
	if a := p.await(3); a.headers["x-buffered"] != "false" || !bytes.HasSuffix(a.body, []byte("\n\nabcdef")) {
		t.Errorf("%s %s %q", a, a.headers, a.body)
	}
}

// TestTrailers: those of a request are kept where they may be, and asked for.
func TestTrailers(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	p := s.greet()
	for i, tc := range []struct {
		fields []string
		want   string
	}{
		{with(post, "te", "trailers"), "trailer x-sum: 1\n\nbody"},
		{with(post, "trailer", "x-sum"), "trailer x-sum: 1\n\nbody"},
		{post, "/\n\nbody"},
	} {
		id := uint32(2*i + 1)
		p.headers(id, false, tc.fields...)
		p.WriteData(id, false, []byte("body"))
		p.headers(id, true, "x-sum", "1", "content-length", "7", "host", "other", "authorization", "x", "x-forwarded-for", "1.2.3.4")
		if a := p.await(id); !strings.HasSuffix(string(a.body), tc.want) {
			t.Errorf("%s %q, want %q", a, a.body, tc.want)
		}
	}
}

// TestCookieCrumbs are joined in their place.
func TestCookieCrumbs(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	p := s.greet()
	p.headers(1, true, with(get, "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3", "cookie", "d=4")...)
	if a := p.await(1); !strings.Contains(string(a.body), "cookie: a=1; b=2; c=3; d=4\nx: y\n") {
		t.Errorf("%s %q", a, a.body)
	}
}

// TestRewind: what was kept of a body can be read again, what was not cannot.
func TestRewind(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		down.KeepBody()
		first, err := readAll(down)
		down.CloseBody()
		if !down.Rewind() {
			respond(ex, down, 200, "cannot")
			return
		}
		second, err2 := readAll(down)
		respond(ex, down, 200, fmt.Sprint(err, err2, string(first) == string(second), len(second)))
	})})
	p := s.greet()
	p.headers(1, false, post...)
	for range 4 {
		p.WriteData(1, false, make([]byte, 10000))
	}
	p.WriteData(1, true, nil)
	if a := p.await(1); string(a.body) != "<nil> <nil> true 40000" {
		t.Errorf("%s %q", a, a.body)
	}
	p.headers(3, false, post...)
	for range 20 {
		p.WriteData(3, false, make([]byte, 3000))
	}
	sent := 20 * 3000
	for sent < 90000 {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if w, ok := f.(*http2.WindowUpdateFrame); ok && w.StreamID == 3 {
			p.WriteData(3, false, make([]byte, 16000))
			sent += 16000
		}
	}
	p.WriteData(3, true, nil)
	if a := p.await(3); string(a.body) != "cannot" {
		t.Errorf("%s %q", a, a.body)
	}
}

// TestClientLeaves: a reset, or the end of the connection, ends what the exchange waits for.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(p *peer){
		"reset":  func(p *peer) { p.WriteRSTStream(1, http2.ErrCodeCancel) },
		"closed": func(p *peer) { p.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := make(chan bool, 1)
			began := make(chan struct{})
			s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
				close(began)
				wait(ex, down)
				lost, timeout := down.Lost()
				over <- lost && !timeout
			})})
			p := s.greet()
			p.headers(1, true, get...)
			<-began
			leave(p)
			select {
			case ok := <-over:
				if !ok {
					t.Error("not told that the client is lost")
				}
			case <-time.After(patience):
				t.Error("the exchange goes on")
			}
		})
	}
}

// TestSlowStreamBlocksNoOther: a response without a window waits, with little of it held,
// while others are served; a body that nobody reads does not take the connection's window.
func TestSlowStreamBlocksNoOther(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		switch ex.Request.Path {
		case "/big":
			down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyStream}, DeclaredLength: -1}, nil, false)
			for down.WriteBody(make([]byte, 64<<10), nil, false) == nil {
				written.Add(64 << 10)
			}
		case "/unread":
			wait(ex, down)
		default:
			respond(ex, down, 200, strings.Repeat("x", 1000))
		}
	})})
	p := s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10000})
	p.headers(1, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/big")
	p.headers(3, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/unread")
	for range 4 {
		p.WriteData(3, false, make([]byte, 16<<10))
	}
	for id := uint32(5); id < 205; id += 2 {
		p.headers(id, true, get...)
		if a := p.await(id); a.status != "200" || len(a.body) != 1000 {
			t.Fatalf("stream %d: %s", id, a)
		}
	}
	if n := written.Load(); n > 0 {
		t.Errorf("%d bytes were taken for a client that reads 10000", n)
	}
}

// TestFairness: streams that have much to send take turns, behind one that is urgent.
func TestFairness(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		n := size
		if _, urgent := ex.Request.Header("priority"); urgent {
			n = 256 << 10
		}
		respond(ex, down, 200, strings.Repeat("x", n))
	})})
	p := s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	for id := uint32(1); id < 9; id += 2 {
		p.headers(id, true, get...)
	}
	p.headers(9, true, with(get, "priority", "u=1")...)
	got := map[uint32]int{}
	window, begun := 65535, 0
	// use reads until the connection's window is used up, and all streams have begun.
	use := func(more int) {
		if window += more; more > 0 {
			p.WriteWindowUpdate(0, uint32(more))
		}
		for window > 0 || begun < 5 {
			f, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch f := f.(type) {
			case *http2.HeadersFrame:
				begun++
			case *http2.DataFrame:
				got[f.StreamID] += len(f.Data())
				window -= len(f.Data())
			}
		}
	}
	use(0)
	use(256<<10 - got[9])
	if got[9] != 256<<10 {
		t.Errorf("the urgent stream has %d bytes, others have %v", got[9], got)
	}
	before := [4]int{got[1], got[3], got[5], got[7]}
	use(256 << 10)
	for i, n := range before {
		if more := got[uint32(2*i+1)] - n; more < 32<<10 || more > 96<<10 {
			t.Errorf("of 4 x 64 KiB, stream %d got %d bytes", 2*i+1, more)
		}
	}
}

// TestFlowControl: with windows of any size, opened by any amount at any time, every byte of
// many streams arrives, in order, and no window is exceeded.
func TestFlowControl(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			flowControl(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func pattern(stream uint32, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + int(stream)*13 + i>>8)
	}
	return b
}

func flowControl(t *testing.T, random *rand.Rand) {
	var mu sync.Mutex
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		var id, size int
		fmt.Sscanf(ex.Request.Path, "/%d/%d", &id, &size)
		body := pattern(uint32(id), size)
		down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyLength, Length: int64(size)}}, nil, size == 0)
		for len(body) > 0 {
			mu.Lock()
			n := min(len(body), 1+random.IntN(70000))
			mu.Unlock()
			if down.WriteBody(body[:n], nil, n == len(body)) != nil {
				return
			}
			body = body[n:]
		}
	})})
	intn := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	initial := intn(100000)
	p := s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(initial)})
	const streams = 20
	size, got, window := map[uint32]int{}, map[uint32][]byte{}, map[uint32]int{}
	for i := range streams {
		id := uint32(2*i + 1)
		size[id], window[id] = intn(200000), initial
		p.headers(id, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", fmt.Sprintf("/%d/%d", id, size[id]))
	}
	conn, ended := 65535, 0
	p.WritePing(false, [8]byte{1})
	for ended < streams {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatalf("%v with %d of %d ended", err, ended, streams)
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame, *http2.RSTStreamFrame:
			t.Fatal(f)
		case *http2.HeadersFrame:
			p.decode(f)
			if f.StreamEnded() {
				ended++
			}
		case *http2.DataFrame:
			n := len(f.Data())
			conn -= n
			window[f.StreamID] -= n
			if conn < 0 || window[f.StreamID] < 0 && n > 0 {
				t.Fatalf("stream %d has exceeded a window: %d, %d", f.StreamID, conn, window[f.StreamID])
			}
			got[f.StreamID] = append(got[f.StreamID], f.Data()...)
			if f.StreamEnded() {
				ended++
				if !bytes.Equal(got[f.StreamID], pattern(f.StreamID, size[f.StreamID])) {
					t.Fatalf("stream %d: %d bytes of %d, or others", f.StreamID, len(got[f.StreamID]), size[f.StreamID])
				}
				delete(size, f.StreamID)
			}
		case *http2.PingFrame:
			// Each round trip opens some windows; those that are not open long enough open
			// in the end.
			p.WritePing(false, [8]byte{1})
			if conn < 30000 {
				n := 30000 + intn(1<<17)
				conn += n
				p.WriteWindowUpdate(0, uint32(n))
			}
			for id := range size {
				if window[id] < 20000 {
					n := 20000 + intn(60000)
					window[id] += n
					p.WriteWindowUpdate(id, uint32(n))
				}
			}
		}
	}
}

// TestUploadBackpressure: a body that is read slowly is sent slowly, with no more in our
// hands than the window.
func TestUploadBackpressure(t *testing.T) {
	t.Parallel()
	read := make(chan int)
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		buf := make([]byte, 8<<10)
		total := 0
		for range read {
			n, err := down.ReadBody(buf)
			total += n
			if err == io.EOF {
				respond(ex, down, 200, fmt.Sprint(total))
				return
			}
		}
	})})
	p := s.greet()
	p.headers(1, false, post...)
	for range 4 {
		p.WriteData(1, false, make([]byte, 16<<10))
	}
	reads, given := 0, 0
	for given == 0 {
		read <- 1
		reads++
		p.WritePing(false, [8]byte{1})
		for {
			f, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if w, ok := f.(*http2.WindowUpdateFrame); ok && w.StreamID == 1 {
				given += int(w.Increment)
				break
			}
			if f.Header().Type == http2.FramePing {
				break
			}
		}
	}
	if reads < 3 || given != 32<<10 {
		t.Errorf("%d bytes were given back after %d reads of 8 KiB", given, reads)
	}
	p.WriteData(1, true, []byte("end"))
	go func() {
		for {
			select {
			case read <- 1:
			case <-time.After(time.Second):
				return
			}
		}
	}()
	if a := p.await(1); string(a.body) != fmt.Sprint(64<<10+3) {
		t.Errorf("%s %q", a, a.body)
	}
}

// TestEarlyAnswer: an answer that does not wait for its request's body is whole, and only
// then the rest is refused.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) { respond(ex, down, 413, "no") })})
	p := s.greet()
	p.headers(1, false, with(post, "content-length", "1000000")...)
	if a := p.await(1); a.status != "413" || string(a.body) != "no" || a.wasReset {
		t.Fatal(a)
	}
	for range 4 {
		p.WriteData(1, false, make([]byte, 16<<10))
	}
	if a := p.await(1); !a.wasReset || a.reset != http2.ErrCodeNo {
		t.Fatal(a)
	}
	p.headers(3, false, with(post, "content-length", "10")...)
	p.WriteData(3, true, make([]byte, 10))
	if a := p.await(3); a.status != "413" {
		t.Fatal(a)
	}
}

// TestDrain: the end is announced; what is sent before the client knows is served, what is in
// progress ends, and then the connection does.
func TestDrain(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		<-finish
		respond(ex, down, 200, "ok")
	})})
	p := s.greet()
	p.headers(1, true, get...)
	p.WritePing(false, [8]byte{1})
	stage := ""
	for stage != "pong goaway(2147483647) ping " {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err, stage)
		}
		switch f := f.(type) {
		case *http2.PingFrame:
			if f.IsAck() {
				stage += "pong "
				s.each(func(one proxy.Session) { one.CloseIdle(); one.CloseIdle() })
				continue
			}
			stage += "ping "
			p.headers(3, true, get...)
			p.WritePing(true, f.Data)
		case *http2.GoAwayFrame:
			stage += fmt.Sprintf("goaway(%d) ", f.LastStreamID)
		}
	}
	for {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			if g.LastStreamID != 3 || g.ErrCode != http2.ErrCodeNo {
				t.Fatal(g)
			}
			break
		}
	}
	p.headers(5, true, get...)
	close(finish)
	done := map[uint32]bool{}
	for {
		f, err := p.ReadFrame()
		if err != nil {
			break
		}
		if d, ok := f.(*http2.DataFrame); ok && d.StreamEnded() {
			done[d.StreamID] = true
		}
	}
	if !done[1] || !done[3] || done[5] {
		t.Errorf("served: %v", done)
	}
}

// TestPressure: a client is sent elsewhere when memory is short.
func TestPressure(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Pressure: func() proxy.Pressure { return proxy.PressureHigh }})
	p := s.greet()
	p.headers(1, true, get...)
	if a := p.await(1); a.status != "200" {
		t.Error(a)
	}
	p.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := p.ReadFrame(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTimeouts: what stands still ends, and says why.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		s := serve(t, Options{Timeouts: http1.Timeouts{Idle: 100 * time.Millisecond}})
		p := s.greet()
		for {
			f, err := p.ReadFrame()
			if err == io.EOF && s.seen(proxy.ConnIdleTimeout) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if g, ok := f.(*http2.GoAwayFrame); ok && g.ErrCode != http2.ErrCodeNo {
				t.Fatal(g)
			}
		}
	})
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		s := serve(t, Options{Timeouts: http1.Timeouts{Stream: 100 * time.Millisecond}, Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			wait(ex, down)
			if lost, timeout := down.Lost(); lost && timeout {
				respond(ex, down, 504, "too slow")
			}
		})})
		p := s.greet()
		p.headers(1, true, get...)
		if a := p.await(1); a.status != "504" || string(a.body) != "too slow" || !s.seen(proxy.ConnStreamTimeout) {
			t.Errorf("%s %q", a, a.body)
		}
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		s := serve(t, Options{MinBodyRate: 1000, MinBodyGrace: time.Second, Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			_, err := readAll(down)
			if _, timeout := down.Lost(); timeout && err != nil {
				respond(ex, down, 408, "")
			}
		})})
		p := s.greet()
		p.headers(1, false, with(post, "content-length", "100000")...)
		p.WriteData(1, false, []byte("a"))
		if a := p.await(1); a.status != "408" || !s.seen(proxy.ConnSlowBody) {
			t.Errorf("%s", a)
		}
	})
	t.Run("stalled stream", func(t *testing.T) {
		t.Parallel()
		s := serve(t, Options{Abuse: AbuseLimits{Stall: 100 * time.Millisecond}, Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			respond(ex, down, 200, strings.Repeat("x", 1000))
		})})
		p := s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		p.headers(1, true, get...)
		if a := p.await(1); !a.wasReset || a.reset != http2.ErrCodeEnhanceYourCalm || !s.seen(proxy.ConnHTTP2Stalled) {
			t.Errorf("%s", a)
		}
	})
	t.Run("stalled connection", func(t *testing.T) {
		t.Parallel()
		s := serve(t, Options{Abuse: AbuseLimits{Stall: 100 * time.Millisecond}, Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			respond(ex, down, 200, strings.Repeat("x", 100000))
		})})
		p := s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		p.headers(1, true, get...)
		for {
			if _, err := p.ReadFrame(); err != nil {
				break
			}
		}
		if !s.seen(proxy.ConnHTTP2Stalled) {
			t.Error("the connection ended for another reason")
		}
	})
	t.Run("nothing read", func(t *testing.T) {
		t.Parallel()
		var finished atomic.Bool
		s := serve(t, Options{Abuse: AbuseLimits{Write: 200 * time.Millisecond}, Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			defer finished.Store(true)
			down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyStream}, DeclaredLength: -1}, nil, false)
			for down.WriteBody(make([]byte, 64<<10), nil, false) == nil {
			}
		})})
		p := s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
		p.WriteWindowUpdate(0, 1<<30)
		p.headers(1, true, get...)
		for until := time.Now().Add(patience); !finished.Load(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatal("the write waits for ever")
			}
		}
		if !s.seen(proxy.ConnHTTP2WriteTimeout) {
			t.Error("not counted")
		}
	})
	t.Run("age", func(t *testing.T) {
		t.Parallel()
		s := serve(t, Options{MaxConnectionAge: 100 * time.Millisecond})
		p := s.greet()
		for {
			if _, err := p.ReadFrame(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestExtendedConnect: a WebSocket over a stream, both ways, with its ends.
func TestExtendedConnect(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		key, _ := ex.Request.Header("sec-websocket-key")
		if ex.Request.Method != "GET" || ex.Upgrade != "websocket" || len(key) != 24 {
			respond(ex, down, 500, "")
			return
		}
		if ex.Request.Path == "/refused" {
			respond(ex, down, 403, "no")
			return
		}
		if ex.Request.Path == "/200" {
			respond(ex, down, 200, "no tunnel")
			return
		}
		down.Respond(ex, &proxy.Response{Status: 101, Upgrade: "websocket", Headers: []router.Header{{Name: "sec-websocket-accept", Value: "x"}}}, nil, true)
		early, conn := down.Tunnel()
		defer conn.Close()
		conn.SetDeadline(time.Time{})
		conn.Write(early)
		conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); err != nil && !os.IsTimeout(err) {
			conn.Write([]byte(err.Error()))
		}
		conn.SetReadDeadline(time.Time{})
		io.Copy(conn, onlyReader{conn})
		conn.(interface{ CloseWrite() error }).CloseWrite()
	})})
	p := s.greet()
	connect := func(path string) []string {
		return []string{":method", "CONNECT", ":scheme", "https", ":authority", "host.test", ":path", path, ":protocol", "websocket", "sec-websocket-version", "13"}
	}
	p.headers(1, false, connect("/")...)
	sent := make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() {
		defer close(sent)
		p.WriteData(1, false, []byte("hello"))
		for range 10 {
			p.WriteData(1, false, make([]byte, 5000))
		}
		p.WriteData(1, true, []byte("bye"))
	})
	a := p.await(1)
	<-sent
	if a.status != "200" || a.headers["sec-websocket-accept"] != "" || a.wasReset {
		t.Fatal(a, a.headers, a.reset, string(a.body))
	}
	if len(a.body) != 50008 || !bytes.HasPrefix(a.body, []byte("hello")) || !bytes.HasSuffix(a.body, []byte("bye")) {
		t.Errorf("%d bytes came back", len(a.body))
	}
	p.headers(3, false, connect("/refused")...)
	if a := p.await(3); a.status != "403" || string(a.body) != "no" {
		t.Error(a)
	}
	p.headers(5, false, connect("/200")...)
	if a := p.await(5); a.status != "502" || len(a.body) != 0 {
		t.Error(a)
	}
}

type onlyReader struct{ net.Conn }

func (r onlyReader) Read(p []byte) (int, error) { return r.Conn.Read(p) }
