package backend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Windows for what clients send, so large that updates are few.
const (
	streamWindow = 1 << 24
	connWindow   = 1 << 30
)

// grpc is a connection of HTTP/2 without TLS (RFC 9113), on which every message of a call is
// answered with one, and a call that is over with status 0: unary calls and streams alike.
type grpc struct {
	backend int
	// message is an answer, with the prefix of five bytes.
	message []byte
	decoder *hpack.Decoder
	fields  []hpack.HeaderField
	streams map[uint32]*call
	// block is a header block that is not complete.
	block []byte
	// window is what may be sent on the connection, initial on a new stream.
	window, initial int64
	received        int
	// waiting are calls that wait for a window.
	waiting []*call
}

// call is a stream.
type call struct {
	id uint32
	// echo is the request's head, where that is asked for.
	echo []byte
	// part is a message of the client that is not complete.
	part   []byte
	window int64
	// owed are answers that are not sent, sent the bytes of the first that are.
	owed, sent       int
	received         int
	began, requested bool
}

// newGRPC returns backends that answer with messages of so many bytes.
func newGRPC(body int) func(backend int) func(*loop, *conn) handler {
	message := binary.BigEndian.AppendUint32([]byte{0}, uint32(body))
	message = append(message, bytes.Repeat([]byte{'x'}, body)...)
	return func(backend int) func(*loop, *conn) handler {
		return func(*loop, *conn) handler {
			g := &grpc{backend: backend, message: message, streams: map[uint32]*call{}, window: 65535, initial: 65535}
			g.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { g.fields = append(g.fields, f) })
			return g.preface
		}
	}
}

// preface answers the client's with our settings.
func (g *grpc) preface(l *loop, c *conn, in []byte) (int, error) {
	if len(in) < len(http2.ClientPreface) {
		return 0, nil
	}
	if !bytes.HasPrefix(in, []byte(http2.ClientPreface)) {
		return 0, errors.New("not HTTP/2")
	}
	c.handle = g.frames
	out := frameHead(nil, http2.FrameSettings, 0, 0, 12)
	out = setting(out, http2.SettingInitialWindowSize, streamWindow)
	out = setting(out, http2.SettingMaxConcurrentStreams, 1000)
	out = windowUpdate(out, 0, connWindow-65535)
	return len(http2.ClientPreface), c.write(out)
}

// frames answers all frames that are complete with one write.
func (g *grpc) frames(l *loop, c *conn, in []byte) (used int, err error) {
	l.out = l.out[:0]
	for len(in)-used >= 9 {
		f := in[used:]
		length := int(f[0])<<16 | int(f[1])<<8 | int(f[2])
		if len(f) < 9+length {
			break
		}
		id := binary.BigEndian.Uint32(f[5:]) & (1<<31 - 1)
		if l.out, err = g.frame(l.out, http2.FrameType(f[3]), http2.Flags(f[4]), id, f[9:9+length]); err != nil {
			return 0, err
		}
		used += 9 + length
	}
	if len(l.out) == 0 {
		return used, nil
	}
	return used, c.write(l.out)
}

func (g *grpc) frame(out []byte, kind http2.FrameType, flags http2.Flags, id uint32, p []byte) ([]byte, error) {
	switch kind {
	case http2.FrameHeaders:
		p, err := unpadded(p, flags)
		if err != nil {
			return nil, err
		}
		if flags.Has(http2.FlagHeadersPriority) {
			p = p[min(5, len(p)):]
		}
		s := &call{id: id, window: g.initial, requested: flags.Has(http2.FlagHeadersEndStream)}
		g.streams[id] = s
		g.block = append(g.block[:0], p...)
		return g.headers(out, s, flags.Has(http2.FlagHeadersEndHeaders))
	case http2.FrameContinuation:
		g.block = append(g.block, p...)
		if s := g.streams[id]; s != nil {
			return g.headers(out, s, flags.Has(http2.FlagContinuationEndHeaders))
		}
	case http2.FrameData:
		return g.data(out, flags, id, p)
	case http2.FrameRSTStream:
		delete(g.streams, id)
	case http2.FrameSettings:
		if !flags.Has(http2.FlagSettingsAck) {
			g.settings(p)
			out = frameHead(out, http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
			return g.resume(out), nil
		}
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			return append(frameHead(out, http2.FramePing, http2.FlagPingAck, 0, len(p)), p...), nil
		}
	case http2.FrameWindowUpdate:
		if len(p) != 4 {
			return nil, errors.New("a window update of another length than 4")
		}
		if n := int64(binary.BigEndian.Uint32(p)); id == 0 {
			g.window += n
		} else if s := g.streams[id]; s != nil {
			s.window += n
		}
		return g.resume(out), nil
	}
	return out, nil
}

// headers reads a header block once it is complete.
func (g *grpc) headers(out []byte, s *call, complete bool) ([]byte, error) {
	if !complete {
		return out, nil
	}
	g.fields = g.fields[:0]
	if _, err := g.decoder.Write(g.block); err != nil {
		return nil, err
	}
	if err := g.decoder.Close(); err != nil {
		return nil, err
	}
	for _, f := range g.fields {
		if f.Name == ":path" && strings.HasSuffix(f.Value, "?"+Echo) {
			s.echo = g.echo()
		}
	}
	if s.requested {
		out = g.pump(out, s)
	}
	return out, nil
}

// echo writes the request's head as HTTP/1.1 would.
func (g *grpc) echo() []byte {
	var line, rest strings.Builder
	pseudo := map[string]string{}
	for _, f := range g.fields {
		if f.IsPseudo() {
			pseudo[f.Name] = f.Value
			continue
		}
		fmt.Fprintf(&rest, "%s: %s\r\n", f.Name, f.Value)
	}
	fmt.Fprintf(&line, "backend %d\r\n%s %s HTTP/2.0\r\n", g.backend, pseudo[":method"], pseudo[":path"])
	if host := pseudo[":authority"]; host != "" { // nginx sends host instead
		fmt.Fprintf(&line, "Host: %s\r\n", host)
	}
	return []byte(line.String() + rest.String() + "\r\n")
}

// data takes messages in.
func (g *grpc) data(out []byte, flags http2.Flags, id uint32, p []byte) ([]byte, error) {
	if g.received += len(p); g.received > connWindow/2 {
		out = windowUpdate(out, 0, uint32(g.received))
		g.received = 0
	}
	s := g.streams[id]
	if s == nil {
		return out, nil // it was reset
	}
	if s.received += len(p); s.received > streamWindow/2 {
		out = windowUpdate(out, id, uint32(s.received))
		s.received = 0
	}
	p, err := unpadded(p, flags)
	if err != nil {
		return nil, err
	}
	s.requested = flags.Has(http2.FlagDataEndStream)
	if len(s.part) > 0 {
		s.part = append(s.part, p...)
		p = s.part
	}
	for len(p) >= 5 {
		n := 5 + int(binary.BigEndian.Uint32(p[1:]))
		if len(p) < n {
			break
		}
		p = p[n:]
		s.owed++
	}
	s.part = append(s.part[:0], p...)
	return g.pump(out, s), nil
}

// resume goes on with calls that had no window.
func (g *grpc) resume(out []byte) []byte {
	waiting := g.waiting
	g.waiting = nil
	for _, s := range waiting {
		if g.streams[s.id] == s {
			out = g.pump(out, s)
		}
	}
	return out
}

// pump sends what a call is owed.
func (g *grpc) pump(out []byte, s *call) []byte {
	if s.echo != nil {
		if !s.requested {
			return out
		}
		delete(g.streams, s.id)
		out = append(frameHead(out, http2.FrameHeaders, http2.FlagHeadersEndHeaders, s.id, len(textHead)), textHead...)
		g.window -= int64(len(s.echo))
		return append(frameHead(out, http2.FrameData, http2.FlagDataEndStream, s.id, len(s.echo)), s.echo...)
	}
	if !s.began && (s.owed > 0 || s.requested) {
		s.began = true
		out = append(frameHead(out, http2.FrameHeaders, http2.FlagHeadersEndHeaders, s.id, len(callHead)), callHead...)
	}
	for s.owed > 0 {
		n := int(min(int64(len(g.message)-s.sent), 16384, g.window, s.window))
		if n <= 0 {
			g.waiting = append(g.waiting, s)
			return out
		}
		out = append(frameHead(out, http2.FrameData, 0, s.id, n), g.message[s.sent:s.sent+n]...)
		g.window -= int64(n)
		s.window -= int64(n)
		if s.sent += n; s.sent == len(g.message) {
			s.sent = 0
			s.owed--
		}
	}
	if s.requested {
		delete(g.streams, s.id)
		flags := http2.FlagHeadersEndHeaders | http2.FlagHeadersEndStream
		out = append(frameHead(out, http2.FrameHeaders, flags, s.id, len(callEnd)), callEnd...)
	}
	return out
}

// settings takes the client's settings in.
func (g *grpc) settings(p []byte) {
	for ; len(p) >= 6; p = p[6:] {
		if http2.SettingID(binary.BigEndian.Uint16(p)) != http2.SettingInitialWindowSize {
			continue
		}
		initial := int64(binary.BigEndian.Uint32(p[2:]))
		for _, s := range g.streams {
			s.window += initial - g.initial
		}
		g.initial = initial
	}
}
