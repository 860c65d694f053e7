package generate

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/loadtest/work"
)

// outcome is what became of a request.
type outcome struct {
	requests, failed int
	problem          string
	broken           bool
}

// feed has a codec read bytes as they arrive, after one request on each of two lanes.
func feed(l Load, pieces ...[]byte) outcome {
	// Nobody listens on port 1, should it want another connection.
	p := &loop{Load: l, epoll: -1, addr: &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}, newCodec: newCodecs(l), start: time.Now()}
	p.result.Latency = new(Histogram)
	c := &conn{loop: p, socket: &socket{fd: -1}, codec: p.newCodec()}
	for slot := range l.Streams {
		lane := &lane{conn: c, slot: slot, busy: true}
		c.lanes = append(c.lanes, lane)
		c.codec.request(c, lane)
	}
	var left []byte
	for _, piece := range pieces {
		left = append(left, piece...)
		used, err := c.codec.read(c, left)
		if c.socket == nil || err != nil {
			return outcome{p.result.Requests, p.result.Failed, p.result.Problem, err != nil}
		}
		left = left[used:]
	}
	return outcome{p.result.Requests, p.result.Failed, p.result.Problem, false}
}

// sameInPieces demands that it does not matter how bytes arrive.
func sameInPieces(t *testing.T, l Load, data []byte, at int) {
	whole := feed(l, data)
	at = min(max(at, 0), len(data))
	if got := feed(l, data[:at], data[at:]); got != whole {
		t.Errorf("%q:\nas a whole    %+v\nsplit at %4d %+v", data, whole, at, got)
	}
	if len(data) > 200 {
		return
	}
	var bytewise [][]byte
	for i := range data {
		bytewise = append(bytewise, data[i:i+1])
	}
	if got := feed(l, bytewise...); got != whole {
		t.Errorf("%q:\nas a whole   %+v\nbyte by byte %+v", data, whole, got)
	}
}

func FuzzHTTP1(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nabcde", "HTTP/1.1\r\n\r\n", "\r\n\r\n",
	} {
		f.Add([]byte(s), 20)
	}
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		l := load("", work.HTTP1, 5)
		l.Streams = 1
		sameInPieces(t, l, data, at)
	})
}

func FuzzWebSocket(f *testing.F) {
	for _, s := range []string{"\x82\x05abcde", "\x02\x02ab\x89\x01x\x80\x03cde", "\x82\x7e\x00\x05abcde", "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x05abcde", "\x88\x02\x03\xe8", "\x82\x85"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		l := load("", work.WebSocket, 5)
		l.Streams = 1
		sameInPieces(t, l, data, at)
	})
}

// answer makes frames of an answer with a body on a stream.
func answer(id uint32, body string, trailers ...hpack.HeaderField) []byte {
	var b, block bytes.Buffer
	framer := http2.NewFramer(&b, nil)
	encoder := hpack.NewEncoder(&block)
	encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	framer.WriteSettings()
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, PadLength: 3})
	framer.WriteDataPadded(id, len(trailers) == 0, []byte(body), []byte{0, 0})
	if len(trailers) > 0 {
		block.Reset()
		for _, f := range trailers {
			encoder.WriteField(f)
		}
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes()[:2], EndStream: true})
		framer.WriteContinuation(id, true, block.Bytes()[2:])
	}
	return b.Bytes()
}

func FuzzHTTP2(f *testing.F) {
	message := string(binary.BigEndian.AppendUint32([]byte{0}, 5)) + "abcde"
	status := hpack.HeaderField{Name: "grpc-status", Value: "0"}
	for i, protocol := range []work.Protocol{work.HTTP2, work.GRPCUnary, work.GRPCStream} {
		body, want := "abcde", outcome{requests: 2}
		var trailers []hpack.HeaderField
		if protocol != work.HTTP2 {
			body, trailers = message, []hpack.HeaderField{status}
		}
		data := append(answer(1, body, trailers...), answer(3, body, trailers...)...)
		l := load("", protocol, 5)
		l.Streams = 2
		if got := feed(l, data); got != want {
			f.Errorf("%s: %+v", protocol, got)
		}
		f.Add(data, 30, i)
	}
	var b bytes.Buffer
	framer := http2.NewFramer(&b, nil)
	framer.WritePing(false, [8]byte{})
	framer.WriteWindowUpdate(0, 10)
	framer.WriteRSTStream(1, http2.ErrCodeCancel)
	framer.WriteGoAway(1, http2.ErrCodeEnhanceYourCalm, []byte("calm"))
	f.Add(b.Bytes(), 10, 0)
	f.Fuzz(func(t *testing.T, data []byte, at, protocol int) {
		l := load("", []work.Protocol{work.HTTP2, work.GRPCUnary, work.GRPCStream}[uint(protocol)%3], 5)
		l.Streams = 2
		sameInPieces(t, l, data, at)
	})
}

// TestCodecsAllocate nothing for a request and its answer, once they are warm: the generator
// shares its processor with the backends.
func TestCodecsAllocate(t *testing.T) {
	message := append(binary.BigEndian.AppendUint32([]byte{0}, 5), "abcde"...)
	frame := appendFrameHead(nil, len(message), http2.FrameData, 0, 1)
	for protocol, data := range map[work.Protocol][]byte{
		work.HTTP1:      []byte("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nabcde"),
		work.WebSocket:  []byte("\x82\x05abcde"),
		work.TCP:        []byte("xxxxx"),
		work.GRPCStream: append(frame, message...),
	} {
		l := load("", protocol, 5)
		p := &loop{Load: l, start: time.Now(), result: Result{Latency: new(Histogram)}}
		c := &conn{loop: p, socket: &socket{fd: -1}, codec: newCodecs(Load{Target: l.Target, Streams: 1, Want: 5})()}
		one := &lane{conn: c}
		if h, ok := c.codec.(*h2); ok {
			h.sendWindow, h.streamWindow = 1<<30, 1<<30
		}
		again := func() {
			one.busy = true
			p.idle, p.unsent, c.out, c.queued = p.idle[:0], p.unsent[:0], c.out[:0], false
			c.codec.request(c, one)
			c.queue()
			if h, ok := c.codec.(*h2); ok {
				h.bySlot[0].status = 200
			}
			if used, err := c.codec.read(c, data); used != len(data) || err != nil || one.busy {
				t.Fatalf("%s: %d bytes of %d used, %v", protocol, used, len(data), err)
			}
		}
		again()
		if n := testing.AllocsPerRun(100, again); n > 0 || p.result.Failed > 0 {
			t.Errorf("%s: %v allocations, %d failed: %s", protocol, n, p.result.Failed, p.result.Problem)
		}
	}
}
