package generate

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluicegate/sluice/loadtest/work"
)

// read handles all frames that have come whole.
func (h *h2) read(c *conn, p []byte) (used int, err error) {
	age := c.age
	for len(p)-used >= frameHead && c.age == age {
		f := p[used:]
		n := int(f[0])<<16 | int(f[1])<<8 | int(f[2])
		if n > frameSize {
			return used, fmt.Errorf("HTTP/2: a frame has %d bytes, more than allowed", n)
		}
		if len(f) < frameHead+n {
			break
		}
		id := binary.BigEndian.Uint32(f[5:]) & (1<<31 - 1)
		if err := h.frame(c, http2.FrameType(f[3]), http2.Flags(f[4]), id, f[frameHead:frameHead+n]); err != nil {
			return used, err
		}
		used += frameHead + n
	}
	return used, nil
}

func (h *h2) frame(c *conn, kind http2.FrameType, flags http2.Flags, id uint32, p []byte) error {
	switch kind {
	case http2.FrameData:
		return h.data(c, flags, id, p)
	case http2.FrameHeaders, http2.FrameContinuation:
		return h.headers(c, kind, flags, id, p)
	case http2.FrameSettings:
		return h.settings(c, flags, p)
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			c.out = append(appendFrameHead(c.out, len(p), http2.FramePing, http2.FlagPingAck, 0), p...)
		}
	case http2.FrameWindowUpdate:
		if len(p) != 4 {
			return errors.New("HTTP/2: a window update is not of 4 bytes")
		}
		by := int(binary.BigEndian.Uint32(p) & (1<<31 - 1))
		if id == 0 {
			h.sendWindow += by
		} else if s := h.streams[id]; s != nil {
			s.window += by
		}
		h.pumpAll(c)
	case http2.FrameRSTStream:
		if s := h.streams[id]; s != nil && len(p) == 4 {
			h.end(c, s, fmt.Sprintf("HTTP/2: the stream was reset: %v", http2.ErrCode(binary.BigEndian.Uint32(p))))
		}
	case http2.FrameGoAway:
		return h.goAway(c, p)
	case http2.FramePushPromise:
		return errors.New("HTTP/2: a push came, which was not allowed")
	}
	return nil
}

func (h *h2) settings(c *conn, flags http2.Flags, p []byte) error {
	if flags.Has(http2.FlagSettingsAck) {
		return nil
	}
	for ; len(p) >= 6; p = p[6:] {
		value := binary.BigEndian.Uint32(p[2:])
		switch http2.SettingID(binary.BigEndian.Uint16(p)) {
		case http2.SettingInitialWindowSize:
			by := int(value) - h.streamWindow
			h.streamWindow += by
			for _, s := range h.streams {
				s.window += by
			}
			h.pumpAll(c)
		case http2.SettingHeaderTableSize:
			h.encoder.SetMaxDynamicTableSizeLimit(value)
			h.encoder.SetMaxDynamicTableSize(min(value, 4096))
			h.encoded = 0
		case http2.SettingMaxConcurrentStreams:
			if int(value) < len(h.bySlot) {
				return fmt.Errorf("HTTP/2: %d streams are wanted, and %d allowed", len(h.bySlot), value)
			}
		}
	}
	h.settled = true
	c.out = appendFrameHead(c.out, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
	return nil
}

// headers reads a header block once it is there as a whole.
func (h *h2) headers(c *conn, kind http2.FrameType, flags http2.Flags, id uint32, p []byte) error {
	if kind == http2.FrameHeaders {
		var err error
		if p, err = unpad(p, flags); err != nil {
			return err
		}
		if flags.Has(http2.FlagHeadersPriority) {
			p = p[min(5, len(p)):]
		}
		// The flag is of the first frame, and counts when the last one is here.
		h.endsStream = flags.Has(http2.FlagHeadersEndStream)
	}
	s := h.streams[id]
	h.decoding = s
	if _, err := h.decoder.Write(p); err != nil {
		return fmt.Errorf("HTTP/2: a header block: %w", err)
	}
	if !flags.Has(http2.FlagHeadersEndHeaders) {
		return nil
	}
	if err := h.decoder.Close(); err != nil {
		return fmt.Errorf("HTTP/2: a header block: %w", err)
	}
	if s != nil && h.endsStream {
		h.end(c, s, "")
	}
	return nil
}

// field is called with each header field and trailer.
func (h *h2) field(f hpack.HeaderField) {
	s := h.decoding
	if s == nil {
		return
	}
	switch f.Name {
	case ":status":
		s.status = 0
		for _, digit := range []byte(f.Value) {
			s.status = s.status*10 + int(digit-'0')
		}
	case "grpc-status":
		s.grpcStatus = f.Value
	case "grpc-message":
		s.grpcMessage = f.Value
	}
}

func unpad(p []byte, flags http2.Flags) ([]byte, error) {
	if !flags.Has(http2.FlagDataPadded) {
		return p, nil
	}
	if len(p) == 0 || int(p[0]) >= len(p) {
		return nil, errors.New("HTTP/2: the padding is longer than the frame")
	}
	return p[1 : len(p)-int(p[0])], nil
}

func (h *h2) data(c *conn, flags http2.Flags, id uint32, p []byte) error {
	if h.received += len(p); h.received > window/4 {
		c.out = appendWindowUpdate(c.out, 0, h.received)
		h.received = 0
	}
	s := h.streams[id]
	if s == nil {
		return nil
	}
	if s.received += len(p); s.received > window/4 {
		c.out = appendWindowUpdate(c.out, id, s.received)
		s.received = 0
	}
	p, err := unpad(p, flags)
	if err != nil {
		return err
	}
	if h.grpc() {
		whole := s.messages.read(p)
		if h.protocol == work.GRPCStream {
			for range whole {
				c.loop.done(s.lane, wrong(s.status, s.messages.length, h.want))
			}
		}
	} else {
		s.length += len(p)
	}
	if flags.Has(http2.FlagDataEndStream) {
		h.end(c, s, "")
	}
	return nil
}

// end checks a stream that has ended.
func (h *h2) end(c *conn, s *h2Stream, problem string) {
	l := s.lane
	if len(s.body) > 0 && problem == "" {
		c.out = binary.BigEndian.AppendUint32(appendFrameHead(c.out, 4, http2.FrameRSTStream, 0, s.id), uint32(http2.ErrCodeCancel))
	}
	delete(h.streams, s.id)
	s.id, s.body = 0, nil
	if problem == "" {
		problem = h.verdict(s)
	}
	switch {
	case h.protocol != work.GRPCStream:
		c.loop.done(l, problem)
	case l.busy:
		c.loop.done(l, "the call ended before the message was answered: "+problem)
	case problem != "":
		c.loop.failed(1, problem)
	}
	h.left(c)
}

// verdict says what is wrong with an answer.
func (h *h2) verdict(s *h2Stream) string {
	switch {
	case !h.grpc():
		return wrong(s.status, s.length, h.want)
	case s.status != 200:
		return wrong(s.status, 0, 0)
	case s.grpcStatus != "0":
		return fmt.Sprintf("the gRPC status is %q: %s", s.grpcStatus, s.grpcMessage)
	case h.protocol == work.GRPCUnary && s.messages.whole != 1:
		return fmt.Sprintf("the call was answered with %d messages", s.messages.whole)
	case h.protocol == work.GRPCUnary:
		return wrong(s.status, s.messages.length, h.want)
	}
	return ""
}

// goAway leaves the connection when what is under way is done; what the peer has not looked at
// is asked again (RFC 9113 section 6.8).
func (h *h2) goAway(c *conn, p []byte) error {
	if len(p) < 8 {
		return errors.New("HTTP/2: a GOAWAY frame is too short")
	}
	if code := http2.ErrCode(binary.BigEndian.Uint32(p[4:])); code != http2.ErrCodeNo {
		return fmt.Errorf("HTTP/2: the peer goes away: %v %s", code, p[8:])
	}
	h.leaving = true
	last := binary.BigEndian.Uint32(p) & (1<<31 - 1)
	for id, s := range h.streams {
		if id <= last {
			continue
		}
		delete(h.streams, id)
		s.id, s.body = 0, nil
		if s.lane.busy {
			h.parked = append(h.parked, s.lane)
		}
	}
	h.left(c)
	return nil
}

// left closes a connection that takes no more streams, once it has none, and sends what waits
// for that on the next.
func (h *h2) left(c *conn) {
	if !h.leaving || len(h.streams) > 0 {
		return
	}
	c.close()
	for _, l := range h.parked {
		c.send(l)
	}
	h.parked = nil
}
