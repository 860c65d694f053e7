package http2

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// What is counted of heads and trailers are the bytes of their frames, in both directions.
func TestHeadSizes(t *testing.T) {
	t.Parallel()
	done := make(chan proxy.Exchange, 1)
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		if !ex.Buffered {
			readAll(down)
		}
		down.Interim(&proxy.Response{Status: 103, Headers: []router.Header{{Name: "link", Value: "</a>"}}})
		down.Respond(ex, &proxy.Response{Status: 200, Headers: []router.Header{{Name: "x-a", Value: "one"}}, Body: proxy.Body{Kind: proxy.BodyStream}}, []byte("body"), false)
		down.WriteBody(nil, []router.Header{{Name: "x-t", Value: "end"}}, true)
		done <- *ex
	})})
	p := s.greet()
	for i, late := range []bool{false, true} {
		id := uint32(2*i + 1)
		// The head comes in two frames, one of them padded, and ends with trailers.
		block := p.encode(with(post, "te", "trailers", "trailer", "x-t")...)
		sent := int64(2*9 + len(block) + 1 + 7)
		p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:5], PadLength: 7})
		p.WriteContinuation(id, true, block[5:])
		p.WriteData(id, false, []byte("data"))
		if late {
			// What has come is dealt with before the rest.
			p.WritePing(false, [8]byte{})
			for {
				if f, err := p.ReadFrame(); err != nil {
					t.Fatal(err)
				} else if _, ok := f.(*http2.PingFrame); ok {
					break
				}
			}
		}
		block = p.encode("x-t", "end")
		sent += int64(9 + len(block))
		p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true})
		var received int64
		for ended := false; !ended; {
			f, err := p.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if h, ok := f.(*http2.HeadersFrame); ok {
				received += int64(9 + h.Length)
				ended = h.StreamEnded()
				p.decode(h)
			}
		}
		if ex := <-done; ex.HeadReceived != sent || ex.HeadSent != received || ex.BytesReceived != 4 || ex.BytesSent != 4 || ex.ResponseFlushed == 0 {
			t.Errorf("late %t: counted %d bytes of heads received and %d sent, want %d and %d; bodies %d and %d; flushed at %d",
				late, ex.HeadReceived, ex.HeadSent, sent, received, ex.BytesReceived, ex.BytesSent, ex.ResponseFlushed)
		}
	}
}
