package http2

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/proxy/http1"
)

// wait answers when the client has gone, or its body has ended.
var wait = handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
	a := proxy.NewWaiter()
	if down.Attach(a) {
		<-a.Woken()
	}
	down.Attach(nil)
})

// TestMalformedRequests: row 52 of the list of hostile input. None reaches a handler.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		t.Errorf("%s %q reached a handler: %v", ex.Request.Method, ex.Request.Path, ex.Request.Headers)
	}), Abuse: AbuseLimits{Resets: 1000}, MaxConcurrentStreams: 1000})
	p := s.greet()
	path := func(path string) []string {
		return []string{":method", "GET", ":scheme", "http", ":authority", "host.test", ":path", path}
	}
	authority := func(a string) []string {
		return []string{":method", "GET", ":scheme", "http", ":authority", a, ":path", "/"}
	}
	const bad = "RST PROTOCOL_ERROR"
	for i, tc := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"upper case name", with(get, "X-Upper", "1"), bad},
		{"CR in value", with(get, "a", "b\rc"), bad},
		{"LF in value", with(get, "a", "b\nc"), bad},
		{"NUL in value", with(get, "a", "b\x00c"), bad},
		{"DEL in value", with(get, "a", "b\x7fc"), bad},
		{"leading space in value", with(get, "a", " b"), bad},
		{"trailing tab in value", with(get, "a", "b\t"), bad},
		{"colon in name", with(get, "a:b", "c"), bad},
		{"space in name", with(get, "a b", "c"), bad},
		{"empty name", with(get, "", "c"), bad},
		{"obs-text name", with(get, "\xe4", "c"), bad},
		{"connection", with(get, "connection", "close"), bad},
		{"keep-alive", with(get, "keep-alive", "1"), bad},
		{"proxy-connection", with(get, "proxy-connection", "close"), bad},
		{"upgrade", with(get, "upgrade", "h2c"), bad},
		{"transfer-encoding", with(get, "transfer-encoding", "chunked"), bad},
		{"TE gzip", with(get, "te", "gzip"), bad},
		{"TE trailers and more", with(get, "te", "trailers, deflate"), bad},
		{"no body but a length", with(get, "content-length", "5"), bad},
		{"two lengths", with(get, "content-length", "0", "content-length", "0"), bad},
		{"length of a list", with(get, "content-length", "0, 0"), bad},
		{"length with a sign", with(get, "content-length", "+0"), bad},
		{"empty length", with(get, "content-length", ""), bad},
		{"length over 63 bits", with(get, "content-length", "18446744073709551616"), bad},
		{"absolute path", path("http://other.test/"), bad},
		{"relative path", path("a/b"), bad},
		{"empty path", path(""), bad},
		{"asterisk with GET", path("*"), bad},
		{"space in path", path("/a b"), "400"},
		{"fragment in path", path("/a#b"), "400"},
		{"control in path", path("/a\x01b"), bad},
		{"obs-text in path", path("/\xe4"), "400"},
		{"bad escape in path", path("/%zz"), "400"},
		{"NUL escape in path", path("/%00"), "400"},
		{"path above the root", path("/../a"), "400"},
		{"escaped slash in path", path("/a%2fb"), "400"},
		{"long path", path("/" + strings.Repeat("a", 8<<10)), "414"},
		{"user information", authority("user@host.test"), bad},
		{"authority with a space", authority("host test"), "400"},
		{"authority with a bad port", authority("host.test:http"), "400"},
		{"empty authority", authority(""), "400"},
		{"no authority at all", []string{":method", "GET", ":scheme", "http", ":path", "/"}, "400"},
		{"Host differs", with(get, "host", "other.test"), "400"},
		{"two Hosts", with(get, "host", "host.test", "host", "host.test"), bad},
		{"other scheme", []string{":method", "GET", ":scheme", "ftp", ":authority", "host.test", ":path", "/"}, "400"},
		{"no method", []string{":scheme", "http", ":authority", "host.test", ":path", "/"}, bad},
		{"bad method", []string{":method", "G T", ":scheme", "http", ":authority", "host.test", ":path", "/"}, bad},
		{"no scheme", []string{":method", "GET", ":authority", "host.test", ":path", "/"}, bad},
		{"no path", []string{":method", "GET", ":scheme", "http", ":authority", "host.test"}, bad},
		{"duplicate :path", with(get, ":path", "/b"), bad},
		{"unknown pseudo", with(get, ":other", "1"), bad},
		{"response pseudo", with(get, ":status", "200"), bad},
		{"late pseudo", append([]string{"a", "b"}, get...), bad},
		{"pseudo behind a field", []string{":method", "GET", ":scheme", "http", ":authority", "host.test", "a", "b", ":path", "/"}, bad},
		{"pseudo behind TE", with(get, "te", "trailers", ":path", "/b"), bad},
		{"pseudo behind a length", with(get, "content-length", "0", ":authority", "other.test"), bad},
		{"unknown pseudo behind an expectation", with(get, "expect", "100-continue", ":other", "1"), bad},
		{"underscore", with(get, "x_forwarded_for", "1"), "400"},
		{"expectation", with(get, "expect", "y 100-continue"), "417"},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "host.test:443"}, "405"},
		{"CONNECT with a path", []string{":method", "CONNECT", ":authority", "host.test:443", ":path", "/"}, bad},
		{"protocol without CONNECT", with(get[:6], ":protocol", "websocket", ":path", "/"), bad},
		{"other protocol", []string{":method", "CONNECT", ":scheme", "http", ":authority", "host.test", ":path", "/", ":protocol", "ftp"}, "501"},
		{"WebSocket without version", []string{":method", "CONNECT", ":scheme", "http", ":authority", "host.test", ":path", "/", ":protocol", "websocket"}, "400"},
		{"too many fields", with(get, strings.Split(strings.Repeat("a,b,", 101), ",")[:202]...), "431"},
		{"too many cookie crumbs", with(get, strings.Split(strings.Repeat("cookie,a=b,", 101), ",")[:202]...), "431"},
		{"fields too large", with(get, strings.Split(strings.Repeat("a,"+strings.Repeat("b", 4000)+",", 16), ",")[:32]...), "431"},
	} {
		id := uint32(2*i + 1)
		block := p.encode(tc.fields...)
		first := block[:min(len(block), 16<<10)]
		p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: len(first) == len(block), EndStream: true})
		for block = block[len(first):]; len(block) > 0; {
			part := block[:min(len(block), 16<<10)]
			block = block[len(part):]
			p.WriteContinuation(id, len(block) == 0, part)
		}
		if a := p.await(id); a.String() != tc.want {
			t.Errorf("%s: %s (%s), want %s", tc.name, a, a.headers["x-detail"], tc.want)
			if a.wentAway || a.closed {
				t.Fatal(a.detail)
			}
		}
	}
}

// frames writes raw frames.
func raw(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) func(p *peer) {
	return func(p *peer) { p.WriteRawFrame(kind, flags, stream, payload) }
}

func settingPayload(id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value)
}

// TestConnectionErrors: what ends the connection, and how, and what is counted.
func TestConnectionErrors(t *testing.T) {
	t.Parallel()
	open := func(p *peer) { p.headers(1, false, post...) }
	repeat := func(n int, f func(p *peer, i int)) func(*peer) {
		return func(p *peer) {
			for i := range n {
				f(p, i)
			}
		}
	}
	for _, tc := range []struct {
		name  string
		do    func(p *peer)
		want  string
		event proxy.ConnEvent
	}{
		{"frame too large", raw(0, 0, 1, make([]byte, 16<<10+1)), "FRAME_SIZE_ERROR", 0},
		{"SETTINGS_MAX_FRAME_SIZE 0", raw(4, 0, 0, settingPayload(5, 0)), "PROTOCOL_ERROR", 0},
		{"SETTINGS_MAX_FRAME_SIZE 16383", raw(4, 0, 0, settingPayload(5, 16383)), "PROTOCOL_ERROR", 0},
		{"SETTINGS_ENABLE_PUSH 2", raw(4, 0, 0, settingPayload(2, 2)), "PROTOCOL_ERROR", 0},
		{"SETTINGS_INITIAL_WINDOW_SIZE 2^31", raw(4, 0, 0, settingPayload(4, 1<<31)), "FLOW_CONTROL_ERROR", 0},
		{"SETTINGS of a stream", raw(4, 0, 1, nil), "PROTOCOL_ERROR", 0},
		{"SETTINGS of 5 bytes", raw(4, 0, 0, make([]byte, 5)), "FRAME_SIZE_ERROR", 0},
		{"acknowledgement with a payload", raw(4, 1, 0, make([]byte, 6)), "FRAME_SIZE_ERROR", 0},
		{"PING of 7 bytes", raw(6, 0, 0, make([]byte, 7)), "FRAME_SIZE_ERROR", 0},
		{"PING of a stream", raw(6, 0, 1, make([]byte, 8)), "PROTOCOL_ERROR", 0},
		{"GOAWAY of a stream", raw(7, 0, 1, make([]byte, 8)), "PROTOCOL_ERROR", 0},
		{"short GOAWAY", raw(7, 0, 0, make([]byte, 7)), "FRAME_SIZE_ERROR", 0},
		{"PUSH_PROMISE", raw(5, 4, 1, make([]byte, 4)), "PROTOCOL_ERROR", 0},
		{"DATA of stream 0", raw(0, 0, 0, []byte("a")), "PROTOCOL_ERROR", 0},
		{"DATA of an idle stream", raw(0, 0, 1, []byte("a")), "PROTOCOL_ERROR", 0},
		{"RST_STREAM of an idle stream", raw(3, 0, 1, make([]byte, 4)), "PROTOCOL_ERROR", 0},
		{"RST_STREAM of 3 bytes", raw(3, 0, 1, make([]byte, 3)), "FRAME_SIZE_ERROR", 0},
		{"WINDOW_UPDATE of an idle stream", raw(8, 0, 1, []byte{0, 0, 0, 1}), "PROTOCOL_ERROR", 0},
		{"WINDOW_UPDATE by 0", raw(8, 0, 0, make([]byte, 4)), "PROTOCOL_ERROR", 0},
		{"WINDOW_UPDATE of 3 bytes", raw(8, 0, 0, make([]byte, 3)), "FRAME_SIZE_ERROR", 0},
		{"window over 2^31-1", raw(8, 0, 0, []byte{0x7f, 0xff, 0xff, 0xff}), "FLOW_CONTROL_ERROR", 0},
		{"PRIORITY of stream 0", raw(2, 0, 0, make([]byte, 5)), "PROTOCOL_ERROR", 0},
		{"CONTINUATION of no block", raw(9, 4, 1, nil), "PROTOCOL_ERROR", 0},
		{"HEADERS of stream 0", raw(1, 5, 0, nil), "PROTOCOL_ERROR", 0},
		{"HEADERS of an even stream", raw(1, 5, 2, nil), "PROTOCOL_ERROR", 0},
		{"padding over the payload", raw(1, 0xd, 1, []byte{9, 0x82}), "PROTOCOL_ERROR", 0},
		{"padded without a payload", raw(0, 8, 1, nil), "FRAME_SIZE_ERROR", 0},
		{"bad header block", raw(1, 5, 1, []byte{0x80}), "COMPRESSION_ERROR", 0},
		{"a block interrupted", func(p *peer) {
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get...)})
			p.WritePing(false, [8]byte{})
		}, "PROTOCOL_ERROR", 0},
		{"a lower stream", func(p *peer) {
			p.headers(5, true, get...)
			p.await(5)
			p.headers(3, true, get...)
		}, "STREAM_CLOSED", 0},
		{"HEADERS of an ended stream", func(p *peer) {
			p.headers(1, true, get...)
			p.await(1)
			p.headers(1, true, get...)
		}, "STREAM_CLOSED", 0},
		{"rapid reset", repeat(200, func(p *peer, i int) {
			p.headers(uint32(2*i+1), false, post...)
			p.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		}), "ENHANCE_YOUR_CALM", proxy.ConnHTTP2RapidReset},
		{"resets that we are made to send", repeat(200, func(p *peer, i int) {
			p.headers(uint32(2*i+1), false, with(post, "content-length", "40000")...)
			p.WriteRawFrame(http2.FrameWindowUpdate, 0, uint32(2*i+1), make([]byte, 4))
		}), "ENHANCE_YOUR_CALM", proxy.ConnHTTP2RapidReset},
		{"malformed requests without end", repeat(200, func(p *peer, i int) {
			p.headers(uint32(2*i+1), true, with(get, "upgrade", "h2c")...)
		}), "ENHANCE_YOUR_CALM", proxy.ConnHTTP2RapidReset},
		{"CONTINUATION without end", repeat(20, func(p *peer, i int) {
			if i == 0 {
				p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get...)})
				return
			}
			p.WriteContinuation(1, false, make([]byte, 16<<10))
		}), "ENHANCE_YOUR_CALM", proxy.ConnHTTP2HeaderFlood},
		{"small CONTINUATION without end", repeat(20, func(p *peer, i int) {
			if i == 0 {
				p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get...)})
				return
			}
			p.WriteContinuation(1, false, p.encode("a", "b"))
		}), "ENHANCE_YOUR_CALM", proxy.ConnHTTP2HeaderFlood},
		{"empty CONTINUATION", repeat(5, func(p *peer, i int) {
			if i == 0 {
				p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get...)})
				return
			}
			p.WriteContinuation(1, false, nil)
		}), "ENHANCE_YOUR_CALM", proxy.ConnHTTP2EmptyFlood},
		{"empty DATA", func(p *peer) {
			open(p)
			for range 3 {
				p.WriteData(1, false, nil)
			}
		}, "ENHANCE_YOUR_CALM", proxy.ConnHTTP2EmptyFlood},
		{"SETTINGS without end", repeat(200, func(p *peer, i int) { p.WriteSettings() }), "ENHANCE_YOUR_CALM", proxy.ConnHTTP2ControlFlood},
		{"PRIORITY without end", repeat(300, func(p *peer, i int) {
			p.WritePriority(1, http2.PriorityParam{StreamDep: uint32(i + 2)})
		}), "ENHANCE_YOUR_CALM", proxy.ConnHTTP2PriorityFlood},
		{"WINDOW_UPDATE without end", repeat(100, func(p *peer, i int) { p.WriteWindowUpdate(0, 1) }), "ENHANCE_YOUR_CALM", proxy.ConnHTTP2UpdateFlood},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, Options{})
			p := s.greet()
			tc.do(p)
			for {
				a := p.await(1<<31 - 1)
				if a.String() == "GOAWAY "+tc.want {
					break
				}
				if a.wentAway || a.closed {
					t.Fatalf("%s (%s), want GOAWAY %s", a, a.detail, tc.want)
				}
			}
			if tc.event != 0 && !s.seen(tc.event) {
				t.Errorf("%s was not counted", proxy.ConnEventNames[tc.event])
			}
			for {
				if _, err := p.ReadFrame(); err != nil {
					break
				}
			}
		})
	}
}

// TestPreface: anything but the preface and SETTINGS is refused, and nothing at all too.
func TestPreface(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]string{
		"HTTP/1":        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"other preface": "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
		"no SETTINGS":   preface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
		"nothing":       "",
		"half":          preface[:10],
		"no frame":      preface,
		"half a frame":  preface + "\x00\x00\x06\x04",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, Options{Timeouts: http1.Timeouts{Head: 200 * time.Millisecond}})
			p := s.dial()
			p.send([]byte(start))
			if a := p.await(1); !a.wentAway {
				t.Errorf("%s", a)
			}
		})
	}
}

// TestSlowHead: a header block must come within the time for heads.
func TestSlowHead(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Timeouts: http1.Timeouts{Head: 4 * time.Second}})
	p := s.greet()
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get...)})
	if a := p.await(1); !a.wentAway || !s.seen(proxy.ConnHeadTimeout) {
		t.Errorf("%s", a)
	}
}

// TestNothingIsKept: a connection that waits holds no memory for what it has turned down.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{MaxConcurrentStreams: 1, Handler: wait})
	p := s.greet()
	p.headers(1, true, get...)
	block := p.encode(with(get, "a", strings.Repeat("b", 50_000))...)
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block[:16<<10], EndStream: true})
	for block = block[16<<10:]; len(block) > 0; {
		part := block[:min(len(block), 16<<10)]
		block = block[len(part):]
		p.WriteContinuation(3, len(block) == 0, part)
	}
	if a := p.await(3); a.reset != http2.ErrCodeRefusedStream {
		t.Fatal(a)
	}
	s.close()
	s.each(func(one proxy.Session) {
		l := &one.(*session).discard
		n := cap(l.bytes)
		for _, f := range l.fields[:cap(l.fields)] {
			n += len(f.Value)
		}
		if n > maxKept {
			t.Errorf("%d bytes are kept", n)
		}
	})
}

// TestSlowData: a frame that no stream waits for must come within the time for heads, since the
// connection holds memory for it.
func TestSlowData(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Timeouts: http1.Timeouts{Head: time.Second}})
	for _, stream := range []byte{0, 1, 3} {
		p := s.greet()
		p.headers(1, true, get...)
		p.await(1)
		p.send([]byte{0, 1, 0, 0, 0, 0, 0, 0, stream, 'a'})
		if a := p.await(5); !a.wentAway || !s.seen(proxy.ConnHeadTimeout) {
			t.Errorf("stream %d: %s", stream, a)
		}
	}
}

// TestUnreadAnswers: a client that reads nothing cannot have us queue without end.
func TestUnreadAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Abuse: AbuseLimits{QueuedControlFrames: 10, Write: 100 * time.Millisecond}})
	p := s.greet()
	var failed error
	for i := 0; i < 10_000_000 && failed == nil; i++ {
		failed = p.WritePing(false, [8]byte{1})
	}
	if failed == nil {
		t.Error("ten million PINGs were taken")
	}
}

// TestUnknownFrames are passed over, on the connection and on streams.
func TestUnknownFrames(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	p := s.greet()
	for _, kind := range []http2.FrameType{0x0a, 0x0b, 0x10, 0xff} {
		p.WriteRawFrame(kind, 0xff, 0, []byte("anything"))
		p.WriteRawFrame(kind, 0xff, 7, []byte("anything"))
	}
	p.headers(1, true, get...)
	if a := p.await(1); a.status != "200" {
		t.Error(a)
	}
}

// TestStreamErrors: mistakes that cost one stream, while another goes on.
func TestStreamErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		fields []string
		do     func(p *peer)
		want   string
	}{
		{"more than its length", with(post, "content-length", "3"), func(p *peer) { p.WriteData(1, false, []byte("1234")) }, "PROTOCOL_ERROR"},
		{"less than its length", with(post, "content-length", "3"), func(p *peer) { p.WriteData(1, true, []byte("12")) }, "PROTOCOL_ERROR"},
		{"less than its length, with trailers", with(post, "content-length", "3"), func(p *peer) {
			p.WriteData(1, false, []byte("12"))
			p.headers(1, true, "x-trailer", "1")
		}, "PROTOCOL_ERROR"},
		{"trailers without end", post, func(p *peer) { p.headers(1, false, "x-trailer", "1") }, "PROTOCOL_ERROR"},
		{"pseudo-header in trailers", post, func(p *peer) { p.headers(1, true, ":path", "/") }, "PROTOCOL_ERROR"},
		{"upper case in trailers", post, func(p *peer) { p.headers(1, true, "X-Upper", "1") }, "PROTOCOL_ERROR"},
		{"window over 2^31-1", post, func(p *peer) { p.WriteWindowUpdate(1, 1<<31-1) }, "FLOW_CONTROL_ERROR"},
		{"WINDOW_UPDATE by 0", post, raw(8, 0, 1, make([]byte, 4)), "PROTOCOL_ERROR"},
		{"depends on itself", post, func(p *peer) { p.WritePriority(1, http2.PriorityParam{StreamDep: 1}) }, "PROTOCOL_ERROR"},
		{"short PRIORITY", post, raw(2, 0, 1, make([]byte, 4)), "FRAME_SIZE_ERROR"},
		{"more than its window", post, func(p *peer) {
			for range 5 {
				p.WriteData(1, false, make([]byte, 16<<10))
			}
		}, "FLOW_CONTROL_ERROR"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, Options{Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
				if ex.Request.Method == "GET" {
					respond(ex, down, 200, "ok")
					return
				}
				wait(ex, down)
			})})
			p := s.greet()
			p.headers(1, false, tc.fields...)
			tc.do(p)
			if a := p.await(1); fmt.Sprint(a) != "RST "+tc.want {
				t.Errorf("%s, want RST %s", a, tc.want)
			}
			p.headers(3, true, get...)
			if a := p.await(3); a.status != "200" {
				t.Errorf("the next stream: %s %s", a, a.detail)
			}
		})
	}
}

// TestTooManyStreams: those over the bound are refused, and may be opened again.
func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{MaxConcurrentStreams: 2, Handler: wait})
	p := s.greet()
	for id := uint32(1); id <= 5; id += 2 {
		p.headers(id, true, get...)
	}
	if a := p.await(5); a.reset != http2.ErrCodeRefusedStream || !s.seen(proxy.ConnHTTP2Refused) {
		t.Error(a)
	}
}

// TestHeadBomb: a head of which each byte stands for a large field is too large, however large it
// would be: it is not to be sent again.
func TestHeadBomb(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{})
	p := s.greet()
	p.headers(1, true, with(get, "a", strings.Repeat("b", 4000))...)
	p.await(1)
	block := append([]byte(nil), p.encode(with(get, "a", strings.Repeat("b", 4000))...)...)
	field := block[len(block)-1:] // A reference to it in the table.
	for range 1000 {
		block = append(block, field...)
	}
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block, EndHeaders: true, EndStream: true})
	if a := p.await(3); a.status != "431" {
		t.Errorf("%s, want 431", a)
	}
}

// TestAnsweredIsNoRapidReset: a client may leave responses that have begun, as those of players
// that seek and of streams without an end, unless it does so at once.
func TestAnsweredIsNoRapidReset(t *testing.T) {
	t.Parallel()
	for life, spared := range map[time.Duration]bool{1: true, time.Hour: false} {
		if got := leaveAnswers(t, life); got != spared {
			t.Errorf("with a life of at least %v the connection goes on: %t", life, got)
		}
	}
}

// leaveAnswers leaves many responses amid their body, and tells whether that goes well.
func leaveAnswers(t *testing.T, life time.Duration) bool {
	s := serve(t, Options{Abuse: AbuseLimits{Resets: 10, ShortLife: life}, MaxConcurrentStreams: 10, Handler: handlerFunc(func(ex *proxy.Exchange, down proxy.Downstream) {
		down.Respond(ex, &proxy.Response{Status: 200, Body: proxy.Body{Kind: proxy.BodyStream}, DeclaredLength: -1}, []byte("some"), false)
		wait(ex, down)
	})})
	p := s.greet()
	for id := uint32(1); id < 100; id += 2 {
		p.headers(id, true, get...)
		for begun := false; !begun; {
			f, err := p.ReadFrame()
			if err != nil {
				t.Fatalf("stream %d: %v", id, err)
			}
			if f.Header().Type == http2.FrameGoAway {
				return false
			}
			begun = f.Header().Type == http2.FrameData && f.Header().StreamID == id
		}
		p.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	return true
}

// TestTrailersInProgress: trailers that nobody has read yet count like heads.
func TestTrailersInProgress(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Handler: wait})
	p := s.greet()
	large := strings.Repeat("x", 15000)
	for id := uint32(1); id <= 199; id += 2 {
		p.headers(id, false, post...)
		p.headers(id, true, "a", large)
	}
	p.WritePing(false, [8]byte{1})
	refused := 0
	for {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Header().Type == http2.FrameRSTStream {
			refused++
		}
		if f.Header().Type == http2.FramePing {
			break
		}
	}
	if refused < 25 || refused > 40 {
		t.Errorf("%d of 100 trailers of 15 KB were refused", refused)
	}
}

// TestHeadsInProgress: many heads, each within its limit, do not add up.
func TestHeadsInProgress(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Handler: wait})
	p := s.greet()
	large := strings.Repeat("x", 15000)
	refused := 0
	for id := uint32(1); id <= 199; id += 2 {
		p.headers(id, true, with(get, "a", large)...)
	}
	p.WritePing(false, [8]byte{1})
	for {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := f.(*http2.RSTStreamFrame); ok && r.ErrCode == http2.ErrCodeRefusedStream {
			refused++
		}
		if f.Header().Type == http2.FramePing {
			break
		}
	}
	if refused < 25 || refused > 40 {
		t.Errorf("%d of 100 heads of 15 KB were refused", refused)
	}
}
