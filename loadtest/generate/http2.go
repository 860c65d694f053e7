package generate

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluicegate/sluice/loadtest/work"
)

const (
	// window is what a peer may send on a stream, and on a connection, before it is told of
	// more: as much as h2load allows, so that updates cost nobody much.
	window = 1<<30 - 1
	// firstWindow is what both sides begin with, and frameSize the longest frame that both
	// must take (RFC 9113 section 6.5.2).
	firstWindow = 65535
	frameSize   = 16384
	frameHead   = 9
)

// h2 is HTTP/2 as a client speaks it (RFC 9113), with gRPC on top where that is asked for.
type h2 struct {
	protocol work.Protocol
	tls      bool
	want     int
	choose   *chooser
	payload  []byte

	encoder *hpack.Encoder
	decoder *hpack.Decoder
	// block is what encoder has written, or decoder is to read; encoded counts the blocks:
	// from the third on they are alike, if requests are.
	block   []byte
	encoded int
	// decoding is the stream that the fields read are of.
	decoding *h2Stream

	nextID  uint32
	streams map[uint32]*h2Stream
	bySlot  []*h2Stream
	// settled says that the peer's settings are known.
	settled bool
	// blocked says that some stream waits for a window.
	blocked                  bool
	sendWindow, streamWindow int
	received                 int
	// leaving says that the peer takes no more streams, ending that we send none. parked are
	// those who wait for the next connection.
	leaving, ending bool
	// endsStream says that the stream ends with the header block that is being read.
	endsStream bool
	parked     []*lane
}

// h2Stream is a stream, which serves one lane after the other requests of the same.
type h2Stream struct {
	id     uint32 // 0 where it is not open
	lane   *lane
	window int
	// body is what is to be sent, and ends whether the stream ends with it.
	body []byte
	ends bool

	status, length int
	grpcStatus     string
	grpcMessage    string
	received       int
	messages       messages
}

func newHTTP2(l Load, choose *chooser) *h2 {
	h := &h2{
		protocol: l.Protocol, tls: l.TLS, want: l.Want, choose: choose,
		nextID: 1, streams: make(map[uint32]*h2Stream, l.Streams),
		sendWindow: firstWindow, streamWindow: firstWindow,
	}
	for range l.Streams {
		h.bySlot = append(h.bySlot, &h2Stream{})
	}
	h.encoder = hpack.NewEncoder((*blockWriter)(&h.block))
	h.decoder = hpack.NewDecoder(4096, h.field)
	h.payload = make([]byte, l.Upload)
	if h.grpc() {
		h.payload = grpcMessage(l.Want)
	}
	return h
}

// blockWriter appends to a block.
type blockWriter []byte

func (w *blockWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

func (h *h2) grpc() bool { return h.protocol == work.GRPCUnary || h.protocol == work.GRPCStream }

// begin sends the client's preface, and waits for the server's settings: not all servers bear
// with what is sent before they are known.
func (h *h2) begin(c *conn) error {
	c.out = append(c.out, http2.ClientPreface...)
	c.out = appendFrameHead(c.out, 12, http2.FrameSettings, 0, 0)
	c.out = appendSetting(c.out, http2.SettingEnablePush, 0)
	c.out = appendSetting(c.out, http2.SettingInitialWindowSize, window)
	c.out = appendWindowUpdate(c.out, 0, window-firstWindow)
	if err := c.flush(); err != nil {
		return err
	}
	for !h.settled {
		n, err := c.read(c.loop.room)
		if err != nil {
			return fmt.Errorf("HTTP/2: before the server's settings: %w", err)
		}
		c.left = append(c.left, c.loop.room[:n]...)
		used, err := h.read(c, c.left)
		if err != nil {
			return err
		}
		c.left = append(c.left[:0], c.left[used:]...)
	}
	return nil
}

func appendFrameHead(b []byte, length int, kind http2.FrameType, flags http2.Flags, id uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	return binary.BigEndian.AppendUint32(b, id)
}

func appendSetting(b []byte, id http2.SettingID, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, uint16(id)), value)
}

func appendWindowUpdate(b []byte, id uint32, by int) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(b, 4, http2.FrameWindowUpdate, 0, id), uint32(by))
}

// request opens a stream, or sends a message on one that is open.
func (h *h2) request(c *conn, l *lane) {
	s := h.bySlot[l.slot]
	if s.id == 0 {
		if h.leaving {
			h.parked = append(h.parked, l)
			h.left(c)
			return
		}
		*s = h2Stream{id: h.nextID, lane: l, window: h.streamWindow}
		h.nextID += 2
		h.streams[s.id] = s
		h.encode()
		flags := http2.FlagHeadersEndHeaders
		if len(h.payload) == 0 {
			flags |= http2.FlagHeadersEndStream
		}
		c.out = appendFrameHead(c.out, len(h.block), http2.FrameHeaders, flags, s.id)
		c.out = append(c.out, h.block...)
	}
	s.body, s.ends = h.payload, h.protocol != work.GRPCStream
	h.pump(c, s)
}

// encode makes the header block of a request.
func (h *h2) encode() {
	if h.encoded++; h.encoded > 2 && h.choose.one() {
		return // all of it is in the peer's table
	}
	h.block = h.block[:0]
	host, path := h.choose.next()
	field := func(name, value string) { h.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) }
	method, scheme := "GET", "http"
	if len(h.payload) > 0 {
		method = "POST"
	}
	if h.tls {
		scheme = "https"
	}
	where := string(h.choose.path.append(nil, path))
	switch h.protocol {
	case work.GRPCUnary:
		where += UnaryMethod
	case work.GRPCStream:
		where += StreamMethod
	}
	field(":method", method)
	field(":scheme", scheme)
	field(":authority", string(h.choose.host.append(nil, host)))
	field(":path", where)
	field("user-agent", "loadtest")
	switch {
	case h.grpc():
		field("content-type", "application/grpc")
		field("te", "trailers")
	case len(h.payload) > 0:
		field("content-type", "application/octet-stream")
		field("content-length", fmt.Sprint(len(h.payload)))
	default:
		field("accept", "*/*")
	}
}

// pump sends what the windows allow.
func (h *h2) pump(c *conn, s *h2Stream) {
	for len(s.body) > 0 {
		n := min(len(s.body), frameSize, s.window, h.sendWindow)
		if n <= 0 {
			h.blocked = true
			return
		}
		var flags http2.Flags
		if s.ends && n == len(s.body) {
			flags = http2.FlagDataEndStream
		}
		c.out = appendFrameHead(c.out, n, http2.FrameData, flags, s.id)
		c.out = append(c.out, s.body[:n]...)
		s.body = s.body[n:]
		s.window -= n
		h.sendWindow -= n
	}
}

// pumpAll sends on all streams that waited for a window.
func (h *h2) pumpAll(c *conn) {
	if !h.blocked {
		return
	}
	h.blocked = false
	for _, s := range h.bySlot {
		if s.id != 0 {
			h.pump(c, s)
		}
	}
}

// skip is 0: all frames are looked at.
func (h *h2) skip() int              { return 0 }
func (h *h2) skipped(c *conn, _ int) {}
func (h *h2) eof(c *conn)            {}

// finish ends calls that are still open, and waits for their trailers.
func (h *h2) finish(c *conn) bool {
	if h.protocol != work.GRPCStream || h.leaving {
		return false
	}
	if !h.ending {
		h.ending = true
		for id := range h.streams {
			c.out = appendFrameHead(c.out, 0, http2.FrameData, http2.FlagDataEndStream, id)
		}
	}
	return len(h.streams) > 0
}
