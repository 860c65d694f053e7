package protocols

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Peer is one end of a connection of HTTP/2, of which the test sees every stream as a
// net.Conn (RFC 8441). It never asks for more window than the protocol begins with.
type h2Peer struct {
	net.Conn
	framer *http2.Framer

	// mu guards the rest, and writing.
	mu      sync.Mutex
	changed *sync.Cond
	block   bytes.Buffer
	encoder *hpack.Encoder
	streams map[uint32]*h2Stream
	next    uint32
	window  int
	initial int
	// extended tells whether the other end takes extended CONNECT; settled, that it has said so.
	extended, settled bool
	failure           error
	// accept is called with each stream that the other end opens.
	accept func(*h2Stream)
}

func newH2Peer(conn net.Conn) *h2Peer {
	p := &h2Peer{Conn: conn, framer: http2.NewFramer(conn, conn), streams: map[uint32]*h2Stream{}, next: 1, window: 65535, initial: 65535}
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.changed = sync.NewCond(&p.mu)
	p.encoder = hpack.NewEncoder(&p.block)
	return p
}

// h2Client greets a server and waits for its settings.
func h2Client(t testing.TB, conn net.Conn) *h2Peer {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	p := newH2Peer(conn)
	p.framer.WriteSettings()
	go p.read()
	guard := time.AfterFunc(patience, func() { conn.Close() })
	defer guard.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.settled && p.failure == nil {
		p.changed.Wait()
	}
	if p.failure != nil {
		t.Fatalf("no settings: %v", p.failure)
	}
	return p
}

// read handles what the other end sends, until it ends.
func (p *h2Peer) read() {
	for {
		f, err := p.framer.ReadFrame()
		p.mu.Lock()
		if err != nil {
			p.fail(err)
			p.mu.Unlock()
			p.Conn.Close()
			return
		}
		opened := p.frame(f)
		p.changed.Broadcast()
		p.mu.Unlock()
		if opened != nil {
			go p.accept(opened)
		}
	}
}

// fail ends every stream. The caller holds mu.
func (p *h2Peer) fail(err error) {
	if p.failure == nil {
		p.failure = err
	}
	for _, s := range p.streams {
		if !s.ended && s.failure == nil {
			s.failure = fmt.Errorf("the connection ended: %w", err)
		}
	}
	p.changed.Broadcast()
}

// frame handles one frame, and returns the stream that it opens. The caller holds mu.
func (p *h2Peer) frame(f http2.Frame) (opened *h2Stream) {
	s := p.streams[f.Header().StreamID]
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		f.ForeachSetting(func(setting http2.Setting) error {
			switch setting.ID {
			case http2.SettingEnableConnectProtocol:
				p.extended = setting.Val == 1
			case http2.SettingInitialWindowSize:
				for _, s := range p.streams {
					s.window += int(setting.Val) - p.initial
				}
				p.initial = int(setting.Val)
			}
			return nil
		})
		p.settled = true
		p.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if !f.IsAck() {
			p.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			p.window += int(f.Increment)
		} else if s != nil {
			s.window += int(f.Increment)
		}
	case *http2.MetaHeadersFrame:
		if s == nil {
			s = p.stream(f.StreamID)
			opened = s
		}
		s.head = map[string]string{}
		for _, field := range f.Fields {
			s.head[field.Name] = field.Value
		}
		s.ended = f.StreamEnded()
	case *http2.DataFrame:
		if s == nil || s.closed {
			p.framer.WriteWindowUpdate(0, max(1, f.Length))
			return nil
		}
		s.data.Write(f.Data())
		s.ended = f.StreamEnded()
	case *http2.RSTStreamFrame:
		if s != nil {
			s.failure = http2.StreamError{StreamID: f.StreamID, Code: f.ErrCode}
		}
	case *http2.GoAwayFrame:
		if f.ErrCode != http2.ErrCodeNo {
			p.fail(fmt.Errorf("GOAWAY %v %s", f.ErrCode, f.DebugData()))
		}
	}
	return opened
}

func (p *h2Peer) stream(id uint32) *h2Stream {
	s := &h2Stream{p: p, id: id, window: p.initial}
	p.streams[id] = s
	return s
}

// open opens a stream with a head.
func (p *h2Peer) open(end bool, fields ...string) (*h2Stream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		return nil, p.failure
	}
	s := p.stream(p.next)
	p.next += 2
	return s, s.writeHead(end, fields...)
}

// h2Stream is a stream as a connection.
type h2Stream struct {
	p  *h2Peer
	id uint32
	// The rest is guarded by the peer's mu.
	window  int
	head    map[string]string
	data    bytes.Buffer
	ended   bool // by the other end
	sent    bool // our END_STREAM
	closed  bool
	failure error
}

// writeHead sends HEADERS. The caller holds mu.
func (s *h2Stream) writeHead(end bool, fields ...string) error {
	s.p.block.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		s.p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	s.sent = end
	return s.p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: s.p.block.Bytes(), EndHeaders: true, EndStream: end})
}

// awaitHead waits for the other end's head.
func (s *h2Stream) awaitHead() (map[string]string, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for s.head == nil && s.failure == nil {
		s.p.changed.Wait()
	}
	if s.head == nil {
		return nil, s.failure
	}
	return s.head, nil
}

// Read implements net.Conn.
func (s *h2Stream) Read(b []byte) (int, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for s.data.Len() == 0 {
		switch {
		case s.closed:
			return 0, net.ErrClosed
		case s.failure != nil:
			return 0, s.failure
		case s.ended:
			return 0, io.EOF
		}
		s.p.changed.Wait()
	}
	n, _ := s.data.Read(b)
	s.p.framer.WriteWindowUpdate(0, uint32(n))
	if !s.ended && s.failure == nil {
		s.p.framer.WriteWindowUpdate(s.id, uint32(n))
	}
	return n, nil
}

// Write implements net.Conn.
func (s *h2Stream) Write(b []byte) (n int, err error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for n < len(b) {
		for !s.closed && s.failure == nil && (s.window <= 0 || s.p.window <= 0) {
			s.p.changed.Wait()
		}
		switch {
		case s.closed || s.sent:
			return n, net.ErrClosed
		case s.failure != nil:
			return n, s.failure
		}
		part := b[n:min(len(b), n+16384, n+s.window, n+s.p.window)]
		s.window -= len(part)
		s.p.window -= len(part)
		if err := s.p.framer.WriteData(s.id, false, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// CloseWrite ends what this end sends.
func (s *h2Stream) CloseWrite() error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.sent || s.failure != nil {
		return nil
	}
	s.sent = true
	return s.p.framer.WriteData(s.id, true, nil)
}

// Close implements net.Conn: as a socket would, it ends the stream in order where all was read,
// and resets it where not.
func (s *h2Stream) Close() error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.p.changed.Broadcast()
	if s.failure != nil || s.sent && s.ended {
		return nil
	}
	if !s.sent && s.data.Len() == 0 {
		s.sent = true
		return s.p.framer.WriteData(s.id, true, nil)
	}
	return s.p.framer.WriteRSTStream(s.id, http2.ErrCodeCancel)
}

// reset ends the stream at once.
func (s *h2Stream) reset() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.closed = true
	s.p.framer.WriteRSTStream(s.id, http2.ErrCodeCancel)
}

func (s *h2Stream) LocalAddr() net.Addr              { return s.p.LocalAddr() }
func (s *h2Stream) RemoteAddr() net.Addr             { return s.p.RemoteAddr() }
func (s *h2Stream) SetDeadline(time.Time) error      { return nil }
func (s *h2Stream) SetReadDeadline(time.Time) error  { return nil }
func (s *h2Stream) SetWriteDeadline(time.Time) error { return nil }
