package http2

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

// fakeOrigin is the endpoint's side of a connection, frame by frame.
type fakeOrigin struct {
	t    testing.TB
	conn net.Conn
	br   *bufio.Reader
	dec  decoder
	// mu guards writing.
	mu sync.Mutex
}

// received is a frame, with its fields where it is HEADERS.
type received struct {
	frameHeader
	payload []byte
	fields  []router.Header
}

func (r *received) field(name string) string {
	for _, f := range r.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// fakePair returns both ends of a connection over loopback, with the endpoint's preface
// done: settings are what it says.
func fakePair(t testing.TB, o ConnOptions, settings ...setting) (*Conn, *fakeOrigin) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	theirs.SetDeadline(time.Now().Add(connPatience))
	t.Cleanup(func() { theirs.Close() })
	f := &fakeOrigin{t: t, conn: theirs, br: bufio.NewReader(theirs)}
	limits := http1.Limits{}.WithDefaults()
	f.dec = newDecoder(&limits)
	c := startConn(t, ours, o)
	got := make([]byte, len(preface))
	if _, err := io.ReadFull(f.br, got); err != nil || string(got) != preface {
		t.Fatalf("preface %q, %v", got, err)
	}
	f.write(appendSettings(nil, settings...))
	if first := f.any(); first.kind != frameSettings {
		t.Fatalf("the first frame is of type %d", first.kind)
	}
	return c, f
}

func (f *fakeOrigin) write(b []byte) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.conn.Write(b); err != nil {
		f.t.Errorf("write: %v", err)
	}
}

// any returns the next frame.
func (f *fakeOrigin) any() *received {
	f.t.Helper()
	r, err := f.read()
	if err != nil {
		f.t.Fatalf("read: %v", err)
	}
	return r
}

func (f *fakeOrigin) read() (*received, error) {
	head := make([]byte, frameHeaderLen)
	if _, err := io.ReadFull(f.br, head); err != nil {
		return nil, err
	}
	r := &received{frameHeader: parseFrameHeader(head)}
	r.payload = make([]byte, r.length)
	if _, err := io.ReadFull(f.br, r.payload); err != nil {
		return nil, err
	}
	if r.kind == frameHeaders {
		var l fieldList
		if err := f.dec.decode(r.payload, &l); err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		r.fields = l.fields
	}
	return r, nil
}

// end returns with what error reading ends, and an own one where anything comes before that but
// the answer to our settings, for which no test waits.
func (f *fakeOrigin) end() error {
	for {
		switch r, err := f.read(); {
		case err != nil:
			return err
		case r.kind != frameSettings:
			return fmt.Errorf("a frame of type %d", r.kind)
		}
	}
}

// next returns the next frame of one of the types.
func (f *fakeOrigin) next(kinds ...frameType) *received {
	f.t.Helper()
	for {
		r := f.any()
		for _, k := range kinds {
			if r.kind == k {
				return r
			}
		}
	}
}

// request returns the next request's head.
func (f *fakeOrigin) request() *received { f.t.Helper(); return f.next(frameHeaders) }

// code returns the error code of a RST_STREAM or GOAWAY frame.
func (r *received) code() errCode {
	return errCode(binary.BigEndian.Uint32(r.payload[len(r.payload)-4:]))
}

// rawHead makes a HEADERS frame of fields that are not checked.
func rawHead(stream uint32, end bool, fields ...string) []byte {
	var block []byte
	for i := 0; i < len(fields); i += 2 {
		block = appendLiteral(block, 0, 4, 0, fields[i], fields[i+1])
	}
	return rawBlock(stream, end, block)
}

func rawBlock(stream uint32, end bool, block []byte) []byte {
	var flags uint8
	if end {
		flags = flagEndStream
	}
	out := append(make([]byte, frameHeaderLen), block...)
	return appendHeaderFrames(out, 0, flags, stream, minFrameSize)
}

func rawData(stream uint32, end bool, data string) []byte {
	var flags uint8
	if end {
		flags = flagEndStream
	}
	return append(appendFrameHeader(nil, len(data), frameData, flags, stream), data...)
}

func rawFrame(kind frameType, flags uint8, stream uint32, payload string) []byte {
	return append(appendFrameHeader(nil, len(payload), kind, flags, stream), payload...)
}

func join(frames ...[]byte) (all []byte) {
	for _, f := range frames {
		all = append(all, f...)
	}
	return all
}
