package http2

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/proxy"
)

// A body is sent as far as the windows let it, whatever the endpoint makes of them.
func TestConnSendWindow(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{}, setting{settingInitialWindowSize, 10}, setting{settingMaxFrameSize, minFrameSize})
	<-c.settled
	served := make(chan struct{})
	go func() {
		defer close(served)
		f.request()
		want := func(n int, end bool) {
			t.Helper()
			if d := f.next(frameData); d.length != n || d.has(flagEndStream) != end {
				t.Errorf("DATA of %d bytes, end %v; want %d, %v", d.length, d.has(flagEndStream), n, end)
			}
		}
		want(10, false)
		// The window becomes 0 - 5: what is given next is not enough.
		f.write(appendSettings(nil, setting{settingInitialWindowSize, 5}))
		f.write(appendWindowUpdate(nil, 1, 5))
		f.write(appendPing(nil, false, [8]byte{1}))
		if r := f.next(frameData, framePing); r.kind != framePing {
			t.Errorf("%d bytes were sent against a negative window", r.length)
		}
		f.write(appendWindowUpdate(nil, 1, 1))
		want(1, false)
		f.write(appendSettings(nil, setting{settingInitialWindowSize, 8}))
		want(3, false)
		f.write(appendWindowUpdate(nil, 1, 1000))
		want(6, true)
		f.write(rawHead(1, true, ":status", "200"))
	}()
	down := newClient()
	if res := do(t, c, withPayload(connExchange("POST", "/"), strings.Repeat("x", 20)), down); res.Failure != proxy.FailNone || down.status != 200 {
		t.Errorf("%+v", res)
	}
	<-served
}

// Whatever windows an endpoint gives, and in what pieces, bodies arrive whole, the windows
// are kept to, and none of the streams starves.
func TestConnFlowProperty(t *testing.T) {
	t.Parallel()
	for round := range 6 {
		seed := uint64(round + 1)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			first := uint32(r.IntN(3000))
			c, f := fakePair(t, ConnOptions{}, setting{settingInitialWindowSize, first})
			<-c.settled
			const streams = 8
			bodies := make([][]byte, streams)
			for i := range bodies {
				bodies[i] = make([]byte, r.IntN(200<<10))
				for j := range bodies[i] {
					bodies[i][j] = byte(r.Uint32())
				}
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				serveWindows(f, r, int64(first), streams)
			}()
			var wg sync.WaitGroup
			for i, body := range bodies {
				wg.Add(1)
				go func() {
					defer wg.Done()
					ex := connExchange("POST", "/")
					down := newClient()
					if i%2 == 0 {
						withPayload(ex, string(body))
					} else {
						withStream(ex)
						down.request = &pieces{bytes.NewReader(body), rand.New(rand.NewPCG(seed, uint64(i)))}
					}
					if res := do(t, c, ex, down); res.Failure != proxy.FailNone || !bytes.Equal(down.body.Bytes(), body) {
						t.Errorf("stream %d: %+v, %d of %d bytes", i, res, down.body.Len(), len(body))
					}
				}()
			}
			wg.Wait()
			<-served
		})
	}
}

// pieces reads a body in pieces of random sizes.
type pieces struct {
	r    io.Reader
	rand *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	return p.r.Read(b[:1+p.rand.IntN(len(b))])
}

// serveWindows echoes the bodies of so many streams, and gives windows as it pleases.
func serveWindows(f *fakeOrigin, r *rand.Rand, initial int64, streams int) {
	type stream struct {
		window int64
		got    []byte
	}
	open := map[uint32]*stream{}
	echoing := map[uint32][]byte{}
	credit := map[uint32]int{0: defaultWindow}
	conn, done := int64(defaultWindow), 0
	for done < streams {
		fr := f.any()
		switch fr.kind {
		case frameHeaders:
			open[fr.stream] = &stream{window: initial}
			credit[fr.stream] = streamWindow
			if fr.has(flagEndStream) {
				f.write(rawHead(fr.stream, true, ":status", "200"))
				done++
			}
		case frameData:
			s := open[fr.stream]
			s.window -= int64(fr.length)
			conn -= int64(fr.length)
			if s.window < 0 && fr.length > 0 || conn < 0 {
				f.t.Errorf("stream %d: windows are overrun: %d, %d", fr.stream, s.window, conn)
			}
			s.got = append(s.got, fr.payload...)
			if fr.has(flagEndStream) {
				f.write(rawHead(fr.stream, len(s.got) == 0, ":status", "200"))
				if len(s.got) == 0 {
					done++
				} else {
					echoing[fr.stream] = s.got
				}
			}
		case frameWindowUpdate:
			n := int(fr.payload[0])<<24 | int(fr.payload[1])<<16 | int(fr.payload[2])<<8 | int(fr.payload[3])
			credit[fr.stream] += n
		}
		// What has come of bodies goes back as far as the proxy's windows let it.
		for id, body := range echoing {
			for len(body) > 0 {
				n := min(len(body), credit[0], credit[id], 1+r.IntN(minFrameSize))
				if n == 0 {
					break
				}
				credit[0] -= n
				credit[id] -= n
				f.write(rawData(id, n == len(body), string(body[:n])))
				body = body[n:]
			}
			if echoing[id] = body; len(body) == 0 {
				delete(echoing, id)
				done++
			}
		}
		if r.IntN(40) == 0 {
			next := int64(r.IntN(5000))
			f.write(appendSettings(nil, setting{settingInitialWindowSize, uint32(next)}))
			// What is on its way was sent by the old one: so much may come that is over.
			for _, s := range open {
				s.window += max(next-initial, 0)
			}
			if next < initial {
				// The change is kept from the check, which cannot know when it arrives.
				next = initial
				f.write(appendSettings(nil, setting{settingInitialWindowSize, uint32(next)}))
			}
			initial = next
		}
		for id, s := range open {
			if s.window < 2000 && r.IntN(2) == 0 {
				n := 1 + r.IntN(20000)
				s.window += int64(n)
				f.write(appendWindowUpdate(nil, id, n))
			}
		}
		if conn < 30000 {
			n := 1 + r.IntN(30000)
			conn += int64(n)
			f.write(appendWindowUpdate(nil, 0, n))
		}
		// So that something comes even where all wait for a window.
		f.write(appendPing(nil, false, [8]byte{2}))
	}
}

// A client that takes nothing holds up its own stream, by a window's worth of memory, and no
// other.
func TestConnSlowClient(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{})
	body := strings.Repeat("0123456789abcdef", 1<<10)
	slow, begun := make(chan struct{}), make(chan struct{})
	served := make(chan struct{})
	go func() {
		defer close(served)
		f.request()
		close(begun)
		f.write(rawHead(1, false, ":status", "200"))
		for range streamWindow / len(body) {
			f.write(rawData(1, false, body))
		}
		for i := range 3 {
			r := f.request()
			f.write(join(rawHead(r.stream, false, ":status", "200"), rawData(r.stream, true, fmt.Sprint(i))))
		}
		close(slow)
		if r := f.next(frameWindowUpdate); r.stream == 0 {
			r = f.next(frameWindowUpdate)
			if r.stream != 1 {
				t.Errorf("WINDOW_UPDATE of %d", r.stream)
			}
		}
		f.write(rawData(1, true, body))
	}()
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		down := newClient()
		down.slow = slow
		if res := do(t, c, connExchange("GET", "/"), down); res.Failure != proxy.FailNone || down.body.Len() != streamWindow+len(body) {
			t.Errorf("%+v, %d bytes", res, down.body.Len())
		}
	}()
	<-begun
	for i := range 3 {
		down := newClient()
		if res := do(t, c, connExchange("GET", "/"), down); res.Failure != proxy.FailNone || down.body.String() != fmt.Sprint(i) {
			t.Errorf("%+v %q", res, down.body.String())
		}
	}
	wg.Wait()
	<-served
}

// An endpoint that sends more than the window lets through loses the stream.
func TestConnOverrun(t *testing.T) {
	t.Parallel()
	c, f := fakePair(t, ConnOptions{})
	down := newClient()
	slow := make(chan struct{})
	down.slow = slow
	served := make(chan struct{})
	go func() {
		defer close(served)
		f.request()
		f.write(rawHead(1, false, ":status", "200"))
		for range streamWindow/minFrameSize + 1 {
			f.write(rawData(1, false, strings.Repeat("x", minFrameSize)))
		}
		if r := f.next(frameReset); r.code() != codeFlowControl {
			t.Errorf("RST_STREAM with %v", r.code())
		}
		close(slow)
	}()
	if res := do(t, c, connExchange("GET", "/"), down); res.Failure != proxy.FailProtocol || down.cut != res.Responded {
		t.Errorf("%+v, cut %v", res, down.cut)
	}
	<-served
}
