package http2

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sluicegate/sluice/proxy"
)

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
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case read <- 1:
			case <-over:
				return
			}
		}
	}()
	if a := p.await(1); string(a.body) != fmt.Sprint(64<<10+3) {
		t.Errorf("%s %q", a, a.body)
	}
}

// TestWindowTakenBack: a client may take back, by its settings, the window of a stream that
// waits for the connection's. The stream then waits for its own again, and sends nothing.
func TestWindowTakenBack(t *testing.T) {
	t.Parallel()
	const size = 60000
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		respond(ex, down, 200, strings.Repeat("x", size))
	})})
	p := s.greet()
	p.headers(1, true, get...)
	p.headers(3, true, get...)
	got := map[uint32]int{}
	// until reads until there are so many bytes of bodies, or a PING's answer.
	until := func(total int) {
		for got[1]+got[3] < total {
			f, err := p.ReadFrame()
			if err != nil {
				t.Fatalf("%v after %v", err, got)
			}
			switch f := f.(type) {
			case *http2.DataFrame:
				got[f.StreamID] += len(f.Data())
				if len(f.Data()) == 0 {
					t.Error("an empty frame")
				}
			case *http2.PingFrame:
				return
			}
		}
	}
	until(65535)
	if got[1] == 0 || got[3] == 0 {
		t.Fatalf("one stream has it all: %v", got)
	}
	p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	p.WriteWindowUpdate(0, 1<<20)
	p.WritePing(false, [8]byte{1})
	until(2 * size)
	if sum := got[1] + got[3]; sum != 65535 {
		t.Errorf("%d bytes came past a window that is closed", sum-65535)
	}
	p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65535})
	until(2 * size)
}
