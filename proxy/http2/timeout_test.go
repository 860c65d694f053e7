package http2

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
)

// TestTimeouts: what stands still ends, and says why.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		s := serve(t, Options{Timeouts: http1.Timeouts{Idle: 100 * time.Millisecond}})
		s.open().ends()
		if !s.seen(proxy.ConnIdleTimeout) {
			t.Error("the connection ended for another reason")
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
	t.Run("a piece given up", func(t *testing.T) {
		t.Parallel()
		first, second, opened := make(chan error, 1), make(chan error, 1), make(chan struct{})
		s := serve(t, Options{Timeouts: http1.Timeouts{Stream: 100 * time.Millisecond}, Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
			first <- down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyStream}, DeclaredLength: -1}, []byte("begin, middle, "), false)
			<-opened
			second <- down.WriteBody([]byte("end"), nil, true)
		})})
		p := s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 7})
		p.headers(1, true, get...)
		if err := <-first; err == nil {
			t.Error("what was not sent is told to have been")
		}
		p.WriteWindowUpdate(1, 100)
		p.WritePing(false, [8]byte{1})
		for f := http2.Frame(nil); f == nil || f.Header().Type != http2.FramePing; {
			var err error
			if f, err = p.ReadFrame(); err != nil {
				t.Fatal(err)
			}
		}
		close(opened)
		if err := <-second; err == nil {
			t.Error("the response goes on behind a hole")
		}
		if a := p.await(1); !a.wasReset || len(a.body) > 0 {
			t.Errorf("%q came behind it, reset %v", a.body, a.wasReset)
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
		s.open().ends()
	})
}

// TestTurnThatDoesNotCome: where a client takes all that it lets us send, a stream that has nothing
// of it, since another is more urgent, is not one that the client leaves standing. Single bytes do
// not count.
func TestTurnThatDoesNotCome(t *testing.T) {
	t.Parallel()
	const stall, apart = 10 * time.Second, 50 * time.Millisecond
	s := serve(t, Options{Abuse: AbuseLimits{Stall: stall}, Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyStream}, DeclaredLength: -1}, nil, false)
		for down.WriteBody(make([]byte, 64<<10), nil, false) == nil {
		}
	})})
	s.unwatched.Store(true)
	p := s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	read := func(n int) {
		for n > 0 {
			f, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if f.Header().Type == http2.FrameData {
				n -= int(f.Header().Length)
			}
		}
	}
	p.headers(1, true, with(get, "priority", "u=0")...)
	read(defaultWindow)
	p.headers(3, true, with(get, "priority", "u=7")...)
	var c *session
	s.each(func(one proxy.Session) { c = one.(*session) })
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		st := c.streams.get(3)
		waits := st != nil && len(st.pending) > 0
		c.mu.Unlock()
		if waits {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the second response does not begin")
		}
	}
	stood := proxy.Now()
	<-time.After(apart)
	p.WriteWindowUpdate(0, 1000)
	read(1000)
	c.Check(stood + int64(stall+apart/2))
	c.mu.Lock()
	killed := c.killed
	c.watch.nextLook = 0
	c.mu.Unlock()
	if killed {
		t.Error("the connection was ended, though the client takes what comes")
	}
	moved := proxy.Now()
	<-time.After(apart)
	p.WriteWindowUpdate(0, 1)
	read(1)
	c.Check(moved + int64(stall+apart/2))
	if !s.seen(proxy.ConnHTTP2Stalled) {
		t.Error("a client that takes single bytes keeps its connection")
	}
}
